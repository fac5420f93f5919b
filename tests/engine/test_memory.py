"""xsd.engine.memory: what is refused, lost, too old and remarked on."""

from collections import Counter

import pytest

from tests.engine.support import (
    OK,
    Client,
    event,
    give,
    guest_at_home,
    home,
    run,
    told,
)
from xsd.engine import Engine, Notice
from xsd.engine.memory import REMARK_EVERY_MS, REMARK_MS
from xsd.engine.schedule import EXPIRE
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.protocol.path import parse_path
from xsd.store.quota import MEMORY
from xsd.store.usage import MESSAGE_BYTES

SOFT = "soft-memory"


def room(engine: Engine, more: int) -> None:
    """Give domain 1 exactly so much room beyond what it has."""
    engine.set_limit(1, MEMORY, engine.store.usage.memory_of(1) + more)


def remarks(engine: Engine) -> list[Notice]:
    """What the log should say of quotas and memory."""
    notices = engine.take_notices()
    return [each for each in notices if each.event.startswith(("quota.", "memory."))]


def remarked(engine: Engine, now_ms: int) -> list[str]:
    """What is remarked on at a time."""
    run(engine, now_ms)
    return [each.event for each in remarks(engine)]


OVER, BELOW = "memory.over_soft_quota", "memory.below_soft_quota"

# Refused.


def test_a_refusal_for_memory_is_enomem_and_logged_once(engine: Engine) -> None:
    """With domain, quota, limit and path; and counted from then on."""
    guest = guest_at_home(engine, 1)
    room(engine, 10)
    for _ in range(3):
        assert guest.errno(Op.WRITE, b"a\0" + b"x" * 100) is Errno.ENOMEM
    assert guest.errno(Op.WATCH, b"a\0t\0") is Errno.ENOMEM
    (notice,) = remarks(engine)

    assert (notice.level, notice.event) == ("warning", "quota.exceeded")
    fields = notice.fields
    assert (fields["domid"], fields["quota"]) == (1, "memory")
    assert fields["limit"] == engine.store.quotas.limit(1, MEMORY)
    assert fields["path"] == home(1) + b"/a"
    assert engine.core.over_quota == {(1, "memory"): 4}


def test_what_waits_for_a_guest_refuses_nothing(engine: Engine, dom0: Client) -> None:
    """Whether a request is refused must not depend on what its client has read."""
    guest = guest_at_home(engine, 1)
    guest.ok(Op.WATCH, b"a\0t\0")
    dom0.ok(Op.MKDIR, home(1) + b"/a\0")
    assert engine.store.usage.unsent.of(1) > 200
    room(engine, 100)

    assert event(b"a", b"t") in guest.ask(Op.WRITE, b"b\0" + b"x" * 50)


# Lost.


@pytest.mark.parametrize(("more", "is_told"), [(0, True), (-1, False)])
def test_an_event_that_does_not_fit_is_lost(
    engine: Engine, dom0: Client, more: int, *, is_told: bool
) -> None:
    """It is one of the guest itself; dom0 and its request are not concerned."""
    guest = guest_at_home(engine, 1)
    other = guest_at_home(engine, 2)
    for each in (guest, other):
        each.ok(Op.WATCH, b"@releaseDomain\0t\0")
    dom0.ok(Op.INTRODUCE, b"9\x001\x001\0")
    expected = event(b"@releaseDomain", b"t")
    room(engine, 16 + len(expected[1]) + MESSAGE_BYTES + more)
    dom0.ok(Op.RELEASE, b"9\0")

    assert guest.take() == ([expected] if is_told else [])
    assert other.take() == [expected]
    lost = [each.fields.get("what") for each in remarks(engine)]
    assert lost == ([] if is_told else ["events are lost"])


def test_who_reads_is_told_again(engine: Engine, dom0: Client) -> None:
    """The memory of what was read is free."""
    guest = guest_at_home(engine, 1)
    guest.ok(Op.WATCH, b"a\0t\0")
    room(engine, 2 * (MESSAGE_BYTES + 40))
    for name in (b"a", b"a/b", b"a/c", b"a/d"):
        dom0.ok(Op.MKDIR, home(1) + b"/" + name + b"\0")
    assert 0 < len(guest.take()) < 4
    dom0.ok(Op.MKDIR, home(1) + b"/a/e\0")

    assert guest.take() == [event(b"a/e", b"t")]


def test_a_commit_makes_no_more_events_than_a_guest_has_room_for(
    engine: Engine, dom0: Client
) -> None:
    """A hundred thousand would hold everybody up; who has room is told them all."""
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


def test_an_event_that_waits_already_is_not_lost(engine: Engine, dom0: Client) -> None:
    """However full the memory of its watcher is."""
    guest = guest_at_home(engine, 1)
    guest.ok(Op.WATCH, b"a\0t\0")
    dom0.ok(Op.WRITE, home(1) + b"/a\0")
    engine.set_limit(1, MEMORY, 1)
    dom0.ok(Op.WRITE, home(1) + b"/a\0")

    assert remarks(engine) == []
    assert guest.take() == [event(b"a", b"t")]


# Left alone.


def test_a_guest_at_its_quota_is_not_served_until_it_has_read(engine: Engine) -> None:
    """What waits for it can become less in no other way."""
    guest = guest_at_home(engine, 1)
    room(engine, 1)
    for domid in (b"1", b"2"):
        guest.post(Op.GET_DOMAIN_PATH, domid + b"\0")

    assert not guest.connection.wants_input
    assert not engine.busy
    assert guest.take() == [(Op.GET_DOMAIN_PATH, home(1) + b"\0")]
    run(engine)
    assert guest.take() == [(Op.GET_DOMAIN_PATH, home(2) + b"\0")]


def test_a_guest_far_over_its_quota_can_give_memory_back(engine: Engine) -> None:
    """A limit that was lowered must not lock it out."""
    guest = guest_at_home(engine, 1)
    guest.ok(Op.WRITE, b"a\0" + b"x" * 1000)
    guest.ok(Op.WATCH, b"b\0t\0")
    engine.set_limit(1, MEMORY, 1)

    assert guest.errno(Op.MKDIR, b"c\0") is Errno.ENOMEM
    assert guest.reply(Op.READ, b"a\0") == (Op.READ, b"x" * 1000)
    assert guest.reply(Op.UNWATCH, b"b\0t\0") == (Op.UNWATCH, OK)
    assert guest.reply(Op.RM, b"a\0") == (Op.RM, OK)


# Too old.


def unread(engine: Engine) -> tuple[Client, Client, Client]:
    """A guest and dom0 that are told of a node, and who writes it."""
    guest, dom0, writer = guest_at_home(engine, 1), Client(engine), Client(engine)
    give(dom0, b"/a", b"r0\0")
    for client in (guest, dom0):
        client.ask(Op.WATCH, b"/a\0t\0")
    return guest, dom0, writer


def test_events_that_a_guest_does_not_fetch_are_dropped_in_time(engine: Engine) -> None:
    """Those of dom0 never are; a link need not be told; and it is logged."""
    guest, dom0, writer = unread(engine)
    engine.expire_events_after(20_000)
    writer.ok(Op.WRITE, b"/a\0v")
    run(engine, 19_999)
    assert guest.connection.outbox.size > 0

    run(engine, 20_000)
    assert guest.take() == []
    assert dom0.take() == [event(b"/a", b"t")]
    (notice,) = engine.take_notices()
    assert (notice.level, notice.event) == ("warning", "events.expired")
    assert notice.fields["what"] == 1


def test_each_event_has_its_own_time(engine: Engine) -> None:
    """The next is looked for when one has expired."""
    guest, _, writer = unread(engine)
    engine.expire_events_after(20_000)
    for now_ms, path in ((0, b"/a/0"), (5, b"/a/5"), (9, b"/a/9")):
        run(engine, now_ms)
        writer.ok(Op.WRITE, path + b"\0v")
    run(engine, 20_007)

    assert guest.take() == [event(b"/a/9", b"t")]
    assert told(engine) == ["events.expired"]


@pytest.mark.parametrize("before", [0, 50_000])
def test_a_time_that_is_set_holds_for_what_waits_already(
    engine: Engine, before: int
) -> None:
    """Whether there was a longer one before, or none; 0 ends it."""
    guest, _, writer = unread(engine)
    engine.expire_events_after(before)
    writer.ok(Op.WRITE, b"/a\0v")
    engine.expire_events_after(100)
    run(engine, 100)
    assert guest.take() == []

    writer.ok(Op.WRITE, b"/a\0v")
    engine.expire_events_after(0)
    run(engine, 90_000)
    assert guest.take() == [event(b"/a", b"t")]


def test_a_time_that_is_set_again_and_again_is_kept_once(engine: Engine) -> None:
    """Each that an event waits for is one timer, not one more with each setting."""
    guest, _, writer = unread(engine)
    for timeout_ms in (9000, 7000, 8000):
        engine.expire_events_after(timeout_ms)
        writer.ok(Op.WRITE, b"/a\0v")
    run(engine, 100)
    writer.ok(Op.WRITE, b"/a/b\0v")
    run(engine, 8050)

    assert guest.take() == [event(b"/a/b", b"t")]
    # The second has none to do any more.
    times = [each[0] for each in engine.core.schedule.times if each[1] == EXPIRE]
    assert sorted(times) == [8100, 9000]
    run(engine, 9000)
    assert guest.connection.expires_ms == 0


def test_who_waits_for_its_own_reading_goes_on_when_events_expire(
    engine: Engine,
) -> None:
    """They are not in its way any more."""
    guest, _, writer = unread(engine)
    engine.expire_events_after(20_000)
    writer.ok(Op.WRITE, b"/a\0v")
    engine.set_limit(1, MEMORY, 1)
    guest.post(Op.READ, b"/a\0")
    assert guest.unanswered == 1
    run(engine, 20_000)

    assert guest.take() == [(Op.READ, b"v")]


# Remarked on.


def test_a_soft_quota_is_remarked_on_both_ways(engine: Engine) -> None:
    """Once over it and once below it again, however many requests come."""
    guest = guest_at_home(engine, 1)
    engine.set_limit(1, SOFT, 500)
    for name in (b"a", b"b", b"c"):
        guest.ok(Op.WRITE, name + b"\0" + b"x" * 300)
    (over,) = remarks(engine)
    assert (over.level, over.event) == ("warning", OVER)
    assert (over.fields["domid"], over.fields["limit"]) == (1, 500)
    assert isinstance(used := over.fields["used"], int)
    assert used > 500
    run(engine, REMARK_MS)
    guest.ok(Op.RM, b"a\0")
    assert remarks(engine) == []
    guest.ok(Op.RM, b"b\0")
    run(engine, REMARK_MS + REMARK_EVERY_MS)
    (below,) = remarks(engine)
    assert (below.level, below.event) == ("info", BELOW)


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


def test_what_may_not_be_told_yet_is_told_later_without_a_request(
    engine: Engine,
) -> None:
    """Then nobody looks any more."""
    guest = guest_at_home(engine, 1)
    engine.set_limit(1, SOFT, 500)
    guest.ok(Op.WRITE, b"a\0" + b"x" * 600)
    guest.ok(Op.RM, b"a\0")
    assert [each.event for each in remarks(engine)] == [OVER]
    seen = [remarked(engine, second * 1000) for second in range(1, 11)]
    assert seen == [[]] * 9 + [[BELOW]]
    guest.ok(Op.WRITE, b"a\0" + b"x" * 600)
    seen = [remarked(engine, second * 1000) for second in range(11, 21)]
    assert seen == [[]] * 9 + [[OVER]]

    guest.ok(Op.RM, b"a\0")
    seen = [remarked(engine, second * 1000) for second in range(21, 32)]
    assert seen == [[]] * 9 + [[BELOW]] + [[]]
    assert engine.next_ms == 0


def test_what_others_give_a_domain_is_noticed_in_time(
    engine: Engine, dom0: Client
) -> None:
    """Though it asks for nothing itself; the privileged domain has no limit."""
    engine.introduce_waiting(1)
    engine.set_limit(-1, SOFT, 100)
    give(dom0, b"/a", b"n1\0", b"x" * 1000)
    assert remarks(engine) == []
    run(engine, REMARK_EVERY_MS)
    assert [each.fields["domid"] for each in remarks(engine)] == [1]
    assert remarked(engine, 5 * REMARK_MS) == []


def test_a_later_domain_is_remarked_on_anew(engine: Engine, dom0: Client) -> None:
    """Nothing of the one that had its id before is known."""
    engine.set_limit(-1, SOFT, 100)
    for turn in (1, 2):
        engine.introduce_waiting(1)
        give(dom0, b"/a", b"n1\0", b"x" * 1000)
        assert remarked(engine, turn * REMARK_EVERY_MS) == [OVER]
        dom0.ok(Op.RELEASE, b"1\0")


def test_no_soft_quota_is_no_remark(engine: Engine) -> None:
    """0 is no limit."""
    guest = guest_at_home(engine, 1)
    engine.set_limit(1, SOFT, 0)
    guest.ok(Op.WRITE, b"a\0" + b"x" * 1000)

    assert remarked(engine, REMARK_EVERY_MS) == []
