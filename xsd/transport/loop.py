"""The loop: calls whoever waits for a descriptor, for a time, or for the next turn.

That is all that a daemon needs of an event loop, for its clients are in an epoll of the
reactor's. To import asyncio, and what that loads, would take as long as all the rest: a
host would wait for it at each start, and clients at each live update.
"""

import select
import time
from collections.abc import Callable
from typing import Final, Protocol, final

_READY_MAX: Final = 16
_IN: Final[int] = select.EPOLLIN


class Timer(Protocol):
    """A call that was put off."""

    def cancel(self) -> None:
        """Do not make it; does nothing if it has been made."""


class Loop(Protocol):
    """What a loop must do for us; asyncio's do as well."""

    def add_reader(self, fd: int, callback: Callable[[], None], /) -> object:
        """Have something called while a descriptor is readable."""

    def remove_reader(self, fd: int, /) -> bool:
        """Undo `add_reader`; tell whether there was something to undo."""

    def call_soon(self, callback: Callable[[], None], /) -> object:
        """Have something called as soon as whatever runs now has returned."""

    def call_later(self, delay: float, callback: Callable[[], None], /) -> Timer:
        """Have something called after some seconds."""


@final
class Call:
    """A call at a time; see `Timer`."""

    __slots__ = ("_waiting", "at", "callback")

    def __init__(
        self, at: float, callback: Callable[[], None], waiting: "list[Call]"
    ) -> None:
        self.at = at
        self.callback = callback
        self._waiting = waiting

    def cancel(self) -> None:
        """See `Timer.cancel`."""
        if self in self._waiting:
            self._waiting.remove(self)


@final
class EventLoop:
    """A loop of one thread.

    A callback that raises is reported and costs only what it has not done.
    """

    __slots__ = (
        "_clock",
        "_epoll",
        "_later",
        "_on_error",
        "_readers",
        "_runs",
        "_soon",
    )

    def __init__(
        self,
        on_error: Callable[[Exception], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin to wait for nothing.

        Args:
            on_error: Is given what a callback has raised; must not raise.
            clock: Seconds of a monotonic clock.
        """
        self._on_error = on_error
        self._clock = clock
        self._epoll = select.epoll()
        self._readers: dict[int, Callable[[], None]] = {}
        self._soon: list[Callable[[], None]] = []
        # They are few: each part of the daemon has one or none.
        self._later: list[Call] = []
        self._runs = False

    def add_reader(self, fd: int, callback: Callable[[], None], /) -> None:
        """See `Loop.add_reader`."""
        self._epoll.register(fd, _IN)
        self._readers[fd] = callback

    def remove_reader(self, fd: int, /) -> bool:
        """See `Loop.remove_reader`."""
        if self._readers.pop(fd, None) is None:
            return False
        self._epoll.unregister(fd)
        return True

    def call_soon(self, callback: Callable[[], None], /) -> None:
        """See `Loop.call_soon`."""
        self._soon.append(callback)

    def call_later(self, delay: float, callback: Callable[[], None], /) -> Call:
        """See `Loop.call_later`."""
        call = Call(self._clock() + delay, callback, self._later)
        self._later.append(call)
        return call

    def run(self) -> None:
        """Call whoever waits, until `stop`."""
        self._runs = True
        while self._runs:
            try:
                self._turn()
            except Exception as error:  # noqa: BLE001  memory, as a rule: once more
                self._on_error(error)

    def stop(self) -> None:
        """End `run` when whatever runs now has returned."""
        self._runs = False

    def close(self) -> None:
        """Wait for nothing any more; descriptors stay open."""
        self._epoll.close()

    def _turn(self) -> None:
        ready = self._epoll.poll(self._wait_s(), _READY_MAX)
        # What is added by these waits for the next turn.
        for _ in range(len(self._soon)):
            self._call(self._soon.pop(0))
        for fd, _mask in ready:
            # One before it may have removed it.
            reader = self._readers.get(fd)
            if reader is not None:
                self._call(reader)
        if self._later:
            now = self._clock()
            due = [call for call in self._later if call.at <= now]
            due.sort(key=_at)
            for call in due:
                if call in self._later:
                    self._later.remove(call)
                    self._call(call.callback)

    def _wait_s(self) -> float:
        """Seconds that it may be waited for descriptors; -1 for as long as it takes."""
        if self._soon:
            return 0.0
        if not self._later:
            return -1.0
        return max(0.0, min([call.at for call in self._later]) - self._clock())

    def _call(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception as error:  # noqa: BLE001  the others must not suffer
            self._on_error(error)


def _at(call: Call) -> float:
    return call.at
