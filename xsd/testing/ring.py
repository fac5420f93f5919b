"""A ring seen by the guest, with Linux's manners or without."""

import math
import os
import select
import threading
import time
from contextlib import suppress
from typing import Final, final

from xsd.client import DisconnectedError, Transport
from xsd.protocol.limits import RING_SIZE, UINT_MAX
from xsd.protocol.ring import (
    ERROR_NONE,
    REQ_CONS,
    REQ_PROD,
    RSP_CONS,
    RSP_PROD,
    Ring,
    RingError,
)

_FIELDS: Final = slice(2 * RING_SIZE, 2 * RING_SIZE + 32)
_NOTIFICATIONS_MAX: Final = 64 * 1024
"""Bytes of notifications that are taken at once; each has eight."""


@final
class RingTransport(Transport):
    """The guest's side of a ring.

    Closing it does nothing: a ring has no end that the daemon could see.

    Args:
        page: The shared page.
        to_daemon: Eventfd that notifies the daemon.
        to_guest: Pipe or eventfd, non-blocking, by which the daemon notifies.
        lazy: Notify as rarely as Linux does: after writing only if the daemon had
            taken all that was there before, after reading only if the ring had
            been full. Otherwise after every move of an index.

    Attributes:
        ring: The page, for reading and spoiling its fields.
        fields: The same fields by number, `xsd.protocol.ring.REQ_CONS` and so on.
    """

    __slots__ = (
        "_fence",
        "_lazy",
        "_notified",
        "_received",
        "_to_daemon",
        "_to_guest",
        "fields",
        "ring",
    )

    def __init__(
        self, page: memoryview, to_daemon: int, to_guest: int, *, lazy: bool = False
    ) -> None:
        self.ring = Ring(page)
        self.fields = page[_FIELDS].cast("I")
        self._to_daemon = to_daemon
        self._to_guest = to_guest
        self._lazy = lazy
        self._received = b""
        self._fence = threading.Lock()
        self._notified = select.poll()
        self._notified.register(to_guest, select.POLLIN)

    def release(self) -> None:
        """Give the views of the page up."""
        self.fields.release()
        self.ring.release()

    def send(self, data: bytes, timeout: float | None) -> None:
        """Put all of this into the ring, as soon as there is room.

        What comes meanwhile is kept: the daemon may itself be waiting for room.

        Raises:
            TimeoutError: If the daemon did not make room in time.
            DisconnectedError: If it has given up the ring, or the indexes are
                impossible.
        """
        deadline = _deadline(timeout)
        while True:
            self._check()
            data = data[self._write(data) :]
            if not data:
                return
            taken = self._read()
            self._received += taken
            if not taken:
                self._wait(deadline)

    def receive(self, timeout: float | None) -> bytes:
        """Return what is in the ring, waiting for at least one byte.

        Raises:
            TimeoutError: If nothing came in time.
            DisconnectedError: If the daemon has given up the ring and all that it
                sent before has been taken, or the indexes are impossible.
        """
        deadline = _deadline(timeout)
        while True:
            data, self._received = self._received or self._read(), b""
            if data:
                return data
            self._check()
            self._wait(deadline)

    def close(self) -> None:
        """See `Transport.close`."""

    def notify(self) -> None:
        """Tell the daemon to look at the ring."""
        # A counter at its limit tells it as well.
        with suppress(BlockingIOError):
            os.eventfd_write(self._to_daemon, 1)

    def _check(self) -> None:
        code = self.ring.error
        if code != ERROR_NONE:
            raise DisconnectedError(f"the daemon has given up the ring: error {code}")

    def _write(self, data: bytes) -> int:
        before = self.fields[REQ_PROD]
        try:
            size = self.ring.write_requests(data)
        except RingError as error:
            raise DisconnectedError(str(error)) from None
        if size and (not self._lazy or self._is_awaited(before, size)):
            self.notify()
        return size

    def _is_awaited(self, before: int, size: int) -> bool:
        """Tell whether the daemon had taken everything before these bytes."""
        self._barrier()
        return (self.fields[REQ_CONS] - before) & UINT_MAX <= size

    def _read(self) -> bytes:
        before = self.fields[RSP_CONS]
        try:
            data = self.ring.read_responses(RING_SIZE)
        except RingError as error:
            self._check()
            raise DisconnectedError(str(error)) from None
        if data and (not self._lazy or self._was_full(before)):
            self.notify()
        return data

    def _was_full(self, before: int) -> bool:
        """Tell whether the daemon had no room before these bytes were taken."""
        self._barrier()
        return (self.fields[RSP_PROD] - before) & UINT_MAX >= RING_SIZE

    def _barrier(self) -> None:
        """Let our index be seen before the daemon's is read.

        On x86 the atomic instruction in taking a lock does so. Without it both
        sides could miss each other's last move, and wait for ever.
        """
        with self._fence:
            pass

    def _wait(self, deadline: float | None) -> None:
        left = None
        if deadline is not None:
            left = max(0, math.ceil((deadline - time.monotonic()) * 1000))
        if not self._notified.poll(left):
            raise TimeoutError("timed out")
        with suppress(BlockingIOError):
            if not os.read(self._to_guest, _NOTIFICATIONS_MAX):
                raise DisconnectedError("the event channel is gone")


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else time.monotonic() + timeout
