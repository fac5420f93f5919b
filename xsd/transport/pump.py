"""Between the transports and the engine: what one connection causes on another."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import final

from xsd.engine import Connection, Engine, Notice


class Link(ABC):
    """A transport's end of one connection."""

    __slots__ = ()

    @abstractmethod
    def send(self) -> None:
        """Send what the other side takes, or end if the connection is lost."""

    @abstractmethod
    def wake(self) -> None:
        """Go on with requests that had to wait for other clients."""


class Recorder(ABC):
    """Is told of everything that comes in."""

    @abstractmethod
    def opened(self, connection: Connection) -> None:
        """A client or a guest has come."""

    @abstractmethod
    def received(self, connection: Connection, data: bytes) -> None:
        """Bytes have come, which are not answered yet."""

    @abstractmethod
    def closed(self, connection: Connection) -> None:
        """A client or a guest has gone."""


@final
class Pump:
    """Carries output to the links, whichever transport they belong to.

    Attributes:
        engine: What answers.
        on_notice: Is given what the log should say.
        receive: `Engine.receive`; links are to call it here.
    """

    __slots__ = (
        "_links",
        "_loop",
        "_recorder",
        "_timer",
        "_timer_ms",
        "engine",
        "on_notice",
        "receive",
    )

    def __init__(
        self,
        engine: Engine,
        on_notice: Callable[[Notice], None],
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Make a pump without links.

        Args:
            engine: What answers.
            on_notice: Is given what the log should say.
            loop: Wakes clients that have waited long enough; without one they wait
                for the next request of anybody.
        """
        self._loop = loop
        self._recorder: Recorder | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms = 0
        self.engine = engine
        self.on_notice = on_notice
        self.receive: Callable[[Connection, bytes, int], None] = engine.receive
        self._links: dict[int, Link] = {}

    def record(self, recorder: Recorder) -> None:
        """Tell a recorder from now on what comes in."""
        self._recorder = recorder
        self.receive = self._receive_recorded

    def _receive_recorded(
        self, connection: Connection, data: bytes, now_ms: int
    ) -> None:
        if self._recorder is not None:
            self._recorder.received(connection, data)
        self.engine.receive(connection, data, now_ms)

    def add(self, connection: Connection, link: Link) -> None:
        """Carry a connection's output to a link from now on."""
        self._links[connection.id] = link
        if self._recorder is not None:
            self._recorder.opened(connection)

    def drop(self, connection: Connection) -> bool:
        """End a connection.

        Returns:
            Whether it had not been ended before.
        """
        if self._links.pop(connection.id, None) is None:
            return False
        if self._recorder is not None:
            self._recorder.closed(connection)
        self.engine.disconnect(connection)
        self._tell()
        return True

    def flush(self) -> None:
        """Send what the last requests have queued, to whomever it is for."""
        for connection in self.engine.take_dirty():
            link = self._links.get(connection.id)
            if link is not None:
                link.send()
        for connection in self.engine.take_ready():
            link = self._links.get(connection.id)
            if link is not None:
                link.wake()
        until_ms = self.engine.held_until_ms
        if until_ms:
            self._wake_at(until_ms)
        self._tell()

    def _wake_at(self, until_ms: int) -> None:
        """Look again at that time, if not sooner."""
        if self._loop is None:
            return
        if self._timer is not None:
            if self._timer_ms <= until_ms:
                return
            self._timer.cancel()
        self._timer_ms = until_ms
        self._timer = self._loop.call_at(until_ms / 1000, self._on_time)

    def _on_time(self) -> None:
        """Some have waited for others as long as they have to."""
        self._timer = None
        if self._loop is not None:
            # The clock counts whole milliseconds.
            self.engine.look_at_clock(int(self._loop.time() * 1000) + 1)
        self.flush()

    def _tell(self) -> None:
        for notice in self.engine.take_notices():
            self.on_notice(notice)
