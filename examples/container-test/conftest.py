"""A XenStore in a container for each test, and who talks to it."""

import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from xsd.client import Client
from xsd.testing import Guest, PretendedHost

ENGINE = os.environ.get("CONTAINER") or (
    "docker" if shutil.which("docker") else "podman"
)
IMAGE = os.environ.get("XSD_IMAGE") or "xsd"
PATIENCE_S = 30.0


class XenStore:
    """A container with the daemon.

    Attributes:
        socket: Where dom0 connects, on this host.
        name: Of the container.
    """

    def __init__(self, directory: Path) -> None:
        self.socket = directory / "socket"
        self.name = f"xenstore-{uuid.uuid4().hex[:8]}"
        # The daemon runs as the owner of the directory, so that we may connect.
        mount = f"{directory}:/run/xenstored"
        self.engine("run", "-d", "--name", self.name, "-v", mount, IMAGE)

    def engine(self, *words: str) -> str:
        """Run a command of the container engine."""
        command = [ENGINE, *words]
        return subprocess.run(
            command, check=True, capture_output=True, text=True
        ).stdout

    def wait(self) -> None:
        """Wait until it serves."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            health = subprocess.run(
                [ENGINE, "exec", self.name, "xsd", "health"],
                check=False,
                capture_output=True,
                text=True,
            )
            if health.returncode == 0:
                return
            assert time.monotonic() < deadline, health.stderr
            time.sleep(0.1)

    def kill(self) -> None:
        """End it without warning."""
        self.engine("kill", self.name)

    def restart(self) -> None:
        """Start it again after it has been killed."""
        self.engine("start", self.name)
        self.wait()

    def remove(self) -> None:
        """Throw it away."""
        self.engine("rm", "-f", "-v", self.name)


@pytest.fixture
def xenstore() -> Iterator[XenStore]:
    """An empty store."""
    # The path of a Unix socket holds 107 bytes, which pytest's tmp_path may exceed.
    directory = Path(tempfile.mkdtemp(prefix="xs"))
    container = XenStore(directory)
    try:
        container.wait()
        yield container
    finally:
        container.remove()
        shutil.rmtree(directory)


@pytest.fixture
def dom0(xenstore: XenStore) -> Iterator[Client]:
    """What a toolstack in Python has."""
    with Client(str(xenstore.socket), timeout=PATIENCE_S) as client:
        yield client


Tool = Callable[..., str]


@pytest.fixture
def tool(xenstore: XenStore) -> Tool:
    """Xen's own xenstore-* tools, run on this host as dom0."""
    if shutil.which("xenstore-ls") is None:
        pytest.skip("xenstore-ls is missing: apt-get install xenstore-utils")

    def run(*words: str) -> str:
        return subprocess.run(
            words,
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "XENSTORED_PATH": str(xenstore.socket)},
            timeout=PATIENCE_S,
        ).stdout

    return run


@pytest.fixture
def host(xenstore: XenStore) -> Iterator[PretendedHost]:
    """The hypervisor that the daemon pretends to run on."""
    with PretendedHost(f"{xenstore.socket}.hypervisor") as control:
        yield control


Boot = Callable[[int], Guest]


@pytest.fixture
def boot(dom0: Client, host: PretendedHost) -> Iterator[Boot]:
    """Start a guest as a toolstack does: a domain, its ring, its home."""
    guests: list[Guest] = []

    def start(domid: int) -> Guest:
        guest = host.create(domid)
        guests.append(guest)
        dom0.introduce(domid, 1, guest.port)
        home = f"/local/domain/{domid}"
        dom0.write(f"{home}/name", f"guest-{domid}".encode())
        dom0.set_permissions(f"{home}/name", ["n0", f"r{domid}"])
        dom0.mkdir(f"{home}/data")
        dom0.set_permissions(f"{home}/data", [f"n{domid}"])
        return guest

    yield start
    for guest in guests:
        guest.close()
