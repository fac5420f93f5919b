"""Signals, through a pipe of our own, and an end that comes in time.

Handlers only write to the pipe: what a signal asks for is done in the loop, between two
callbacks.
"""

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Final, NoReturn, final

from xsd.daemon.daemonize import EXIT_FAILED
from xsd.transport.loop import Loop

HANDLED: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
"""What a daemon does not end by at once."""

END_S: Final = 0.9
"""How long an orderly end may take; then the kernel ends us."""

_READ_MAX: Final = 64


@final
class Signals:
    """Has functions called in the loop when signals come, until `close`.

    Args:
        loop: The loop that runs; this is its main thread.
        calls: What to call, by signal.
        ending: Those that are to end the process. From the first of them on it has
            `END_S`, whatever it is at: in a system call or without memory.
    """

    __slots__ = ("_calls", "_ending", "_held", "_is_ending", "_reader")

    def __init__(
        self,
        loop: Loop,
        calls: Mapping[signal.Signals, Callable[[], None]],
        ending: frozenset[signal.Signals],
    ) -> None:
        self._calls = calls
        self._ending = ending
        self._is_ending = False
        self._reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        with ExitStack() as undo:
            undo.callback(os.close, self._reader)
            undo.callback(os.close, writer)
            before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
            undo.callback(signal.set_wakeup_fd, before)
            for number in calls:
                undo.callback(signal.signal, number, signal.getsignal(number))
                signal.signal(number, self._on_signal)
            loop.add_reader(self._reader, self._on_readable)
            undo.callback(loop.remove_reader, self._reader)
            self._held = undo.pop_all()

    def close(self) -> None:
        """Leave signals to who had them before; there is time again."""
        self._held.close()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if number not in self._ending or self._is_ending:
            return
        self._is_ending = True
        # The kernel keeps signals without a handler from process 1 of a container.
        at_last = _leave if os.getpid() == 1 else signal.SIG_DFL
        former = signal.signal(signal.SIGALRM, at_last)
        timer = signal.setitimer(signal.ITIMER_REAL, END_S)
        self._held.callback(signal.signal, signal.SIGALRM, former)
        self._held.callback(signal.setitimer, signal.ITIMER_REAL, *timer)

    def _on_readable(self) -> None:
        for number in os.read(self._reader, _READ_MAX):
            call = self._calls.get(signal.Signals(number))
            if call is not None:
                call()


@contextmanager
def held_back(*, only: bool = True) -> Iterator[None]:
    """Have signals wait, also for the program that this process becomes.

    It has none of our handlers yet: without this, who asks for the log to be opened
    anew would end it.

    Args:
        only: Whether that is wanted at all.
    """
    if not only:
        yield
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    try:
        yield
    finally:
        take_up()


def take_up() -> None:
    """Have signals come again, which another program may have held back for us."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    os._exit(EXIT_FAILED)
