"""Requests of a turn: gathered, and in the files before anything of a reply leaves."""

from collections.abc import Callable

import pytest

from tests.engine.support import Client
from tests.persistence.inputs import write_of
from tests.persistence.journals import (
    Files,
    all_of,
    fail,
    mend,
    names,
    segments,
    size_of,
)
from xsd.engine import Engine
from xsd.engine.inputs import WENT, Input
from xsd.engine.replay import replay
from xsd.engine.state import describe, differences
from xsd.persistence.entries import RUN_MAX
from xsd.persistence.journal import BROKEN, NEVER, SYNCS, Journal
from xsd.persistence.segment import SIZE, SIZE_MIN, START
from xsd.protocol.ops import Op
from xsd.store import Store

WRITES = [write_of(number, 40) for number in range(1, 201)]
OTHER = Input(WENT, 9, connection=4)


def gather(journal: Journal, *requests: Input) -> None:
    """Have the journal take requests as the engine hands them to it."""
    for each in requests:
        assert each.frame is not None
        whose = (each.connection, each.domid, each.ordinal, each.generation)
        journal.take_request(*whose, each.frame)


@pytest.mark.parametrize("sync", range(len(SYNCS)))
def test_requests_are_in_the_file_at_the_end_of_their_turn(
    files: Files, sync: int
) -> None:
    """All of them, whatever becomes of the process then."""
    journal = files.open(sync)
    for count in (1, 4, 9):
        gather(journal, *WRITES[len(files.inputs()) : count])
        assert journal.number == count
        journal.end_turn()
        assert all_of(files.inputs()) == all_of(WRITES[:count])
    journal.close()


ENDS: list[Callable[[Journal], object]] = [
    lambda journal: journal.take(OTHER),
    Journal.rotate,
    Journal.close,
]


@pytest.mark.parametrize("end", ENDS, ids=["input", "checkpoint", "close"])
def test_requests_are_in_the_file_before_what_follows_them(
    files: Files, end: Callable[[Journal], object]
) -> None:
    """Another input is there at once, for what it does is not told in a turn only."""
    journal = files.open()
    gather(journal, *WRITES[:3])
    assert files.inputs() == []
    end(journal)

    found = all_of(files.inputs())
    assert found[:3] == all_of(WRITES[:3])
    assert found[3:] in ([], all_of([OTHER]))
    assert [each.number for each in files.read()[0][:3]] == [1, 2, 3]
    journal.close()


def test_requests_that_follow_each_other_are_one_entry(files: Files) -> None:
    """Others begin one: of another connection, or with one on no tape between them."""
    between = Input(WRITES[2].kind, 3, 2, 0, WRITES[2].frame, ordinal=1)
    requests = [*WRITES[:2], between, *WRITES[3:5], *WRITES[6:8]]
    journal = files.open()
    gather(journal, *requests)
    journal.close()
    kept, _ = files.read()

    assert all_of(each.entry for each in kept) == all_of(requests)
    assert [each.number for each in kept] == [*range(1, 8)]
    starts = [each.offset for each in kept]
    assert starts[0] == starts[1] < starts[2] < starts[3] == starts[4] < starts[5]
    assert starts[5] == starts[6]


def test_no_more_than_16_kib_of_requests_are_gathered(files: Files) -> None:
    """However many there are in a turn."""
    large = [write_of(number, 4000) for number in range(1, 30)]
    journal = files.open(size=SIZE)
    for count, each in enumerate(large, 1):
        gather(journal, each)
        left = sum(size_of(each) for each in large[len(files.inputs()) : count])
        assert left <= RUN_MAX
    journal.close()

    assert all_of(files.inputs()) == all_of(large)


def test_requests_of_a_turn_go_on_in_the_next_segment(files: Files) -> None:
    """With the number of the first that is there; none is cut in two."""
    journal = files.open()
    gather(journal, *WRITES)
    journal.close()
    kept, reading = files.read()

    assert all_of(each.entry for each in kept) == all_of(WRITES)
    assert [each.number for each in kept] == [*range(1, 201)]
    assert (reading.number, files.told) == (200, [])
    assert names(files) == segments(*range(1, len(names(files)) + 1))
    for name in {each.name for each in kept}:
        used = len((files.path / name).read_bytes().rstrip(b"\0"))
        assert START < used <= SIZE_MIN


def test_requests_that_were_gathered_are_lost_together(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And counted, when there is no segment for them."""
    journal = files.open()
    with monkeypatch.context() as patch:
        patch.setattr("os.posix_fallocate", fail)
        for begin in range(0, 150, 10):
            gather(journal, *WRITES[begin : begin + 10])
            journal.end_turn()
        kept = len(files.inputs())
        assert 0 < kept < 130
        assert all_of(files.inputs()) == all_of(WRITES[:kept])
        assert (journal.state, journal.dropped) == (BROKEN, 150 - kept)
    journal.tend(0)
    mend(files, journal)
    gather(journal, *WRITES[150:153])
    journal.end_turn()
    assert all_of(files.inputs()) == all_of(WRITES[150:153])
    assert journal.number == 153
    journal.close()


def test_a_request_that_cannot_be_written_raises_nothing(files: Files) -> None:
    """It has happened; a checkpoint has it."""
    journal = files.open()
    gather(journal, Input(WRITES[0].kind, 2**70, 1, 0, WRITES[0].frame))
    journal.end_turn()
    assert (journal.state, journal.dropped) == (BROKEN, 1)
    journal.close()


def test_what_an_engine_has_answered_is_in_the_file_when_it_is_sent(
    files: Files,
) -> None:
    """Turn by turn, of many clients at once, and of those that had a domain asked."""
    engine = Engine(Store())
    journal = files.open(NEVER, SIZE)
    engine.tape = journal
    clients = [Client(engine) for _ in range(5)]
    for round_ in range(4):
        for number, client in enumerate(clients):
            path = b"/%d" % number
            for step in range(20):
                frame = client.frame(Op.WRITE, b"%s/%d\0v" % (path, step))
                engine.feed(client.connection, frame)
            if round_ == number:
                frame = client.frame(Op.SET_PERMS, path + b"\0n0\0r7\0")
                engine.feed(client.connection, frame)
        while engine.busy:
            engine.turn(0)
            again = Engine(Store())
            replay(again, files.inputs())
            assert differences(describe(engine), describe(again)) == []
            for connection in engine.take_dirty():
                connection.outbox.clear()
    engine.tape = None
    journal.close()


def test_a_tail_of_requests_is_torn_as_a_whole(files: Files) -> None:
    """Nobody has been told of any of them."""
    journal = files.open()
    gather(journal, *WRITES[:5])
    journal.end_turn()
    gather(journal, *WRITES[5:12])
    journal.close()
    place = files.read()[0][5].offset
    data = files.segment(1).read_bytes().rstrip(b"\0")
    for size in range(place + 1, len(data)):
        files.segment(1).write_bytes(data[:size])
        kept, reading = files.read()
        assert all_of(each.entry for each in kept) == all_of(WRITES[:5])
        assert reading.torn is not None
        assert reading.torn.offset == place
