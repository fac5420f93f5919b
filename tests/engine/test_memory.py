"""xsd.engine.memory: what is refused, lost, too old and remarked on."""

from collections import Counter

import pytest

from tests.engine.script import Verb, play
from tests.engine.support import OK, Client, guest_at_home, guest_of, home, run
from xsd.engine import Engine, Notice
from xsd.engine.memory import REMARK_EVERY_MS, REMARK_MS
from xsd.engine.schedule import EXPIRE
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.protocol.path import parse_path
from xsd.store.quota import MEMORY
from xsd.store.usage import LEVEL_BYTES, MESSAGE_BYTES, WATCH_BYTES

SOFT = "soft-memory"
HOME = "/local/domain/1"
X50, X300, X600, X1000 = ("x" * count for count in (50, 300, 600, 1000))
OVER, BELOW = "memory.over_soft_quota", "memory.below_soft_quota"


def room(engine: Engine, more: int) -> None:
    """Give domain 1 exactly so much room beyond what it has."""
    engine.set_limit(1, MEMORY, engine.store.usage.memory_of(1) + more)


def remarks(engine: Engine) -> list[Notice]:
    """What the log should say of quotas and memory."""
    notices = engine.take_notices()
    return [each for each in notices if each.event.startswith(("quota.", "memory."))]


def quiet(engine: Engine, _: Client, words: list[str]) -> str:
    """Look at the log each second from one to another; what it was told."""
    seen = []
    for second in range(int(words[0]), int(words[1]) + 1):
        run(engine, second * 1000)
        seen += [f"{second}:{each.event}" for each in remarks(engine)]
    return " ".join(seen)


def timers(engine: Engine, _client: Client, _words: list[str]) -> str:
    """When events are looked at."""
    times = [each[0] for each in engine.core.schedule.times if each[1] == EXPIRE]
    return " ".join(map(str, sorted(times)))


VERBS: dict[str, Verb] = {
    "timers": timers,
    "expires": lambda _, client, __: str(client.connection.expires_ms),
    "has": lambda _, client, __: str(client.connection.outbox.size > 0),
    "what": lambda engine, _, __: " ".join(
        str(each.fields.get("what")) for each in remarks(engine)
    ),
    "room": lambda engine, _, words: room(engine, int(words[0])),
    "expire": lambda engine, _, words: engine.expire_events_after(int(words[0])),
    "unsent": lambda engine, _, __: str(engine.store.usage.unsent.of(1) > 200),
    "remarks": lambda engine, _, __: " ".join(each.event for each in remarks(engine)),
    "seconds": quiet,
}

# Events of a node wait for a guest and for dom0's client a.
WATCHED = "node /a r0; 1 watch /a t -> OK /a:t; a watch /a t -> OK /a:t"

RULES = {
    # Whether a request is refused must not depend on what its client has read.
    "what waits for a guest refuses nothing": f"""
        homes 1; 1 watch a t -> OK a:t; mkdir {HOME}/a; unsent -> True
        room 100; 1 write b {X50} -> a:t OK
    """,
    # One of the guest itself; dom0 and its request are not concerned.
    **{
        f"an event that {name} is {what}": f"""
            homes 1 2; 1 watch @releaseDomain t -> OK @releaseDomain:t
            2 watch @releaseDomain t -> OK @releaseDomain:t; introduce 9 1 1
            room {16 + len("@releaseDomain,t,") + MESSAGE_BYTES + more}; release 9
            1 hear -> {"@releaseDomain:t" if not more else "-"}
            2 hear -> @releaseDomain:t; what -> {log}
        """
        for name, what, more, log in (
            ("just fits", "told", 0, "-"),
            ("does not fit", "lost, which is logged", -1, "events are lost"),
        )
    },
    "who reads is told again, since the memory of what was read is free": f"""
        homes 1; 1 watch a t -> OK a:t; room {2 * (MESSAGE_BYTES + 40)}
        mkdir {HOME}/a; mkdir {HOME}/a/b; mkdir {HOME}/a/c; mkdir {HOME}/a/d
        1 hear -> a:t; mkdir {HOME}/a/e; 1 hear -> a/e:t
    """,
    "an event that waits already is not lost, however full the memory": f"""
        homes 1; 1 watch a t -> OK a:t; write {HOME}/a; limit 1 memory 1
        write {HOME}/a; remarks -> -; 1 hear -> a:t
    """,
    # What waits for it can become less in no other way.
    "a guest at its quota is not served until it has read": f"""
        homes 1; room 1; 1 send get_domain_path 1; 1 send get_domain_path 2
        1 wants_input -> False; busy -> False
        1 hear -> get_domain_path={HOME},; turn
        1 hear -> get_domain_path=/local/domain/2,
    """,
    # A limit that was lowered must not lock it out.
    "a guest far over its quota can give memory back": f"""
        homes 1; 1 write a {X1000}; 1 watch b t -> OK b:t; limit 1 memory 1
        1 mkdir c -> ENOMEM; 1 read a -> {X1000}; 1 unwatch b t; 1 rm a
    """,
    # The next is looked for when one has expired.
    "each event has its own time": f"""
        {WATCHED}; expire 20000; write /a/0 v; turn 5; write /a/5 v
        turn 9; write /a/9 v; turn 20007; 1 hear -> /a/9:t; log -> events.expired
    """,
    # Each that an event waits for is one timer; the second has none to do any more.
    "a time that is set again and again is kept once": f"""
        {WATCHED}; expire 9000; write /a v; expire 7000; write /a v; expire 8000
        write /a v; turn 100; write /a/b v; turn 8050; 1 hear -> /a/b:t
        timers -> 8100 9000; turn 9000; 1 expires -> 0
    """,
    # 0 ends it.
    **{
        f"a time that is set holds for what waits already, {name}": f"""
            {WATCHED}; expire {before}; write /a v; expire 100; turn 100; 1 hear -> -
            write /a v; expire 0; turn 90000; 1 hear -> /a:t
        """
        for name, before in (("if there was none", 0), ("if it was longer", 50_000))
    },
    # They are not in its way any more.
    "who waits for its own reading goes on when events expire": f"""
        {WATCHED}; expire 20000; write /a v; limit 1 memory 1; 1 send read /a
        1 unanswered -> 1; turn 20000; 1 hear -> read=v
    """,
    # Once over it and once below it again, however many requests come.
    "a soft quota is remarked on both ways": f"""
        homes 1; limit 1 {SOFT} 500
        1 write a {X300}; 1 write b {X300}; 1 write c {X300}; remarks -> {OVER}
        turn {REMARK_MS}; 1 rm a; remarks -> -
        1 rm b; turn {REMARK_MS + REMARK_EVERY_MS}; remarks -> {BELOW}
    """,
    # Then nobody looks any more.
    "what may not be told yet is told later without a request": f"""
        homes 1; limit 1 {SOFT} 500; 1 write a {X600}; 1 rm a; remarks -> {OVER}
        seconds 1 10 -> 10:{BELOW}
        1 write a {X600}; seconds 11 20 -> 20:{OVER}
        1 rm a; seconds 21 31 -> 30:{BELOW}; next -> 0
    """,
    # Though it asks for nothing itself; the privileged domain has no limit.
    "what others give a domain is noticed in time": f"""
        found 1; limit -1 {SOFT} 100; node /a n1; write /a {X1000}; remarks -> -
        turn {REMARK_EVERY_MS}; remarks -> {OVER}; turn {5 * REMARK_MS}; remarks -> -
    """,
    # Nothing of the one that had its id before is known.
    "a later domain is remarked on anew": f"""
        limit -1 {SOFT} 100
        found 1; write /a {X1000}; perms /a n1
        turn {REMARK_EVERY_MS}; remarks -> {OVER}; release 1
        found 1; write /a {X1000}; perms /a n1
        turn {2 * REMARK_EVERY_MS}; remarks -> {OVER}; release 1
    """,
    "a soft quota of 0 is none": f"""
        homes 1; limit 1 {SOFT} 0; 1 write a {X1000}
        turn {REMARK_EVERY_MS}; remarks -> -
    """,
}


@pytest.mark.parametrize("rule", RULES)
def test_memory(engine: Engine, rule: str) -> None:
    """Each rule as the script that shows it."""
    play(engine, RULES[rule], VERBS)


def test_a_refusal_for_memory_is_enomem_and_logged_once(engine: Engine) -> None:
    """Each kind of request with domain, quota, limit and path, and counted then."""
    guest = guest_at_home(engine, 1)
    room(engine, 10)
    for _ in range(3):
        assert guest.errno(Op.WRITE, b"a\0" + b"x" * 100) is Errno.ENOMEM
    for _ in range(2):
        assert guest.errno(Op.WATCH, b"b\0t\0") is Errno.ENOMEM
    notices = remarks(engine)

    told = [("WRITE", home(1) + b"/a"), ("WATCH", b"b")]
    assert [(n.fields["request"], n.fields["path"]) for n in notices] == told
    limit = engine.store.quotas.limit(1, MEMORY)
    for notice in notices:
        assert (notice.level, notice.event) == ("warning", "quota.exceeded")
        named = [notice.fields[name] for name in ("domid", "quota", "limit")]
        assert named == [1, "memory", limit]
    counts = [engine.core.over_quota[1, MEMORY, each].count for each, _ in told]
    assert counts == [3, 2]


def test_events_that_are_lost_do_not_hide_a_watch_that_is_refused(
    engine: Engine,
) -> None:
    """The first one loses its own event, the next one is not there at all."""
    guest = guest_at_home(engine, 1)
    watch = WATCH_BYTES + len(home(1) + b"/at") + LEVEL_BYTES * 5
    room(engine, watch)
    assert guest.ask(Op.WATCH, b"a\0t\0") == [(Op.WATCH, OK)]
    assert guest.errno(Op.WATCH, b"b\0t\0") is Errno.ENOMEM
    lost, refused = remarks(engine)

    assert (lost.fields["what"], lost.fields["path"]) == ("events are lost", b"a")
    assert "request" not in lost.fields
    assert (refused.fields["request"], refused.fields["path"]) == ("WATCH", b"b")
    assert {lost.fields["quota"], refused.fields["quota"]} == {MEMORY}


def test_a_commit_makes_no_more_events_than_a_guest_has_room_for(dom0: Client) -> None:
    """A hundred thousand would hold everybody up; who has room is told them all."""
    engine = dom0.engine
    guest = guest_at_home(engine, 1)
    other = guest_at_home(engine, 2)
    guest.ok(Op.SET_PERMS, home(1) + b"\0n1\0r2\0")
    for number in range(3):
        for client in (guest, other, dom0):
            client.ok(Op.WATCH, home(1) + b"\0%d\0" % number)
    engine.tape = None
    transaction = engine.store.start(engine.store.privileged.caller)
    for node in range(100):
        path = parse_path(home(1) + b"/%d" % node)
        engine.store.mkdir(transaction.caller, path, transaction)
    room(engine, 10_000)
    events = engine.store.commit(transaction)
    count = Counter(each.watch.caller.domid for each in events)

    free = engine.store.quotas.limit(1, MEMORY) - engine.store.usage.memory_of(1)
    assert 0 < free < 300 * MESSAGE_BYTES
    assert count == {0: 300, 1: free // MESSAGE_BYTES + 1, 2: 300}


def test_events_that_a_guest_does_not_fetch_are_dropped_in_time(engine: Engine) -> None:
    """Those of dom0 never are; a link need not be told; and it is logged."""
    play(
        engine,
        f"""
        {WATCHED}; expire 20000; write /a v; turn 19999; 1 has -> True; turn 20000
        1 hear -> -; a hear -> /a:t
        """,
        VERBS,
    )
    (notice,) = engine.take_notices()
    assert (notice.level, notice.event) == ("warning", "events.expired")
    assert notice.fields["what"] == 1


def test_remarks_on_one_domain_are_ten_seconds_apart(engine: Engine) -> None:
    """It may go to and fro as it likes."""
    guest = guest_at_home(engine, 1)
    engine.set_limit(1, SOFT, 500)
    count = 0
    for second in range(60):
        run(engine, second * 1000)
        value = b"x" * 600 if second % 2 == 0 else b""
        guest.ok(Op.WRITE, b"a\0" + value)
        count += len(remarks(engine))

    assert 5 <= count <= 6


def test_a_remark_has_its_particulars(engine: Engine) -> None:
    """A warning with domain, limit and use; below the limit it is no warning."""
    guest = guest_at_home(engine, 1)
    engine.set_limit(1, SOFT, 500)
    guest.ok(Op.WRITE, b"a\0" + b"x" * 600)
    guest.ok(Op.RM, b"a\0")
    for now_ms in (REMARK_MS, REMARK_MS + REMARK_EVERY_MS):
        run(engine, now_ms)
    over, below = remarks(engine)

    assert (over.level, below.level) == ("warning", "info")
    assert (over.fields["domid"], over.fields["limit"]) == (1, 500)
    assert isinstance(used := over.fields["used"], int)
    assert used > 500


def test_a_watch_is_work_by_its_depth(engine: Engine) -> None:
    """When it is set and when it ends, alone or with all others."""
    guest = guest_of(engine)
    before = engine.store.usage.work
    guest.ok(Op.WATCH, b"/w" * 600 + b"\0t\0")
    assert engine.store.usage.work - before >= 150

    before = engine.store.usage.work
    guest.ok(Op.RESET_WATCHES, b"\0")
    assert engine.store.usage.work - before >= 150
