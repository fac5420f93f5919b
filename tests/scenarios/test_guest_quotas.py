"""What guests may have, and what they may have under way: played in several worlds."""

import pytest

from tests.support.worlds import EngineWorld, World
from xsd.client import Event
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.testing import Session
from xsd.testing.session import OK, strings

EACCES, ENOENT, EINVAL = Errno.EACCES, Errno.ENOENT, Errno.EINVAL
ENOSPC, ENOMEM = Errno.ENOSPC, Errno.ENOMEM


def at_home(world: World, domid: int = 5) -> Session:
    """A guest that owns `/t` and nothing else."""
    guest = world.guest(domid)
    world.dom0.make(b"/t", b"n%d" % domid)
    return guest


# Nodes.


def test_guest_may_have_as_many_nodes_as_its_quota_says(world: World) -> None:
    """N of them, not N + 1; a node that is removed makes room for another."""
    guest = at_home(world)
    world.limit(b"nodes", 4)
    for name in (b"1", b"2", b"3"):
        assert guest.get(Op.WRITE, b"/t/" + name + b"\0") == OK

    for op in (Op.WRITE, Op.MKDIR):
        assert guest.errno(op, b"/t/4\0") is ENOSPC
        assert guest.get(op, b"/t/3\0") == OK
    assert guest.errno(Op.READ, b"/t/4\0") is ENOENT
    assert guest.get(Op.RM, b"/t/1\0") == OK
    assert guest.get(Op.MKDIR, b"/t/4\0") == OK
    assert guest.errno(Op.MKDIR, b"/t/1\0") is ENOSPC


def test_nodes_that_dom0_makes_for_a_guest_count_and_are_not_refused(
    world: World,
) -> None:
    """Those it gives away, too; the guest has to be below its limit again first."""
    guest = at_home(world)
    world.limit(b"nodes", 2)
    for name in (b"1", b"2", b"3"):
        world.dom0.make(b"/t/" + name)
    world.dom0.make(b"/gift", b"n5")

    for name in (b"1", b"2", b"3"):
        assert guest.errno(Op.MKDIR, b"/t/4\0") is ENOSPC
        assert guest.get(Op.RM, b"/t/" + name + b"\0") == OK
    assert guest.errno(Op.MKDIR, b"/t/4\0") is ENOSPC
    world.dom0.make(b"/gift", b"n0")
    assert guest.get(Op.MKDIR, b"/t/4\0") == OK


def test_nodes_of_others_do_not_count(world: World) -> None:
    """Each guest has its own account, wherever its nodes are."""
    guest, other = at_home(world), world.guest(6)
    world.dom0.make(b"/t", b"b5")
    world.limit(b"nodes", 3)
    for caller, name in ((guest, b"a"), (guest, b"b"), (other, b"c"), (other, b"d")):
        assert caller.get(Op.MKDIR, b"/t/" + name + b"\0") == OK
    assert guest.errno(Op.MKDIR, b"/t/e\0") is ENOSPC
    assert other.get(Op.MKDIR, b"/t/e\0") == OK
    assert other.errno(Op.MKDIR, b"/t/f\0") is ENOSPC


def test_path_that_would_be_over_quota_is_not_made_in_part(ours: World) -> None:
    """All its nodes, or none."""
    guest = at_home(ours)
    ours.limit(b"nodes", 3)

    assert guest.errno(Op.WRITE, b"/t/a/b/c\0v") is ENOSPC
    assert guest.get(Op.DIRECTORY, b"/t\0") == b""
    assert guest.get(Op.WRITE, b"/t/a/b\0v") == OK


def test_quota_of_one_guest_is_not_that_of_others(ours: World) -> None:
    """SET_QUOTA; 0 is no limit. It ends with the domain."""
    guest, other = at_home(ours), ours.guest(6)
    ours.dom0.make(b"/t", b"b5")
    ours.limit(b"nodes", 2)
    assert ours.dom0.get(Op.SET_QUOTA, strings(b"5", b"nodes", b"0")) == OK
    for number in range(9):
        assert guest.get(Op.MKDIR, b"/t/%d\0" % number) == OK

    for name in (b"a", b"b"):
        assert other.get(Op.MKDIR, b"/t/" + name + b"\0") == OK
    assert other.errno(Op.MKDIR, b"/t/c\0") is ENOSPC
    ours.end(guest)
    again = at_home(ours)
    assert again.get(Op.MKDIR, b"/t/1\0") == OK
    assert again.errno(Op.MKDIR, b"/t/2\0") is ENOSPC


def test_transaction_may_replace_nodes_at_the_limit(ours: World) -> None:
    """But one that went over it fails, and takes nothing more."""
    guest = at_home(ours)
    ours.limit(b"nodes", 3)
    for name in (b"1", b"2"):
        assert guest.get(Op.MKDIR, b"/t/" + name + b"\0") == OK
    tx = guest.start()
    assert guest.get(Op.RM, b"/t/1\0", tx) == OK
    assert guest.get(Op.MKDIR, b"/t/3\0", tx) == OK
    assert guest.commit(tx) is None
    assert guest.get(Op.DIRECTORY, b"/t\0") == b"2\x003\0"

    tx = guest.start()
    assert guest.errno(Op.MKDIR, b"/t/4\0", tx) is ENOSPC
    assert guest.errno(Op.RM, b"/t/2\0", tx) is ENOMEM
    assert guest.get(Op.DIRECTORY, b"/t\0", tx) == b"2\x003\0"
    assert guest.commit(tx) is ENOMEM
    assert guest.get(Op.DIRECTORY, b"/t\0") == b"2\x003\0"


def test_two_transactions_cannot_pass_the_limit_together(ours: World) -> None:
    """Each alone is within it."""
    guest = at_home(ours)
    for name in (b"a", b"b"):
        assert guest.get(Op.MKDIR, b"/t/" + name + b"\0") == OK
    ours.limit(b"nodes", 4)
    numbers = [guest.start(), guest.start()]
    for tx, name in zip(numbers, (b"a", b"b"), strict=True):
        assert guest.get(Op.MKDIR, b"/t/" + name + b"/x\0", tx) == OK
    assert guest.commit(numbers[0]) is None

    assert guest.commit(numbers[1]) is ENOSPC
    assert guest.get(Op.DIRECTORY, b"/t/b\0") == b""


# Sizes.


@pytest.mark.parametrize(("perms", "most"), [((b"b5",), 2024), ((b"b5", b"r6"), 2016)])
def test_guest_may_write_nodes_of_the_size_of_its_quota(
    ours: World, perms: tuple[bytes, ...], most: int
) -> None:
    """16 bytes, 8 for each permission, the value and the names of the children."""
    guest = at_home(ours)
    ours.dom0.make(b"/t", *perms)
    assert guest.get(Op.WRITE, b"/t\0" + b"v" * most) == OK
    assert guest.errno(Op.WRITE, b"/t\0" + b"v" * (most + 1)) is ENOSPC
    assert guest.errno(Op.MKDIR, b"/t/a\0") is ENOSPC
    assert guest.get(Op.READ, b"/t\0") == b"v" * most

    assert guest.get(Op.WRITE, b"/t\0" + b"v" * (most - 2)) == OK
    assert guest.errno(Op.MKDIR, b"/t/ab\0") is ENOSPC
    assert guest.get(Op.MKDIR, b"/t/a\0") == OK
    assert guest.errno(Op.WRITE, b"/t/a/b/c\0" + b"v" * (most + 1)) is ENOSPC
    assert guest.errno(Op.READ, b"/t/a/b\0") is ENOENT


def test_one_more_permission_must_fit_as_well(ours: World) -> None:
    """Fewer always do."""
    guest = at_home(ours)
    assert guest.get(Op.WRITE, b"/t\0" + b"v" * 2017) == OK

    assert guest.errno(Op.SET_PERMS, strings(b"/t", b"n5", b"r6")) is ENOSPC
    assert guest.get(Op.WRITE, b"/t\0" + b"v" * 2016) == OK
    assert guest.get(Op.SET_PERMS, strings(b"/t", b"n5", b"r6")) == OK
    assert guest.get(Op.SET_PERMS, strings(b"/t", b"n5")) == OK


def test_dom0_may_write_a_guests_node_of_any_size(world: World) -> None:
    """The guest may not make it bigger, but smaller."""
    guest = at_home(world)
    assert world.dom0.get(Op.WRITE, b"/t\0" + b"v" * 4000) == OK

    assert guest.get(Op.READ, b"/t\0") == b"v" * 4000
    assert guest.errno(Op.WRITE, b"/t\0" + b"v" * 4001) is ENOSPC
    assert guest.errno(Op.MKDIR, b"/t/a\0") is ENOSPC
    assert guest.get(Op.WRITE, b"/t\0" + b"v" * 2000) == OK


def test_guest_may_set_as_many_permissions_as_its_quota_says(world: World) -> None:
    """5, the owner's included; too many are found out before a malformed one."""
    guest = at_home(world)
    entries = [b"n5", *[b"r%d" % domid for domid in range(6, 11)]]

    assert guest.get(Op.SET_PERMS, strings(b"/t", *entries[:4])) == OK
    assert guest.get(Op.SET_PERMS, strings(b"/t", *entries[:5])) == OK
    assert guest.errno(Op.SET_PERMS, strings(b"/t", *entries[:6])) is ENOSPC
    assert guest.errno(Op.SET_PERMS, strings(b"/t", *entries[:5], b"x")) is ENOSPC
    assert world.dom0.get(Op.SET_PERMS, strings(b"/t", *entries[:6])) == OK
    assert guest.get(Op.SET_PERMS, strings(b"/t", *entries[:1])) == OK


# Memory.


def test_guest_without_memory_has_to_give_some_back_first(world: World) -> None:
    """Of its nodes; nothing that it asked for is done in part. (C says EIO.)"""
    guest = at_home(world)
    world.limit(b"memory", 6000)
    value = b"x" * 1500
    for name in (b"1", b"2", b"3"):
        assert guest.get(Op.WRITE, b"/t/" + name + b"\0" + value) == OK

    for name in (b"4", b"4/5"):
        refused = guest.errno(Op.WRITE, b"/t/" + name + b"\0" + value)
        assert refused in {ENOMEM, Errno.EIO}
    assert guest.get(Op.DIRECTORY, b"/t\0") == b"1\x002\x003\0"
    assert guest.get(Op.RM, b"/t/2\0") == OK
    assert guest.get(Op.WRITE, b"/t/4\0" + value) == OK


def test_guest_without_memory_cannot_watch(world: World) -> None:
    """ENOMEM; what it watches already it is told of."""
    guest = at_home(world)
    assert guest.get(Op.WATCH, strings(b"/t", b"t")) == OK
    assert guest.events() == [(b"/t", b"t")]
    world.limit(b"memory", 3000)

    assert guest.errno(Op.WATCH, strings(b"/t", b"t" * 3900)) is ENOMEM
    assert guest.events() == []
    world.dom0.make(b"/t/a")
    assert guest.events() == [(b"/t/a", b"t")]


def test_transaction_without_memory_fails_as_a_whole(world: World) -> None:
    """Also what fitted into it; the memory that it had is free afterwards."""
    guest = at_home(world)
    world.limit(b"memory", 20_000)
    for _ in range(3):
        tx = guest.start()
        answers = [
            guest.errno(Op.WRITE, b"/t/%d\0" % number + b"x" * 1500, tx)
            for number in range(20)
        ]
        assert answers[0] is None
        assert answers[-1] in {ENOMEM, Errno.EIO}
        assert guest.commit(tx) is ENOMEM
        assert guest.get(Op.DIRECTORY, b"/t\0") == b""
        assert guest.get(Op.WRITE, b"/t\0" + b"x" * 1500) == OK


def test_dom0_may_fill_what_a_guest_owns(ours: World) -> None:
    """It counts for the guest, which is refused; dom0 never is."""
    guest = at_home(ours)
    ours.limit(b"memory", 1000)
    for name in (b"1", b"2"):
        ours.dom0.make(b"/t/" + name)
        assert ours.dom0.get(Op.WRITE, b"/t/" + name + b"\0" + b"x" * 1500) == OK

    assert guest.errno(Op.WRITE, b"/t/3\0") is ENOMEM
    assert guest.get(Op.WRITE, b"/t/1\0") == OK
    assert guest.errno(Op.WRITE, b"/t/3\0") is ENOMEM
    assert guest.get(Op.WRITE, b"/t/2\0") == OK
    assert guest.get(Op.WRITE, b"/t/3\0") == OK


@pytest.mark.parametrize("op", [Op.READ, Op.WRITE, Op.MKDIR, Op.RM, Op.GET_PERMS])
def test_guests_paths_are_as_long_as_its_quota_says(world: World, op: Op) -> None:
    """2,048 bytes; what is longer is EINVAL, not missing."""
    guest = at_home(world)
    longest = b"/t" + b"/" + b"x" * (2048 - 3)
    assert len(longest) == 2048

    assert guest.errno(op, longest + b"\0") is not EINVAL
    assert guest.errno(op, longest + b"x\0") is EINVAL


def test_relative_part_of_a_path_has_its_own_length(world: World) -> None:
    """The beginning, `/local/domain/5/`, does not count."""
    guest = world.guest(5)
    world.dom0.make(b"/local/domain/5", b"n5")
    longest = b"x" * 2048

    for path in (longest, b"/local/domain/5/" + longest):
        assert guest.errno(Op.READ, path + b"\0") is ENOENT
        assert guest.errno(Op.READ, path + b"x\0") is EINVAL


# Watches and transactions.


def test_guest_may_have_as_many_watches_as_its_quota_says(ours: World) -> None:
    """One that is ended makes room for another."""
    guest, other = ours.guests(5, 6)
    ours.limit(b"watches", 3)
    for token in (b"1", b"2", b"3"):
        guest.watch(b"/t", token)

    assert guest.errno(Op.WATCH, strings(b"/t", b"4")) is ENOSPC
    assert guest.errno(Op.WATCH, strings(b"/t", b"3")) is Errno.EEXIST
    other.watch(b"/t")
    assert guest.get(Op.UNWATCH, strings(b"/t", b"2")) == OK
    guest.watch(b"/t", b"4")
    assert guest.errno(Op.WATCH, strings(b"/t", b"5")) is ENOSPC
    assert guest.get(Op.RESET_WATCHES, b"\0") == OK
    for token in (b"1", b"2", b"3"):
        guest.watch(b"/t", token)
    assert guest.errno(Op.WATCH, strings(b"/t", b"4")) is ENOSPC
    ours.limit(b"watches", 128)


def test_guest_may_have_as_many_transactions_as_its_quota_says(ours: World) -> None:
    """However one of them ends, it makes room for another."""
    guest = at_home(ours)
    ours.limit(b"transactions", 2)
    first, second = guest.start(), guest.start()
    assert guest.errno(Op.TRANSACTION_START, b"\0") is ENOSPC
    assert guest.get(Op.TRANSACTION_END, b"F\0", first) == OK
    third = guest.start()
    assert guest.errno(Op.TRANSACTION_START, b"\0") is ENOSPC

    # Committed, failed by a conflict, and forgotten.
    assert guest.get(Op.WRITE, b"/t\0v", second) == OK
    assert guest.get(Op.READ, b"/t\0", third) == b""
    assert guest.get(Op.MKDIR, b"/t/x\0", third) == OK
    assert guest.commit(second) is None
    assert guest.commit(third) is Errno.EAGAIN
    assert [guest.start(), guest.start()] == [4, 5]
    assert guest.errno(Op.TRANSACTION_START, b"\0") is ENOSPC
    assert guest.get(Op.RESET_WATCHES, b"\0") == OK
    assert [guest.start(), guest.start()] == [6, 7]
    ours.limit(b"transactions", 10)


def test_dom0_has_no_quotas(ours: World) -> None:
    """Whatever they say."""
    for quota in (b"nodes", b"watches", b"transactions", b"outstanding"):
        ours.limit(quota, 1)
    for number in range(3):
        ours.dom0.watch(b"/t", b"%d" % number)
        ours.dom0.start()
    for number in range(3):
        ours.dom0.make(b"/t/%d" % number)

    assert len(ours.dom0.get(Op.DIRECTORY, b"/t\0")) == 6
    assert len(ours.dom0.events()) == 9
    for quota, value in ((b"watches", 128), (b"transactions", 10)):
        ours.limit(quota, value)


# What is under way.

COUNT = 90
"""Requests that cause an event each; a ring takes what of them is not answered."""


def write_many(world: World, writer: Session) -> int:
    """Ask for many writes at once; return how many are answered by and by."""
    for number in range(COUNT):
        writer.post(Op.WRITE, b"/t/%03d\0" % number)
    answered = -1
    while answered < writer.look():
        answered = writer.look()
        world.settle()
    return answered


def test_guest_whose_events_are_not_read_has_to_wait(world: World) -> None:
    """Until they are; others are served meanwhile (XSA-326)."""
    writer, deaf, other = at_home(world), world.guest(6), world.guest(7)
    world.dom0.make(b"/t", b"r5")
    deaf.watch(b"/t")
    answered = write_many(world, writer)
    assert answered < 70
    assert other.get(Op.READ, b"/t/000\0") == b""
    assert world.dom0.get(Op.READ, b"/t/%03d\0" % (answered - 1)) == b""

    seen: list[Event] = []
    while len(seen) < COUNT:
        seen += deaf.events()
        writer.look()
    assert seen == [(b"/t/%03d" % number, b"t") for number in range(COUNT)]
    assert writer.replies(COUNT) == [(Op.WRITE, OK)] * COUNT


def test_guest_waits_for_nobody_who_is_gone(world: World) -> None:
    """RELEASE ends the one who does not read."""
    writer, deaf = at_home(world), world.guest(6)
    world.dom0.make(b"/t", b"r5")
    deaf.watch(b"/t")
    assert write_many(world, writer) < 70
    world.end(deaf)

    assert writer.replies(COUNT) == [(Op.WRITE, OK)] * COUNT


def test_equal_events_wait_once(world: World) -> None:
    """So that who writes one node again and again need not wait."""
    writer, deaf = at_home(world), world.guest(6)
    world.dom0.make(b"/t", b"r5")
    deaf.watch(b"/t")
    for _ in range(2 * COUNT):
        assert writer.get(Op.WRITE, b"/t\0v") == OK

    seen = deaf.events()
    assert set(seen) == {(b"/t", b"t")}
    assert len(seen) < COUNT


def test_guest_goes_on_when_unread_events_are_dropped_in_time() -> None:
    """Only what guests do not read is dropped, dom0 gets everything."""
    world = EngineWorld()
    writer, deaf = at_home(world), world.guest(6)
    world.dom0.make(b"/t", b"r5")
    deaf.watch(b"/t")
    world.limit(b"outstanding", 20)
    assert write_many(world, writer) == 20
    world.xenstore.advance(19_999)
    assert writer.look() == 20

    world.dom0.watch(b"/t")
    told = 0
    while writer.look() < COUNT:
        world.xenstore.advance(20_000)
        told += len(world.dom0.events())
    assert told + len(world.dom0.events()) == COUNT - 20
    assert len(deaf.events()) <= 20
    world.close()
