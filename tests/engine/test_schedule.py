"""xsd.engine.schedule: nobody is looked for, times are kept, much work has a rest."""

import pytest

from tests.engine.script import Verb, play
from tests.engine.support import Client, give, guest_at_home, home, run, told
from xsd.engine import HIGH_WATER, Connection, Engine
from xsd.engine.core import Core
from xsd.engine.engine import REST_MAX_MS, WORK_FREE, WORK_OWED, WORK_PER_MS
from xsd.engine.outbox import GuestOutbox, Tally
from xsd.engine.progress import PROTECT_AFTER, PROTECT_MS
from xsd.engine.schedule import EXPIRE, GO_ON, PROTECTION, REMARK, Schedule
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op
from xsd.protocol.perms import Caller
from xsd.store.quota import MEMORY, OUTSTANDING
from xsd.store.usage import LEVELS_PER_WORK, Usage

ONE = encode_frame(Op.GET_DOMAIN_PATH, 1, 0, b"5\0")


def connection(number: int, *, privileged: bool = False) -> Connection:
    """A connection of nobody's."""
    return Connection(number, Caller(5, privileged=privileged), Usage(), [])


def test_what_is_due_the_longest_comes_first() -> None:
    """And nothing before its time; to ask when that is takes nothing out."""
    schedule = Schedule()
    assert (schedule.next_ms, schedule.due(99)) == (0, None)
    for time_ms, what in ((30, REMARK), (10, GO_ON), (20, EXPIRE)):
        schedule.at(time_ms, what, 7)

    assert [schedule.next_ms for _ in range(2)] == [10, 10]
    assert schedule.due(9) is None
    assert schedule.due(20) == (10, GO_ON, 7)
    assert schedule.due(20) == (20, EXPIRE, 7)
    assert schedule.due(20) is None
    assert schedule.next_ms == 30


@pytest.mark.parametrize("privileged", [False, True])
def test_who_is_queued_is_queued_once(*, privileged: bool) -> None:
    """However many events concern it."""
    schedule = Schedule()
    one, other = (connection(n, privileged=privileged) for n in (1, 2))
    assert not schedule.busy
    for each in (one, other, one):
        schedule.queue(each)

    queue = schedule.privileged if privileged else schedule.guests
    assert list(queue) == [one, other]
    assert [schedule.busy for _ in range(2)] == [True, True]


@pytest.mark.parametrize("what", ["fallen", "rested"])
def test_an_event_that_is_to_be_looked_at_makes_it_busy(what: str) -> None:
    """Though nobody is queued yet."""
    schedule = Schedule()
    if what == "fallen":
        schedule.fallen.append(Tally(1, schedule.fallen))
    else:
        schedule.rested.append((connection(1), 5))

    assert schedule.busy


# Nobody is looked for.


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of connections that turns look at, in order."""
    found: list[int] = []
    serve = Engine._serve

    def counted(self: Engine, connection: Connection, turn: int) -> int:
        found.append(connection.id)
        return serve(self, connection, turn)

    monkeypatch.setattr(Engine, "_serve", counted)
    return found


def protect(engine: Engine, writer: Client) -> None:
    """Have a transaction protected that has read /a."""
    reader = Client(engine)
    give(writer, b"/a", b"b0\0")
    for _ in range(PROTECT_AFTER):
        tx = reader.start()
        reader.ask(Op.READ, b"/a\0", tx)
        writer.ok(Op.WRITE, b"/a\0v")
        reader.ask(Op.TRANSACTION_END, b"T\0", tx)
    reader.ask(Op.READ, b"/a\0", reader.start())


def stalling(engine: Engine, why: str, guest: Client) -> bytes:
    """Requests of which the last has to wait for something."""
    domid = guest.connection.caller.domid
    if why == "rest":
        guest.ok(Op.WRITE, path_of(600 + 10 * domid) + b"\0v")
        return ONE
    if why == "reading":
        guest.ok(Op.WRITE, b"a\0" + b"x" * 2000)
        for name in (MEMORY, OUTSTANDING):
            engine.set_limit(domid, name, 0)
        return encode_frame(Op.READ, 1, 0, b"a\0") * (HIGH_WATER // 2000 + 1)
    if why == "protection":
        return encode_frame(Op.WRITE, 1, 0, b"/a\0late")
    engine.set_limit(domid, why, 1)
    if why == MEMORY:
        return ONE * 2
    # Its reply is taken, the event that it causes is not.
    engine.feed(guest.connection, encode_frame(Op.WRITE, 1, 0, b"b\0v"))
    run(engine)
    engine.sent(guest.connection, len(guest.connection.outbox.peek()))
    return ONE


def stall(engine: Engine, why: str, count: int) -> list[Client]:
    """Guests with requests that have to wait for something, each its own."""
    dom0, reader = Client(engine), Client(engine)
    if why == "protection":
        protect(engine, dom0)
    guests = [guest_at_home(engine, domid) for domid in range(1, count + 1)]
    reader.ok(Op.WATCH, b"/local\0t\0")
    for guest in guests:
        engine.feed(guest.connection, stalling(engine, why, guest))
    run(engine)
    assert all(guest.connection.backlog for guest in guests)
    return guests


WAITS = ["rest", "reading", MEMORY, OUTSTANDING, "protection"]


@pytest.mark.pure_only
@pytest.mark.parametrize("why", WAITS)
def test_a_turn_looks_at_nobody_who_waits(
    engine: Engine, served: list[int], why: str
) -> None:
    """Nor at the idle: only at those who have asked something."""
    stalled = stall(engine, why, 10)
    for _ in range(10):
        Client(engine)
    asking = Client(engine)
    served.clear()
    for _ in range(5):
        asking.ask(Op.WRITE, b"/other\0v")

    assert served == [asking.connection.id] * 5
    assert not engine.busy
    assert all(guest.connection.backlog for guest in stalled)


@pytest.mark.pure_only
@pytest.mark.parametrize("why", WAITS)
def test_who_waits_is_looked_at_once_by_the_event_that_ends_it(
    engine: Engine, served: list[int], why: str
) -> None:
    """And goes on."""
    one, *_others = stall(engine, why, 3)
    now_ms = engine.core.now_ms
    served.clear()
    if why in ("reading", MEMORY):
        engine.sent(one.connection, len(one.connection.outbox.peek()))
    elif why == OUTSTANDING:
        reader = next(each for each in engine.connections if each.watches)
        while one.connection.tally.count:
            engine.sent(reader, len(reader.outbox.peek(1)))
    elif why == "rest":
        now_ms = one.connection.rests_until_ms
    else:
        now_ms += PROTECT_MS
    engine.turn(now_ms)

    assert served.count(one.connection.id) == 1
    assert served[0] == one.connection.id
    assert len(served) == (3 if why == "protection" else 1)
    assert one.connection.backlog == [] or why == "reading"


@pytest.mark.pure_only
def test_a_timer_that_fails_does_not_end_the_others(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is logged; what is due behind it is done, and it is set again."""
    guest, dom0 = guest_at_home(engine, 1), Client(engine)
    guest.ask(Op.WATCH, b"a\0t\0")
    engine.expire_events_after(1000)
    guest.ok(Op.WRITE, path_of(900) + b"\0v")
    guest.connection.rests_until_ms = 2000
    engine.core.schedule.at(2000, GO_ON, guest.connection.id)
    engine.feed(guest.connection, guest.frame(Op.GET_DOMAIN_PATH, b"1\0"))
    dom0.ok(Op.WRITE, home(1) + b"/a\0v")
    with monkeypatch.context() as patch:
        patch.setattr("xsd.engine.memory.look", _fails)
        patch.setattr(GuestOutbox, "expire", _fails)
        run(engine, 2000)
        assert told(engine) == ["timer.failed"] * 2
    assert len(guest.take()) == 2

    dom0.ok(Op.WRITE, home(1) + b"/a\0v")
    run(engine, 3000)
    assert guest.take() == []


def _fails(which: object, *_: object) -> None:
    if isinstance(which, Core):
        which.remarking = False
    raise ZeroDivisionError


@pytest.mark.parametrize("what", [GO_ON, EXPIRE, PROTECTION])
def test_what_is_due_of_somebody_gone_is_nothing(engine: Engine, what: int) -> None:
    """A rest, an expiry or a protection whose client has left meanwhile."""
    engine.core.schedule.at(5, what, 1)
    play(engine, "leave; turn 5; log -> -; dirty -> -")


# Rests.


def path_of(levels: int) -> bytes:
    """A relative path of so many levels."""
    return b"/".join([b"x"] * levels)


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


def test_no_rest_is_longer_than_the_longest(engine: Engine) -> None:
    """Five hundred nodes told to a hundred watches."""
    guest = guest_at_home(engine, 1)
    for number in range(100):
        guest.ok(Op.WATCH, home(1) + b"\0%d\0" % number)
    number = guest.start()
    for node in range(500):
        guest.ok(Op.MKDIR, b"%d\0" % node, number)
    guest.ok(Op.TRANSACTION_END, b"T\0", number)

    assert rest_of(guest) == REST_MAX_MS


def test_nodes_that_are_removed_are_less_work(engine: Engine) -> None:
    """Four of them as one that is made."""
    guest = guest_at_home(engine, 1)
    for node in range(900):
        guest.ok(Op.MKDIR, b"d/%d/%d\0" % (node // 100, node))
    assert owed_by(guest) == 0
    guest.ok(Op.RM, b"d\0")

    assert owed_by(guest) == (910 // 4 - WORK_FREE) // WORK_PER_MS
