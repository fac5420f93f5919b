"""A process of its own that works on the state as it is at one moment.

A fork is a picture of the whole state, made in a few milliseconds whatever the state
is, while a walk in slices would have to hold still what it walks along.
"""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, final

from xsd.transport.loop import Loop

_STANDARD: Final = 2
"""The last of the descriptors that each process has."""


@final
class Child:
    """Works, beside us, until it is done or killed.

    Attributes:
        number: Of its process.
    """

    def __init__(
        self,
        loop: Loop,
        work: Callable[[], object],
        keep: int,
        done: Callable[[int], None],
    ) -> None:
        """Begin.

        Args:
            loop: The loop that runs.
            work: What it does; it has failed if that raises.
            keep: The descriptor that it needs, beside the standard ones.
            done: Is called in the loop, unless it was killed, with its
                status: 0 if it has done its work.

        Raises:
            OSError: If there can be no other process.
        """
        self._loop = loop
        self.number = os.fork()
        if not self.number:
            _be_child(work, keep)
        self._handle = os.pidfd_open(self.number)
        self._loop.add_reader(self._handle, partial(self._end, done))

    def kill(self) -> None:
        """End it, if it has not ended."""
        if self._handle >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            self._wait()

    def leave(self) -> None:
        """Have it go on, and hear no more of it."""
        self._loop.remove_reader(self._handle)
        os.close(self._handle)
        self._handle = -1

    def _end(self, done: Callable[[int], None]) -> None:
        done(self._wait())

    def _wait(self) -> int:
        self.leave()
        return os.waitpid(self.number, 0)[1]


def _be_child(work: Callable[[], object], keep: int) -> None:
    status = 1
    try:
        # Signals to us are no signals to the daemon.
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        _close_all_but(keep)
        work()
        status = 0
    finally:
        os._exit(status)


def _close_all_but(keep: int) -> None:
    """Have a client's socket closed when the daemon closes it."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  no path is wanted
        descriptor = int(name)
        if descriptor > _STANDARD and descriptor != keep:
            with suppress(OSError):
                os.close(descriptor)
