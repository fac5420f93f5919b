"""Showing the service manager that clients are served.

A timer alone would only show that the loop turns. So the daemon is a client of its
own: every now and then it makes a request on a socket that is served like any other,
and only the reply lets it send WATCHDOG=1.
"""

import socket
from collections.abc import Callable, Mapping
from typing import Final, final

from xsd.protocol.frame import FrameDecoder, encode_frame
from xsd.protocol.limits import PAYLOAD_MAX, UINT_MAX
from xsd.protocol.ops import Op
from xsd.transport.loop import Loop, Timer

BEATS: Final = 3
"""Requests in the time that the manager waits: one or two that are late do no harm."""


def watchdog_period_s(environ: Mapping[str, str], pid: int) -> float:
    """Return the seconds between two requests, or 0 if the manager expects none.

    Args:
        environ: WATCHDOG_USEC says how long the manager waits, WATCHDOG_PID for
            which process.
        pid: Ours.
    """
    wanted = environ.get("WATCHDOG_USEC", "")
    if not wanted.isdecimal() or environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return 0.0
    return int(wanted) / 1_000_000 / BEATS


@final
class Watchdog:
    """A client of the daemon in the daemon."""

    __slots__ = (
        "_decoder",
        "_loop",
        "_on_reply",
        "_period_s",
        "_request_id",
        "_sock",
        "_timer",
        "_waits",
    )

    def __init__(
        self, loop: Loop, period_s: float, on_reply: Callable[[], None]
    ) -> None:
        """Make a watchdog that does nothing until `start`.

        Args:
            loop: The loop that runs.
            period_s: Seconds between two requests.
            on_reply: Is called for each reply.
        """
        self._loop = loop
        self._period_s = period_s
        self._on_reply = on_reply
        self._decoder = FrameDecoder()
        self._request_id = 0
        self._sock: socket.socket | None = None
        self._timer: Timer | None = None
        self._waits = False

    def start(self, adopt: Callable[[socket.socket], None]) -> None:
        """Make the first request.

        Args:
            adopt: Takes the daemon's end of a connection, to serve it.

        Raises:
            OSError: If there are no sockets to be had.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.setblocking(False)
        self._sock = ours
        self._loop.add_reader(ours.fileno(), self._on_readable)
        adopt(theirs)
        self._beat()

    def stop(self) -> None:
        """End the connection."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._sock is not None:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()
            self._sock = None

    def _beat(self) -> None:
        self._timer = self._loop.call_later(self._period_s, self._beat)
        # A request that is not answered is not followed by another one: that would
        # only fill the queue of a daemon that is late.
        if self._sock is not None and not self._waits:
            self._request_id = self._request_id % UINT_MAX + 1
            self._waits = True
            # There is room: nothing else is in the queue.
            self._sock.send(
                encode_frame(Op.GET_DOMAIN_PATH, self._request_id, 0, b"0\0")
            )

    def _on_readable(self) -> None:
        if self._sock is None:
            return
        data = self._sock.recv(PAYLOAD_MAX)
        if not data:
            # We do not serve ourselves any more, so nobody shall think that we serve.
            self.stop()
            return
        for frame in self._decoder.feed(data):
            if frame.op == Op.GET_DOMAIN_PATH and frame.req_id == self._request_id:
                self._waits = False
                self._on_reply()
