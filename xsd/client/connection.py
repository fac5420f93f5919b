"""A session and its way to the daemon: what is asked is sent, replies are awaited."""

import time

from xsd.client.errors import DisconnectedError
from xsd.client.session import Call, Event, Session
from xsd.client.transport import Transport
from xsd.protocol.lean import final
from xsd.protocol.ops import Op


@final
class Connection:
    """A way to the daemon, and what has come in but was not asked for yet.

    Args:
        transport: Carries the bytes; it is closed with the connection.
        timeout: Seconds to wait for each reply; None waits for ever, as
            libxenstore does.
    """

    __slots__ = ("_session", "_timeout", "_transport")

    def __init__(self, transport: Transport, timeout: float | None) -> None:
        self._timeout = timeout
        self._session = Session()
        self._transport: Transport | None = transport

    def close(self) -> None:
        """End the connection; the daemon drops its watches and transactions."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def call(self, op: Op, payload: bytes, tx_id: int) -> bytes:
        """Send one request and return the payload of its reply.

        Raises:
            XenStoreError: If the daemon refuses, with its errno; E2BIG without
                asking it if the request has more than 4,096 bytes.
            DisconnectedError: If the daemon ends the connection.
            TimeoutError: If no reply came in time.
        """
        return self.finish(self.start(op, payload, tx_id))

    def start(self, op: Op, payload: bytes, tx_id: int) -> Call:
        """Add a request to those under way; it is sent when a reply is waited for.

        The daemon carries them out in order.

        Raises:
            XenStoreError: E2BIG if the request has more than 4,096 bytes.
        """
        return self._session.ask(op, payload, tx_id)

    def finish(self, call: Call) -> bytes:
        """Wait for the reply of a request that was started, and return its payload.

        Whatever interrupts the wait, a signal's exception or the time limit,
        closes the connection: a reply that comes later would be taken for
        that of the next request.

        Raises:
            XenStoreError: If the daemon refuses, with its errno.
            DisconnectedError: If the daemon ends the connection.
            TimeoutError: If no reply came in time.
        """
        if call.reply is None:
            try:
                self._exchange(call)
            except BaseException:
                self.close()
                raise
        return call.result()

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
        events = self._session.events
        while not events:
            try:
                self._receive(deadline)
            except TimeoutError:
                return None
            if self._session.unasked:
                self.close()
                raise DisconnectedError("the daemon sent a reply nobody asked for")
        return events.popleft()

    def _exchange(self, call: Call) -> None:
        """Send and receive until a request has its reply."""
        deadline = _deadline(self._timeout)
        while True:
            self._send()
            self._session.match()
            if call.reply is not None:
                return
            self._receive(deadline)

    def _send(self) -> None:
        """Send what there is room for, and at least one request if none is under way.

        So nobody waits for a daemon that waits itself until its replies are taken: as
        long as one is sure to come, only what fits is sent.
        """
        session = self._session
        while session.outgoing:
            transport = self._connected()
            count = session.first
            if count:
                transport.send(bytes(session.outgoing[:count]), self._timeout)
            else:
                count = transport.send_some(bytes(session.outgoing))
                if not count:
                    return
            session.sent(count)

    def _receive(self, deadline: float | None) -> None:
        """Take in what the daemon sends next."""
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        try:
            self._session.feed(self._connected().receive(left))
        except DisconnectedError:
            self.close()
            raise

    def _connected(self) -> Transport:
        if self._transport is None:
            raise DisconnectedError("the connection is closed")
        return self._transport


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout
