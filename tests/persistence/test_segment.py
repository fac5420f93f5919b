"""Segments: made whole or not at all, and nothing else is taken for one."""

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.persistence.inputs import write_of
from xsd.persistence.directory import Directory, segment_name
from xsd.persistence.entries import decode, encode
from xsd.persistence.segment import (
    SIZE_MIN,
    START,
    JournalError,
    cut_segment,
    make_segment,
    note_loss,
    read_segment,
)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Directory]:
    """An empty one."""
    opened = Directory(tmp_path / "journal", make=True)
    yield opened
    opened.close()


def file_of(directory: Directory, sequence: int = 3) -> Path:
    """The file of a segment."""
    return directory.path / segment_name(sequence)


def head_of(**fields: object) -> bytes:
    """A head with some other fields and a right checksum."""
    of = {"magic": b"xsdjrnl\n", "format": 3, "order": 0x01020304, "sequence": 3}
    of.update(fields)
    head = struct.pack(
        "=8sIIQHHII",
        *(of["magic"], of["format"], of["order"], of["sequence"], 0, 0, 0, 1),
    )
    return head + struct.pack("=IQQQ", zlib.crc32(head), START, 0, 0)


def test_what_is_written_can_be_read_at_once(directory: Directory) -> None:
    """By another process, too: nothing waits in memory that ends with this one."""
    segment = make_segment(directory, 3, SIZE_MIN, control=5, own=7)
    segment.begin(9)
    entry = encode(write_of(1), 9, segment.seed)
    segment.append(entry)
    kept = read_segment(directory, 3)

    assert kept is not None
    assert (kept.sequence, kept.control, kept.own) == (3, 5, 7)
    assert (kept.marked, kept.lost) == (False, False)
    assert (kept.safe, kept.first) == (START, 9)
    assert kept.data[START:].rstrip(b"\0") == entry.rstrip(b"\0")
    assert [each.frame for each in decode(kept.data, START, kept.seed)] == [
        write_of(1).frame
    ]
    assert segment.used == START + len(entry)
    segment.close()
    segment.close()


def test_its_blocks_are_there_from_the_start(directory: Directory) -> None:
    """A hole that is to be filled in the mapping could end the process."""
    segment = make_segment(directory, 3, 1 << 20, durable=False)
    status = file_of(directory).stat()

    assert status.st_size == 1 << 20
    assert status.st_blocks * 512 >= 1 << 20
    assert status.st_mode & 0o7777 == 0o600
    segment.close()


@pytest.mark.parametrize("durable", [False, True])
def test_it_has_its_name_when_it_is_on_the_disk(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, durable: bool
) -> None:
    """With its blocks and its head; without a disk nothing is waited for."""
    done: list[str] = []

    def note(name: str) -> None:
        call = getattr(os, name)

        def noted(*words: object, **named: object) -> object:
            done.append(name)
            return call(*words, **named)

        monkeypatch.setattr(os, name, noted)

    for name in ("posix_fallocate", "pwrite", "fsync", "rename"):
        note(name)
    make_segment(directory, 3, SIZE_MIN, durable=durable).close()

    expected = ["posix_fallocate", "pwrite", "fsync", "rename", "fsync"]
    assert done == [each for each in expected if durable or each != "fsync"]


def test_each_has_a_seed_of_its_own(directory: Directory) -> None:
    """Nobody can know it before, and what another one had is nothing here."""
    made = [make_segment(directory, n, SIZE_MIN, durable=False) for n in range(4)]

    assert len({segment.seed for segment in made}) == 4
    for segment in made:
        segment.close()


def test_what_is_on_the_disk_is_written_down(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After it is there, never before; nothing new is not waited for."""
    seen: list[int] = []

    def look(_: int) -> None:
        kept = read_segment(directory, 3)
        assert kept is not None
        seen.append(kept.safe)

    segment = make_segment(directory, 3, SIZE_MIN, durable=True)
    monkeypatch.setattr(os, "fdatasync", look)
    segment.make_safe()
    segment.append(encode(write_of(1), 1, segment.seed))
    segment.make_safe()
    segment.make_safe()
    kept = read_segment(directory, 3)

    assert kept is not None
    assert kept.marked
    assert kept.safe == segment.used > START
    assert seen == [START, START]
    segment.close()


def test_what_the_disk_has_refused_once_is_never_safe(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system forgets the pages that it could not write, and says so once."""

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    segment = make_segment(directory, 3, SIZE_MIN, durable=True)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        with pytest.raises(OSError, match="Input/output"):
            segment.make_safe()
    segment.append(encode(write_of(1), 1, segment.seed))
    segment.make_safe()
    kept = read_segment(directory, 3)

    assert kept is not None
    assert kept.safe == START
    segment.close()


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (head_of(magic=b"whatever"), "it is no segment of a journal"),
        (head_of(format=2), "format 2 is not known"),
        (
            head_of(order=0x04030201, format=0x01000000),
            "it is of a machine of another byte order",
        ),
        (head_of(sequence=4), "it is segment 4"),
        (head_of()[:36] + bytes(28), "the checksum of its head is wrong"),
        (bytes(START) + b"\0\0\0\1", "it is no segment of a journal"),
    ],
)
def test_what_is_no_segment_is_refused(
    directory: Directory, head: bytes, reason: str
) -> None:
    """With the name of the file."""
    file_of(directory).write_bytes(head)

    with pytest.raises(JournalError) as caught:
        read_segment(directory, 3)

    assert str(caught.value) == f"segment.0000000003, offset 0: {reason}"


@pytest.mark.parametrize("data", [b"", head_of()[:-1], bytes(SIZE_MIN)])
def test_a_file_without_a_head_has_nothing(directory: Directory, data: bytes) -> None:
    """The machine went down before it was written."""
    file_of(directory).write_bytes(data)

    assert read_segment(directory, 3) is None


def test_a_link_is_not_followed(directory: Directory) -> None:
    """Nor is a pipe waited for."""
    file_of(directory).symlink_to(directory.path / "other")
    os.mkfifo(file_of(directory, 4))

    with pytest.raises(OSError, match="symbolic link"):
        read_segment(directory, 3)
    assert read_segment(directory, 4) is None


def test_a_cut_takes_the_promise_back(directory: Directory) -> None:
    """Or what was cut would be missing."""
    segment = make_segment(directory, 3, SIZE_MIN, durable=True)
    for number in (1, 2):
        segment.append(encode(write_of(number), number, segment.seed))
    segment.make_safe()
    segment.close()
    cut_segment(directory, 3, START + 8)
    kept = read_segment(directory, 3)

    assert kept is not None
    assert (kept.safe, len(kept.data)) == (START + 8, START + 8)


def test_a_loss_is_written_down(directory: Directory) -> None:
    """Through the mapping, or in the file."""
    for sequence in (1, 2):
        segment = make_segment(directory, sequence, SIZE_MIN, durable=False)
        if sequence == 1:
            segment.note_loss()
        segment.close()
    note_loss(directory, 2)
    kept = [read_segment(directory, sequence) for sequence in (1, 2)]

    assert [each is not None and each.lost for each in kept] == [True, True]


def test_a_loss_before_the_first_input_is_another(directory: Directory) -> None:
    """It stays written down beside one behind the last input."""
    for sequence in (1, 2, 3):
        segment = make_segment(directory, sequence, SIZE_MIN, durable=False)
        segment.begin(7, apart=True)
        if sequence == 2:
            segment.note_loss()
        segment.close()
    note_loss(directory, 3)
    kept = [read_segment(directory, sequence) for sequence in (1, 2, 3)]

    found = [(each.apart, each.lost, each.first) for each in kept if each is not None]
    assert found == [(True, False, 7), (True, True, 7), (True, True, 7)]
