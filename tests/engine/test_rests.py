"""xsd.engine.rests: much work is owed, and worked off."""

import pytest

from tests.engine.script import Verb, play
from tests.engine.support import Client, guest_at_home, home, path_of, run
from xsd.engine import Engine
from xsd.engine.rests import REST_MAX_MS, WORK_FREE, WORK_OWED, WORK_PER_MS
from xsd.protocol.ops import Op
from xsd.store.events import ALL_EVENTS
from xsd.store.usage import LEVELS_PER_WORK


def much(work: int) -> bytes:
    """What to write to do exactly so much work: nodes on a way that is gone along."""
    above = len(home(1).split(b"/"))
    (levels,) = [
        levels
        for levels in range(work + 1)
        if levels + (above + levels) // LEVELS_PER_WORK == work
    ]
    return path_of(levels) + b"\0v"


def rest_of(client: Client) -> int:
    """How long a client rests from the last turn on, in milliseconds."""
    return max(0, client.connection.rests_until_ms - client.engine.core.now_ms)


def owed_by(client: Client) -> int:
    """How long a client will take to work off what it has asked for, likewise."""
    return max(0, client.connection.owes_until_ms - client.engine.core.now_ms)


VERBS: dict[str, Verb] = {
    "much": lambda _, client, words: client.ok(Op.WRITE, much(int(words[0]))),
    "rest": lambda _, client, __: str(rest_of(client)),
    "owes": lambda _, client, __: str(owed_by(client)),
    "resting": lambda engine, _, __: str(engine.core.schedule.resting),
}
NO_REST = WORK_FREE + WORK_OWED
LONG = (900 - NO_REST) // WORK_PER_MS
SHORT = (2 * (700 - WORK_FREE) - WORK_OWED) // WORK_PER_MS
RULES = {
    # In proportion to the nodes and events beyond what is free and what may be owed.
    "a rest is as long as the work was much": f"""
        homes 1 2; 1 much {NO_REST}; 1 rest -> 0; 2 much {NO_REST + 300}
        2 rest -> {300 // WORK_PER_MS}
    """,
    # What is done again and again is free only as far as it is little each time.
    "what is owed adds up, and is worked off": f"""
        homes 1; 1 much {WORK_FREE}; 1 rm x; 1 much {WORK_FREE}; 1 owes -> 0; 1 rm x
        1 much 200; 1 owes -> {200 - WORK_FREE}; 1 rm x; turn 50
        1 much 200; 1 owes -> {2 * (200 - WORK_FREE) - 50}; 1 rest -> 0; 1 rm x
        1 much 451; 1 rest -> {451 + 2 * 200 - 3 * WORK_FREE - 50 - WORK_OWED}
    """,
    # All that rest get on as one would alone.
    "the more rest the longer": f"""
        homes 1 2 3; 1 much 900; 2 much 900; 3 much 900; 1 rest -> {900 - NO_REST}
        2 rest -> {2 * (900 - WORK_FREE) - WORK_OWED}
        3 rest -> {3 * (900 - WORK_FREE) - WORK_OWED}; resting -> 3
        turn 9999; resting -> 0; 2 rm x; turn 99999
        2 much 901; 2 rest -> {901 - NO_REST}
    """,
    "no rest is longer than the longest": "homes 1 2 3 4 5 6 7 8\n"
    + "\n".join(f"{domid} much 900" for domid in range(1, 9))
    + f"; 6 rest -> {6 * (900 - WORK_FREE) - WORK_OWED}; 7 rest -> {REST_MAX_MS}",
    # Its requests wait and keep their order; others' are answered meanwhile.
    "who rests is served afterwards": f"""
        homes 1 2; 1 much 900; 1 feed write a v; 1 feed read a; turn {LONG - 1}
        1 hear -> -; next -> {LONG}; 2 read no -> ENOENT; write /a v
        turn {LONG}; 1 hear -> write=OK read=v
    """,
    # A toolstack removes whole domains.
    "privileged clients do not rest": f"""
        write /{path_of(900).decode()} v; rm /x; rest -> 0; wants_input -> True
    """,
    "two who rest go on in their time": f"""
        homes 1 2; 1 much 900; 2 much 700; next -> {LONG}
        2 feed get_domain_path 1; 1 feed get_domain_path 1; turn {LONG}
        1 hear -> get_domain_path=/local/domain/1,; 2 hear -> -; next -> {SHORT}
        turn {SHORT}; 1 hear -> -; 2 hear -> get_domain_path=/local/domain/1,
    """,
    # Its domain ended between its request and the turn.
    "a guest that is not known any more does not stop a turn": """
        5 feed get_domain_path 1; 6 feed get_domain_path 1; gone 5; turn
        5 hear -> -; 6 hear -> get_domain_path=/local/domain/1,
    """,
}


@pytest.mark.parametrize("rule", RULES)
def test_rests(engine: Engine, rule: str) -> None:
    """Each rule as the script that shows it."""
    play(engine, RULES[rule], VERBS)


def test_a_rest_begins_when_the_work_has_ended(engine: Engine) -> None:
    """It is as long as the work was much, from the next look at the clock on."""
    guest = guest_at_home(engine, 1)
    frames = guest.frame(Op.WRITE, much(NO_REST + 100 * WORK_PER_MS))
    frames += guest.frame(Op.READ, b"x\0")
    engine.feed(guest.connection, frames)
    engine.turn(1000)
    assert len(guest.take()) == 1
    assert engine.busy
    engine.turn(1700)

    assert guest.connection.rests_until_ms == 1700 + 100
    run(engine, 1799)
    assert guest.take() == []
    run(engine, 1800)
    assert len(guest.take()) == 1


def test_usual_requests_need_no_rest(engine: Engine) -> None:
    """However many there are: a driver's, and the commit of a device."""
    guest = guest_at_home(engine, 1)
    guest.ok(Op.WATCH, home(1) + b"\0t\0")
    for device in range(50):
        number = guest.start()
        for node in range(40):
            guest.ok(Op.WRITE, b"device/vif/%d/%d\0v" % (device, node % 15), number)
        guest.ok(Op.TRANSACTION_END, b"T\0", number)
        guest.ok(Op.RM, b"device/vif/%d\0" % device)

    assert rest_of(guest) == 0


@pytest.mark.pure_only
def test_a_request_that_fails_leaves_no_limit_to_others(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of events: dom0's have none."""
    guest = guest_at_home(engine, 1)

    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("xsd.engine.rests.answer", fail)
    engine.feed(guest.connection, guest.frame(Op.READ, b"a\0"))
    run(engine)

    assert guest.connection.lost
    assert engine.store.audience.most == ALL_EVENTS


def test_nodes_that_are_removed_are_less_work(engine: Engine) -> None:
    """Four of them as one that is made."""
    guest = guest_at_home(engine, 1)
    for node in range(900):
        guest.ok(Op.MKDIR, b"d/%d/%d\0" % (node // 100, node))
    assert owed_by(guest) == 0
    guest.ok(Op.RM, b"d\0")

    assert owed_by(guest) == (910 // 4 - WORK_FREE) // WORK_PER_MS
