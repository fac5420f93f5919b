"""`make test-newcomer`: pages typed in a fresh Debian 12 each, which takes root.

README, quick start, and how a host gets the daemon, word by word: with no packages but
those that the pages name, out of a clone, and as a plain user where they do not say
root. What pip is told here, it is told there. Names of rounds choose some. Each round
prints a line; the exit status is 1 if one fails, 2 if something is missing.
"""

import argparse
import ast
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, final

from tests.docs.pages import ROOT, Block, blocks_of
from tests.docs.terminal import Terminal, follow, type_all
from tests.packages.root import NEEDED, Root, fresh_root
from tests.support.checks import lacks, passes, ran, verdict

README: Final = ROOT / "README.md"
QUICK_START: Final = ROOT / "docs" / "quick-start.md"
PACKAGES: Final = ROOT / "docs" / "packages.md"
REPLACING: Final = ROOT / "docs" / "replacing.md"

SHELL: Final = ("bash", "--noprofile", "--norc")
USER: Final = "newcomer"
WHEELS: Final = "needs a fresh Debian: make test-newcomer"
DEB: Final = "needs root and Debian's tools: make test-deb"

_PATIENCE_S: Final = 1800.0
"""Most seconds of silence, as of a compiler on a busy machine."""

CERTIFICATES: Final = "etc/pip-certificates.pem"
"""A name that no package has: one would put its own there."""


@final
class Machine:
    """A fresh Debian, and somebody at it."""

    def __init__(self, root: Root) -> None:
        self._root = root
        # Who reads a page says yes.
        apt = root.path / "etc" / "apt" / "apt.conf.d" / "90yes"
        apt.write_text('APT::Get::Assume-Yes "true";\n')
        root.run("useradd", "--create-home", "--shell", "/bin/bash", USER)
        self._told = told_to_pip(root.path)

    def install(self, page: Path, *packages: str) -> None:
        """Install packages that a page names."""
        text = page.read_text()
        for package in packages:
            assert f"`{package}`" in text, f"{page.name} does not name {package}"
        self._root.run("apt-get", "install", *packages)

    def clone(self, user: str) -> Path:
        """Give somebody a clone of the sources; return where, seen from there."""
        origin = self._root.path / "srv" / "xsd.git"
        ran(["git", "clone", "--quiet", "--bare", str(ROOT), str(origin)])
        self._root.run("apt-get", "install", "--no-install-recommends", "git")
        self._root.run("chown", "-R", user, "/srv/xsd.git")
        home = Path("/root" if user == "root" else f"/home/{user}")
        clone = f"cd {home} && git clone --quiet /srv/xsd.git"
        self._root.run("runuser", "-u", user, "--", "sh", "-c", clone)
        return home / "xsd"

    def terminal(self, user: str, directory: Path) -> Terminal:
        home = "/root" if user == "root" else f"/home/{user}"
        path = "/usr/local/bin:/usr/bin:/bin"
        if user == "root":
            path = f"/usr/local/sbin:{path}:/usr/sbin:/sbin"
        words = [*self._root.enter(), "runuser", "-u", user, "--", "env", "-i"]
        words += [f"HOME={home}", f"PATH={path}", *proxies(), *self._told, *SHELL]
        terminal = Terminal(self._root.path, dict(os.environ), words, _PATIENCE_S)
        said, status = terminal.run(f"cd {directory}")
        assert status == 0, said
        return terminal

    def type(self, page: Path, user: str, directory: Path) -> str:
        """Type a page, all but what needs more than this machine."""
        blocks = [block for block in blocks_of(page) if not block.is_needy]
        seen = self._root.path / directory.relative_to("/")

        def before(block: Block) -> None:
            if "$ xenstore-" in block.text:
                self.install(page, "xenstore-utils")

        type_all(blocks, seen, lambda: self.terminal(user, directory), before)
        return f"{len(blocks)} blocks"

    def type_block(self, block: Block, user: str, directory: Path) -> None:
        with self.terminal(user, directory) as terminal:
            follow(block, self._root.path, {"": terminal})

    def run(self, *words: str) -> str:
        return self._root.run(*words)


def proxies() -> list[str]:
    return [f"{name}={os.environ[name]}" for name in os.environ if "_proxy" in name]


def told_to_pip(root: Path) -> list[str]:
    """The settings of pip here, for a root, which has none of their directories."""
    found = []
    said = ran([sys.executable, "-m", "pip", "config", "list"]).stdout
    for line in said.splitlines():
        name, _, value = line.partition("=")
        words = ast.literal_eval(value).split()
        key = name.rpartition(".")[2]
        if key == "cert":
            shutil.copy(words[0], root / CERTIFICATES)
            words = [f"/{CERTIFICATES}"]
        elif any(word.startswith(("/", "file:")) for word in words):
            continue
        found.append(f"PIP_{key.upper().replace('-', '_')}={' '.join(words)}")
    return found


def readme(machine: Machine) -> str:
    """The first page, as a plain user in a clone."""
    machine.install(README, "make", "python3-venv")
    return machine.type(README, USER, machine.clone(USER))


def tests(machine: Machine) -> str:
    """`make test` of the first page, with what a plain user of a clone has."""
    machine.install(README, "make", "python3-venv")
    directory = machine.clone(USER)
    (block,) = [each for each in blocks_of(README) if each.note.endswith("make test")]
    with machine.terminal(USER, directory) as terminal:
        said, status = terminal.run(block.text.removeprefix("$ "))
    assert status == 0, said
    return said.splitlines()[-1]


def quick_start(machine: Machine) -> str:
    """The five minutes, as a plain user in a clone."""
    machine.install(QUICK_START, "make", "python3-venv")
    return machine.type(QUICK_START, USER, machine.clone(USER))


def replacing_by_wheel(machine: Machine) -> str:
    """A host gets the wheel that a user has made, and `xsd` is what is typed."""
    machine.install(PACKAGES, "make")
    directory = machine.clone(USER)
    build, make, install = [each for each in blocks_of(PACKAGES) if each.note == WHEELS]
    machine.type_block(build, "root", Path("/root"))
    machine.type_block(make, USER, directory)
    machine.type_block(install, "root", directory / "dist")
    typed = machine.type(REPLACING, "root", Path("/root"))
    said = machine.run("/opt/xenstored/bin/xenstored", "--version")
    version = ", ".join(said.splitlines())
    assert ", compiled, Python 3." in version, version
    assert machine.run("readlink", "/usr/local/bin/xsd") == "/opt/xenstored/bin/xsd\n"
    return f"{typed}, {version}"


def replacing_by_package(machine: Machine) -> str:
    """A host gets the Debian package, made there by root."""
    machine.install(PACKAGES, "make")
    directory = machine.clone("root")
    build, *_ = [each for each in blocks_of(PACKAGES) if each.note == DEB]
    machine.type_block(build, "root", directory)
    typed = machine.type(REPLACING, "root", Path("/root"))
    return f"{typed}, {machine.run('dpkg-query', '--show', 'xsd').strip()}"


ROUNDS: Final[dict[str, Callable[[Machine], str]]] = {
    "readme": readme,
    "quick-start": quick_start,
    "replacing-by-wheel": replacing_by_wheel,
    "replacing-by-package": replacing_by_package,
    "tests": tests,
}


def run(names: list[str]) -> Iterator[bool]:
    for name in names:
        with fresh_root() as root:
            yield passes(ROUNDS[name], Machine(root))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("rounds", nargs="*", choices=[*ROUNDS, []])
    names = parser.parse_args().rounds or list(ROUNDS)
    if lacks("make test-newcomer", "a system to install in", NEEDED):
        return 2
    return verdict(list(run(names)))


if __name__ == "__main__":
    sys.exit(main())
