"""xsd.engine.contest: what contested nodes keep, and what a turn costs."""

import pytest

from tests.engine.support import Client, guest_of
from xsd.engine import Engine
from xsd.engine.contest import (
    CONTESTED_MS,
    TURN_FREE_MS,
    TURN_MS,
    TURN_PRICE,
    Contests,
    charge,
)
from xsd.engine.schedule import TURNS, Schedule
from xsd.store import Store


@pytest.mark.parametrize(
    ("since_ms", "costs_ms"),
    [
        (-1, 0),
        (1000, 0),
        (1000 - TURN_FREE_MS, 0),
        (1000 - TURN_FREE_MS - 1, TURN_PRICE),
        (1000 - TURN_MS, TURN_PRICE * (TURN_MS - TURN_FREE_MS)),
    ],
)
def test_a_guest_pays_for_others_waiting(
    engine: Engine, since_ms: int, costs_ms: int
) -> None:
    """For what is longer than is free; dom0 does not."""
    guest, dom0 = guest_of(engine).connection, Client(engine).connection
    for connection in (guest, dom0):
        charge(connection, since_ms, 1000)
    assert guest.pays_until_ms == (1000 + costs_ms if costs_ms else 0)
    assert dom0.pays_until_ms == 0


def test_one_time_is_set_for_all_nodes() -> None:
    """However many there are, and however often somebody waits."""
    store = Store()
    engine = Engine(store)
    schedule = Schedule()
    contests = Contests(schedule)
    caller = store.privileged.caller
    one, other = Client(engine).connection, Client(engine).connection
    for number in range(10):
        contests.add((b"", b"%d" % number), 0, number)
    contest = contests.nodes[b"", b"0"]
    for now_ms in range(20):
        turns = [store.start(caller), store.start(caller)]
        contests.take(contest, one, turns[0], now_ms)
        contests.wait(contest, other, turns[1], now_ms)
        contests.leave(turns[0], now_ms)
        contests.leave(turns[1], now_ms)
    # That of the first wait, and that of the first node before it.
    assert schedule.times == [(TURN_MS, TURNS, 0), (CONTESTED_MS, TURNS, 0)]
    contests.look(CONTESTED_MS, CONTESTED_MS)
    assert len(contests.nodes) == 10
    contests.look(TURN_MS, TURN_MS)
    assert schedule.times[1:] == [
        (CONTESTED_MS, TURNS, 0),
        (CONTESTED_MS + 1, TURNS, 0),
    ]
    contests.look(CONTESTED_MS + 1, CONTESTED_MS + 9)
    # Whose turn it was some time later.
    assert list(contests.nodes) == [contest.path]
