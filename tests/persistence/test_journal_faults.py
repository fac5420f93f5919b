"""A journal that cannot be written: it is said, and mended when it can be."""

import mmap
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import final

import pytest

from tests.persistence.inputs import write_of
from tests.persistence.journals import (
    Files,
    all_of,
    fail,
    mend,
    names,
    segments,
    size_of,
    turn,
)
from xsd.engine.inputs import CAME, DOMAINS, Input
from xsd.persistence.directory import Directory
from xsd.persistence.journal import (
    ALWAYS,
    BROKEN,
    EVERYSEC,
    OK,
    RETRY_MS,
    SHORT,
    Journal,
)
from xsd.persistence.reading import read_journal
from xsd.persistence.segment import SIZE_MIN, START

WRITES = [write_of(number, 32) for number in range(1, 201)]
IN_A_SEGMENT = (SIZE_MIN - START) // size_of(WRITES[0])
FITS_NOWHERE = Input(DOMAINS, 1, numbers=(1,) * 300)
UNWRITABLE = Input(CAME, 2**70)


@final
class Refusing:
    """Removes only what is not there."""

    def __init__(self, unlink: Callable[..., None]) -> None:
        self._unlink = unlink

    def __call__(self, name: str, *, dir_fd: int) -> None:
        if name in os.listdir(dir_fd):
            fail()
        self._unlink(name, dir_fd=dir_fd)


@pytest.mark.parametrize("entry", [FITS_NOWHERE, UNWRITABLE], ids=["large", "number"])
@pytest.mark.parametrize("is_prepared", [False, True])
def test_an_input_that_cannot_be_written_breaks_it(
    files: Files, entry: Input, is_prepared: bool
) -> None:
    """It has happened, and the tape may not raise; a checkpoint has it."""
    journal = files.open()
    before = WRITES[: IN_A_SEGMENT - 1 if is_prepared else 3]
    turn(journal, *before)
    turn(journal, entry, *WRITES[3:6])

    assert (journal.state, journal.dropped) == (BROKEN, 4)
    assert (entry is FITS_NOWHERE) == ("fits into no segment" in journal.reason)
    assert files.told == ["journal.broken"]
    assert all_of(files.inputs()) == all_of(before)
    assert files.read()[1].lost
    journal.tend(0)
    mend(files, journal)
    turn(journal, *WRITES[6:9])
    journal.close()
    assert all_of(files.inputs()) == all_of(WRITES[6:9])
    assert not files.read()[1].lost
    assert files.told == ["journal.broken", "journal.resumed"]


CALLS = [(os, "open"), (os, "posix_fallocate"), (os, "pwrite"), (os, "rename")]
CALLS = [*CALLS, (mmap, "mmap"), (os, "fsync")]
calls = pytest.mark.parametrize(("where", "call"), CALLS, ids=[b for _, b in CALLS])


@calls
def test_a_segment_that_cannot_be_made_is_told_before_it_is_needed(
    files: Files, monkeypatch: pytest.MonkeyPatch, where: object, call: str
) -> None:
    """Once; it is tried again each second, and nothing is lost if that helps."""
    journal = files.open(EVERYSEC)
    with monkeypatch.context() as patch:
        patch.setattr(where, call, fail)
        for each in WRITES[: IN_A_SEGMENT - 1]:
            turn(journal, each)
        assert (journal.state, journal.wants_checkpoint) == (SHORT, False)
        assert journal.reason == "[Errno 28] No space left on device"
        assert files.told == ["journal.no_segment"]
        journal.tend(5000)
        journal.tend(5000 + RETRY_MS)
        assert journal.state == SHORT
        assert names(files) == segments(1)
    journal.tend(5000 + 2 * RETRY_MS - 1)
    assert journal.state == SHORT
    journal.tend(5000 + 2 * RETRY_MS)
    assert (journal.state, journal.reason) == (OK, "")
    turn(journal, *WRITES[IN_A_SEGMENT - 1 :])
    journal.close()

    assert files.told == ["journal.no_segment", "journal.resumed"]
    assert all_of(files.inputs()) == all_of(WRITES)


def test_turns_do_not_try_again_to_make_a_segment(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each try costs time while nothing is answered; that it is due says the clock."""
    tries: list[object] = []

    def count(*words: object) -> None:
        tries.append(words)
        fail()

    journal = files.open()
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", count)
        for each in WRITES[: IN_A_SEGMENT - 1]:
            turn(journal, each)
        assert len(tries) == 1
        journal.tend(0)
        assert len(tries) == 2
    journal.close()


@calls
def test_it_breaks_when_there_is_no_segment(
    files: Files, monkeypatch: pytest.MonkeyPatch, where: object, call: str
) -> None:
    """Serving goes on, and a checkpoint makes it whole when there is room again."""
    journal = files.open(EVERYSEC)
    with monkeypatch.context() as patch:
        patch.setattr(where, call, fail)
        for each in WRITES[: IN_A_SEGMENT + 5]:
            turn(journal, each)
        assert (journal.state, journal.dropped) == (BROKEN, 5)
        assert files.told == ["journal.no_segment", "journal.broken"]
        assert files.notices[-1].fields == {
            "path": str(files.path),
            "reason": "[Errno 28] No space left on device",
            "dropped": 1,
        }
        journal.tend(RETRY_MS)
        assert not journal.wants_checkpoint
        with pytest.raises(OSError, match="No space"):
            journal.rotate()
        assert journal.state == BROKEN
    assert names(files) == segments(1)
    assert all_of(files.inputs()) == all_of(WRITES[:IN_A_SEGMENT])
    assert files.read()[1].lost
    journal.tend(2 * RETRY_MS)
    turn(journal, WRITES[0])
    mend(files, journal)
    turn(journal, *WRITES[100:110])
    journal.close()

    assert all_of(files.inputs()) == all_of(WRITES[100:110])
    assert files.told == ["journal.no_segment", "journal.broken", "journal.resumed"]


def test_it_may_break_again_before_the_checkpoint_stands(files: Files) -> None:
    """That one is of no use then, and another one is wanted."""
    journal = files.open()
    turn(journal, WRITES[0], UNWRITABLE)
    sequence = journal.rotate()
    turn(journal, WRITES[1], UNWRITABLE, WRITES[2])
    journal.drop_before(sequence)
    assert (journal.state, journal.dropped) == (BROKEN, 3)
    journal.tend(0)
    mend(files, journal)
    journal.close()


@calls
def test_it_may_be_broken_from_the_start(
    files: Files, monkeypatch: pytest.MonkeyPatch, where: object, call: str
) -> None:
    """What is there is left, and says that something is missing behind it."""
    files.write(WRITES[:5], EVERYSEC)
    directory = Directory(files.path)
    reading = read_journal(directory, lambda _: True)
    assert len(list(reading)) == 5
    make = os.open

    def fail_to_make(path: str, flags: int, *mode: int, **fd: int) -> int:
        return (fail if flags & os.O_CREAT else make)(path, flags, *mode, **fd)

    write = os.pwrite

    def fail_to_begin(fd: int, data: bytes, offset: int) -> int:
        return (write if offset else fail)(fd, data, offset)

    instead = {"open": fail_to_make, "pwrite": fail_to_begin}.get(call, fail)
    with monkeypatch.context() as patch:
        patch.setattr(where, call, instead)
        journal = Journal(directory, reading, files.notices.append, sync=EVERYSEC)
    turn(journal, WRITES[5])
    assert (journal.state, journal.dropped) == (BROKEN, 1)
    assert files.told == ["journal.broken"]
    assert all_of(files.inputs()) == all_of(WRITES[:5])
    assert files.read()[1].lost
    journal.tend(0)
    mend(files, journal)
    turn(journal, WRITES[6])
    journal.close()
    assert all_of(files.inputs()) == all_of(WRITES[6:7])
    directory.close()


def test_it_may_be_broken_before_there_is_anything(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first checkpoint is what it begins with, then."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "posix_fallocate", fail)
        journal = files.open()
    turn(journal, *WRITES[:3])
    assert (journal.state, journal.dropped, names(files)) == (BROKEN, 3, [])
    journal.tend(0)
    mend(files, journal)
    turn(journal, *WRITES[3:5])
    journal.close()

    assert all_of(files.inputs()) == all_of(WRITES[3:5])


def test_it_breaks_once(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """That the disk fails as well is no news, and no second loss."""
    journal = files.open(EVERYSEC)
    turn(journal, WRITES[0], UNWRITABLE)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        journal.sync()
    journal.tend(0)
    assert files.told == ["journal.broken"]
    mend(files, journal)
    journal.close()


def test_what_cannot_be_tidied_up_is_tidied_up_later(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is told of once; the next process removes what is left."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", fail)
        patch.setattr(os, "unlink", Refusing(os.unlink))
        journal = files.open()
    journal.close()
    assert names(files) == ["new.segment.0000000001"]
    files.write(WRITES[:2])

    assert names(files) == segments(1)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB in memory."""
    place = tmp_path / "small"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs", str(place)]
    try:
        done = subprocess.run(words, check=False, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"no mount here: {error}")
    if done.returncode:
        pytest.skip(f"a file system cannot be mounted: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)  # noqa: S607


def test_a_full_file_system_ends_nothing(small: Path) -> None:
    """Not the process, with SIGBUS; when there is room again, it goes on."""
    files = Files(small / "journal")
    journal = files.open(size=16_384)
    filler = small / "filler"
    count = 0
    while journal.state != BROKEN:
        turn(journal, WRITES[count % 200])
        count += 1
        if count == 10:
            free = os.statvfs(small).f_bavail * 4096
            filler.write_bytes(bytes(free - 4096))
    in_one = (16_384 - START) // size_of(WRITES[0])
    assert files.told == ["journal.no_segment", "journal.broken"]
    assert count == in_one + 1
    assert all_of(files.inputs()) == all_of((WRITES * 2)[:in_one])
    turn(journal, *WRITES)
    journal.tend(RETRY_MS)
    assert not journal.wants_checkpoint

    filler.unlink()
    journal.tend(2 * RETRY_MS)
    mend(files, journal)
    turn(journal, *WRITES[:10])
    journal.close()
    assert all_of(files.inputs()) == all_of(WRITES[:10])
    files.close()


def test_what_cannot_be_removed_is_told(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in nobody's way."""
    journal = files.open()
    turn(journal, *WRITES[:3])
    sequence = journal.rotate()
    monkeypatch.setattr(os, "unlink", fail)
    journal.drop_before(sequence)
    journal.close()

    assert files.told == ["journal.not_removed"]
    assert journal.path == files.path


@pytest.mark.parametrize("sync", [EVERYSEC, ALWAYS])
def test_a_disk_that_fails_breaks_it(
    files: Files, monkeypatch: pytest.MonkeyPatch, sync: int
) -> None:
    """It is said by the next turn, or without one; only a checkpoint mends it."""

    def eio(_: int) -> None:
        raise OSError(5, "Input/output error")

    journal = files.open(sync)
    turn(journal, *WRITES[:IN_A_SEGMENT], WRITES[0])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", eio)
        journal.take(WRITES[1])
        if sync == ALWAYS:
            journal.end_turn()
        else:
            journal.sync()
            assert journal.state == OK
            journal.tend(0)
    assert (journal.state, journal.reason) == (BROKEN, "[Errno 5] Input/output error")
    assert files.told == ["journal.broken"]
    journal.sync()
    turn(journal, WRITES[2])
    assert files.told == ["journal.broken"]
    journal.tend(RETRY_MS)
    mend(files, journal)
    turn(journal, WRITES[3])
    journal.close()
    assert all_of(files.inputs()) == all_of(WRITES[3:4])


@pytest.mark.parametrize("sync", [EVERYSEC, ALWAYS])
def test_a_checkpoint_is_not_begun_on_a_disk_that_fails(
    files: Files, monkeypatch: pytest.MonkeyPatch, sync: int
) -> None:
    """Its segment has to be there before it; until then all is as before."""
    journal = files.open(sync)
    turn(journal, *WRITES[:3])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        for _ in range(2):
            with pytest.raises(OSError, match="No space"):
                journal.rotate()
    assert names(files) == segments(1)
    turn(journal, *WRITES[3:6])
    assert journal.rotate() == 2
    turn(journal, *WRITES[6:9])
    journal.close()

    assert all_of(files.inputs()) == all_of(WRITES[:9])
    assert files.told == []


def test_the_last_failure_is_told_at_the_end(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing is the last chance to be safe."""
    journal = files.open(EVERYSEC)
    journal.take(WRITES[0])
    monkeypatch.setattr(os, "fdatasync", fail)
    journal.close()
    journal.take(WRITES[1])

    assert files.told == ["journal.broken"]
