"""The marks of connections (`xsd.engine.mark`), in a mapped file beside the journal.

It has a fixed number of places, in the byte order of the machine::

    head      64 bytes  "xsdmarks", layout u32, places u32, zeros
    numbers   u64 each  of a connection; 0 where the place is free
    keys      u64 each  what tells the connection's descriptor from any other
    states    u8 each   QUIET, OWING, BUSY or ENDED

The blocks are allocated when it is made: no write into the mapping can fail. All of it
is as the last process has left it, whatever has ended that; nothing is made safe on a
disk, as no connection outlives the machine.
"""

import mmap
import os
import struct
from contextlib import suppress
from typing import Final, final

from xsd.engine.mark import BUSY, QUIET, Mark
from xsd.persistence.directory import Directory

NAME: Final = "marks"

PLACES: Final = 4000
"""Connections that there is room for.

All names of stored descriptors come to a process in one string of its environment,
which may have 128 KiB.
"""

_HEAD: Final = struct.Struct("=8sII48x")
_MAGIC: Final = b"xsdmarks"
_LAYOUT: Final = 1
_WORD: Final = 8
_BYTES: Final = _HEAD.size + PLACES * (2 * _WORD + 1)


@final
class Left:
    """What a process has said of a connection.

    Attributes:
        place: Of its mark.
        key: What tells its descriptor from any other.
        state: Where it was.
    """

    __slots__ = ("key", "place", "state")

    def __init__(self, place: int, key: int, state: int) -> None:
        self.place = place
        self.key = key
        self.state = state


@final
class Marks:
    """The file.

    Attributes:
        left: What the process before has said, by numbers of connections.
        ended: Marks whose places are not free yet; see `tidy`.
    """

    __slots__ = (
        "_free",
        "_keys",
        "_map",
        "_numbers",
        "_places",
        "_states",
        "ended",
        "left",
    )

    def __init__(self, directory: Directory) -> None:
        """Map the file; it is made if it is not there, or is another one.

        Args:
            directory: Where; locked by this process.

        Raises:
            OSError: If that is not possible.
        """
        self._map = _mapped(directory)
        view = memoryview(self._map)
        keys = _HEAD.size + PLACES * _WORD
        states = keys + PLACES * _WORD
        self._numbers = view[_HEAD.size : keys].cast("Q")
        self._keys = view[keys:states].cast("Q")
        self._states = view[states:_BYTES]
        self.ended: list[Mark] = []
        self.left: dict[int, Left] = {}
        self._places: dict[int, int] = {}
        self._free: list[int] = []
        for place in range(PLACES - 1, -1, -1):
            number = self._numbers[place]
            if number:
                left = Left(place, self._keys[place], self._states[place])
                self.left[number] = left
                self._places[number] = place
            else:
                self._free.append(place)

    def take(self, number: int, key: int, *, is_quiet: bool) -> Mark | None:
        """Say of a connection from now on where it is.

        Args:
            number: Of the connection, which has no mark.
            key: What tells its descriptor from any other.
            is_quiet: Whether it is in the middle of nothing.

        Returns:
            Its mark; None if there is no room.
        """
        if not self._free:
            return None
        place = self._free.pop()
        state = QUIET if is_quiet else BUSY
        mark = Mark(number, state, self._states, place, self.ended)
        self._keys[place] = key
        # Last: from here on it counts.
        self._numbers[place] = number
        self._places[number] = place
        return mark

    def go_on(self, number: int, state: int) -> Mark:
        """Take the mark of a connection of the process before, which is in `left`."""
        place = self._places[number]
        return Mark(number, state, self._states, place, self.ended)

    def free(self, number: int) -> None:
        """Forget a connection, if there is anything of it."""
        place = self._places.pop(number, -1)
        if place >= 0:
            self._numbers[place] = 0
            self._free.append(place)

    def tidy(self) -> list[int]:
        """Free the places of marks that have ended; return the connections' numbers."""
        numbers = [mark.number for mark in self.ended]
        self.ended.clear()
        for number in numbers:
            self.free(number)
        return numbers

    @property
    def numbers(self) -> list[int]:
        """Connections that have a place."""
        return list(self._places)


def _mapped(directory: Directory) -> mmap.mmap:
    """The file, whole and of this format, as memory."""
    with suppress(FileNotFoundError):
        fd = directory.open(NAME, os.O_RDWR)
        try:
            head = os.pread(fd, _HEAD.size, 0)
            if head == _head() and os.fstat(fd).st_size == _BYTES:
                return mmap.mmap(fd, _BYTES)
        finally:
            os.close(fd)
    fd = directory.begin(NAME)
    try:
        os.posix_fallocate(fd, 0, _BYTES)
        os.pwrite(fd, _head(), 0)
        mapping = mmap.mmap(fd, _BYTES)
        directory.finish(NAME, durable=False)
    except BaseException:
        directory.give_up(NAME)
        raise
    finally:
        os.close(fd)
    return mapping


def _head() -> bytes:
    return _HEAD.pack(_MAGIC, _LAYOUT, PLACES)
