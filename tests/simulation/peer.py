"""The other end of a connection: writes when it may, reads when it likes."""

from collections import deque
from typing import final

from xsd.engine import Connection, Engine
from xsd.engine.link import Link
from xsd.protocol.errors import ERROR_NAMES
from xsd.protocol.frame import Frame, FrameDecoder, encode_frame
from xsd.protocol.ops import Op

_NAMES = frozenset(name.encode() + b"\0" for name in ERROR_NAMES)


@final
class Peer(Link):
    """One client, and the link that moves its bytes.

    Attributes:
        connection: The engine's end.
        domid: Whose client it is.
        lazy: It reads seldom.
        is_channel: It is the ring of its domain, which ends with it.
        gone: Nothing comes of it any more.
        by_id: The requests that may still be asked for, by their ids.
        answered: Replies that it has read.
    """

    def __init__(
        self, engine: Engine, connection: Connection, *, is_channel: bool, lazy: bool
    ) -> None:
        self._engine = engine
        self.connection = connection
        self.domid = connection.caller.domid
        self.is_channel = is_channel
        self.lazy = lazy
        self.gone = False
        self.by_id: dict[int, Frame] = {}
        self.answered = 0
        self._pipe = b""
        self._stream = connection.decoder
        self._sent = FrameDecoder()
        self._asked = FrameDecoder()
        self._unanswered: deque[Frame] = deque()
        self._last = 0
        connection.link = self

    # What it does.

    def ask(self, op: int, payload: bytes = b"", tx: int = 0) -> None:
        """Write a request."""
        self._last += 1
        self.write(encode_frame(op, self._last, tx, payload[:4096]))

    def write(self, data: bytes) -> None:
        """Write bytes, which reach the engine when it wants them."""
        self._pipe += data

    def flush(self, limit: int) -> None:
        """Let so many written bytes reach the engine, if it wants any."""
        connection = self.connection
        self._notice_restart()
        if self.gone or connection.paused or not self._pipe:
            return
        if not connection.wants_input:
            connection.paused = not connection.closing
            return
        data, self._pipe = self._pipe[:limit], self._pipe[limit:]
        for frame in self._asked.feed(data):
            self.by_id[frame.req_id] = frame
            self._unanswered.append(frame)
        self._engine.feed(connection, data)
        connection.paused = not connection.wants_input

    def read(self, limit: int) -> None:
        """Read about so many bytes, and check what came."""
        self._notice_restart()
        outbox = self.connection.outbox
        while not self.gone and outbox.size and limit > 0:
            part = bytes(outbox.peek(limit))[:limit]
            limit -= len(part)
            self._engine.sent(self.connection, len(part))
            for frame in self._sent.feed(part):
                self._check(frame)
        self.update()

    def leave(self) -> None:
        """Go without a word."""
        if not self.gone:
            self.gone = True
            self._engine.disconnect(self.connection)

    def restart(self) -> None:
        """Have the connection begin anew, as a guest does whose driver is new."""
        self._engine.restart(self.connection)
        self._notice_restart()

    # What the engine tells it.

    def update(self) -> None:
        """See `Link.update`."""
        connection = self.connection
        if self.gone:
            return
        if connection.lost or (connection.closing and not connection.backlog):
            if connection.lost or not connection.outbox.size:
                self.gone = True
                self._engine.disconnect(connection)
        elif connection.paused and connection.wants_input:
            connection.paused = False

    @property
    def waits(self) -> bool:
        """Whether there is something that it has not been answered or has not read."""
        connection = self.connection
        return not self.gone and bool(
            connection.outbox.size
            or connection.backlog
            or (self._pipe and not connection.closing)
        )

    @property
    def unanswered(self) -> int:
        """Requests that the engine has taken and not answered, as far as was read."""
        return len(self._unanswered)

    def _notice_restart(self) -> None:
        """What was under way before the connection began anew is forgotten."""
        connection = self.connection
        if connection.id not in self._engine.core.connections:
            self.gone = True
        if connection.decoder is not self._stream:
            self._stream = connection.decoder
            self._sent, self._asked = FrameDecoder(), FrameDecoder()
            self._unanswered = deque()
            # What it had not sent was the rest of something.
            self._pipe = b""
            self.by_id.clear()
            connection.paused = False

    def _check(self, frame: Frame) -> None:
        """Check that a message is due: each request has one reply, in order."""
        if frame.op == Op.WATCH_EVENT:
            assert (frame.req_id, frame.tx_id) == (0, 0)
            return
        self.answered += 1
        asked = self._unanswered.popleft()
        assert (frame.req_id, frame.tx_id) == (asked.req_id, asked.tx_id)
        self.by_id.pop(asked.req_id, None)
        if frame.op == Op.ERROR:
            assert frame.payload in _NAMES
            assert frame.payload != b"EIO\0" or asked.op == Op.INTRODUCE, asked
        else:
            assert frame.op == asked.op
