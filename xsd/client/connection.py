"""One connection: requests go out one at a time, replies and events come in."""

import time
from collections import deque
from typing import NamedTuple, final

from xsd.client.errors import DisconnectedError
from xsd.client.transport import Transport
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.frame import Frame, FrameDecoder, encode_frame
from xsd.protocol.limits import PAYLOAD_MAX, UINT_MAX
from xsd.protocol.ops import Op


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
    """A way to the daemon, and what has come in but was not asked for yet.

    Args:
        transport: Carries the bytes; it is closed with the connection.
        timeout: Seconds to wait for each reply; None waits for ever, as
            libxenstore does.
    """

    __slots__ = (
        "_decoder",
        "_events",
        "_last_id",
        "_replies",
        "_timeout",
        "_transport",
    )

    def __init__(self, transport: Transport, timeout: float | None) -> None:
        self._timeout = timeout
        self._decoder = FrameDecoder()
        self._events: deque[Event] = deque()
        self._replies: deque[Frame] = deque()
        self._last_id = 0
        self._transport: Transport | None = transport

    def close(self) -> None:
        """End the connection; the daemon drops its watches and transactions."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

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
        self._last_id = self._last_id % UINT_MAX + 1
        try:
            data = encode_frame(op, self._last_id, tx_id, payload)
            self._connected().send(data, self._timeout)
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
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            data = self._connected().receive(left)
        except DisconnectedError:
            self.close()
            raise
        for frame in self._decoder.feed(data):
            if frame.op == Op.WATCH_EVENT:
                self._events.append(_event(frame.payload))
            else:
                self._replies.append(frame)
        if self._decoder.error is not None:
            self.close()
            raise DisconnectedError(str(self._decoder.error))

    def _connected(self) -> Transport:
        if self._transport is None:
            raise DisconnectedError("the connection is closed")
        return self._transport


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
