"""xsd.engine.delivery: whom events burden, who is told, and who does not read."""

import gc
import tracemalloc

import pytest

from tests.engine.script import Verb, play
from tests.engine.support import OK, Client, event, give, guest_of, home, told
from xsd.engine import Engine
from xsd.engine.core import Core
from xsd.engine.delivery import DEAF_MS, UNSENT_MAX, deliver, retell
from xsd.protocol.ops import Op
from xsd.protocol.perms import Caller
from xsd.store import Event, Store, Watch

# A guest that has as much under way as it may, for dom0's client a.
AT_ITS_TALLY = """
    node /own n5; limit -1 outstanding 3; a watch /own t -> OK /own:t
    5 write /own/0 v; 5 write /own/1 v; 5 write /own/2 v; 5 post read /own
    busy -> False
"""
THREE = "/own/0:t /own/1:t /own/2:t"

# A client of dom0's for which too much waits; what it is told is long.
FLOOD = UNSENT_MAX // 4200 + 1
FLOODED = f"a long /a; flood {FLOOD}"

# A guest waits for those who read what it caused, since that is its own (XSA-326).
RULES = {
    "a guest waits until others have read what it caused": f"""
        {AT_ITS_TALLY}
        set_quota 5 outstanding 3; 5 hear -> -
        a hear -> {THREE}; turn; 5 hear -> read=v
    """,
    "or are gone": f"{AT_ITS_TALLY}; a leave; turn; 5 hear -> read=v",
    "or it may have more": f"""
        {AT_ITS_TALLY}; set_quota 5 outstanding 4; turn; 5 hear -> read=v
    """,
    "or it may have any number": f"""
        {AT_ITS_TALLY}; set_quota 5 outstanding 0; turn; 5 hear -> read=v
    """,
    "a waiting guest goes on as soon as one event was read completely": f"""
        {AT_ITS_TALLY}
        a read_but_one_byte; busy -> False; a read_that; turn; 5 hear -> read=v
    """,
    # Who reads nothing has its own trouble only.
    "what dom0 causes holds nobody up, and is no guest's": f"""
        node /a r0; limit -1 outstanding 3; 5 watch /a t -> OK /a:t
        {";".join(f"write /a/{number} v" for number in range(9))}
        5 tally -> 0
        5 read /a -> {" ".join(f"/a/{number}:t" for number in range(9))} v
    """,
    # Its one commit may be more than that; it is all told, and then read first.
    "a guest's commit is told as a whole, and then waited for": f"""
        node /own n5; 5 start -> 1,; a watch /own t -> OK /own:t
        {";".join(f"5 t1 mkdir /own/{number}" for number in range(100))}
        5 t1 end T; 5 post read /own; a got -> 100; turn; 5 hear -> read=v
    """,
    "and so is the removal of a tree, once for each watch at, above or below it": f"""
        node /own n5; {";".join(f"5 mkdir /own/d/{number}" for number in range(90))}
        {";".join(f"a watch /own {each} -> OK /own:{each}" for each in range(9))}
        {";".join(f"a watch /own/d/{n} t -> OK /own/d/{n}:t" for n in range(20))}
        5 rm /own/d; 5 post read /own; a got -> 29; turn; 5 hear -> read=v
    """,
    # What is read is not the same as what is sent; the socket has a buffer, too.
    "or until they have not read for too long, again and again": f"""
        {AT_ITS_TALLY}; turn {DEAF_MS - 1}; 5 hear -> -; turn {DEAF_MS}
        5 hear -> read=v; 5 write /own/3 v; 5 write /own/4 v; 5 write /own/5 v
        5 post read /own; turn {2 * DEAF_MS - 1}; 5 hear -> -; turn {2 * DEAF_MS}
        5 hear -> read=v; a hear -> {THREE} /own/3:t /own/4:t /own/5:t
        log -> quota.exceeded
    """,
    "but not while they read, however slowly": f"""
        {AT_ITS_TALLY}; turn {DEAF_MS - 1}; a read_but_one_byte; turn {DEAF_MS}
        turn {2 * DEAF_MS - 1}; 5 hear -> -; turn {2 * DEAF_MS}; 5 hear -> read=v
    """,
    "who does not read is cut off with too much waiting for too long": f"""
        {FLOODED}; turn {DEAF_MS - 1}; a state -> open; turn {DEAF_MS}
        a state -> lost; log -> connection.too_slow; write /a/other v; a got -> {FLOOD}
        log -> -
    """,
    "but not if it has taken a byte meanwhile": f"""
        {FLOODED}; turn {DEAF_MS - 1}; a read_but_one_byte; turn {DEAF_MS}
        a state -> open; turn {2 * DEAF_MS - 1}; a state -> open
        turn {2 * DEAF_MS}; a state -> lost
    """,
    "nor if it has taken all of it": f"""
        {FLOODED}; turn 1; a got -> {FLOOD}; turn {3 * DEAF_MS}
        a state -> open; next -> 0; write /a v; turn {9 * DEAF_MS}; a state -> open
    """,
    "nor with less waiting": f"""
        a long /a; flood {FLOOD // 2}; turn {9 * DEAF_MS}; a state -> open
        a got -> {FLOOD // 2}
    """,
    # Its guests wait then.
    "nor if it is our own kernel": f"""
        a kernel; a long /a; {AT_ITS_TALLY}; flood {FLOOD}; turn {9 * DEAF_MS}
        a state -> open; 5 hear -> -; log -> quota.exceeded; a got -> {FLOOD + 3}; turn
        5 hear -> read=v
    """,
    # At once, whenever its transport ends the connection.
    "a domain that ends lets those go on who waited for it": """
        node /a b5; limit -1 outstanding 1; 6 watch /a t -> OK /a:t
        5 write /a v; 5 post read /a; gone 6; turn; 5 hear -> read=v
    """,
    # What was to be told when the daemon was killed is not known any more.
    "a client that is retold hears of each of its watches once, and of no other's": """
        a watch /b t -> OK /b:t; a watch /a/c u -> OK /a/c:u; b watch /b t -> OK /b:t
        a watch @releaseDomain r -> OK @releaseDomain:r
        5 watch device t -> OK device:t
        a retell; 5 retell; a hear -> /b:t /a/c:u @releaseDomain:r
        5 hear -> device:t; b hear -> -
    """,
}


def read_but_one_byte(engine: Engine, client: Client, _: list[str]) -> None:
    """Take the first message but for its end."""
    first = client.connection.outbox.peek(1)
    engine.sent(client.connection, len(first) - 1)


def long(_: Engine, client: Client, words: list[str]) -> None:
    """Watch with a token that makes events long."""
    client.ask(Op.WATCH, words[0].encode() + b"\0" + b"t" * 4000 + b"\0")
    client.take()


def flood(_: Engine, client: Client, words: list[str]) -> None:
    """Change so many nodes."""
    for number in range(int(words[0])):
        client.ok(Op.WRITE, b"/a/%d\0v" % number)


def kernel(_: Engine, client: Client, __: list[str]) -> None:
    """Be the kernel of dom0."""
    client.connection.is_kernel = True


VERBS: dict[str, Verb] = {
    "long": long,
    "flood": flood,
    "kernel": kernel,
    "retell": lambda engine, client, _: retell(engine.core, client.connection),
    "got": lambda _, client, __: str(len(client.take())),
    "read_but_one_byte": read_but_one_byte,
    "read_that": lambda engine, client, _: engine.sent(client.connection, 1),
    "tally": lambda _, client, __: str(client.connection.tally.count),
}


@pytest.mark.parametrize("rule", RULES)
def test_who_waits_for_others(engine: Engine, rule: str) -> None:
    """Each rule as the script that shows it."""
    play(engine, RULES[rule], VERBS)


def test_event_for_a_connection_that_is_gone_is_dropped() -> None:
    """Only a defect could cause one; it must not become a crash."""
    core = Core(Store())
    watch = Watch(99, Caller(0, privileged=True), (b"", b"a"), b"/a", b"t", -1)

    deliver(core, [Event(watch, b"/a")])

    assert (core.dirty, core.notices) == ([], [])


@pytest.mark.pure_only
def test_an_event_that_cannot_be_queued_concerns_nobody_else(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request has happened, the others are told, and the log has the defect."""
    first, broken, last = (Client(engine) for _ in range(3))
    for each in (first, broken, last):
        each.ask(Op.WATCH, b"/a\0t\0")
    with monkeypatch.context() as patch:
        patch.setattr(broken.connection, "outbox", None)
        first.post(Op.WRITE, b"/a\0v")

    assert told(engine) == ["event.failed"]
    assert first.take() == [event(b"/a", b"t"), (Op.WRITE, OK)]
    assert broken.take() == []
    assert last.take() == [event(b"/a", b"t")]


# What waits is small, and is read.

STATE = b"device/vif/0/state"
LONG = STATE + (b"/" + b"d" * 200) * 9
NODES = 960
"""Nearly what a guest may have, below a path nearly as long as one may be."""


def committing(engine: Engine, domid: int, dom0: Client) -> Client:
    """A guest that is going to commit as much as one may."""
    guest = guest_of(engine, domid)
    give(dom0, home(domid) + b"/" + STATE, b"n%d\0r0\0" % domid)
    assert guest.start() == 1
    for number in range(NODES):
        path = LONG + b"/%d/%x" % (number % 4, number)
        guest.ok(Op.WRITE, path + b"\0v", 1)
    return guest


def read_all(engine: Engine, client: Client) -> int:
    """Read as a kernel does, and tell how many events there were."""
    outbox = client.connection.outbox
    waiting = outbox.waiting
    while outbox.size:
        engine.sent(client.connection, len(outbox.peek(1)))
    return waiting


@pytest.mark.pure_only
@pytest.mark.parametrize(("guests", "watches"), [(9, 1), (1, 9)])
def test_what_waits_of_large_commits_is_small(
    engine: Engine, guests: int, watches: int
) -> None:
    """For a kernel that watches the states of nine guests, or one with many watches.

    All of it is read, and then it is nobody's any more.
    """
    dom0, watcher = Client(engine), Client(engine)
    engine.tape = None
    committers = [committing(engine, domid + 1, dom0) for domid in range(guests)]
    for domid in range(guests):
        for number in range(watches):
            path = home(domid + 1) + b"/" + STATE[: 10 if number % 2 else None]
            watcher.ok(Op.WATCH, path + b"\0%d\0" % number)
    engine.take_dirty()
    tracemalloc.start()
    for each in committers:
        assert each.reply(Op.TRANSACTION_END, b"T\0", 1) == (Op.TRANSACTION_END, OK)
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    size = watcher.connection.outbox.size
    count = read_all(engine, watcher)
    gc.collect()
    kept = before - tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    assert count >= guests * watches * NODES
    assert size > count * 1800
    assert 0 < kept < count * 320
    assert (watcher.connection.lost, told(engine)) == (False, [])
    assert [each.connection.tally.count for each in committers] == [0] * guests
