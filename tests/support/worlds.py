"""One test, several worlds: a daemon, a hypervisor, and clients of both kinds.

* ``engine``: our daemon in this process, `xsd.testing.InProcess`;
* ``rings``: our daemon as a process, with guests on the rings of pretended domains;
* ``shim``: the same through the code that talks to Xen's libraries, on a pretended Xen;
* ``c``: Xen's C xenstored 4.17 on a pretended Xen.
"""

import shutil
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self, final

from tests.peers.build import on_shim
from tests.peers.domu import ClosedError, DomU
from tests.support.daemons import Daemon, launch, start_c_peer, start_xsd
from tests.support.replaying import assert_replays
from xsd.client import DisconnectedError, Transport
from xsd.client.transport import SocketTransport
from xsd.engine.inputs import MemoryTape
from xsd.protocol.ops import Op
from xsd.store.check import verify
from xsd.store.quota import DEFAULTS
from xsd.testing import Guest, InProcess, PretendedHost, Session
from xsd.testing.session import strings

PATIENCE_S: Final = 30.0
"""Most seconds until an answer comes."""


class World(ABC):
    """A daemon with a client of dom0 and any guests.

    Attributes:
        dom0: The client of dom0.
        there: The guests that there are.
    """

    dom0: Session

    def __init__(self) -> None:
        self.there: list[Session] = []
        self._limited: set[bytes] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def client(self) -> Session:
        """Another client of dom0."""

    @abstractmethod
    def create(self, domid: int) -> int:
        """Make a domain; return the port that INTRODUCE is to be told."""

    @abstractmethod
    def session(self, domid: int) -> Session:
        """The guest of a domain that has been made and introduced."""

    @abstractmethod
    def destroy(self, domid: int) -> None:
        """End a domain; the daemon may notice it later."""

    def remove(self, domid: int) -> None:
        self.destroy(domid)

    def guest(self, domid: int) -> Session:
        port = self.create(domid)
        self.dom0.ok(Op.INTRODUCE, strings(b"%d" % domid, b"1", b"%d" % port))
        session = self.session(domid)
        self.there.append(session)
        return session

    def guests(self, *domids: int) -> list[Session]:
        return [self.guest(domid) for domid in domids]

    def limit(self, quota: bytes, value: int) -> None:
        """Change a limit for all guests."""
        self._limited.add(quota)
        payload = strings(b"quota", b"set", quota, b"%d" % value)
        self.dom0.get(Op.CONTROL, payload)

    def end(self, guest: Session) -> None:
        self.dom0.get(Op.RELEASE, b"%d\0" % guest.domid)
        self.there.remove(guest)
        self.remove(guest.domid)

    def settle(self) -> None:
        """Have the daemon do all that it can do now, as far as one can tell."""
        for _ in range(5):
            self.dom0.get(Op.GET_DOMAIN_PATH, b"0\0")

    def clean(self) -> None:
        """Leave an empty store without guests and with the usual limits."""
        dom0 = self.dom0
        # Stub domains before their targets: C keeps a target that is still in use.
        for guest in reversed(self.there.copy()):
            self.end(guest)
        for name in dom0.get(Op.DIRECTORY, b"/\0").split(b"\0")[:-1]:
            dom0.ok(Op.RM, b"/" + name + b"\0")
        dom0.ok(Op.RESET_WATCHES, b"\0")
        for quota in self._limited:
            self.limit(quota, DEFAULTS[quota.decode()])
        dom0.ok(Op.SET_PERMS, b"/\0n0\0")

    @abstractmethod
    def close(self) -> None:
        """End it."""


@final
class EngineWorld(World):
    """The daemon in this process.

    In the end its inputs are carried out once more, and have to make the same.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tape = MemoryTape()
        self.xenstore = InProcess(tape=self.tape)
        self._created: dict[int, Session] = {}
        self.dom0 = self.client()

    def client(self) -> Session:
        return self.xenstore.client()

    def create(self, domid: int) -> int:
        self._created[domid] = self.xenstore.create(domid)
        return self.xenstore.port(domid)

    def session(self, domid: int) -> Session:
        return self._created[domid]

    def destroy(self, domid: int) -> None:
        self.xenstore.kill(domid)

    def close(self) -> None:
        assert_replays(self.xenstore.engine)
        self.xenstore.close()
        assert verify(self.xenstore.store) == []


class DaemonWorld(World):
    def __init__(self, start: Callable[[Path], Daemon]) -> None:
        super().__init__()
        # A socket's path must be shorter than those that pytest makes.
        self.directory = Path(tempfile.mkdtemp(prefix="xs-"))
        try:
            self._daemon = start(self.directory)
        except BaseException:
            shutil.rmtree(self.directory)
            raise
        self._clients: list[Session] = []
        self.dom0 = self.client()

    def client(self) -> Session:
        transport = SocketTransport(str(self._daemon.socket), PATIENCE_S)
        session = Session(transport, timeout=PATIENCE_S)
        self._clients.append(session)
        return session

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self._daemon.stop()
        shutil.rmtree(self.directory)


@final
class RingWorld(DaemonWorld):
    def __init__(self) -> None:
        super().__init__(lambda path: start_xsd(path, "--hypervisor", "emulated"))
        self._host = PretendedHost(f"{self._daemon.socket}.hypervisor")
        self._created: dict[int, Guest] = {}

    def create(self, domid: int) -> int:
        self._created[domid] = self._host.create(domid, lazy=True)
        return self._created[domid].port

    def session(self, domid: int) -> Session:
        return Session(self._created[domid].transport, domid, timeout=PATIENCE_S)

    def destroy(self, domid: int) -> None:
        self._created.pop(domid).close()
        self._host.kill(domid)

    def close(self) -> None:
        for guest in self._created.values():
            guest.close()
        self._host.close()
        super().close()


def start_on_shim(directory: Path) -> Daemon:
    """Start our daemon as if on Xen."""
    return launch(directory, "--hypervisor", "xen", **on_shim(directory))


@final
class ShimTransport(Transport):
    """The ring of a guest of the pretended Xen."""

    def __init__(self, guest: DomU) -> None:
        self._guest = guest

    def send(self, data: bytes, timeout: float | None) -> None:
        self._guest.send(data, timeout)

    def receive(self, timeout: float | None) -> bytes:
        # It looks at the ring at least once.
        deadline = time.monotonic() + (PATIENCE_S if timeout is None else timeout)
        try:
            received = self._guest.receive_some(deadline)
        except ClosedError:
            raise DisconnectedError("the daemon has given up the ring") from None
        if not received:
            raise TimeoutError("nothing came")
        return received

    def close(self) -> None:
        pass  # a ring ends with its domain only


class ShimWorld(DaemonWorld):
    def __init__(self, start: Callable[[Path], Daemon] = start_on_shim) -> None:
        super().__init__(start)
        self._created: dict[int, DomU] = {}
        self._dead: dict[int, DomU] = {}

    def create(self, domid: int) -> int:
        if domid in self._dead:
            self._dead.pop(domid).close()
        shim = self.directory / "shim"
        self._created[domid] = DomU(shim, domid, timeout=PATIENCE_S)
        return self._created[domid].port

    def session(self, domid: int) -> Session:
        transport = ShimTransport(self._created[domid])
        return Session(transport, domid, timeout=PATIENCE_S)

    def destroy(self, domid: int) -> None:
        guest = self._dead[domid] = self._created.pop(domid)
        guest.mark("dying")
        guest.virq()

    def remove(self, domid: int) -> None:
        self._created.pop(domid).close()

    def close(self) -> None:
        for guest in (*self._created.values(), *self._dead.values()):
            guest.close()
        super().close()


def start_c_world() -> World:
    return ShimWorld(start_c_peer)


WORLDS: Final[dict[str, Callable[[], World]]] = {
    "engine": EngineWorld,
    "rings": RingWorld,
    "shim": ShimWorld,
    "c": start_c_world,
}
