r"""Reading a journal: the newest whole checkpoint, and the inputs behind it.

The first entry that is not whole ends a journal or is damage. It is its *torn tail*, is
cut and said, if what ended the writer can have left it so:

- The process was killed. Then memory is as the process left it, also in a file that is
  mapped: all entries are whole but the one that was being copied, which may be any
  mixture of its bytes and zeros. So nothing whole is behind it.
- The machine went down, and the journal is on a disk. Then sectors of the tail may be
  missing though later ones are there. A sector that is missing is as it was before:
  as a file has its blocks from the start and is only appended to, it ends in zeros. A
  segment says up to where it is known to be on the disk (`safe`), and nothing before
  that can be missing. So behind that, an entry of which a sector ends in zeros is torn,
  and so is all that follows, whole or not: it was not promised yet.

All else is damage, and refused: a wrong checksum with whole entries behind it, an entry
that is not whole where the disk had all of it, inputs or segments that are missing. So
is a torn entry that cannot be told from damage: a refusal is mended by hand, a lie is
not.

Inputs that were lost while the journal was broken end it, too: a segment that was begun
behind such says so, and is of use behind its checkpoint only.
"""

from collections.abc import Callable, Iterator
from typing import Final, final

from xsd.engine.inputs import Input
from xsd.persistence.directory import (
    CHECKPOINT,
    SEGMENT,
    Directory,
    checkpoint_name,
    segment_name,
)
from xsd.persistence.entries import (
    ALIGNMENT,
    EntryError,
    decode,
    is_whole,
    length_at,
    number_at,
    parse,
)
from xsd.persistence.segment import (
    START,
    JournalError,
    KeptSegment,
    cut_segment,
    empty_segment,
    read_segment,
)

_SECTOR: Final = 512
"""Bytes that a disk writes at once, at the least."""


@final
class Kept:
    """An input of a journal, and where it is.

    Attributes:
        name: Of the segment's file.
        offset: Of its entry there, in bytes.
        number: Of the input, from 1.
        entry: The input.
    """

    __slots__ = ("entry", "name", "number", "offset")

    def __init__(self, name: str, offset: int, number: int, entry: Input) -> None:
        self.name = name
        self.offset = offset
        self.number = number
        self.entry = entry


@final
class Torn:
    """The torn tail of a journal.

    Attributes:
        name: Of the segment in which it begins.
        offset: Where, in bytes.
        size: Bytes that are not zero or between such, those of later segments included.
    """

    __slots__ = ("name", "offset", "size")

    def __init__(self, name: str, offset: int, size: int) -> None:
        self.name = name
        self.offset = offset
        self.size = size

    def __str__(self) -> str:
        return f"{self.name}, offset {self.offset}: torn, {self.size} bytes"


@final
class Reading:
    """What is in a journal. It is iterated over once.

    Attributes:
        checkpoint: The state with which it begins, or None for an empty store.
        checkpoint_name: Of its file, or "".
        passed_over: Names of newer checkpoints that are not whole.
        control: The control domain, as the segment says that was read last; 0 if none.
        own: The domain that the daemon ran in, in the same way.
        torn: After the last input: the tail that was cut, if any.
        lost: After the last input: whether inputs behind some were lost, so that the
            state is an earlier one.
        number: Of the input that was read last; 0 if there is none.
        last: Sequence number of the last segment that there is; 0 if there is none.
        next: Sequence number of the segment with which the journal goes on.
        is_read: Whether it was read to its end.
    """

    __slots__ = (
        "_directory",
        "_segments",
        "_stop",
        "checkpoint",
        "checkpoint_name",
        "control",
        "is_read",
        "last",
        "lost",
        "next",
        "number",
        "own",
        "passed_over",
        "torn",
    )

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._segments: list[int] = []
        # Where the journal goes on no more, if that is before the end of its files: how
        # many segments are left, and the offset in the last of them.
        self._stop: tuple[int, int] | None = None
        self.checkpoint: bytes | None = None
        self.checkpoint_name = ""
        self.passed_over: list[str] = []
        self.control = 0
        self.own = 0
        self.torn: Torn | None = None
        self.lost = False
        self.number = 0
        self.last = 0
        self.next = 1
        self.is_read = False

    def begin(self, is_whole_checkpoint: Callable[[bytes], bool]) -> None:
        """Find the checkpoint and the segments behind it; see `read_journal`."""
        directory = self._directory
        segments = directory.numbers(SEGMENT)
        checkpoints = directory.numbers(CHECKPOINT)
        first = 1
        for sequence in reversed(checkpoints):
            name = checkpoint_name(sequence)
            content = directory.read(name)
            if is_whole_checkpoint(content):
                self.checkpoint, self.checkpoint_name = content, name
                first = sequence
                break
            self.passed_over.append(name)
        if self.checkpoint is None and self.passed_over and 1 not in segments:
            raise JournalError(self.passed_over[0], 0, "it is not whole")
        self._segments = [each for each in segments if each >= first]
        for place, sequence in enumerate(self._segments):
            if sequence != first + place:
                raise JournalError(segment_name(first + place), 0, "it is missing")
        if self._segments:
            self.last = self._segments[-1]
        self.next = max(self.last + 1, first)

    def __iter__(self) -> Iterator[Kept]:
        """The inputs, in order.

        Raises:
            JournalError: At damage. What came before it is good.
            OSError: If a segment cannot be read.
        """
        yield from self._inputs()
        self.is_read = True

    def _inputs(self) -> Iterator[Kept]:
        before: KeptSegment | None = None
        end = START
        for place, sequence in enumerate(self._segments):
            segment = self._read(place, sequence)
            if segment is None:
                return
            if segment.apart and (place or self.checkpoint is None):
                self.lost = True
                self._stop = (place, end)
                return
            if before is not None and self._begins_later(segment):
                reason = f"input {self.number + 1} is missing"
                self._end_for(place - 1, before, end, reason, segment.name)
                return
            if not self.number and self.checkpoint is not None and segment.first:
                self.number = segment.first - 1
            at = START
            while is_whole(segment.data, at, segment.seed):
                yield from self._kept(segment, at)
                at += length_at(segment.data, at)
            self.lost = self.lost or segment.lost
            if segment.used > at or segment.safe > at:
                self._end(place, segment, at)
                return
            before, end = segment, at

    def _read(self, place: int, sequence: int) -> KeptSegment | None:
        """Read a segment; None if the journal ends with one that was not made."""
        segment = read_segment(self._directory, sequence)
        if segment is not None:
            self.control = segment.control
            self.own = segment.own
            return segment
        name = segment_name(sequence)
        if place + 1 < len(self._segments):
            raise JournalError(name, 0, "it has no head")
        size = len(self._directory.read(name))
        if 0 < size < START:
            self.torn = Torn(name, 0, size)
        # It is made anew.
        self.next = sequence
        return None

    def _kept(self, segment: KeptSegment, at: int) -> Iterator[Kept]:
        """The inputs of an entry."""
        number = number_at(segment.data, at)
        expected = self.number + 1
        if number != expected and (self.number or self.checkpoint is None):
            raise JournalError(
                segment.name, at, f"it has input {number}, not {expected}"
            )
        try:
            inputs = parse(segment.data, at)
        except EntryError as error:
            raise JournalError(segment.name, at, error.reason) from error
        for place, entry in enumerate(inputs):
            self.number = number + place
            yield Kept(segment.name, at, self.number, entry)

    def _begins_later(self, segment: KeptSegment) -> bool:
        """Tell whether a segment begins with another input than the next one."""
        first = segment.first
        if not first and is_whole(segment.data, START, segment.seed):
            first = number_at(segment.data, START)
        return first not in (0, self.number + 1)

    def _end(self, place: int, segment: KeptSegment, at: int) -> None:
        """Find out what it is that there is no whole entry at an offset.

        Raises:
            JournalError: If it is damage.
        """
        try:
            decode(segment.data, at, segment.seed)
        except EntryError as error:
            behind = segment.name if _has_whole(segment, at + ALIGNMENT) else ""
            self._end_for(place, segment, at, error.reason, behind)

    def _end_for(
        self, place: int, segment: KeptSegment, at: int, reason: str, behind: str
    ) -> None:
        """End at an offset, if it is the torn tail that is there."""
        later = [self._later(each) for each in self._segments[place + 1 :]]
        if segment.safe > at or any(each.safe > START for each in later):
            reason += "; it was on the disk"
            raise JournalError(segment.name, at, reason)
        for each in later:
            if not behind and (each.first or _has_whole(each, START)):
                behind = each.name
        if behind and not (segment.marked and _has_hole(segment.data, at)):
            reason += f"; {behind} goes on behind it"
            raise JournalError(segment.name, at, reason)
        size = max(0, segment.used - at) + sum(each.used - START for each in later)
        self.torn = Torn(segment.name, at, size)
        self._stop = (place + 1, at)

    def _later(self, sequence: int) -> KeptSegment:
        """A segment behind the place where the journal does not go on."""
        segment = read_segment(self._directory, sequence)
        if segment is None:
            raise JournalError(segment_name(sequence), 0, "it has no head")
        return segment

    def cut(self) -> None:
        """Take away what is behind the last input, so that others can follow it.

        Raises:
            OSError: If that is not possible.
        """
        if self._stop is None:
            return
        left, offset = self._stop
        # From the end: whatever comes between, the tail stays one.
        for sequence in reversed(self._segments[left:]):
            empty_segment(self._directory, sequence)
        if left:
            cut_segment(self._directory, self._segments[left - 1], offset)
        self._stop = None


def read_journal(
    directory: Directory, is_whole_checkpoint: Callable[[bytes], bool]
) -> Reading:
    """Read a journal; one that is not there yet is empty.

    Args:
        directory: Where it is. Nothing is changed in it.
        is_whole_checkpoint: Tells whether the bytes of a checkpoint are all of it.

    Returns:
        The checkpoint, and the inputs behind it to iterate over.

    Raises:
        JournalError: If no checkpoint is whole, or a segment is missing.
        OSError: If it cannot be read.
    """
    reading = Reading(directory)
    reading.begin(is_whole_checkpoint)
    return reading


def _has_whole(segment: KeptSegment, start: int) -> bool:
    """Tell whether a whole entry begins at or behind an offset."""
    for at in range(start, segment.used, ALIGNMENT):
        if length_at(segment.data, at) and is_whole(segment.data, at, segment.seed):
            return True
    return False


def _has_hole(data: bytes, at: int) -> bool:
    """Tell whether a sector of the entry at an offset may not have been written.

    Then it ends in zeros, where the end of a length, or a number, would be.
    """
    if not any(data[at : at + ALIGNMENT]):
        return True
    end = at + length_at(data, at)
    for stop in range(at - at % _SECTOR + _SECTOR, end + _SECTOR, _SECTOR):
        begin = max(at, stop - _SECTOR)
        written = begin + len(data[begin:stop].rstrip(b"\0"))
        # Less may be the padding of an entry, behind which nothing was.
        if min(end, stop) - written >= ALIGNMENT:
            return True
    return False
