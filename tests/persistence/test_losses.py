"""xsd.persistence.losses: how much a journal has while no checkpoint can be written."""

import os
from collections.abc import Callable

import pytest

from tests.persistence.inputs import END, write_of
from tests.persistence.journals import Files, all_of, fail, names, segments, turn
from xsd.persistence.directory import Directory, write_checkpoint
from xsd.persistence.journal import BROKEN, EVERYSEC, NEVER, OK, SHORT, WAITING, Journal
from xsd.persistence.losses import Losses
from xsd.persistence.segment import SIZE_MIN, START

WRITES = [write_of(number, 40) for number in range(1, 201)]
LIMIT = 4 * SIZE_MIN
KEPT_MAX = 2 * LIMIT + 5 * SIZE_MIN
"""Before a loss and behind it, with what is in use and the next one."""

syncs = pytest.mark.parametrize("sync", [NEVER, EVERYSEC])


def kept_in(files: Files) -> int:
    """Bytes of the blocks of all files."""
    return sum(each.stat().st_blocks * 512 for each in files.path.iterdir())


def go_on(journal: Journal, rounds: int) -> None:
    """Take inputs, with a try to write a checkpoint each few, none of which stands."""
    for number in range(rounds):
        for each in WRITES[:7]:
            turn(journal, each)
        journal.tend(2000 * number)
        journal.sync()
        if number % 3 == 0:
            journal.rotate()


@syncs
def test_checkpoints_that_fail_leave_a_bounded_journal(files: Files, sync: int) -> None:
    """However many there are, and however much comes meanwhile."""
    journal = files.open(sync, limit=LIMIT)
    most = 0
    for _ in range(30):
        go_on(journal, 12)
        most = max(most, kept_in(files))
    begun = kept_in(files)
    go_on(journal, 30)
    grown = kept_in(files) - begun
    journal.close()

    assert journal.number == 7 * (30 * 12 + 30)
    assert most < KEPT_MAX + 200 * 4096
    # A head for each try.
    assert grown <= 10 * 4096 + 2 * SIZE_MIN
    assert files.told[0] in ("journal.no_segment", "journal.broken")
    assert "are kept without a checkpoint" in str(files.notices[0].fields["reason"])
    assert files.read()[1].lost


def test_the_limit_is_told_before_anything_is_lost(files: Files) -> None:
    """When the next segment is not made for it; a checkpoint ends that."""
    journal = files.open(limit=LIMIT)
    count = 0
    while journal.state == OK:
        turn(journal, WRITES[0])
        count += 1
    assert journal.state == SHORT
    assert LIMIT < journal.size < LIMIT + 2 * SIZE_MIN
    assert files.told == ["journal.no_segment"]
    stand(files, journal)
    turn(journal, *WRITES[:3])
    journal.tend(0)

    assert journal.state == OK
    journal.close()
    assert all_of(files.inputs()) == all_of(WRITES[:3])
    assert count < 200


def stand(files: Files, journal: Journal) -> None:
    """Have a checkpoint of the state now."""
    sequence = journal.rotate()
    directory = Directory(files.path)
    write_checkpoint(directory, sequence, [END], durable=False)
    directory.close()
    journal.drop_before(sequence)


@syncs
def test_what_was_kept_before_a_loss_stays(files: Files, sync: int) -> None:
    """It is what a recovery has, until there is a checkpoint."""
    journal = files.open(sync, limit=LIMIT)
    while journal.state != BROKEN:
        turn(journal, WRITES[0])
    kept = len(files.inputs())
    assert kept == journal.number - 1
    go_on(journal, 20)
    assert len(files.inputs()) == kept
    if journal.state != WAITING:
        journal.tend(10**6)
    stand(files, journal)
    assert journal.state == OK
    turn(journal, *WRITES[5:9])
    journal.close()

    assert all_of(files.inputs()) == all_of(WRITES[5:9])
    assert files.told[-1] == "journal.resumed"


def test_a_checkpoint_may_stand_when_more_was_lost_behind_it(files: Files) -> None:
    """What follows it up to there is of use; what is behind is not."""
    journal = files.open(limit=LIMIT)
    while journal.state != BROKEN:
        turn(journal, WRITES[0])
    sequence = journal.rotate()
    turn(journal, *WRITES[10:13])
    while journal.state != BROKEN:
        turn(journal, WRITES[0])
    count = journal.number
    directory = Directory(files.path)
    write_checkpoint(directory, sequence, [END], durable=False)
    directory.close()
    journal.drop_before(sequence)
    found = files.inputs()
    assert all_of(found[:3]) == all_of(WRITES[10:13])
    assert journal.number == count
    go_on(journal, 9)
    journal.close()

    assert all_of(files.inputs()) == all_of(found)


def test_a_checkpoint_of_what_has_not_changed_needs_no_segment(files: Files) -> None:
    """However often it fails."""
    journal = files.open()
    turn(journal, *WRITES[:3])
    first = journal.rotate()
    for _ in range(5):
        assert journal.rotate() == first
    turn(journal, WRITES[3])
    assert journal.rotate() == first + 1
    journal.close()

    assert names(files) == segments(1, 2, 3)


def test_a_segment_gives_back_what_it_does_not_use(files: Files) -> None:
    """As soon as another one is in its place."""
    journal = files.open()
    turn(journal, WRITES[0])
    assert files.segment(1).stat().st_size == SIZE_MIN
    journal.rotate()
    turn(journal, WRITES[1])
    assert files.segment(1).stat().st_size == START + journal.size // 2
    journal.close()

    assert all_of(files.inputs()) == all_of(WRITES[:2])


@pytest.mark.parametrize("call", ["open", "ftruncate", "fsync"])
def test_what_cannot_be_emptied_is_in_nobodys_way(
    files: Files, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """It takes room, which the disk that fails has."""
    directory = Directory(files.path, make=True)
    losses = Losses(directory, 0, is_apart=False)
    losses.note(1, 0)
    losses.begin(2)
    original: Callable[..., int] = getattr(os, call)
    monkeypatch.setattr(os, call, fail)
    losses.leave_out([])
    monkeypatch.setattr(os, call, original)
    directory.close()

    assert losses.is_apart
