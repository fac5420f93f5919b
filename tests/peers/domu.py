"""Domains of the pretended Xen, each with its ring page and its event channel."""

import mmap
import os
import select
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Final, final

DOM_EXC: Final = 3
"""The virtual interrupt that tells of a domain that has shut down or died."""

_PAGE: Final = 4096
_RING: Final = 1024
_REQUESTS, _RESPONSES = 0, 1024
_REQ_CONS, _REQ_PROD, _RSP_CONS, _RSP_PROD = 512, 513, 514, 515
_ERROR: Final = 518
"""Where the page, as words of 32 bits, has its indexes and its error (xs_wire.h)."""

_MASK: Final = 0xFFFFFFFF
_VIRQ: Final = 0xFFFFFFFF
_LOOK_S: Final = 0.02
"""After this time a domain looks at its ring without having been notified."""

_FILES: Final = ("ring", "kick", "evtchn", "dying", "shutdown")


class ClosedError(Exception):
    """The daemon is gone, or has given up the ring."""


def interrupt(shim: Path, number: int = DOM_EXC) -> None:
    """Have the daemon get a virtual interrupt."""
    _post(shim, _VIRQ, number)


def _post(shim: Path, source: int, number: int) -> None:
    try:
        port = os.open(shim / "port", os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # nobody has it open to read
        raise ClosedError from None
    try:
        with suppress(BlockingIOError):  # thousands of events wait already
            os.write(port, struct.pack("=II", source, number))
    finally:
        os.close(port)


@final
class DomU:
    """A domain, which exists until it vanishes or is closed.

    Its ends of ring and event channel move only when a method is called.

    Attributes:
        domid: Its number.
        port: Its end of the event channel, which INTRODUCE is to be told.
        map: Its page.
        words: The same as words of 32 bits.
        kick: A descriptor with a byte for each notification.
    """

    def __init__(
        self, shim: Path, domid: int, port: int | None = None, timeout: float = 5.0
    ) -> None:
        """Make a domain.

        Args:
            shim: The directory that is the pretended Xen.
            domid: Its number.
            port: None for 100 + domid.
            timeout: Seconds that `send` may take.
        """
        self.domid = domid
        self.port = 100 + domid if port is None else port
        self._shim = shim
        self._timeout = timeout
        self._file("ring").write_bytes(bytes(_PAGE))
        with self._file("ring").open("r+b") as file:
            self.map = mmap.mmap(file.fileno(), _PAGE)
        # Unlike bytes, a word is stored in one go, as the indexes have to be.
        self.words = memoryview(self.map).cast("I")
        self._file("kick").unlink(missing_ok=True)
        os.mkfifo(self._file("kick"))
        # To write as well: so the daemon finds somebody who has it open to read.
        self.kick = os.open(self._file("kick"), os.O_RDWR | os.O_NONBLOCK)
        self.offer(self.port)

    def _file(self, name: str) -> Path:
        return self._shim / f"{name}-{self.domid}"

    def offer(self, port: int) -> None:
        """Have a port that can be bound, in the place of the one before."""
        self.port = port
        self._file("evtchn").write_text(str(port), encoding="ascii")

    def mark(self, state: str, *, on: bool = True) -> None:
        """Be `dying` or `shutdown`, or be it no longer."""
        if on:
            self._file(state).touch()
        else:
            self._file(state).unlink(missing_ok=True)

    def vanish(self) -> None:
        """Be no domain any more, as far as the hypervisor knows."""
        self._file("ring").unlink()

    def virq(self, number: int = DOM_EXC) -> None:
        """Have the daemon get a virtual interrupt; see `interrupt`."""
        interrupt(self._shim, number)

    def notify(self, port: int | None = None) -> None:
        """Have the daemon get an event of a port, of the domain's own by default."""
        _post(self._shim, self.domid, self.port if port is None else port)

    def send(self, data: bytes, timeout: float | None = None) -> None:
        """Write into the ring, waiting for room.

        Raises:
            ClosedError: If the daemon has given up the ring, or is gone.
            TimeoutError: If there has been no room for so many seconds.
        """
        words = self.words
        deadline = time.monotonic() + (self._timeout if timeout is None else timeout)
        while data:
            produced = words[_REQ_PROD]
            at = produced % _RING
            room = _RING - ((produced - words[_REQ_CONS]) & _MASK)
            size = min(room, _RING - at, len(data))
            if size > 0:
                start = _REQUESTS + at
                self.map[start : start + size] = data[:size]
                words[_REQ_PROD] = (produced + size) & _MASK
                self.notify()
                data = data[size:]
            elif words[_ERROR]:
                raise ClosedError
            elif not self._wait(deadline):
                raise TimeoutError("the ring stays full")

    def receive_some(self, deadline: float) -> bytes:
        """Read from the ring; return nothing if there is nothing until a time.

        Args:
            deadline: By `time.monotonic`; one that has passed is a look without a wait.

        Raises:
            ClosedError: If the daemon has given up the ring, or is gone.
        """
        words = self.words
        while True:
            consumed = words[_RSP_CONS]
            size = (words[_RSP_PROD] - consumed) & _MASK
            if size > _RING:
                raise ClosedError
            if size:
                at = consumed % _RING
                size = min(size, _RING - at)
                start = _RESPONSES + at
                data = self.map[start : start + size]
                words[_RSP_CONS] = (consumed + size) & _MASK
                self.notify()
                return data
            if words[_ERROR]:
                raise ClosedError
            if not self._wait(deadline):
                return b""

    def _wait(self, deadline: float) -> bool:
        """Wait for a notification, for _LOOK_S at most; False after the deadline."""
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        if select.select([self.kick], [], [], min(left, _LOOK_S))[0]:
            with suppress(BlockingIOError):
                os.read(self.kick, _PAGE)
        return True

    def close(self) -> None:
        """Remove the domain with all its files; a second time does nothing."""
        if self.kick < 0:
            return
        os.close(self.kick)
        self.kick = -1
        self.words.release()
        self.map.close()
        for name in _FILES:
            self._file(name).unlink(missing_ok=True)
