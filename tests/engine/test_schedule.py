"""xsd.engine.schedule: nobody is looked for, times are kept, much work has a rest."""

import pytest

from tests.engine.script import play
from tests.engine.support import (
    Client,
    give,
    guest_at_home,
    home,
    path_of,
    run,
    told,
)
from xsd.engine import HIGH_WATER, Connection, Engine
from xsd.engine.core import Core
from xsd.engine.outbox import GuestOutbox, Tally
from xsd.engine.progress import PROTECT_AFTER, PROTECT_MS
from xsd.engine.schedule import EXPIRE, GO_ON, PROTECTION, REMARK, Schedule
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op
from xsd.protocol.perms import Caller
from xsd.store.quota import MEMORY, OUTSTANDING
from xsd.store.usage import Usage

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
