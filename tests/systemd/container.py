"""A systemd of one's own: as process 1 of a container over the host's /usr."""

import contextlib
import fcntl
import os
import shutil
import site
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, final

from tests.support.checks import Done, nspawn, ran
from tests.support.processes import wait_until

ROOT: Final = Path(__file__).resolve().parents[2]
UNITS: Final = ROOT / "systemd"
SHIPPED_PROGRAM: Final = "/opt/xenstored/bin/xenstored"
PROGRAM: Final = "/opt/xsd/bin/xenstored"
"""Where the container has the daemon: its /usr is the host's and cannot be changed."""

SOURCES: Final = "/opt/xsd/code"
"""Where it has the sources, as far as they are needed; the units name PROGRAM."""

XENSTORE_CONTROL: Final = "/usr/lib/xen-4.17/bin/xenstore-control"
"""The program itself: the one in /usr/sbin wants to know which Xen runs."""

NEEDED: Final = {
    "/lib/systemd/systemd": "systemd",
    "/sbin/init": "systemd-sysv",
    "dbus-daemon": "dbus",
    "systemd-nspawn": "systemd-container",
    "nsenter": "util-linux",
    "choom": "util-linux",
    "start-stop-daemon": "dpkg",
    "xenstore-ls": "xenstore-utils",
    XENSTORE_CONTROL: "xen-utils-4.17",
}
"""Program -> Debian's package."""

_LOCK: Final = Path("/run/lock/xsd-test-systemd")
_MOST_S: Final = 60


@final
class Container:
    """A booted container."""

    def __init__(self, scratch: Path, leader: int) -> None:
        self.etc = scratch / "etc"
        self.system = scratch / "system"
        self._leader = leader
        self._since = time.time()

    def attempt(self, *words: str) -> Done:
        enter = ["nsenter", "-t", str(self._leader), "-a"]
        return ran([*enter, *words], check=False, timeout=_MOST_S)

    def run(self, *words: str) -> str:
        """Run a command inside that has to succeed; return what it prints."""
        done = self.attempt(*words)
        if done.returncode:
            raise AssertionError(f"{' '.join(words)}: {done.stderr.strip()}")
        return done.stdout.strip()

    def outside(self, path: str) -> Path:
        """Where a file of the container is found from here."""
        return Path(f"/proc/{self._leader}/root{path}")

    def show(self, name: str, unit: str = "xenstored.service") -> str:
        return self.run("systemctl", "show", "-P", name, unit)

    def journal(self) -> str:
        """Return what was logged of the service since `clean`, the oldest first."""
        words = ("-u", "xenstored.service", "-o", "cat", "--no-pager")
        return self.run("journalctl", *words, f"--since=@{self._since}")

    def drop_in(self, name: str, text: str) -> None:
        file = self.system / "xenstored.service.d" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        self.run("systemctl", "daemon-reload")

    def clean(self) -> None:
        # First of all, as one of them refuses to be stopped.
        shutil.rmtree(self.system / "xenstored.service.d", ignore_errors=True)
        self.run("systemctl", "daemon-reload")
        self.run("systemctl", "stop", "xenstored.socket", "xenstored.service")
        self.attempt("systemctl", "reset-failed", "xenstored.*")
        for file in self.etc.iterdir():
            file.unlink()
        self.run("rm", "-rf", "/run/xenstored/journal")
        self._since = time.time()


def copy_units(to: Path, program: str) -> None:
    """Copy the units and their drop-ins, with the daemon at another place."""
    for file in UNITS.rglob("*"):
        if file.is_file():
            copy = to / file.relative_to(UNITS)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(file.read_text().replace(SHIPPED_PROGRAM, program))


@contextlib.contextmanager
def booted() -> Iterator[Container]:
    with (
        _LOCK.open("w") as lock,
        tempfile.TemporaryDirectory(prefix="xs", dir="/tmp") as name,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)  # one at a time: they have the same name
        scratch = Path(name)
        # It may have no underscore, as a name of a machine has none.
        machine = scratch.name.replace("_", "-").rstrip("-") + "x"
        options = ["--directory=/", "--volatile=yes", f"--machine={machine}"]
        options += _binds(scratch)
        with nspawn(options, scratch / "boot", "basic.target") as leader:

            def is_up() -> bool:
                container = Container(scratch, leader())
                found = container.attempt("systemctl", "is-system-running")
                return found.stdout.strip() in {"running", "degraded"}

            wait_until(is_up, "the container does not boot")
            yield Container(scratch, leader())


def _binds(scratch: Path) -> list[str]:
    """Prepare what the container sees beside /usr."""
    system, etc, tmpfiles = (scratch / name for name in ("system", "etc", "tmpfiles"))
    etc.mkdir()
    copy_units(system, PROGRAM)
    (system / "tmpfiles.d").rename(tmpfiles)
    copy_units(scratch / "sources", PROGRAM)
    shutil.rmtree(system / "xenstored.service.d")
    program = scratch / "xenstored"
    python = "/opt/xsd/python/bin/python3"
    binds = {
        system: "/run/systemd/system",
        etc: "/etc/xen",
        tmpfiles: "/run/tmpfiles.d",
        program: PROGRAM,
        scratch / "sources": f"{SOURCES}/systemd",
        Path(site.getsitepackages()[0]): "/opt/xsd/packages",
        ROOT / "xsd": f"{SOURCES}/xsd",
        ROOT / "protocol": f"{SOURCES}/protocol",
    }
    # ProtectHome= hides an interpreter in somebody's home.
    if sys.base_prefix == "/usr":
        python = os.path.realpath(sys.executable)
    else:
        binds[Path(sys.base_prefix)] = "/opt/xsd/python"
    program.write_text(
        "#!/bin/sh\n"
        f"export PYTHONPATH={SOURCES}:/opt/xsd/packages PYTHONDONTWRITEBYTECODE=1\n"
        # Where it looks for its own library otherwise is hidden, too.
        "export LD_LIBRARY_PATH=/opt/xsd/python/lib\n"
        f'exec {python} -m xsd.daemon.xenstored "$@"\n'
    )
    program.chmod(0o755)
    return [f"--bind-ro={source}:{target}" for source, target in binds.items()]
