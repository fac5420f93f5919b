"""Clients of an engine without sockets: bytes in, bytes out."""

from typing import final

from xsd.client import Transport
from xsd.engine import Connection, Engine
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.testing import Session
from xsd.testing.session import OK, Message, event, refusal

__all__ = ["OK", "Client", "Message", "event", "refusal"]


def run(engine: Engine, now_ms: int | None = None) -> None:
    """Have turns until nothing can be carried out at once, as a transport does.

    Args:
        engine: The engine.
        now_ms: Time of them all; None is that of the last turn.
    """
    now_ms = engine.core.now_ms if now_ms is None else now_ms
    engine.turn(now_ms)
    turns = 1
    while engine.busy:
        engine.turn(now_ms)
        turns += 1
        assert turns < 10_000, "it is busy without an end"


def take_bytes(engine: Engine, connection: Connection) -> bytes:
    """Take all that is to be sent on a connection, as a transport does."""
    parts = []
    while connection.outbox.size:
        part = bytes(connection.outbox.peek())
        engine.sent(connection, len(part))
        parts.append(part)
    return b"".join(parts)


@final
class Line(Transport):
    """A connection's bytes, which are carried out when any rest is over."""

    def __init__(self, engine: Engine, connection: Connection) -> None:
        self.engine = engine
        self.connection = connection

    def send(self, data: bytes, timeout: float | None) -> None:
        del timeout
        now_ms = max(self.engine.core.now_ms, self.connection.rests_until_ms)
        self.engine.feed(self.connection, data)
        run(self.engine, now_ms)

    def receive(self, timeout: float | None) -> bytes:
        data = take_bytes(self.engine, self.connection)
        if not data:
            raise TimeoutError("nothing came")
        return data

    def close(self) -> None:
        self.engine.disconnect(self.connection)


@final
class Client(Session):
    """One connection, and what its client sees of it.

    Attributes:
        engine: The engine that it is connected to.
        connection: The engine's end of it.
    """

    def __init__(
        self,
        engine: Engine,
        domid: int | None = None,
        connection: Connection | None = None,
    ) -> None:
        """Connect it: a client of the privileged domain, or of another one.

        Args:
            engine: The engine.
            domid: The domain.
            connection: One that is there already, or None.
        """
        self.engine = engine
        domid = engine.store.privileged.domid if domid is None else domid
        self.connection = connection or engine.connect(domid)
        super().__init__(Line(engine, self.connection), domid)

    def errno(self, op: int, payload: bytes = b"", tx: int = 0) -> Errno:
        """Send a request that is refused and nothing else, and tell the errno."""
        return self.refused(op, payload, tx)


def guest_of(engine: Engine, domid: int = 1) -> Client:
    """A client in a guest, which is introduced if it is not yet."""
    noted = len(engine.core.notices)
    engine.introduce_waiting(domid)
    del engine.core.notices[noted:]
    return Client(engine, domid)


def home(domid: int) -> bytes:
    """The home of a domain."""
    return b"/local/domain/%d" % domid


def give(dom0: Client, path: bytes, perms: bytes, value: bytes = b"v") -> None:
    """Make a node with these permissions, such as ``n5\\0r0\\0``."""
    dom0.ok(Op.WRITE, path + b"\0" + value)
    dom0.ok(Op.SET_PERMS, path + b"\0" + perms)


def guest_at_home(engine: Engine, domid: int) -> Client:
    """A client in a guest, which has a home that it owns."""
    guest = guest_of(engine, domid)
    dom0 = Client(engine)
    give(dom0, home(domid), b"n%d\0" % domid, b"")
    engine.disconnect(dom0.connection)
    return guest


def told(engine: Engine) -> list[str]:
    """Names of what the log was told since the last call."""
    return [notice.event for notice in engine.take_notices()]


def path_of(levels: int) -> bytes:
    """A relative path of so many levels."""
    return b"/".join([b"x"] * levels)
