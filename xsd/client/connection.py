"""One connection: requests go out one at a time, replies and events come in."""

import os
import socket
import struct
import time
from collections import deque
from typing import NamedTuple, final

from protocol.errors import Errno, XenStoreError
from protocol.frame import Frame, FrameDecoder, encode_frame
from protocol.limits import PAYLOAD_MAX
from protocol.ops import Op
from xsd.client.errors import DisconnectedError, NotListeningError

_RECEIVE_SIZE = 65536
_REQUEST_ID_MAX = 0xFFFFFFFF


class Event(NamedTuple):
    """A watch fired.

    Attributes:
        path: What changed, spelt relative if the watch was.
        token: The token given when the watch was set.
    """

    path: bytes
    token: bytes


@final
class Connection:
    """The socket, and what has come in but was not asked for yet.

    Args:
        path: The daemon's Unix socket.
        timeout: Seconds to wait for the daemon to accept, and then for each
            reply; None waits for ever, as libxenstore does.

    Raises:
        NotListeningError: If nobody accepts at `path`.
    """

    __slots__ = ("_decoder", "_events", "_last_id", "_replies", "_socket", "_timeout")

    def __init__(self, path: str, timeout: float | None) -> None:
        self._timeout = timeout
        self._decoder = FrameDecoder()
        self._events: deque[Event] = deque()
        self._replies: deque[Frame] = deque()
        self._last_id = 0
        self._socket: socket.socket | None = _connect(path, timeout)

    def close(self) -> None:
        """End the connection; the daemon drops its watches and transactions."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def call(self, op: Op, payload: bytes, tx_id: int) -> bytes:
        """Send one request and return the payload of its reply.

        Whatever interrupts the wait, a signal's exception or the time limit,
        closes the connection: a reply that comes later would be taken for
        that of the next request.

        Raises:
            XenStoreError: If the daemon refuses, with its errno; E2BIG without
                asking it if the request has more than 4,096 bytes.
            DisconnectedError: If the daemon ends the connection.
            TimeoutError: If no reply came in time.
        """
        size = len(payload)
        if size > PAYLOAD_MAX:
            reason = f"{op.name} request of {size} bytes, at most {PAYLOAD_MAX} fit"
            raise XenStoreError(Errno.E2BIG, reason, _subject(payload))
        self._last_id = self._last_id % _REQUEST_ID_MAX + 1
        try:
            self._send(encode_frame(op, self._last_id, tx_id, payload))
            reply = self._reply(op)
        except BaseException:
            self.close()
            raise
        if reply.op == Op.ERROR:
            raise _refusal(op, payload, reply.payload)
        return reply.payload

    def next_event(self, timeout: float | None) -> Event | None:
        """Return the oldest event not taken yet, waiting for one if need be.

        Args:
            timeout: Seconds to wait; 0 only looks, None waits for ever.

        Returns:
            The event, or None if none came in time.

        Raises:
            DisconnectedError: If the daemon ends the connection.
        """
        deadline = _deadline(timeout)
        while not self._events:
            try:
                self._receive(deadline)
            except TimeoutError:
                return None
            if self._replies:
                self.close()
                raise DisconnectedError("the daemon sent a reply nobody asked for")
        return self._events.popleft()

    def _send(self, data: bytes) -> None:
        connected = self._connected()
        connected.settimeout(self._timeout)
        try:
            connected.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            raise DisconnectedError("the daemon has closed the connection") from None

    def _reply(self, op: Op) -> Frame:
        """Wait for the reply to the request just sent, keeping events."""
        deadline = _deadline(self._timeout)
        while not self._replies:
            self._receive(deadline)
        reply = self._replies.popleft()
        if reply.req_id != self._last_id or reply.op not in (op, Op.ERROR):
            raise DisconnectedError(
                f"the daemon answered {op.name} with message type {reply.op}"
            )
        return reply

    def _receive(self, deadline: float | None) -> None:
        """Take in what the daemon sends next."""
        connected = self._connected()
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        connected.settimeout(left)
        try:
            data = connected.recv(_RECEIVE_SIZE)
        except BlockingIOError:
            # A limit of zero makes the socket non-blocking.
            raise TimeoutError("timed out") from None
        except ConnectionResetError:
            data = b""
        if not data:
            self.close()
            raise DisconnectedError("the daemon has closed the connection")
        for frame in self._decoder.feed(data):
            if frame.op == Op.WATCH_EVENT:
                self._events.append(_event(frame.payload))
            else:
                self._replies.append(frame)
        if self._decoder.error is not None:
            self.close()
            raise DisconnectedError(str(self._decoder.error))

    def _connected(self) -> socket.socket:
        if self._socket is None:
            raise DisconnectedError("the connection is closed")
        return self._socket


def _connect(path: str, timeout: float | None) -> socket.socket:
    """Connect, blocking even with a time limit.

    A non-blocking connect to a Unix socket whose backlog is full fails at
    once, and xenstored's backlog is 1; the kernel's own limit waits.
    """
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if timeout is not None:
            seconds = int(timeout)
            limit = struct.pack("@ll", seconds, max(1, int((timeout - seconds) * 1e6)))
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        connected.connect(path)
    except BlockingIOError:
        connected.close()
        raise NotListeningError(path, "it did not accept in time") from None
    except OSError as error:
        connected.close()
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise NotListeningError(path, reason) from None
    return connected


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout


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
