"""Clients of an engine without sockets: bytes in, bytes out."""

from typing import final

from xsd.engine import Connection, Engine
from xsd.protocol.errors import Errno
from xsd.protocol.frame import Frame, FrameDecoder, encode_frame
from xsd.protocol.ops import Op

Message = tuple[int, bytes]
"""Type and payload of what a client is sent."""

OK = b"OK\0"


def refusal(errno: Errno) -> Message:
    """The ERROR reply of an errno."""
    return (Op.ERROR, errno.name.encode() + b"\0")


def event(path: bytes, token: bytes) -> Message:
    """A watch event."""
    return (Op.WATCH_EVENT, path + b"\0" + token + b"\0")


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
class Client:
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
        self._decoder = FrameDecoder()
        self._asked: list[tuple[int, int]] = []
        self._last = 0

    def frame(self, op: int, payload: bytes = b"", tx: int = 0) -> bytes:
        """Make a request with the next request id, which must be sent."""
        self._last += 1
        self._asked.append((self._last, tx))
        return encode_frame(op, self._last, tx, payload)

    def send(self, data: bytes) -> None:
        """Send bytes, when any rest that the client has to take is over."""
        engine = self.engine
        now_ms = max(engine.core.now_ms, self.connection.rests_until_ms)
        engine.feed(self.connection, data)
        run(engine, now_ms)

    def post(self, op: int, payload: bytes = b"", tx: int = 0) -> None:
        """Send a request, without a look at what comes."""
        self.send(self.frame(op, payload, tx))

    def take(self) -> list[Message]:
        """Take what came: every reply must be the one that is due next."""
        frames = self._decoder.feed(take_bytes(self.engine, self.connection))
        assert self._decoder.error is None
        assert self._decoder.pending == b""
        for frame in frames:
            self._expect(frame)
        return [(frame.op, frame.payload) for frame in frames]

    def ask(self, op: int, payload: bytes = b"", tx: int = 0) -> list[Message]:
        """Send a request and take what came, which must include its reply."""
        self.post(op, payload, tx)
        messages = self.take()
        assert self._asked == []
        return messages

    def reply(self, op: int, payload: bytes = b"", tx: int = 0) -> Message:
        """Send a request and take its reply, which must be all that came."""
        (message,) = self.ask(op, payload, tx)
        return message

    def errno(self, op: int, payload: bytes = b"", tx: int = 0) -> Errno:
        """Send a request that is refused and nothing else, and tell the errno."""
        kind, name = self.reply(op, payload, tx)
        assert kind == Op.ERROR, (kind, name[:75])
        return Errno[name.removesuffix(b"\0").decode()]

    def ok(self, op: int, payload: bytes = b"", tx: int = 0) -> None:
        """Send a request whose reply is OK; it may cause events."""
        messages = self.ask(op, payload, tx)
        assert (op, OK) in messages, messages

    def start(self) -> int:
        """TRANSACTION_START."""
        op, number = self.reply(Op.TRANSACTION_START, b"\0")
        assert op == Op.TRANSACTION_START
        return int(number.removesuffix(b"\0"))

    @property
    def unanswered(self) -> int:
        """Requests made that have no reply yet."""
        return len(self._asked)

    def _expect(self, frame: Frame) -> None:
        if frame.op == Op.WATCH_EVENT:
            assert (frame.req_id, frame.tx_id) == (0, 0)
        else:
            assert (frame.req_id, frame.tx_id) == self._asked.pop(0)


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
