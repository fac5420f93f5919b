"""xsd.engine.engine: streams of bytes, turns, back-pressure, ends."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.engine.script import Verb, lines_of, play, request
from tests.engine.support import Client, guest_of, refusal, run, take_bytes, told
from xsd.engine import HIGH_WATER, Connection, Engine
from xsd.engine.core import Core
from xsd.engine.engine import GUEST_TURN, TURN
from xsd.engine.schedule import FEW
from xsd.engine.state import describe
from xsd.protocol.errors import Errno
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op
from xsd.store import Store
from xsd.store.check import verify

BAD_HEADER = b"\x02\0\0\0\x01\0\0\0\0\0\0\0\x01\x10\0\0"
"""READ with a payload of 4,097 bytes."""

ONE = encode_frame(Op.GET_DOMAIN_PATH, 1, 0, b"5\0")
"""A request that anybody may make, and that changes nothing."""

REPLY = encode_frame(Op.GET_DOMAIN_PATH, 1, 0, b"/local/domain/5\0")


ASK = "feed get_domain_path 5;"
PATHS = "get_domain_path=/local/domain/5, "

# `dirty` are the connections whose links are to be told, by number; dom0's is 1, a 2.
RULES = {
    "connections are numbered as they come, and a number is never used again": """
        a hear; a leave; come 0; connections -> 1 3""",
    # Those that a request has given something to send.
    "dirty connections are told once": """
        a watch /a t -> OK /a:t; b hear; dirty -> 2; feed write /a 1; feed read /a; turn
        dirty -> 2 1; dirty -> -; a hear -> /a:t""",
    # What comes is queued.
    "nothing is answered before the turn": f"""
        busy -> False; {ASK} busy -> True; hear -> -; dirty -> -
        one_turn; dirty -> 1; busy -> False; hear -> {PATHS}""",
    # Not even what looks like a request, and it is told once, to link and log.
    "nothing is read after a bad header": """
        bad_header; turn; dirty -> 1; log -> connection.broken
        post write /a v; end_input; log -> -; a read /a -> ENOENT""",
    "bad header behind a backlog waits for it": f"""
        {ASK * (TURN + 1)} bad_header; one_turn; state -> open
        one_turn; state -> closing; hear -> {PATHS * (TURN + 1)}""",
    # Then the link is told once more, and what still comes is not read.
    **{
        f"end of input waits for the last of {count} replies": f"""
            {ASK * count} end_input; {ASK} turn; dirty -> 1; state -> closing
            backlog -> 0; hear -> {PATHS * count or "-"}
        """
        for count in (0, 1, TURN, TURN + 1)
    },
    # Neither what waits nor what still comes, and its link is not told any more.
    "disconnected client is not served": f"""
        {f"a {ASK}" * (TURN + 1)} one_turn; a leave; a backlog -> 0
        a state -> closing lost; a hear -> -; a post write /b v; dirty -> -
        read /b -> ENOENT""",
    # A transport may meet the end of a connection twice, or begin a lost one anew.
    "second disconnect does nothing": """
        a hear; a leave; a leave; a anew; connections -> 1; log -> -""",
    # Whatever becomes of it (measured on C).
    "many requests at once are answered in order, one reply for each": """
        feed write /a 1; feed read /a; feed rm /a; feed read /a; feed mkdir /a/; turn
        hear -> write=OK read=1 rm=OK ENOENT EINVAL""",
    "what comes while others wait is answered after them": f"""
        {ASK * (TURN + 1)} one_turn; feed get_domain_path 6; turn
        hear -> {PATHS * (TURN + 1)} get_domain_path=/local/domain/6,""",
    # The transport logs them after each turn.
    "notices are taken once": "rm / -> EINVAL; log -> request.refused; log -> -",
    # Until its transport ends it, what still comes is thrown away.
    "lost connection is not read": """
        1 hear; release 1; 1 state -> lost; 1 post get_domain_path 1
        1 backlog -> 0; 1 hear -> -""",
    "half a request is no request when its client leaves": """
        a half write /a v; a leave; read /a -> ENOENT""",
    # Nothing of an open transaction was ever seen by others.
    "disconnect takes watches and transactions away": """
        1 watch /a t -> OK /a:t; 1 watch @releaseDomain t -> OK @releaseDomain:t
        1 start -> 1,; 1 start -> 2,; 1 t1 read /a -> EACCES; 1 uses -> 2 2
        1 leave; 1 uses -> 0 0; faults -> -; write /a v; 1 hear -> -""",
}


def half(engine: Engine, client: Client, words: list[str]) -> None:
    """All of a request but its end."""
    engine.feed(client.connection, client.frame(*request(" ".join(words)))[:-1])
    run(engine)


def uses(engine: Engine, client: Client, _words: list[str]) -> str:
    """How many watches and transactions a domain has."""
    usage = engine.store.usage
    return f"{usage.watches.of(client.domid)} {usage.transactions.of(client.domid)}"


VERBS: dict[str, Verb] = {
    "half": half,
    "uses": uses,
    "one_turn": lambda engine, _, __: engine.turn(0),
    "bad_header": lambda engine, client, _: engine.feed(client.connection, BAD_HEADER),
    "end_input": lambda engine, client, _: engine.end_input(client.connection),
    "backlog": lambda _, client, __: str(len(client.connection.backlog)),
    "faults": lambda engine, _, __: " ".join(map(str, verify(engine.store))),
}


@pytest.mark.parametrize("rule", RULES)
def test_connections(engine: Engine, rule: str) -> None:
    """Each rule as the script that shows it."""
    play(engine, RULES[rule], VERBS)


REQUESTS = "watch /a t; write /a 1; read /a; directory /; read /no; reset"
STREAM = b"".join(
    encode_frame(op, number, 0, payload)
    for number, (op, payload) in enumerate(map(request, lines_of(REQUESTS)))
)


def answers(pieces: list[bytes]) -> bytes:
    """What a new engine answers in all to a stream that comes in pieces."""
    engine = Engine(Store())
    connection = engine.connect(0)
    out = b""
    for piece in pieces:
        engine.feed(connection, piece)
        run(engine)
        out += take_bytes(engine, connection)
    return out


@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=10))
@example(cuts=list(range(len(STREAM))))
def test_where_the_stream_is_cut_does_not_change_the_replies(cuts: list[int]) -> None:
    """Only events may be more, when the equal one before has been taken already."""
    edges = [0, *sorted(cuts), len(STREAM)]
    one_event = encode_frame(Op.WATCH_EVENT, 0, 0, b"/a\0t\0")

    whole, cut = answers([STREAM]), answers([STREAM[a:b] for a, b in pairwise(edges)])
    assert cut.replace(one_event, b"") == whole.replace(one_event, b"")
    assert cut.count(one_event) in (1, 2)


def test_bad_header_ends_a_connection_once_all_before_is_answered(dom0: Client) -> None:
    """The stream cannot be understood any further; C loses such replies."""
    good = dom0.frame(Op.READ, b"/tool\0") + dom0.frame(Op.READ, b"/no\0")
    dom0.send(good + BAD_HEADER + b"what follows")

    assert dom0.connection.closing
    assert not dom0.connection.lost
    assert dom0.engine.take_dirty() == [dom0.connection]
    assert dom0.take() == [(Op.READ, b""), refusal(Errno.ENOENT)]
    (notice,) = dom0.engine.take_notices()
    assert (notice.level, notice.event) == ("warning", "connection.broken")
    assert notice.fields == {
        "connection": 1,
        "domid": 0,
        "what": "payload of 4097 bytes announced, at most 4096 allowed "
        "(header at byte 42 of the stream)",
    }


@pytest.mark.parametrize(("is_guest", "turn"), [(False, TURN), (True, GUEST_TURN)])
def test_turn_is_limited_and_goes_on_later(
    engine: Engine, turn: int, *, is_guest: bool
) -> None:
    """A client with a thousand requests lets others in between; a guest even more."""
    connection = guest_of(engine).connection if is_guest else engine.connect(0)
    engine.set_limit(-1, "outstanding", 0)
    engine.feed(connection, ONE * (2 * turn + 3))
    left = []
    while engine.busy:
        engine.turn(0)
        left.append(len(connection.backlog))

    assert left == [turn + 3, 3, 0]
    assert take_bytes(engine, connection) == REPLY * (2 * turn + 3)


def test_a_turn_is_limited_over_all_clients_of_dom0(engine: Engine) -> None:
    """Those with many requests share it; guests come in the next one."""
    connections = [engine.connect(0) for _ in range(3)]
    guest = guest_of(engine).connection
    for each in (*connections, guest):
        engine.feed(each, ONE * (TURN + 1))
    engine.turn(0)
    left = TURN + 1 - TURN // 3
    assert [len(each.backlog) for each in connections] == [left] * 3
    assert len(guest.backlog) == TURN + 1
    engine.turn(0)

    assert len(guest.backlog) == TURN + 1 - GUEST_TURN


def test_who_has_few_requests_need_not_wait_for_those_with_many(engine: Engine) -> None:
    """However many they are; and they get on, too, in order, however many have few."""
    busy = [engine.connect(0) for _ in range(20)]
    for each in busy:
        engine.feed(each, ONE * 3 * FEW)
    engine.turn(0)
    some = [engine.connect(0) for _ in range(TURN // FEW)]
    for turn in range(1, 5):
        for each in some:
            engine.feed(each, ONE * FEW)
        engine.turn(0)
        assert [len(each.backlog) for each in some] == [0] * len(some)
        answered = [3 - len(each.backlog) // FEW for each in busy]
        first = TURN // FEW + turn
        assert answered == [1] * first + [0] * (len(busy) - first)


def test_no_turn_is_longer_for_many_clients(engine: Engine) -> None:
    """With few requests or many, as often as one has to go on: a few more at most."""
    for count in (1, FEW, FEW + 1, TURN) * TURN:
        engine.feed(engine.connect(0), ONE * count)
    waiting = sum(len(each.backlog) for each in engine.connections)
    while engine.busy:
        engine.turn(0)
        left = sum(len(each.backlog) for each in engine.connections)
        assert 0 < waiting - left <= TURN + 2 * FEW
        waiting = left
    assert waiting == 0


def test_who_does_not_read_is_not_answered_beyond_high_water(dom0: Client) -> None:
    """Its requests wait until it has read some, then all are answered."""
    engine, connection = dom0.engine, dom0.connection
    dom0.ok(Op.WRITE, b"/a\0" + b"x" * 4000)
    dom0.send(b"".join([dom0.frame(Op.READ, b"/a\0") for _ in range(100)]))

    assert HIGH_WATER < connection.outbox.size <= HIGH_WATER + 4016
    waiting = len(connection.backlog)
    assert waiting > 0
    run(engine)
    assert len(connection.backlog) == waiting
    connection.outbox.peek()
    assert len(dom0.take()) == 100 - waiting
    run(engine)
    assert len(dom0.take()) == waiting


@pytest.mark.parametrize("how", ["restarted", "introduced again"])
def test_a_channel_begun_anew_has_nothing_of_before(engine: Engine, how: str) -> None:
    """Neither watches nor transactions nor what is under way (C); it reads again."""
    guest, dom0 = guest_of(engine), Client(engine)
    connection = guest.connection
    guest.ask(Op.WATCH, b"@introduceDomain\0t\0")
    guest.start()
    engine.feed(connection, ONE * 9 + ONE[:7])
    engine.turn(0)
    assert connection.outbox.size > 0
    connection.paused, connection.waited_for = True, 1
    engine.take_dirty()
    if how == "restarted":
        engine.restart(connection)
    else:
        dom0.ok(Op.INTRODUCE, b"1\x001\x001\0")

    assert connection in engine.take_dirty()
    assert connection.wants_input
    assert not connection.lost
    assert (connection.backlog, connection.waited_for) == ([], 0)
    assert (connection.outbox.size, connection.decoder.pending) == (0, b"")
    assert (connection.watches, connection.transactions) == ({}, {})
    usage = engine.store.usage
    assert (usage.watches.of(1), usage.transactions.of(1)) == (0, 0)
    dom0.ok(Op.INTRODUCE, b"9\x001\x001\0")
    assert take_bytes(engine, connection) == b""
    engine.feed(connection, ONE)
    run(engine)
    assert take_bytes(engine, connection) == REPLY


@pytest.mark.pure_only
def test_requests_behind_the_one_that_ends_the_connection_are_not_answered(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that cuts itself off by its own events."""
    client = Client(engine)
    client.ask(Op.WATCH, b"/a\0" + b"t" * 100 + b"\0")
    monkeypatch.setattr("xsd.engine.core.UNSENT_MAX", 100)
    client.send(client.frame(Op.WRITE, b"/a\0v") + client.frame(Op.WRITE, b"/b\0v"))

    assert client.connection.lost
    assert len(client.take()) == 2
    assert client.unanswered == 1
    assert Client(engine).errno(Op.READ, b"/b\0") is Errno.ENOENT


@pytest.mark.pure_only
@pytest.mark.parametrize("is_guest", [False, True])
def test_a_connection_that_cannot_be_served_concerns_nobody_else(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, *, is_guest: bool
) -> None:
    """It ends; the log has the defect, and who comes after it is served."""
    make = guest_of if is_guest else Client
    broken, other = make(engine), make(engine)
    serve = Engine._serve

    def fails(self: Engine, connection: Connection, turn: int) -> int:
        if connection is broken.connection:
            raise ZeroDivisionError
        return serve(self, connection, turn)

    monkeypatch.setattr(Engine, "_serve", fails)
    for each in (broken, other):
        engine.feed(each.connection, ONE)
    run(engine)

    assert told(engine) == ["connection.failed"]
    assert broken.connection.lost
    assert broken.connection in engine.take_dirty()
    assert take_bytes(engine, other.connection) == REPLY


@pytest.mark.pure_only
def test_a_connection_that_cannot_be_served_ends_even_without_memory(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When nothing can be said of it either; else its request would be due for ever."""

    def fail(*_: object) -> None:
        raise MemoryError

    client = Client(engine)
    engine.feed(client.connection, ONE)
    monkeypatch.setattr(Engine, "_serve", fail)
    monkeypatch.setattr(Core, "note_defect", fail)
    with pytest.raises(MemoryError):
        engine.turn(0)

    assert client.connection.lost
    assert client.connection in engine.take_dirty()


@pytest.mark.pure_only
def test_to_ask_changes_nothing(engine: Engine) -> None:
    """Whatever is asked of it, however often, the next turn does the same."""
    guest, dom0 = guest_of(engine), Client(engine)
    for each in (guest, dom0):
        engine.feed(each.connection, ONE * (TURN + 9))
    engine.turn(0)
    schedule = engine.core.schedule

    names = [*Connection.__slots__, "wants_input"]

    def state() -> list[str]:
        queues = (schedule.privileged, schedule.with_many, schedule.guests)
        values = [getattr(each, name) for each in engine.connections for name in names]
        return [*map(str, (*queues, schedule.times)), *map(str, values)]

    before = state()
    for _ in range(3):
        asked = (engine.busy, engine.next_ms, engine.connections, engine.tape)
        assert asked[0] is True
        describe(engine)
        assert not any(each.wants_input for each in engine.connections)
    assert state() == before
