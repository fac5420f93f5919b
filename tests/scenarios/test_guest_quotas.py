"""What guests may have, and what they may have under way: played in several worlds."""

from typing import Final

import pytest

from tests.scenarios.conftest import at_home, dialogue
from tests.support.worlds import EngineWorld, World
from xsd.client import Event
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.testing import Session
from xsd.testing.session import OK

RULES: Final[dict[str, str]] = {
    # Nodes.
    "a guest has N nodes, not N + 1; one that is removed makes room for another": """
        limit nodes 4
        write /t/{1..3}
        write /t/4 -> ENOSPC; write /t/3
        mkdir /t/4 -> ENOSPC; mkdir /t/3
        read /t/4 -> ENOENT
        rm /t/1; mkdir /t/4
        mkdir /t/1 -> ENOSPC
    """,
    "nodes that dom0 makes for a guest or gives it count and are not refused": """
        limit nodes 2
        0 make /t/{1..3}; 0 make /gift n5
        mkdir /t/4 -> ENOSPC; rm /t/1
        mkdir /t/4 -> ENOSPC; rm /t/2
        mkdir /t/4 -> ENOSPC; rm /t/3
        mkdir /t/4 -> ENOSPC; 0 set /gift n0
        mkdir /t/4
    """,
    "nodes of others do not count, wherever they are": """
        enter 6; 0 set /t b5; limit nodes 3
        mkdir /t/a; mkdir /t/b; 6 mkdir /t/c; 6 mkdir /t/d
        mkdir /t/e -> ENOSPC
        6 mkdir /t/e; 6 mkdir /t/f -> ENOSPC
    """,
    # Sizes.
    "dom0 writes a guest's node of any size; the guest makes it only smaller": """
        0 write /t v*4000
        read /t -> v*4000
        write /t v*4001 -> ENOSPC; mkdir /t/a -> ENOSPC
        write /t v*2000
    """,
    "a guest sets 5 permissions; too many are found out before a malformed one": """
        set /t n5 r6 r7 r8; set /t n5 r6 r7 r8 r9
        set /t n5 r6 r7 r8 r9 r10 -> ENOSPC
        set /t n5 r6 r7 r8 r9 x -> ENOSPC
        0 set /t n5 r6 r7 r8 r9 r10
        set /t n5
    """,
    # Memory. C says EIO in some places.
    "a guest without memory gives some back first; nothing is done in part": """
        limit memory 6000
        write /t/{1..3} x*1500
        write /t/4 x*1500 -> ENOMEM|EIO
        write /t/4/5 x*1500 -> ENOMEM|EIO
        dir /t -> 1 2 3
        rm /t/2; write /t/4 x*1500
    """,
    "a guest without memory cannot watch; what it watches it is told of": """
        watch /t t; limit memory 3000
        watch /t t*3900 -> ENOMEM
        hear -> -
        0 make /t/a; hear -> /t/a:t
    """,
    # Paths.
    "the relative part of a path has its own length, 2,048 bytes": """
        0 make ~5 n5
        read x*2048 -> ENOENT; read ~5/x*2048 -> ENOENT
        read x*2049 -> EINVAL; read ~5/x*2049 -> EINVAL
    """,
}
"""Domain 5 owns `/t` and nothing else; the worlds agree."""

OURS: Final[dict[str, str]] = {
    "a path that would be over quota is made whole or not at all": """
        limit nodes 3
        write /t/a/b/c v -> ENOSPC
        dir /t -> -
        write /t/a/b v
    """,
    "a quota of one guest is not that of others and ends with it; 0 is no limit": """
        enter 6; 0 set /t b5; limit nodes 2
        0 quota 5 nodes 0; mkdir /t/{1..9}
        6 mkdir /t/a; 6 mkdir /t/b; 6 mkdir /t/c -> ENOSPC
        end 5; enter 5; 0 make /t n5
        mkdir /t/1; mkdir /t/2 -> ENOSPC
    """,
    "a transaction may replace nodes at the limit": """
        limit nodes 3; mkdir /t/{1..2}
        start t1; t1 rm /t/1; t1 mkdir /t/3; t1 commit -> OK
        dir /t -> 2 3
    """,
    "a transaction that went over the limit fails, and takes nothing more": """
        limit nodes 3; mkdir /t/{2..3}
        start t1; t1 mkdir /t/4 -> ENOSPC
        t1 rm /t/2 -> ENOMEM; t1 dir /t -> 2 3
        t1 commit -> ENOMEM
        dir /t -> 2 3
    """,
    "two transactions cannot pass the limit together": """
        mkdir /t/a; mkdir /t/b; limit nodes 4
        start t1; start t2; t1 mkdir /t/a/x; t2 mkdir /t/b/x
        t1 commit -> OK
        t2 commit -> ENOSPC
        dir /t/b -> -
    """,
    "one more permission must fit into a node's size as well; fewer always do": """
        write /t v*2017; set /t n5 r6 -> ENOSPC
        write /t v*2016; set /t n5 r6
        set /t n5
    """,
    "dom0 is never refused what counts for a guest, which is": """
        limit memory 1000; 0 write /t/{1..2} x*1500
        write /t/3 -> ENOMEM; write /t/1
        write /t/3 -> ENOMEM; write /t/2
        write /t/3
    """,
    "a guest has so many watches; one that is ended makes room for another": """
        enter 6; limit watches 3; watch /t {1..3}
        watch /t 4 -> ENOSPC; watch /t 3 -> EEXIST
        6 watch /t t
        unwatch /t 2; watch /t 4; watch /t 5 -> ENOSPC
        reset; watch /t {1..3}; watch /t 4 -> ENOSPC
    """,
    "a guest has so many transactions; however one ends, it makes room": """
        limit transactions 2
        start t1; start t2; start no -> ENOSPC
        t1 abort; start t3; start no -> ENOSPC
        t2 write /t v; t3 read /t -> -
        t3 mkdir /t/x; t2 commit; t3 commit -> EAGAIN
        start t4 -> 4; start t5 -> 5; start no -> ENOSPC
        reset; start t6 -> 6; start t7 -> 7
    """,
    "dom0 has no quotas": """
        limit nodes 1; limit watches 1; limit transactions 1; limit outstanding 1
        0 watch /t {0..2}; 0 start t{0..2}; 0 make /t/{0..2}; 0 dir /t -> 0 1 2
        0 hear -> /t/0:0 /t/0:1 /t/0:2 /t/1:0 /t/1:1 /t/1:2 /t/2:0 /t/2:1 /t/2:2
    """,
}
"""The same in our worlds."""


@pytest.mark.parametrize("rule", RULES)
def test_guest_may_have_what_its_quotas_say(world: World, rule: str) -> None:
    """And not more; quotas are for guests."""
    at_home(world)
    dialogue(world).play(RULES[rule])


@pytest.mark.parametrize("rule", OURS)
def test_guest_may_have_what_its_quotas_say_here(ours: World, rule: str) -> None:
    """Where C xenstored 4.17 does something else."""
    at_home(ours)
    dialogue(ours).play(OURS[rule])


@pytest.mark.parametrize(("perms", "most"), [("b5", 2024), ("b5 r6", 2016)])
def test_guest_may_write_nodes_of_the_size_of_its_quota(
    ours: World, perms: str, most: int
) -> None:
    """16 bytes, 8 for each permission, the value and the names of the children."""
    at_home(ours)
    dialogue(ours).play(f"""
        0 set /t {perms}; write /t v*{most}
        write /t v*{most + 1} -> ENOSPC; mkdir /t/a -> ENOSPC
        read /t -> v*{most}
        write /t v*{most - 2}; mkdir /t/ab -> ENOSPC
        mkdir /t/a
        write /t/a/b/c v*{most + 1} -> ENOSPC; read /t/a/b -> ENOENT
    """)


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
        assert answers[-1] in {Errno.ENOMEM, Errno.EIO}
        assert guest.commit(tx) is Errno.ENOMEM
        assert guest.get(Op.DIRECTORY, b"/t\0") == b""
        assert guest.get(Op.WRITE, b"/t\0" + b"x" * 1500) == OK


@pytest.mark.parametrize("op", [Op.READ, Op.WRITE, Op.MKDIR, Op.RM, Op.GET_PERMS])
def test_guests_paths_are_as_long_as_its_quota_says(world: World, op: Op) -> None:
    """2,048 bytes; what is longer is Errno.EINVAL, not missing."""
    guest = at_home(world)
    longest = b"/t" + b"/" + b"x" * (2048 - 3)
    assert len(longest) == 2048

    assert guest.errno(op, longest + b"\0") is not Errno.EINVAL
    assert guest.errno(op, longest + b"x\0") is Errno.EINVAL


# What is under way.

COUNT = 90
"""Requests that cause an event each; a ring takes what of them is not answered."""


def writer_and_deaf(world: World) -> tuple[Session, Session]:
    """Domain 5 writes below `/t`; domain 6 is told of it and does not read."""
    writer, deaf = at_home(world), world.guest(6)
    world.dom0.make(b"/t", b"r5")
    deaf.watch(b"/t")
    return writer, deaf


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
    (writer, deaf), other = writer_and_deaf(world), world.guest(7)
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
    writer, deaf = writer_and_deaf(world)
    assert write_many(world, writer) < 70
    world.end(deaf)

    assert writer.replies(COUNT) == [(Op.WRITE, OK)] * COUNT


def test_equal_events_wait_once(world: World) -> None:
    """So that who writes one node again and again need not wait."""
    writer, deaf = writer_and_deaf(world)
    for _ in range(2 * COUNT):
        assert writer.get(Op.WRITE, b"/t\0v") == OK

    seen = deaf.events()
    assert set(seen) == {(b"/t", b"t")}
    assert len(seen) < COUNT


def test_guest_goes_on_when_unread_events_are_dropped_in_time() -> None:
    """Only what guests do not read is dropped, dom0 gets everything."""
    world = EngineWorld()
    writer, deaf = writer_and_deaf(world)
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
