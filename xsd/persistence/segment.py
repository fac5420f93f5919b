r"""Segments: the files that a journal consists of.

A segment has a fixed size and is mapped. It begins with a head, in the byte order of
the machine::

    magic     8 bytes  "xsdjrnl\n"
    format    u32      3
    order     u32      0x01020304
    sequence  u64      its number, one more than that of the segment before
    control   u16      the control domain
    own       u16      the domain that the daemon runs in
    marked    u32      1 if it is made safe on a disk, see below
    seed      u32      with which the checksums of its entries begin; random
    checksum  u32      CRC-32 of all this
    safe      u64      bytes at its beginning that are known to be on the disk
    lost      u64      1 if inputs behind its last one were lost, 2 if some before its
                       first one were, 3 if both
    first     u64      number of its first input; 0 until it is taken into use

Entries (entries.py) follow, one behind the other; the first that would begin with a
length of zero ends them.

The blocks of a segment are allocated when it is made. A file system that is full is met
there, as an error. Were it met in the copy of an entry into the mapping, the process
would be ended by SIGBUS.
"""

import mmap
import os
import struct
import zlib
from contextlib import suppress
from typing import Final, final

from xsd.persistence.directory import Directory, segment_name
from xsd.persistence.run import Run

_MAGIC: Final = b"xsdjrnl\n"
FORMAT: Final = 3
"""Of the segments that are written, and the only one that is read."""

_ORDER: Final = 0x01020304
_OTHER_ORDER: Final = 0x04030201

_HEAD: Final = struct.Struct("=8sIIQHHII")
_U32: Final = struct.Struct("=I")
_U64: Final = struct.Struct("=Q")
_CHECKSUM_AT: Final = 36
_SAFE_AT: Final = 40
_LOST_AT: Final = 48
_FIRST_AT: Final = 56

_BEHIND: Final = 1
_BEFORE: Final = 2

START: Final = 64
"""Offset of the first entry."""

SIZE_MIN: Final = 4096
"""Bytes that a segment has at the least."""

SIZE: Final = 4 << 20
"""Bytes of a segment, unless told otherwise: every possible input fits in."""


@final
class JournalError(Exception):
    """A journal is damaged, or not one that can be read here.

    Attributes:
        name: Of the file.
        offset: In it, in bytes.
        reason: What is wrong there.
    """

    def __init__(self, name: str, offset: int, reason: str) -> None:
        super().__init__(name, offset, reason)
        self.name = name
        self.offset = offset
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.name}, offset {self.offset}: {self.reason}"


@final
class Segment:
    """A segment that is written.

    Attributes:
        sequence: Its number.
        seed: With which the checksums of its entries begin.
        size: Its bytes.
        used: Bytes at its beginning that are taken.
        safe: Bytes at its beginning that are on the disk since it was begun.
        is_open: Whether it has not been closed.
    """

    __slots__ = (
        "_fd",
        "_has_failed",
        "_map",
        "is_open",
        "safe",
        "seed",
        "sequence",
        "size",
        "used",
    )

    def __init__(self, fd: int, mapping: mmap.mmap, sequence: int, seed: int) -> None:
        self._fd = fd
        self._map = mapping
        self._has_failed = False
        self.sequence = sequence
        self.seed = seed
        self.size = len(mapping)
        self.used = START
        self.safe = 0
        self.is_open = True

    def begin(self, number: int, *, apart: bool = False) -> None:
        """Take it into use.

        Args:
            number: Of the input that is appended first.
            apart: Whether inputs before that are in no segment, so that it is of use
                behind its checkpoint only.
        """
        if apart:
            _U64.pack_into(self._map, _LOST_AT, _BEFORE)
        _U64.pack_into(self._map, _FIRST_AT, number)

    def append(self, entry: bytes) -> None:
        """Copy an entry behind the others; it has to fit."""
        end = self.used + len(entry)
        self._map[self.used : end] = entry
        self.used = end

    def append_run(self, run: Run, size: int, number: int) -> None:
        """Write requests behind the others; they have to fit.

        Args:
            run: The requests, one or more.
            size: That of the run.
            number: Of the first of them.

        Raises:
            ValueError: If a number does not fit.
        """
        used = self.used
        run.write(self._map, used, number, self.seed)
        self.used = used + size

    def make_safe(self) -> None:
        """Wait until what is in it is on the disk; it may be appended to meanwhile.

        On Linux, fdatasync writes what came in through a mapping, too, and it lets
        other threads go on meanwhile.

        Raises:
            OSError: If it cannot be written.
        """
        used = self.used
        if used != self.safe and not self._has_failed:
            try:
                os.fdatasync(self._fd)
            except OSError:
                # Another try could succeed though what failed now is lost.
                self._has_failed = True
                raise
            self.safe = used
            # On the disk with the next one: what it promises then holds already.
            _U64.pack_into(self._map, _SAFE_AT, used)

    def note_loss(self) -> None:
        """Write down that inputs behind the last one are lost."""
        noted: int = _U64.unpack_from(self._map, _LOST_AT)[0]
        _U64.pack_into(self._map, _LOST_AT, noted | _BEHIND)

    def close(self) -> None:
        """Let go of the file, and of its blocks that are not used.

        A second time does nothing.
        """
        if self.is_open:
            self.is_open = False
            self._map.close()
            with suppress(OSError):
                os.ftruncate(self._fd, self.used)
            os.close(self._fd)


def make_segment(
    directory: Directory,
    sequence: int,
    size: int,
    *,
    control: int = 0,
    own: int = 0,
    durable: bool = False,
) -> Segment:
    """Make an empty segment.

    Args:
        directory: Where; a file with its name is replaced.
        sequence: Its number.
        size: Its bytes, SIZE_MIN or more.
        control: The control domain.
        own: The domain that the daemon runs in.
        durable: Whether it is going to be made safe on a disk.

    Raises:
        OSError: If that is not possible, the file system being full for instance.
    """
    seed: int = _U32.unpack(os.urandom(4))[0]
    head = _HEAD.pack(_MAGIC, FORMAT, _ORDER, sequence, control, own, durable, seed)
    head += _U32.pack(zlib.crc32(head)) + _U64.pack(START) + bytes(2 * _U64.size)
    name = segment_name(sequence)
    fd = directory.begin(name)
    try:
        os.posix_fallocate(fd, 0, size)
        os.pwrite(fd, head, 0)
        mapping = mmap.mmap(fd, size)
        try:
            if durable:
                os.fsync(fd)
            directory.finish(name, durable=durable)
        except BaseException:
            mapping.close()
            raise
    except BaseException:
        os.close(fd)
        directory.give_up(name)
        raise
    return Segment(fd, mapping, sequence, seed)


@final
class KeptSegment:
    """A segment that is read.

    Attributes:
        name: Of its file.
        sequence: Its number.
        data: All its bytes.
        seed: With which the checksums of its entries begin.
        control: The control domain.
        own: The domain that the daemon ran in.
        marked: Whether it was made safe on a disk.
        safe: Bytes at its beginning that were known to be there.
        lost: Whether inputs behind its last one were lost.
        apart: Whether some before its first one were.
        first: Number of its first input; 0 if it was not in use.
        used: Bytes up to the last one that is not zero, head included.
    """

    __slots__ = (
        "apart",
        "control",
        "data",
        "first",
        "lost",
        "marked",
        "name",
        "own",
        "safe",
        "seed",
        "sequence",
        "used",
    )

    def __init__(self, name: str, data: bytes) -> None:
        fields = _HEAD.unpack_from(data)
        self.name = name
        self.data = data
        self.sequence: int = fields[3]
        self.control: int = fields[4]
        self.own: int = fields[5]
        self.marked = bool(fields[6])
        self.seed: int = fields[7]
        self.safe: int = _U64.unpack_from(data, _SAFE_AT)[0]
        noted: int = _U64.unpack_from(data, _LOST_AT)[0]
        self.lost = bool(noted & _BEHIND)
        self.apart = bool(noted & _BEFORE)
        self.first: int = _U64.unpack_from(data, _FIRST_AT)[0]
        self.used = max(START, len(data.rstrip(b"\0")))


def read_segment(directory: Directory, sequence: int) -> KeptSegment | None:
    """Read a segment.

    Returns:
        The segment; None if nothing of it has been written.

    Raises:
        JournalError: If it is another file, or of another format or machine.
        OSError: If it cannot be read.
    """
    name = segment_name(sequence)
    data = directory.read(name)
    if len(data) < START or data.count(0) == len(data):
        return None
    fields = _HEAD.unpack_from(data)
    magic, version, order = fields[:3]
    if magic != _MAGIC:
        raise JournalError(name, 0, "it is no segment of a journal")
    if order == _OTHER_ORDER:
        raise JournalError(name, 0, "it is of a machine of another byte order")
    if version != FORMAT:
        raise JournalError(name, 0, f"format {version} is not known")
    if _U32.unpack_from(data, _CHECKSUM_AT)[0] != zlib.crc32(data[:_CHECKSUM_AT]):
        raise JournalError(name, 0, "the checksum of its head is wrong")
    if fields[3] != sequence:
        raise JournalError(name, 0, f"it is segment {fields[3]}")
    return KeptSegment(name, data)


def cut_segment(directory: Directory, sequence: int, offset: int) -> None:
    """Let a segment end at an offset, which is START or more, for good.

    Raises:
        OSError: If that is not possible.
    """
    fd = directory.open(segment_name(sequence), os.O_RDWR)
    try:
        safe: int = _U64.unpack(os.pread(fd, _U64.size, _SAFE_AT))[0]
        # First: nothing may be missing of what it promises.
        os.pwrite(fd, _U64.pack(min(safe, offset)), _SAFE_AT)
        os.ftruncate(fd, offset)
        os.fsync(fd)
    finally:
        os.close(fd)


def empty_segment(directory: Directory, sequence: int) -> None:
    """Let a segment be as if it had never been in use, for good.

    Raises:
        OSError: If that is not possible.
    """
    fd = directory.open(segment_name(sequence), os.O_RDWR)
    try:
        os.pwrite(fd, _U64.pack(START) + bytes(2 * _U64.size), _SAFE_AT)
        os.ftruncate(fd, START)
        os.fsync(fd)
    finally:
        os.close(fd)


def note_loss(directory: Directory, sequence: int) -> None:
    """Write down that inputs behind the last one of a segment are lost.

    Raises:
        OSError: If that is not possible.
    """
    fd = directory.open(segment_name(sequence), os.O_RDWR)
    try:
        noted: int = _U64.unpack(os.pread(fd, _U64.size, _LOST_AT))[0]
        os.pwrite(fd, _U64.pack(noted | _BEHIND), _LOST_AT)
    finally:
        os.close(fd)
