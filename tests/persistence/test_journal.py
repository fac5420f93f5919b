"""The journal: what is taken is in the files, or it is said that it is not."""

import os
import threading

import pytest

from tests.persistence.inputs import END, write_of
from tests.persistence.journals import (
    Files,
    all_of,
    names,
    segments,
    size_of,
    turn,
    values_of,
)
from xsd.engine.inputs import DOMAINS, Input
from xsd.persistence.directory import (
    Directory,
    checkpoint_name,
    segment_name,
    write_checkpoint,
)
from xsd.persistence.journal import (
    ALWAYS,
    BROKEN,
    EVERYSEC,
    NEVER,
    SYNCS,
    Journal,
)
from xsd.persistence.reading import read_journal
from xsd.persistence.segment import SIZE, SIZE_MIN, START, read_segment

WRITES = [write_of(number, 32) for number in range(1, 201)]
IN_A_SEGMENT = (SIZE_MIN - START) // size_of(WRITES[0])


def test_an_input_is_in_the_file_when_it_was_taken(files: Files) -> None:
    """Before anything of its reply leaves, whatever becomes of the process."""
    journal = files.open()
    for count in range(1, 6):
        journal.take(WRITES[count - 1])
        assert all_of(files.inputs()) == all_of(WRITES[:count])
    journal.close()


@pytest.mark.parametrize("sync", range(len(SYNCS)))
def test_segments_follow_each_other(files: Files, sync: int) -> None:
    """An entry that does not fit begins the next one; none is cut in two."""
    files.write(WRITES, sync)

    assert all_of(files.inputs()) == all_of(WRITES)
    for sequence in range(1, len(WRITES) // IN_A_SEGMENT + 1):
        used = len(files.segment(sequence).read_bytes().rstrip(b"\0"))
        assert SIZE_MIN - used < size_of(WRITES[0]) + 8
    assert files.told == []


def test_a_segment_may_be_full_to_the_last_byte(files: Files) -> None:
    """And the next input is the first of the next one."""
    left = SIZE_MIN - START - 30 * 104
    last = write_of(31, 32 + left - 104)
    assert size_of(last) == left
    files.write([*WRITES[:30], last, *WRITES[30:32]])

    assert files.segment(1).read_bytes()[-8:].strip(b"\0")
    kept, _ = files.read()
    assert [each.name for each in kept[30:]] == segments(1, 2, 2)


def test_the_next_segment_is_made_when_one_is_half_full(files: Files) -> None:
    """At the end of a turn, so that none of the requests waits for it."""
    journal = files.open()
    count = IN_A_SEGMENT // 2
    turn(journal, *WRITES[:count])
    assert names(files) == segments(1)
    journal.take(WRITES[count])
    assert names(files) == segments(1)
    journal.end_turn()
    assert names(files) == segments(1, 2)
    journal.end_turn()
    assert names(files) == segments(1, 2)
    journal.close()


def test_a_turn_may_take_more_than_half_a_segment(files: Files) -> None:
    """The next one is made where it is needed, then."""
    journal = files.open()
    turn(journal, *WRITES)
    journal.close()

    assert all_of(files.inputs()) == all_of(WRITES)
    assert files.told == []


def test_the_default_size_takes_every_input(files: Files) -> None:
    """Also one of all domains at once."""
    many = Input(DOMAINS, 1, numbers=(2**64,) * 65_535, answers=(2**64,) * 65_535)
    files.write([WRITES[0], many, WRITES[1]], size=SIZE)

    assert [values_of(each)[0] for each in files.inputs()] == [
        *(WRITES[0].kind, DOMAINS, WRITES[1].kind)
    ]


def test_a_journal_that_was_not_read_is_not_gone_on_with(files: Files) -> None:
    """Its next number is not known."""
    directory = Directory(files.path, make=True)
    with pytest.raises(ValueError, match="Reading"):
        Journal(directory, read_journal(directory, lambda _: True), print)
    directory.close()


def test_a_checkpoint_makes_what_is_before_it_superfluous(files: Files) -> None:
    """Its number is that of the segment with what comes after it."""
    journal = files.open()
    for each in WRITES[:100]:
        turn(journal, each)
    assert journal.size == 100 * size_of(WRITES[0])
    sequence = journal.rotate()
    turn(journal, *WRITES[100:103])
    directory = Directory(files.path)
    write_checkpoint(directory, 1, [b"before", END], durable=False)
    write_checkpoint(directory, sequence, [b"now", END], durable=False)
    directory.close()
    assert journal.size == 103 * size_of(WRITES[0])
    journal.drop_before(1)
    assert journal.size == 103 * size_of(WRITES[0])
    journal.drop_before(sequence)
    assert journal.size == 3 * size_of(WRITES[0])
    kept, reading = files.read()
    journal.close()

    assert names(files) == [checkpoint_name(sequence), segment_name(sequence)]
    assert reading.checkpoint == b"now" + END
    assert all_of(each.entry for each in kept) == all_of(WRITES[100:103])
    assert (kept[0].number, journal.number) == (101, 103)


def test_until_a_checkpoint_stands_nothing_is_superfluous(files: Files) -> None:
    """It may be written in its own time, or never."""
    journal = files.open()
    turn(journal, *WRITES[:3])
    for count in (3, 4):
        journal.rotate()
        turn(journal, WRITES[count])
    journal.close()

    assert all_of(files.inputs()) == all_of(WRITES[:5])


def test_always_waits_for_the_disk_at_the_end_of_a_turn(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, however many inputs there are, and not if there are none."""
    done: list[int] = []
    journal = files.open(ALWAYS, SIZE)
    monkeypatch.setattr(os, "fdatasync", done.append)
    turn(journal, *WRITES[:50])
    assert len(done) == 1
    turn(journal)
    assert len(done) == 1
    directory = Directory(files.path)
    kept = read_segment(directory, 1)
    directory.close()
    assert kept is not None
    assert kept.safe == START + 50 * size_of(WRITES[0])
    journal.close()


@pytest.mark.parametrize("sync", [NEVER, EVERYSEC])
def test_others_do_not_wait_for_the_disk_in_a_turn(
    files: Files, monkeypatch: pytest.MonkeyPatch, sync: int
) -> None:
    """EVERYSEC does when it is told to, for all that came since, in order."""
    done: list[int] = []
    journal = files.open(sync)
    monkeypatch.setattr(os, "fdatasync", done.append)
    turn(journal, *WRITES[: 2 * IN_A_SEGMENT + 1])
    assert done == []
    journal.sync()
    journal.sync()
    assert len(set(done)) == len(done) == (3 if sync == EVERYSEC else 0)
    assert done == sorted(done)
    journal.close()


def test_inputs_are_taken_while_a_thread_waits_for_the_disk(files: Files) -> None:
    """Whatever it is at: all are there, and what is promised is there."""
    journal = files.open(EVERYSEC)
    ended = threading.Event()

    def sync() -> None:
        while not ended.is_set():
            journal.sync()

    thread = threading.Thread(target=sync)
    thread.start()
    for place, each in enumerate(WRITES * 10):
        turn(journal, each)
        if place % 100 == 99:
            journal.rotate()
    ended.set()
    thread.join()
    journal.close()

    assert files.told == []
    assert all_of(files.inputs()) == all_of(WRITES * 10)
    assert journal.state == BROKEN


def test_whose_journal_it_is_stands_in_it(files: Files) -> None:
    """The domains that are not an ordinary host's."""
    directory = Directory(files.path, make=True)
    reading = read_journal(directory, lambda _: True)
    assert list(reading) == []
    Journal(directory, reading, print, control=3, own=5).close()
    directory.close()
    _, reading = files.read()

    assert (reading.control, reading.own) == (3, 5)


def test_nothing_stays_open(files: Files) -> None:
    """However many segments there were."""
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  shorter
    for sync in range(len(SYNCS)):
        directory = Directory(files.path, make=True)
        reading = read_journal(directory, lambda _: True)
        assert len(list(reading)) == sync * len(WRITES)
        journal = Journal(directory, reading, print, sync=sync, size=SIZE_MIN)
        turn(journal, *WRITES)
        journal.close()
        directory.close()
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
