"""What scenarios work with: Xen's toolstack, the store, guests that do as told.

All of it runs in dom0, as root. A `ScenarioError` or a failed assertion ends one.
"""

import contextlib
import itertools
import os
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, final

from xsd.client import Client
from xsd.protocol.errors import Errno, XenStoreError

PATIENCE_S: Final = 300.0
"""Seconds that anything may take on an emulated machine with others beside it."""

BRIDGE: Final = "xenbr0"
ADDRESS: Final = "10.9.9.1"
CONNECTED: Final = "4"
DISK: Final = "51712"
"""Device number of xvda."""

SCRIPTS: Final = ("vif-bridge", "block")
PLAIN: Final = ("vif-plain", "block-plain")
"""What attaches a network and a disk."""

FILES: Final = Path("/run/scenarios")
CONSOLES: Final = Path("/var/log/xen/console")
DISK_BYTES: Final = 1 << 20


class ScenarioError(Exception):
    """Something did not go as it must; the text says what, and what there was."""


def run(*words: str) -> str:
    """Run a program and return what it prints."""
    status, output = attempt(*words)
    if status:
        raise ScenarioError(f"{' '.join(words)}: exit code {status}\n{output}")
    return output


def attempt(*words: str) -> tuple[int, str]:
    """Run a program that may fail; return its exit code and what it printed."""
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        said = (error.stdout or b"").decode(errors="replace")
        raise ScenarioError(f"{' '.join(words)}: no end\n{said}") from None
    return done.returncode, done.stdout.decode(errors="replace")


def until(happened: Callable[[], bool], what: str) -> None:
    """Look again and again whether something has happened; else tell what has not."""
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        if time.monotonic() > deadline:
            raise ScenarioError(what)
        time.sleep(0.1)


def xl(*words: str) -> str:
    return run("xl", *words)


@final
class Dom0:
    """The host's side."""

    def __init__(self) -> None:
        self.client = Client(timeout=PATIENCE_S)
        self._tokens = itertools.count()
        self._names = itertools.count(1)

    def note(self, text: str) -> None:
        """Have a line printed among the results."""
        print(f"@note     {text}", flush=True)

    # The store

    def read(self, path: str) -> str | None:
        try:
            return self.client.read(path).decode(errors="replace")
        except XenStoreError as error:
            if error.errno == Errno.ENOENT:
                return None
            raise

    def wait(self, path: str, wanted: Callable[[str | None], bool]) -> str | None:
        """Wait, by a watch, until a node is as wanted; return its value."""
        deadline = time.monotonic() + PATIENCE_S
        # A client of its own: no event of another wait can be among these.
        with Client(timeout=PATIENCE_S) as client:
            client.watch(path, "wait")
            while True:
                left = deadline - time.monotonic()
                event = client.next_event(max(left, 0))
                value = self.read(path)
                if wanted(value):
                    return value
                if event is None:
                    raise ScenarioError(f"{path} is {value!r}")

    def wait_for(self, path: str, value: str) -> None:
        self.wait(path, lambda found: found == value)

    def wait_gone(self, path: str) -> None:
        self.wait(path, lambda found: found is None)

    def paths(self) -> set[str]:
        """Return every path of the store, but the two that the toolstack leaves."""
        listed = run("xenstore-ls", "-f").splitlines()
        return {line.split(" = ")[0] for line in listed} - {"/libxl", "/vm"}

    # Guests

    def domids(self) -> dict[str, int]:
        """Return the guests that Xen has, by their names."""
        rows = [line.split() for line in xl("list").splitlines()[1:]]
        return {row[0]: int(row[1]) for row in rows if row[1] != "0"}

    def guest(
        self, kind: str = "pv", *, devices: bool = True, plain: bool = False
    ) -> "Guest":
        """Return a guest with a name of its own, not created yet."""
        name = f"guest{next(self._names)}"
        lines: list[str] = []
        if devices:
            FILES.mkdir(exist_ok=True)
            loop = make_disk(FILES / f"{name}.disk")
            vif, block = PLAIN if plain else SCRIPTS
            disk = f"script={block},vdev=xvda,access=rw,target={loop}"
            lines.append(f"vif = ['bridge={BRIDGE},script={vif}']")
            lines.append(f"disk = ['{disk}']")
        return Guest(self, name, kind, lines)

    def wait_no_guests(self) -> None:
        """Wait until Xen has no guest any more, dying ones included."""
        until(lambda: not self.domids(), "there are guests that do not end")

    def clean(self) -> None:
        """Destroy all guests, whatever a scenario has left."""
        for name in self.domids():
            attempt("xl", "destroy", name)
        self.wait_no_guests()


@final
class Guest:
    """A guest whose init does what it is told through the store."""

    def __init__(self, dom0: Dom0, name: str, kind: str, devices: list[str]) -> None:
        self.name = name
        self.domid = 0
        self.config = FILES / f"{name}.cfg"
        self._dom0 = dom0
        self.disk = FILES / f"{name}.disk"
        self._numbers = itertools.count(1)
        lines = [
            *(f'name = "{name}"', f'type = "{kind}"', "memory = 192"),
            *('kernel = "/guest/vmlinux"', 'ramdisk = "/guest/initrd"'),
            *('extra = "console=hvc0 quiet panic=5"', 'on_crash = "destroy"'),
            *devices,
        ]
        FILES.mkdir(exist_ok=True)
        self.config.write_text("\n".join(lines) + "\n", encoding="ascii")

    @property
    def home(self) -> str:
        return f"/local/domain/{self.domid}"

    @property
    def console(self) -> str:
        """What it has printed, as xenconsoled has it."""
        log = CONSOLES / f"guest-{self.name}.log"
        return log.read_text("utf-8", errors="replace") if log.exists() else ""

    def create(self) -> None:
        xl("create", "-q", str(self.config))
        self.find()

    def find(self) -> None:
        """Learn its domain from the toolstack."""
        self.domid = int(xl("domid", self.name))

    def back(self, kind: str, device: str) -> str:
        """Path of dom0's end of one of its devices."""
        return f"/local/domain/0/backend/{kind}/{self.domid}/{device}"

    def front(self, kind: str, device: str) -> str:
        return f"{self.home}/device/{kind}/{device}"

    def wait_connected(self) -> None:
        """Wait until both ends of its network and its disk are connected."""
        for kind, device in (("vif", "0"), ("vbd", DISK)):
            self._dom0.wait_for(f"{self.back(kind, device)}/state", CONNECTED)
            self._dom0.wait_for(f"{self.front(kind, device)}/state", CONNECTED)

    def do(self, command: str) -> tuple[int, str]:
        """Have it run a command of its shell; return exit code and output."""
        begun = f"{next(self._numbers)} "
        self._dom0.client.write(f"{self.home}/data/run", f"{begun}{command}".encode())
        done = self._dom0.wait(
            f"{self.home}/data/done", lambda value: (value or "").startswith(begun)
        )
        assert done is not None
        _, status, output = done.split(" ", 2)
        return int(status), output

    def must(self, command: str) -> str:
        status, output = self.do(command)
        if status:
            raise ScenarioError(f"{self.name}: {command}: exit code {status}\n{output}")
        return output

    def wait_ended(self) -> None:
        """Wait until the toolstack has taken its part of the store away."""
        self._dom0.wait_gone(self.home)
        domids = self._dom0.domids
        until(lambda: self.name not in domids(), f"{self.name} does not end")


def make_disk(path: Path) -> str:
    path.write_bytes(f"disk {path.name}\n".encode().ljust(DISK_BYTES, b"\0"))
    return run("losetup", "-f", "--show", str(path)).strip()


@contextlib.contextmanager
def nothing_left(dom0: Dom0) -> Iterator[None]:
    """Check that the store has the same paths afterwards as before."""
    guests = {*dom0.domids()}
    before = dom0.paths()
    yield
    until(lambda: {*dom0.domids()} == guests, "there are guests that do not end")
    after = dom0.paths()
    if before != after:
        more = "".join(f"\n+ {path}" for path in sorted(after - before))
        less = "".join(f"\n- {path}" for path in sorted(before - after))
        raise ScenarioError(f"the store is not as it was:{more}{less}")


@contextlib.contextmanager
def living(dom0: Dom0, end: str, *, devices: bool = True) -> Iterator[Guest]:
    """Have a PV guest live, connected, and end it by `xl`; nothing of it is left."""
    with nothing_left(dom0):
        guest = dom0.guest(devices=devices)
        guest.create()
        if devices:
            guest.wait_connected()
        else:
            guest.must("true")
        yield guest
        xl(end, guest.name)
        guest.wait_ended()


def daemon_pid() -> int:
    """Process id of our daemon, whatever its pid file says."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("/run/xenstored/socket")
        # Of whoever listens, since it was he who called listen(2).
        peer = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    pid: int = struct.unpack("=iII", peer)[0]
    return pid


def daemon_seconds() -> float:
    """Processor time of the daemon so far."""
    files = ("xenstored.pid", "xenstore.pid", "xen/xenstored.pid")
    # oxenstored writes two of them.
    file = next(filter(Path.exists, (Path("/run") / name for name in files)))
    process = Path("/proc") / file.read_text("ascii").strip()
    # After the name, which may have blanks: utime and stime are fields 14 and 15.
    fields = (process / "stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
