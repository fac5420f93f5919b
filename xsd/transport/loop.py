"""The event loop, as far as the daemon uses it: descriptors, times and the next turn.

Clients are in an epoll of the reactor's, which is one descriptor of the loop.
"""

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A call that was put off."""

    def cancel(self) -> None:
        """Do not make it; does nothing if it has been made."""


class Loop(Protocol):
    """What asyncio's loops do for us."""

    def add_reader(self, fd: int, callback: Callable[[], None], /) -> object:
        """Have something called while a descriptor is readable."""

    def remove_reader(self, fd: int, /) -> object:
        """Undo `add_reader`; does nothing if it has been undone."""

    def call_soon(self, callback: Callable[[], None], /) -> object:
        """Have something called as soon as whatever runs now has returned."""

    def call_later(self, delay: float, callback: Callable[[], None], /) -> Timer:
        """Have something called after some seconds."""
