"""What a connection is about, without the way there: bytes in, bytes out."""

from xsd.client.errors import DisconnectedError
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.frame import Frame, FrameDecoder, encode_frame
from xsd.protocol.lean import Self, deque, final
from xsd.protocol.limits import PAYLOAD_MAX, UINT_MAX
from xsd.protocol.ops import Op


@final
class Event(tuple[bytes, bytes]):
    """A watch fired: path and token, by name or in this order.

    Attributes:
        path: What changed, spelt relative if the watch was.
        token: The token given when the watch was set.
    """

    __slots__ = ()

    def __new__(cls, path: bytes, token: bytes) -> Self:
        """See the class."""
        return super().__new__(cls, (path, token))

    def __getnewargs__(self) -> tuple[bytes, bytes]:
        return (self.path, self.token)

    def __repr__(self) -> str:
        return f"Event(path={self.path!r}, token={self.token!r})"

    @property
    def path(self) -> bytes:
        """See the class."""
        return self[0]

    @property
    def token(self) -> bytes:
        """See the class."""
        return self[1]


@final
class Call:
    """A request, and its reply once it has come.

    Attributes:
        id: Number that the reply repeats.
        end: Bytes of the session's requests up to its end.
        reply: What has come, or None.
    """

    __slots__ = ("_op", "_payload", "end", "id", "reply")

    def __init__(self, number: int, op: Op, payload: bytes, end: int) -> None:
        self.id = number
        self.end = end
        self.reply: Frame | None = None
        self._op = op
        self._payload = payload

    def result(self) -> bytes:
        """Return the payload of the reply, which must have come.

        Raises:
            XenStoreError: If the daemon refuses, with its errno.
        """
        reply = self.reply
        if reply is None:
            raise AssertionError("there is no reply yet")
        if reply.op == Op.ERROR:
            raise _refusal(self._op, self._payload, reply.payload)
        return reply.payload

    def accept(self, reply: Frame) -> None:
        """Take what must be the reply.

        Raises:
            DisconnectedError: If it is not.
        """
        if reply.req_id != self.id or reply.op not in (self._op, Op.ERROR):
            raise DisconnectedError(
                f"the daemon answered {self._op.name} with message type {reply.op}"
            )
        self.reply = reply


@final
class Session:
    """The requests, replies and events of one connection.

    Attributes:
        outgoing: Requests that are not sent yet, and what is left of one that is in
            part; whoever sends takes them away by `sent`.
        events: Events that nobody has taken yet, oldest first.
    """

    __slots__ = (
        "_asked",
        "_calls",
        "_decoder",
        "_last_id",
        "_replies",
        "_sent",
        "events",
        "outgoing",
    )

    def __init__(self) -> None:
        self.outgoing = bytearray()
        self.events: deque[Event] = deque()
        self._decoder = FrameDecoder()
        self._calls: deque[Call] = deque()
        self._replies: deque[Frame] = deque()
        self._last_id = 0
        self._asked = 0
        self._sent = 0

    @property
    def unasked(self) -> bool:
        """Whether there is a reply that belongs to no request."""
        return bool(self._replies)

    @property
    def first(self) -> int:
        """Bytes at the beginning of `outgoing` that make the oldest request whole.

        It is 0 if a request is at the daemon, which has not replied to it: then it is
        sure that something will come.
        """
        for call in self._calls:
            return max(0, call.end - self._sent)
        return 0

    def ask(self, op: Op, payload: bytes, tx_id: int) -> Call:
        """Add a request.

        Raises:
            XenStoreError: E2BIG if it has more than 4,096 bytes.
        """
        size = len(payload)
        if size > PAYLOAD_MAX:
            reason = f"{op.name} request of {size} bytes, at most {PAYLOAD_MAX} fit"
            raise XenStoreError(Errno.E2BIG, reason, _subject(payload))
        self._last_id = self._last_id % UINT_MAX + 1
        data = encode_frame(op, self._last_id, tx_id, payload)
        self._asked += len(data)
        self.outgoing += data
        call = Call(self._last_id, op, payload, self._asked)
        self._calls.append(call)
        return call

    def sent(self, count: int) -> None:
        """Take away from `outgoing` what has been sent."""
        self._sent += count
        del self.outgoing[:count]

    def feed(self, data: bytes) -> None:
        """Take what the daemon has sent.

        Raises:
            DisconnectedError: If it cannot be understood any further.
        """
        for frame in self._decoder.feed(data):
            if frame.op == Op.WATCH_EVENT:
                self.events.append(_event(frame.payload))
            else:
                self._replies.append(frame)
        self.match()
        if self._decoder.error is not None:
            raise DisconnectedError(str(self._decoder.error))

    def match(self) -> None:
        """Give each request that has one its reply: they come in order.

        Raises:
            DisconnectedError: If one belongs to another request.
        """
        while self._calls and self._replies:
            self._calls.popleft().accept(self._replies.popleft())


def _event(payload: bytes) -> Event:
    path, _, rest = payload.partition(b"\0")
    return Event(path, rest.partition(b"\0")[0])


def _subject(payload: bytes) -> bytes:
    """The request's first string, a path in all requests that name a node."""
    return payload.partition(b"\0")[0]


def _refusal(op: Op, request: bytes, payload: bytes) -> XenStoreError:
    name = payload.rstrip(b"\0").decode("ascii", "backslashreplace")
    if name in Errno.__members__:
        return XenStoreError(Errno[name], f"{op.name} refused", _subject(request))
    # libxenstore too takes a name that xs_wire.h does not have, such as
    # oxenstored's EQUOTA, for EINVAL.
    return XenStoreError(
        Errno.EINVAL, f"{op.name} refused with {name!r}", _subject(request)
    )
