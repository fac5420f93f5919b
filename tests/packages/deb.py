"""`make test-deb`: Debian packages in a fresh Debian 12, which takes root.

Each check prints a line. The exit status is 1 if one fails, 2 if something is missing.
"""

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, final

from tests.docs.pages import ROOT, blocks_of, broken_links_of, commands_of
from tests.docs.terminal import Terminal, type_all
from tests.packages.root import NEEDED, Root, fresh_root
from tests.support.checks import children_of, lacks, passes, verdict
from tests.support.processes import wait_until
from xsd import __version__

PAGE: Final = ROOT / "docs" / "packages.md"
NOTE: Final = "needs root and Debian's tools: make test-deb"
REPLACING: Final = ROOT / "docs" / "replacing.md"
UNITS: Final = ("xenstored.service", "xenstored.socket")
NEIGHBOURS: Final = ("xenstore-utils", "xen-utils-4.17", "xen-utils-common")
_STOP_MAX_S: Final = 60
DROP_INS: Final = ("xen.conf", "distribution.conf")
UNIT_FOLDER: Final = "/etc/systemd/system/xenstored.service.d"
PID_LINK: Final = "/etc/tmpfiles.d/xenstored-debian.conf"


@final
class Package:
    """A package, and a root to try it in."""

    def __init__(self, file: Path, root: Root) -> None:
        self.file = file
        self.root = root
        self.inside = root.copy(file)
        self.before: set[str] = set()

    def field(self, name: str) -> str:
        words = ["dpkg-deb", "-f", str(self.file), name]
        return subprocess.check_output(words, text=True).strip()

    def install(self) -> str:
        """Install it without a network, and without its dependencies."""
        return self.root.run("dpkg", "-i", self.inside)

    def paths(self) -> list[str]:
        return self.root.run("dpkg", "-L", "xsd").split("\n")[:-1]


def dependencies(package: Package) -> str:
    """What it depends on is in Debian."""
    needed = package.field("Depends")
    package.root.run("apt-get", "satisfy", "--yes", "--no-install-recommends", needed)
    package.before = package.root.files()
    return needed


def installation(package: Package) -> str:
    """It installs on these alone, as it was built, and enables nothing."""
    package.install()
    assert package.root.run("dpkg", "--verify", "xsd") == ""
    assert package.root.run("dpkg", "--audit") == ""
    _nothing_is_enabled(package.root)
    return f"{len(package.paths())} paths, {package.field('Installed-Size')} KiB"


def _nothing_is_enabled(root: Root) -> None:
    system = root.path / "etc" / "systemd" / "system"
    assert [path.name for path in system.rglob("xenstored*")] == []


def programs(package: Package) -> str:
    """They are of this version and the modules those of the package."""
    is_pure = package.field("Architecture") == "all"
    kind = "pure" if is_pure else "compiled"
    for command, name in (("xsd", "xsd"), ("xsd-xenstored", "xenstored (xsd)")):
        said = package.root.run(command, "--version")
        assert said.startswith(f"{name} {__version__}\n{kind}, Python 3."), said
    code = "import sys; sys.path.insert(0, '/usr/lib/xsd'); import structlog as s, "
    code += "uvloop as u, xsd.protocol.frame as p; "
    code += "print(p.__file__, s.__file__, u.__file__)"
    module, structlog, uvloop = package.root.run("python3", "-I", "-c", code).split()
    assert module.endswith(".py" if is_pure else ".so"), module
    assert structlog.startswith("/usr/lib/xsd/"), structlog
    assert uvloop.startswith("/usr/lib/xsd/") != is_pure, uvloop
    return f"{module}, {uvloop}"


def answers(root: Root) -> bool:
    return root.run("xsd", "health", check=False).startswith("ok (")


@contextlib.contextmanager
def serving(root: Root) -> Iterator[None]:
    process = subprocess.Popen(
        [*root.enter(), "xsd", "serve"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: answers(root), "xsd serve does not answer")
        yield
    finally:
        # unshare ignores the signal itself.
        for child in children_of(process.pid):
            os.kill(child, signal.SIGTERM)
        code = process.wait(_STOP_MAX_S)
    assert code == 0, code


def service(package: Package) -> str:
    """`xsd serve` serves our tools, by both of their names, as root and as itself."""
    root = package.root
    with serving(root):
        root.run("xsd", "write", "/test/a", "1")
        assert root.run("xsd", "read", "/test/a") == "1\n"
        said = root.run("/usr/lib/xsd/bin/xenstore-read", "/none", check=False)
        assert said == "xenstore-read: couldn't read path /none\n", said
        return root.run("xsd", "health").strip()


def background(package: Package) -> str:
    """`xsd-xenstored` returns when it serves, and its pid file is held."""
    root = package.root
    start = "xsd-xenstored --pid-file /run/x.pid"
    # It goes with its namespace otherwise, before it has cleaned up.
    end = "kill $(cat /run/x.pid); while [ -e /run/x.pid ]; do sleep 0.1; done"
    said = root.run("sh", "-c", f"{start}; xsd health; {start}; {end}")
    assert re.search(r"^ok \(.*\n.* already serves", said), said
    return said.split("\n")[1]


def replacing(package: Package) -> str:
    """What docs/replacing.md has typed on the host prints what it says."""
    root = package.root
    blocks = [each for each in blocks_of(REPLACING) if not each.is_needy]
    environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}

    def opened() -> Terminal:
        terminal = Terminal(root.path, environ, [*root.enter(), "/bin/bash"])
        terminal.run("cd /root")
        return terminal

    type_all(blocks, root.path / "root", opened)
    return f"{len(blocks)} blocks"


def pages(package: Package) -> str:
    """Links in what is installed lead to what is installed."""
    folder = package.root.path / "usr" / "share" / "doc" / "xsd"
    found = sorted(folder.rglob("*.md"))
    assert folder / "docs" / "replacing.md" in found
    broken = [link for page in found for link in broken_links_of(page, folder)]
    assert broken == []
    return f"{len(found)} pages"


def completion(package: Package) -> str:
    """bash finds it by the command's name, and it offers something."""
    folder = "/usr/share/bash-completion/completions"
    names = ("xsd", "xsd-xenstored")
    scripts = [f". {folder}/{name} && complete -p {name}" for name in names]
    found = [package.root.run("bash", "-c", script).strip() for script in scripts]
    return ", ".join(found)


def purge(package: Package) -> str:
    """Nothing is left that was not there before, of its settings neither."""
    root = package.root
    (root.path / "etc" / "xen").mkdir(exist_ok=True)
    (root.path / "etc" / "xen" / "xsd.toml").write_text("[quota]\n")
    root.run("dpkg", "--remove", "xsd")
    assert root.has("/etc/xen/xsd.toml")
    assert root.has("/etc/default/xenstored")
    code_left = [path for path in package.root.files() if "usr/lib/xsd" in path]
    assert code_left == [], code_left
    root.run("dpkg", "--purge", "xsd")
    assert root.files() == package.before, root.files() ^ package.before
    return "as before"


def neighbours(package: Package) -> str:
    """It is installed beside Xen's packages, and changes nothing of theirs."""
    root = package.root
    root.install(*NEIGHBOURS, "man-db", "systemd-sysv", "dbus")
    before = root.run("dpkg", "--verify", *NEIGHBOURS, check=False)
    package.before = root.files()
    package.install()
    assert root.run("dpkg", "--verify", *NEIGHBOURS, check=False) == before
    for path in package.paths():
        if not (root.path / path[1:]).is_dir():
            assert root.run("dpkg", "-S", path) == f"xsd: {path}\n"
    _nothing_is_enabled(root)
    return ", ".join(NEIGHBOURS)


def debian_tools(package: Package) -> str:
    """xenstore-* of Debian talk to it."""
    root = package.root
    with serving(root):
        root.run("xenstore-write", "/test/a", "1", "/test/b", "2")
        assert root.run("xenstore-read", "/test/a") == "1\n"
        said = root.run("xenstore-ls", "-f", "/test")
        assert said == root.run("xsd", "ls", "-f", "/test")
        root.run("xenstore-rm", "/test")
        assert root.run("xenstore-list", "/") == root.run("xsd", "list", "/")
    return ", ".join(said.strip().split("\n"))


def manual(package: Package) -> str:
    """man shows each page, also by the name that the daemon has here."""
    pages = ("1 xsd", "8 xenstored", "8 xsd-xenstored", "5 xsd.toml")
    for page in pages:
        said = package.root.run("man", "-P", "cat", *page.split())
        name = r"^NAME\n +(xsd|xenstored|xsd\.toml) - "
        assert re.search(name, said, re.MULTILINE), said
    return ", ".join(pages)


def units(package: Package) -> str:
    """systemd has nothing to say of them, their pages and their programs."""
    said = package.root.run("systemd-analyze", "verify", *UNITS)
    assert said == "", said
    text = package.root.run("systemctl", "cat", *UNITS)
    assert "ExecStart=/usr/sbin/xsd-xenstored " in text
    return ", ".join(UNITS)


def commands(number: int) -> str:
    """What a block of the page says: 0 makes it the host's own, 1 undoes that."""
    _build, *blocks = [each for each in blocks_of(PAGE) if each.note == NOTE]
    return "\n".join([each.text for each in commands_of(blocks[number])])


def switch(package: Package) -> str:
    """What the page says makes it the host's, and what it says undoes that."""
    root = package.root
    before = root.files()
    defaults = root.path / "etc" / "default" / "xen"
    text = defaults.read_text()
    root.run("sh", "-e", "-c", commands(0))
    for name in DROP_INS:
        assert (root.path / UNIT_FOLDER[1:] / name).is_symlink()
    assert root.run("systemctl", "is-enabled", UNITS[0]) == "enabled\n"
    assert root.run("systemd-analyze", "verify", *UNITS) == ""
    said = root.run("systemctl", "cat", UNITS[0])
    assert "--hypervisor xen" in said
    assert "Before=xen.service" in said
    assert defaults.read_text() != text
    value = root.run("sh", "-c", '. /etc/default/xen; "$XENSTORED" --version')
    assert "(xsd)" in value, value
    root.run("sh", "-e", "-c", commands(1))
    assert (root.files(), defaults.read_text()) == (before, text)
    return value.strip()


def boot(package: Package) -> str:
    """Under systemd it is not running until it is started, and then it serves."""
    root = package.root
    for what, wanted in (("is-enabled", "disabled"), ("is-active", "inactive")):
        state = root.run("systemctl", what, *UNITS, check=False).split()
        assert state == [wanted, wanted], state
    root.run("systemctl", "start", UNITS[0])
    root.run("xenstore-write", "/test/a", "1")
    assert root.run("xsd", "read", "/test/a") == "1\n"
    return root.run("systemctl", "show", "-P", "StatusText", UNITS[0]).strip()


def upgrade(package: Package) -> str:
    """It leaves the daemon that runs alone, and the store with it."""
    root = package.root
    pid = root.run("systemctl", "show", "-P", "MainPID", UNITS[0])
    package.install()
    assert root.run("systemctl", "show", "-P", "MainPID", UNITS[0]) == pid
    assert root.run("xenstore-read", "/test/a") == "1\n"
    assert answers(root)
    return f"process {pid.strip()} goes on"


def removal(package: Package) -> str:
    """It stops the service."""
    root = package.root
    root.run("systemctl", "enable", UNITS[0])
    root.run("dpkg", "--remove", "xsd")
    assert processes(root) == ""
    _nothing_is_enabled(root)
    assert root.run("systemctl", "cat", UNITS[0], check=False).startswith("No files")
    return "it is stopped and disabled"


def removal_from_a_host(package: Package) -> str:
    """It takes the switch back as far as it is ours, but leaves the host its store."""
    root = package.root
    package.install()
    root.run("systemctl", "start", UNITS[0])
    root.run("sh", "-e", "-c", commands(0))
    root.run("systemctl", "daemon-reload")
    said = root.run("dpkg", "--remove", "xsd")
    assert "/etc/default/xen says XENSTORED=" in said, said
    assert f"{UNITS[0]} is a Xen host's" in said, said
    root.run("xenstore-ls")
    for path in (UNIT_FOLDER, PID_LINK):
        assert not root.has(path), path
    _nothing_is_enabled(root)
    # The rest of the way back, as the page says, and the end of the host.
    root.run("sh", "-e", "-c", commands(1).split("\n")[0])
    root.run("pkill", "-f", "xsd-xenstored")
    wait_until(lambda: processes(root) == "", "the daemon does not end")
    return "it goes on, and the line in /etc/default/xen is warned of"


def processes(root: Root) -> str:
    return root.run("pgrep", "-f", "xsd-xenstored", check=False)


def purged_after_all(package: Package) -> str:
    """Of all that, nothing is left."""
    package.root.run("dpkg", "--purge", "xsd")
    left = package.root.files() - package.before
    assert left <= {"etc/machine-id"}, left
    return "as before"


ALONE: Final = (
    *(dependencies, installation, programs, service, background, replacing, pages),
    *(completion, purge),
)
BESIDE_XEN: Final = (neighbours, debian_tools, manual)
BOOTED: Final = (*(units, boot, switch, upgrade, removal, removal_from_a_host),)


def try_out(package: Package) -> list[bool]:
    print(f"== {package.file.name}, on base and what it depends on")
    passed = [passes(check, package) for check in ALONE]
    print(f"== {package.file.name}, beside Xen's")
    passed += [passes(check, package) for check in BESIDE_XEN]
    with package.root.booted():
        passed += [passes(check, package) for check in BOOTED]
    passed.append(passes(purged_after_all, package))
    return passed


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("packages", nargs="+", type=Path)
    files = parser.parse_args().packages
    if lacks("make test-deb", "a system to install in", NEEDED):
        return 2
    passed = []
    for file in files:
        with fresh_root() as root:
            passed += try_out(Package(file, root))
    return verdict(passed)


if __name__ == "__main__":
    sys.exit(main())
