r"""A client that sees messages: what it sends and what comes is the test's to say.

    session = Session(SocketTransport(path, 10.0))
    assert session.get(Op.READ, b"/tool/xenstored\0") == b""
    assert session.errno(Op.READ, b"/no/such\0") == Errno.ENOENT

`xsd.client.Client` is for what a program asks; this one is for tests of a daemon:
requests may be malformed, pipelined or cut anywhere, and replies and events can be had
in the order in which they came. It runs over any `xsd.client.Transport`: a socket, the
ring of a pretended guest (`Guest.transport`), or a daemon in the same process
(`InProcess`).
"""

import struct
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from xsd.client import DisconnectedError, Event, Transport
from xsd.protocol.errors import Errno
from xsd.protocol.frame import Frame, FrameDecoder, encode_frame
from xsd.protocol.ops import Op

TIMEOUT_S: Final = 10.0
"""Seconds to wait for an answer unless told otherwise."""

OK: Final = b"OK\0"
"""Payload of the reply to a request that has nothing to tell."""

Message = tuple[int, bytes]
"""Type and payload of what a client is sent."""


def strings(*words: bytes) -> bytes:
    """A payload of strings, each with its NUL."""
    return b"".join([word + b"\0" for word in words])


def refusal(errno: Errno) -> Message:
    """The ERROR reply of an errno."""
    return (Op.ERROR, errno.name.encode() + b"\0")


def event(path: bytes, token: bytes) -> Message:
    """A watch event."""
    return (Op.WATCH_EVENT, strings(path, token))


def header(op: int, length: int, *, req_id: int = 1, tx: int = 0) -> bytes:
    """The 16 bytes that announce a payload of any length, 32 bits."""
    return struct.pack("=IIII", op, req_id, tx, length)


class Session:
    """A connection, to be used by one thread at a time.

    Every reply has to be the one that is due next: its request id and transaction are
    checked when it is taken. All methods that take something raise AssertionError if
    what came is not what they are for. Those that wait raise TimeoutError if nothing
    comes in time, and DisconnectedError if the daemon has ended the connection.

    Args:
        transport: Carries the bytes; it is closed with the session.
        domid: The domain that the client is in, to tell sessions apart.
        timeout: Seconds to wait for each answer; None waits for ever.

    Attributes:
        transport: The same.
        domid: The same.
        over: Whether the daemon was seen to have ended the connection.
    """

    __slots__ = (
        "_asked",
        "_decoder",
        "_inbox",
        "_last",
        "_strays",
        "_timeout",
        "domid",
        "over",
        "transport",
    )

    def __init__(
        self, transport: Transport, domid: int = 0, *, timeout: float | None = TIMEOUT_S
    ) -> None:
        self.transport = transport
        self.domid = domid
        self._timeout = timeout
        self._last = 0
        self.begin_anew()

    def __repr__(self) -> str:
        return f"Session(domid={self.domid})"

    def begin_anew(self) -> None:
        """Forget what is under way, as a guest does whose ring was reset."""
        self._decoder = FrameDecoder()
        self._asked: deque[tuple[int, int]] = deque()
        self._inbox: list[Frame] = []
        self._strays: list[Frame] = []
        self.over = False

    def close(self) -> None:
        """End the connection, whatever has not been read."""
        self.transport.close()

    # Sending

    def frame(self, op: int, payload: bytes = b"", tx: int = 0) -> bytes:
        """Make a request with the next request id, which must be sent."""
        self._last += 1
        self._asked.append((self._last, tx))
        return encode_frame(op, self._last, tx, payload)

    def send(self, data: bytes) -> None:
        """Send any bytes; what answers them is not read.

        Replies to requests that `frame` did not make can be had with `frames` only.
        """
        self.transport.send(data, self._timeout)

    def post(self, op: int, payload: bytes = b"", tx: int = 0) -> None:
        """Make a request without waiting for its reply."""
        self.send(self.frame(op, payload, tx))

    @property
    def unanswered(self) -> int:
        """Requests made that no reply has been seen to."""
        return len(self._asked)

    # Taking

    @property
    def waiting(self) -> int:
        """Messages that came with others and were not taken yet, in part or whole."""
        return len(self._inbox) + bool(self._decoder.pending)

    def look(self) -> int:
        """Take in what has come, without waiting; how many replies are there now."""
        self._pull(0)
        return self._ready()

    def take(self) -> list[Message]:
        """Take all that has come, replies and events in their order."""
        self._pull(0)
        self._check()
        taken, self._inbox = self._inbox, []
        return [(frame.op, frame.payload) for frame in taken]

    def replies(self, count: int = 1) -> list[Message]:
        """Wait for so many replies and take them; events are kept."""
        self._wait(lambda: self._ready() >= count)
        taken: list[Message] = []
        left: list[Frame] = []
        for frame in self._inbox:
            if frame.op != Op.WATCH_EVENT and len(taken) < count:
                taken.append((frame.op, frame.payload))
            else:
                left.append(frame)
        self._inbox = left
        return taken

    def events(self) -> list[Event]:
        """Take the events that the daemon has had for this client so far, in order.

        It is asked something first, after whose reply all of them have come.
        """
        self.get(Op.GET_DOMAIN_PATH, b"0\0")
        taken = [frame for frame in self._inbox if frame.op == Op.WATCH_EVENT]
        self._inbox = [frame for frame in self._inbox if frame.op != Op.WATCH_EVENT]
        return [Event(*frame.payload.split(b"\0")[:2]) for frame in taken]

    def next_event(self) -> Event:
        """Wait for the oldest event not taken yet and take it."""
        self._wait(lambda: any(each.op == Op.WATCH_EVENT for each in self._inbox))
        place = [each.op for each in self._inbox].index(Op.WATCH_EVENT)
        return Event(*self._inbox.pop(place).payload.split(b"\0")[:2])

    def frames(self, count: int) -> list[Frame]:
        """Wait for so many messages of any kind and take them, whosever they are."""
        self._wait(lambda: len(self._inbox) >= count, check=False)
        taken, self._inbox = self._inbox[:count], self._inbox[count:]
        self._strays = [each for each in self._strays if each in self._inbox]
        return taken

    def rest(self) -> list[Frame]:
        """Wait until the daemon ends the connection and take all that came before.

        Raises:
            TimeoutError: If it does not.
        """
        while not self.over:
            if not self._pull(self._timeout) and not self.over:
                raise TimeoutError("the daemon does not end the connection")
        taken, self._inbox, self._strays = self._inbox, [], []
        return taken

    # One request

    def ask(self, op: int, payload: bytes = b"", tx: int = 0) -> list[Message]:
        """Make a request, and take all that came up to its reply and with it."""
        self.post(op, payload, tx)
        self._wait(lambda: not self._asked)
        return self.take()

    def reply(self, op: int, payload: bytes = b"", tx: int = 0) -> Message:
        """Make a request and take its reply, which must be all that came."""
        messages = self.ask(op, payload, tx)
        if len(messages) != 1:
            raise AssertionError(f"not one reply but {_shown(messages)}")
        return messages[0]

    def refused(self, op: int, payload: bytes = b"", tx: int = 0) -> Errno:
        """Make a request that is refused, and nothing else comes; tell the errno."""
        message = self.reply(op, payload, tx)
        if message[0] != Op.ERROR:
            raise AssertionError(f"not refused: {_shown([message])}")
        return _errno(message[1])

    def ok(self, op: int, payload: bytes = b"", tx: int = 0) -> None:
        """Make a request whose reply is OK; events that have come are forgotten."""
        messages = self.ask(op, payload, tx)
        if (op, OK) not in messages:
            raise AssertionError(f"not OK but {_shown(messages)}")

    def call(self, op: int, payload: bytes = b"", tx: int = 0) -> Message:
        """Make a request and take its reply; events are kept."""
        self.post(op, payload, tx)
        self._wait(lambda: not self._asked)
        places = [
            place
            for place, frame in enumerate(self._inbox)
            if frame.op != Op.WATCH_EVENT
        ]
        reply = self._inbox.pop(places[-1])
        return reply.op, reply.payload

    def get(self, op: int, payload: bytes = b"", tx: int = 0) -> bytes:
        """Make a request that succeeds; its reply's payload. Events are kept."""
        kind, answer = self.call(op, payload, tx)
        if kind != op:
            raise AssertionError(f"{_shown([(op, payload)])} got {answer!r}")
        return answer

    def errno(self, op: int, payload: bytes = b"", tx: int = 0) -> Errno | None:
        """Make a request; tell why it is refused, or None if it is not.

        Events are kept.
        """
        kind, answer = self.call(op, payload, tx)
        return _errno(answer) if kind == Op.ERROR else None

    # Those that tests make most

    def make(self, path: bytes, *perms: bytes) -> None:
        """Make a node, with these permissions if any are given; events are kept."""
        self.get(Op.WRITE, path + b"\0")
        if perms:
            self.get(Op.SET_PERMS, strings(path, *perms))

    def watch(self, path: bytes, token: bytes = b"t") -> None:
        """WATCH, and take the first event, which comes in any case."""
        self.get(Op.WATCH, strings(path, token))
        found = self.events()
        if found != [(path, token)]:
            raise AssertionError(f"not the first event but {found}")

    def start(self) -> int:
        """TRANSACTION_START."""
        return int(self.get(Op.TRANSACTION_START, b"\0").removesuffix(b"\0"))

    def commit(self, tx: int) -> Errno | None:
        """TRANSACTION_END; tell why it failed, or None. Events are kept."""
        return self.errno(Op.TRANSACTION_END, b"T\0", tx)

    @contextmanager
    def transaction(self, *, inside: bool = True) -> Iterator[int]:
        """Commit at the end what is done in it, which must succeed; give its id.

        Args:
            inside: False for no transaction, whose id is 0: for tests of both.
        """
        tx = self.start() if inside else 0
        yield tx
        if inside:
            self.get(Op.TRANSACTION_END, b"T\0", tx)

    def abort(self, tx: int) -> None:
        """Give a transaction up."""
        self.get(Op.TRANSACTION_END, b"F\0", tx)

    # Inside

    def _ready(self) -> int:
        return sum(frame.op != Op.WATCH_EVENT for frame in self._inbox)

    def _wait(self, is_there: Callable[[], bool], *, check: bool = True) -> None:
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        while not is_there():
            if check:
                self._check()
            if self.over:
                raise DisconnectedError("the daemon has ended the connection")
            left = None if deadline is None else deadline - time.monotonic()
            if (left is not None and left <= 0) or not self._pull(left):
                raise TimeoutError(f"{self._asked} have no reply")
        if check:
            self._check()

    def _pull(self, timeout: float | None) -> bool:
        """Take in what comes; tells whether anything did, be it the end."""
        if self.over:
            return False
        try:
            data = self.transport.receive(timeout)
        except TimeoutError:
            return False
        except DisconnectedError:
            self.over = True
            return True
        for frame in self._decoder.feed(data):
            self._inbox.append(frame)
            ids = (frame.req_id, frame.tx_id)
            if frame.op == Op.WATCH_EVENT and ids == (0, 0):
                continue
            if self._asked and self._asked[0] == ids:
                self._asked.popleft()
            else:
                self._strays.append(frame)
        if self._decoder.error is not None:
            raise AssertionError(str(self._decoder.error))
        return True

    def _check(self) -> None:
        if self._strays:
            raise AssertionError(f"not due: {self._strays}, but {self._asked}")


def _errno(payload: bytes) -> Errno:
    return Errno[payload.removesuffix(b"\0").decode("ascii")]


def _shown(messages: list[Message]) -> str:
    return repr([(op, payload[:75]) for op, payload in messages])
