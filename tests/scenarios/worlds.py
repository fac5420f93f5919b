"""One scenario, several worlds: where guests and dom0 talk to a daemon.

* ``engine``: the engine alone; every step is carried out when it is asked for;
* ``rings``: our daemon as a process, with guests on the rings of pretended domains;
* ``c``: Xen's C xenstored 4.17 on a pretended Xen, with guests on its rings.
"""

import contextlib
import shutil
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, final

from tests.engine.support import take_bytes
from tests.support.daemons import Daemon, start_c_peer, start_xsd
from tests.support.shimmed import Shim
from xsd.client import Transport
from xsd.client.transport import SocketTransport
from xsd.engine import Connection, Engine
from xsd.protocol.errors import Errno
from xsd.protocol.frame import Frame, FrameDecoder, encode_frame
from xsd.protocol.ops import Op
from xsd.store import Store
from xsd.store.check import verify
from xsd.store.quota import DEFAULTS
from xsd.testing import PretendedHost

PATIENCE_S: Final = 20.0
"""Most seconds until an answer comes."""

OK: Final = b"OK\0"

Event = tuple[bytes, bytes]
"""Path and token."""


class Wire(ABC):
    """Carries the bytes of one client."""

    @abstractmethod
    def send(self, data: bytes) -> None:
        """Send all of this."""

    @abstractmethod
    def receive(self, patience_s: float) -> bytes:
        """Return what has come; nothing if nothing comes in time."""

    @abstractmethod
    def close(self) -> None:
        """End the connection."""


@final
class Session:
    """A client, be it of dom0 or in a guest.

    Attributes:
        domid: The domain it is in.
    """

    def __init__(self, domid: int, wire: Wire) -> None:
        self.domid = domid
        self._wire = wire
        self._decoder = FrameDecoder()
        self._last = 0
        self._frames: list[Frame] = []
        self._events: list[Event] = []

    # One request.

    def ask(self, op: int, payload: bytes = b"", tx: int = 0) -> tuple[int, bytes]:
        """Make a request and return type and payload of its reply."""
        self.post(op, payload, tx)
        (reply,) = self.replies(1)
        assert (reply.req_id, reply.tx_id) == (self._last, tx)
        return reply.op, reply.payload

    def get(self, op: int, payload: bytes = b"", tx: int = 0) -> bytes:
        """Make a request that succeeds and return the reply's payload."""
        kind, answer = self.ask(op, payload, tx)
        assert kind == op, answer
        return answer

    def errno(self, op: int, payload: bytes = b"", tx: int = 0) -> Errno | None:
        """Make a request; tell why it is refused, or None if it is not."""
        kind, answer = self.ask(op, payload, tx)
        return Errno[answer[:-1].decode()] if kind == Op.ERROR else None

    def make(self, path: bytes, *perms: bytes) -> None:
        """Make a node, with these permissions if any are given."""
        assert self.get(Op.WRITE, path + b"\0") == OK
        if perms:
            payload = b"".join([word + b"\0" for word in (path, *perms)])
            assert self.get(Op.SET_PERMS, payload) == OK

    def watch(self, path: bytes, token: bytes = b"t") -> None:
        """WATCH, and take the first event, which comes in any case."""
        assert self.get(Op.WATCH, path + b"\0" + token + b"\0") == OK
        assert self.events() == [(path, token)]

    def start(self) -> int:
        """TRANSACTION_START."""
        return int(self.get(Op.TRANSACTION_START, b"\0")[:-1])

    def commit(self, tx: int) -> Errno | None:
        """TRANSACTION_END; tell why it failed, or None."""
        return self.errno(Op.TRANSACTION_END, b"T\0", tx)

    def events(self) -> list[Event]:
        """Take all events that the daemon has had for this client so far."""
        self.get(Op.GET_DOMAIN_PATH, b"0\0")
        taken, self._events = self._events, []
        return taken

    # Many of them.

    def post(self, op: int, payload: bytes = b"", tx: int = 0) -> None:
        """Make a request without waiting for the reply."""
        self._last += 1
        self._wire.send(encode_frame(op, self._last, tx, payload))

    def replies(self, count: int) -> list[Frame]:
        """Wait for so many replies."""
        deadline = time.monotonic() + PATIENCE_S
        while len(self._frames) < count:
            left = deadline - time.monotonic()
            assert left > 0, f"{len(self._frames)} replies in the place of {count}"
            self._take(left)
        taken, self._frames = self._frames[:count], self._frames[count:]
        return taken

    def take(self) -> int:
        """Take in what is there; return how many replies wait for `replies`."""
        self._take(0)
        return len(self._frames)

    def _take(self, patience_s: float) -> None:
        for frame in self._decoder.feed(self._wire.receive(patience_s)):
            if frame.op == Op.WATCH_EVENT:
                path, token = frame.payload.split(b"\0")[:2]
                self._events.append((path, token))
            else:
                self._frames.append(frame)
        assert self._decoder.error is None

    def close(self) -> None:
        """End the connection."""
        self._wire.close()


class World(ABC):
    """A daemon with a client of dom0 and any guests.

    Attributes:
        dom0: The client of dom0.
    """

    dom0: Session

    def __init__(self) -> None:
        self._guests: list[Session] = []

    def guest(self, domid: int) -> Session:
        """Make a domain and introduce it."""
        wire, port = self._create(domid)
        payload = b"%d\x001\x00%d\0" % (domid, port)
        assert self.dom0.get(Op.INTRODUCE, payload) == OK
        session = Session(domid, wire() if callable(wire) else wire)
        self._guests.append(session)
        return session

    def guests(self, *domids: int) -> list[Session]:
        """Make several domains."""
        return [self.guest(domid) for domid in domids]

    def limit(self, quota: bytes, value: int) -> None:
        """Change a limit for all guests."""
        payload = b"quota\0set\0" + quota + b"\0%d\0" % value
        assert self.dom0.get(Op.CONTROL, payload) == OK

    def end(self, guest: Session) -> None:
        """RELEASE a domain, and destroy it."""
        assert self.dom0.get(Op.RELEASE, b"%d\0" % guest.domid) == OK
        guest.close()
        self._guests.remove(guest)

    @abstractmethod
    def _create(self, domid: int) -> tuple[Wire | Callable[[], Wire], int]:
        """Make a domain; return how to talk in it, and its port."""

    def settle(self) -> None:
        """Have the daemon do all that it can do now, as far as one can tell."""
        for _ in range(5):
            self.dom0.get(Op.GET_DOMAIN_PATH, b"0\0")

    def clean(self) -> None:
        """Leave an empty store without guests and with the usual limits."""
        dom0 = self.dom0
        # Stub domains before their targets: C keeps a target that is still in use.
        for guest in reversed(self._guests.copy()):
            self.end(guest)
        for name in dom0.get(Op.DIRECTORY, b"/\0").split(b"\0")[:-1]:
            assert dom0.get(Op.RM, b"/" + name + b"\0") == OK
        assert dom0.get(Op.RESET_WATCHES, b"\0") == OK
        for quota in ("nodes", "outstanding", "memory"):
            self.limit(quota.encode(), DEFAULTS[quota])
        assert dom0.get(Op.SET_PERMS, b"/\0n0\0") == OK

    @abstractmethod
    def close(self) -> None:
        """End it."""


# The engine alone.


@final
class EngineWire(Wire):
    """A connection of an engine."""

    def __init__(self, world: "EngineWorld", connection: Connection) -> None:
        self._world = world
        self._connection = connection

    def send(self, data: bytes) -> None:
        self._world.engine.receive(self._connection, data, 0)

    def receive(self, patience_s: float) -> bytes:
        self._world.turn()
        return take_bytes(self._connection)

    def close(self) -> None:
        self._world.engine.disconnect(self._connection)


@final
class EngineWorld(World):
    """The engine alone: domains exist from INTRODUCE to RELEASE."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = Engine(Store())
        caller = self.engine.store.privileged.caller
        self.dom0 = Session(0, EngineWire(self, self.engine.connect(caller)))

    def _create(self, domid: int) -> tuple[Wire | Callable[[], Wire], int]:
        def connect() -> Wire:
            caller = self.engine.store.introduced(domid).caller
            return EngineWire(self, self.engine.connect(caller))

        return connect, 100 + domid

    def turn(self) -> None:
        """End who is to end, and go on with who need not wait any longer."""
        for connection in self.engine.take_dirty():
            if connection.lost:
                self.engine.disconnect(connection)
        for connection in self.engine.take_ready():
            self.engine.resume(connection, 0)
        for connection in self.engine.connections:
            while self.engine.is_ready(connection):
                self.engine.resume(connection, 0)

    def close(self) -> None:
        assert verify(self.engine.store) == []


# Daemons.


@final
class TransportWire(Wire):
    """A transport of our own client."""

    def __init__(self, transport: Transport, held: contextlib.ExitStack) -> None:
        self._transport = transport
        self._held = held

    def send(self, data: bytes) -> None:
        self._transport.send(data, PATIENCE_S)

    def receive(self, patience_s: float) -> bytes:
        with contextlib.suppress(TimeoutError):
            return self._transport.receive(patience_s)
        return b""

    def close(self) -> None:
        self._transport.close()
        self._held.close()


@final
class ForeignWire(Wire):
    """A guest of the pretended Xen; see `tests.support.shimmed`."""

    def __init__(self, guest: Any) -> None:
        self._guest = guest

    def send(self, data: bytes) -> None:
        self._guest.send(data)

    def receive(self, patience_s: float) -> bytes:
        # It looks at the ring at least once.
        received: bytes = self._guest.receive_some(time.monotonic() + patience_s)
        return received

    def close(self) -> None:
        self._guest.close()


class DaemonWorld(World):
    """A daemon that runs as a process."""

    def __init__(self, start: Callable[[Path], Daemon]) -> None:
        super().__init__()
        # A socket's path must be shorter than those that pytest makes.
        self.directory = Path(tempfile.mkdtemp(prefix="xs-"))
        try:
            self._daemon = start(self.directory)
        except BaseException:
            shutil.rmtree(self.directory)
            raise
        transport = SocketTransport(str(self._daemon.socket), PATIENCE_S)
        self.dom0 = Session(0, TransportWire(transport, contextlib.ExitStack()))

    def close(self) -> None:
        self.dom0.close()
        self._daemon.stop()
        shutil.rmtree(self.directory)


@final
class RingWorld(DaemonWorld):
    """Our daemon with a pretended hypervisor."""

    def __init__(self) -> None:
        super().__init__(lambda path: start_xsd(path, "--hypervisor", "emulated"))
        self._host = PretendedHost(f"{self._daemon.socket}.hypervisor")

    def _create(self, domid: int) -> tuple[Wire | Callable[[], Wire], int]:
        guest = self._host.create(domid, lazy=True)
        held = contextlib.ExitStack()
        held.callback(self._host.kill, domid)
        held.callback(guest.close)
        return TransportWire(guest._ring_transport, held), guest.port

    def close(self) -> None:
        self._host.close()
        super().close()


@final
class CWorld(DaemonWorld):
    """Xen's C xenstored."""

    def __init__(self) -> None:
        super().__init__(start_c_peer)
        self._shim = Shim(self.directory / "shim")

    def _create(self, domid: int) -> tuple[Wire | Callable[[], Wire], int]:
        guest = self._shim.guest(domid)
        return ForeignWire(guest), guest.port


WORLDS: Final[dict[str, Callable[[], World]]] = {
    "engine": EngineWorld,
    "rings": RingWorld,
    "c": CWorld,
}
