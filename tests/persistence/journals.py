"""Journals as a test wants them: written in one go, and read to the end."""

import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, final

import pytest
from hypothesis import strategies as st

from tests.persistence.inputs import END, frame_of, is_whole, write_of
from xsd.engine.inputs import (
    CAME,
    DOMAINS,
    FOUND,
    LIMIT,
    ORPHANS,
    REQUEST,
    RESTARTED,
    WENT,
    Input,
)
from xsd.engine.notice import Notice
from xsd.persistence.directory import Directory, segment_name, write_checkpoint
from xsd.persistence.entries import encode
from xsd.persistence.journal import NEVER, OK, WAITING, Journal
from xsd.persistence.reading import Kept, Reading, read_journal
from xsd.persistence.segment import SIZE_MIN, START, JournalError
from xsd.protocol.frame import Frame

EVERY_KIND: Final = [
    Input(CAME, 3, connection=2**40, domid=5, answers=(2**64 - 1, -1)),
    Input(WENT, 3, connection=1),
    Input(RESTARTED, 4, connection=2),
    Input(REQUEST, 5, connection=2, domid=5, frame=frame_of(bytes(range(256)) * 16)),
    Input(REQUEST, 5, connection=2, frame=frame_of(b""), answers=(2 + 22, -1)),
    Input(REQUEST, 6, connection=2, frame=frame_of(b"\0"), ordinal=2**40),
    Input(DOMAINS, 9, numbers=(1, 5, 6), answers=(0,)),
    Input(FOUND, 9, domid=6, answers=(1, 1)),
    Input(LIMIT, 9, domid=-1, name="soft-memory", numbers=(2**31,)),
    Input(ORPHANS, 9, numbers=(1,)),
]

WRITES: Final = [write_of(number, 32) for number in range(1, 101)]

_NUMBERS: Final = st.lists(st.integers(-(2**64), 2**64), max_size=5).map(tuple)
_FRAMES: Final = st.builds(
    frame_of, st.binary(max_size=4096), st.integers(0, 2**32 - 1)
)


def _input(kind: int, frame: Frame | None, *fields: object) -> Input:
    generation, connection, domid, name, numbers, answers, ordinal = fields
    return Input(
        kind,
        generation,  # type: ignore[arg-type]
        connection,  # type: ignore[arg-type]
        domid,  # type: ignore[arg-type]
        frame,
        name,  # type: ignore[arg-type]
        numbers,  # type: ignore[arg-type]
        answers,  # type: ignore[arg-type]
        ordinal,  # type: ignore[arg-type]
    )


_FIELDS: Final = (
    st.integers(-1, 2**63 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(-(2**31), 2**31 - 1),
    st.text(max_size=60),
    _NUMBERS,
    _NUMBERS,
    st.integers(0, 2**64 - 1),
)
INPUTS: Final[st.SearchStrategy[Input]] = st.one_of(
    st.builds(_input, st.just(REQUEST), _FRAMES, *_FIELDS),
    st.builds(
        _input,
        st.sampled_from([CAME, WENT, RESTARTED, DOMAINS, FOUND, LIMIT, ORPHANS]),
        st.none(),
        *_FIELDS,
    ),
)


def values_of(entry: Input) -> tuple[object, ...]:
    """Everything in an input."""
    return (
        *(entry.kind, entry.generation, entry.connection, entry.domid, entry.frame),
        *(entry.name, entry.numbers, entry.answers),
    )


def all_of(inputs: Iterable[Input]) -> list[tuple[object, ...]]:
    """Everything in all of them."""
    return [values_of(each) for each in inputs]


def size_of(entry: Input) -> int:
    """Bytes that an input takes."""
    return len(encode(entry, 1, 1))


@final
class Files:
    """A directory with a journal.

    Attributes:
        path: Of the directory.
        notices: What its writers have said.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notices: list[Notice] = []
        self._opened: list[Directory] = []

    def close(self) -> None:
        """Close the directories of its writers."""
        for each in self._opened:
            each.close()

    @property
    def told(self) -> list[str]:
        """The events of what was said."""
        return [each.event for each in self.notices]

    def open(self, sync: int = NEVER, size: int = SIZE_MIN, limit: int = 0) -> Journal:
        """Read what there is, and go on with it."""
        directory = Directory(self.path, make=True)
        self._opened.append(directory)
        directory.lock()
        reading = read_journal(directory, is_whole)
        for _ in reading:
            pass
        return Journal(
            directory,
            reading,
            self.notices.append,
            sync=sync,
            size=size,
            limit=limit,
        )

    def write(
        self, inputs: Iterable[Input], sync: int = NEVER, size: int = SIZE_MIN
    ) -> None:
        """Go on with inputs, each of which is a turn, and close it."""
        journal = self.open(sync, size)
        for each in inputs:
            journal.take(each)
            journal.end_turn()
        journal.close()
        self.close()

    def read(self) -> tuple[list[Kept], Reading]:
        """What there is."""
        directory = Directory(self.path)
        try:
            reading = read_journal(directory, is_whole)
            return list(reading), reading
        finally:
            directory.close()

    def inputs(self) -> list[Input]:
        """The inputs that there are."""
        return [each.entry for each in self.read()[0]]

    def segment(self, sequence: int) -> Path:
        """The file of a segment."""
        return self.path / segment_name(sequence)

    def edit(self, sequence: int, change: Callable[[bytearray], object]) -> None:
        """Change the bytes of a segment."""
        file = self.segment(sequence)
        data = bytearray(file.read_bytes())
        change(data)
        file.write_bytes(data)


def offsets_of(inputs: Iterable[Input]) -> list[int]:
    """Where each begins if they stand in one segment, and where the last ends."""
    found = [START]
    for each in inputs:
        found.append(found[-1] + size_of(each))
    return found


def checkpoint(files: Files, sequence: int, content: bytes = b"state" + END) -> None:
    """Write a checkpoint."""
    directory = Directory(files.path)
    write_checkpoint(directory, sequence, [content], durable=False)
    directory.close()


def refusal_of(files: Files) -> str:
    """Why a journal is refused."""
    with pytest.raises(JournalError) as caught:
        files.read()
    return str(caught.value)


def mark(files: Files, safe: int, sequence: int = 1) -> None:
    """Write down up to where a segment is on the disk."""
    files.edit(sequence, lambda data: struct.pack_into("=Q", data, 40, safe))


def zero(files: Files, begin: int, end: int, sequence: int = 1) -> None:
    """What was never written is zeros."""

    def clear(data: bytearray) -> None:
        data[begin:end] = bytes(end - begin)

    files.edit(sequence, clear)


def flip(files: Files, offset: int, sequence: int = 1) -> None:
    """Turn a bit."""

    def change(data: bytearray) -> None:
        # It ended with its last input when it was closed.
        data.extend(bytes(max(0, offset + 1 - len(data))))
        data[offset] ^= 4

    files.edit(sequence, change)


def fail(*_: object, **__: object) -> int:
    """Do what a full file system does."""
    raise OSError(28, "No space left on device")


def turn(journal: Journal, *inputs: Input) -> None:
    """Take inputs as one turn."""
    for each in inputs:
        journal.take(each)
    journal.end_turn()


def names(files: Files) -> list[str]:
    """The segments and checkpoints that there are, and what is no whole one."""
    found = sorted(each.name for each in files.path.iterdir())
    return [each for each in found if each != "lock"]


def segments(*sequences: int) -> list[str]:
    """Their names."""
    return [segment_name(each) for each in sequences]


def mend(files: Files, journal: Journal) -> None:
    """Make a checkpoint, as the daemon does where one is wanted."""
    assert journal.wants_checkpoint
    sequence = journal.rotate()
    assert (journal.state, journal.wants_checkpoint) == (WAITING, True)
    directory = Directory(files.path)
    write_checkpoint(directory, sequence, [END], durable=False)
    directory.close()
    journal.drop_before(sequence)
    assert (journal.state, journal.wants_checkpoint) == (OK, False)
    assert (journal.reason, journal.dropped) == ("", 0)
