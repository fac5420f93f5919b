"""XSA-272: nodes that are not counted, and so have no limit."""

from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.xsa.support import World, home
from xsd.protocol.ops import Op
from xsd.store.quota import DEFAULTS, NODES
from xsd.testing import Session

LIMIT: Final = DEFAULTS[NODES]

Step = tuple[int, int, bytes]
"""Who (an index), the message type, and the payload."""

_PATHS: Final = st.builds(
    lambda domid, rest: home(domid) + rest,
    st.sampled_from([1, 2]),
    st.sampled_from([b"", b"/a", b"/a/b", b"/a/b/c/d", b"/a/e", b"/f/g"]),
)
_PERMS: Final = st.sampled_from([b"n1\0", b"b2\0", b"n0\0b1\0", b"b1\0b2\0", b"n2\0"])

STEPS: Final = st.one_of(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from([Op.WRITE, Op.MKDIR, Op.RM]),
        _PATHS.map(lambda path: path + b"\0"),
    ),
    st.tuples(
        st.integers(0, 2),
        st.just(Op.SET_PERMS),
        st.builds(lambda path, perms: path + b"\0" + perms, _PATHS, _PERMS),
    ),
    st.tuples(
        st.integers(0, 2),
        st.sampled_from([Op.TRANSACTION_START, Op.TRANSACTION_END]),
        st.sampled_from([b"T\0", b"F\0"]),
    ),
)


@given(steps=st.lists(STEPS, max_size=40), limit=st.sampled_from([3, 5, LIMIT]))
@settings(deadline=None, max_examples=60)
def test_counters_are_what_a_recount_gives(steps: list[Step], limit: int) -> None:
    """Whatever three domains do to each other's nodes, in transactions or not."""
    world = World()
    world.limit(NODES, limit)
    clients = [world.client(), world.guest(1), world.guest(2)]
    open_ones = [0, 0, 0]
    for who, op, payload in steps:
        client = clients[who]
        if op == Op.TRANSACTION_START:
            open_ones[who] = open_ones[who] or client.start()
            continue
        client.ask(op, payload, open_ones[who])
        if op == Op.TRANSACTION_END:
            open_ones[who] = 0

        world.check()
    for domid in (1, 2):
        if not any(who == 0 for who, _, _ in steps):
            assert world.nodes(domid) <= limit
    world.close()


def fill(guest: Session, op: int, path: bytes) -> int:
    """Make nodes until there may be no more; return the number of requests."""
    made = 0
    while True:
        messages = guest.ask(op, path % made)
        if messages[-1][0] == Op.ERROR:
            assert messages == [(Op.ERROR, b"ENOSPC\0")]
            return made
        made += 1


@pytest.mark.parametrize(
    ("op", "path", "each"),
    [
        (Op.MKDIR, b"d%d/x\0", 2),
        (Op.WRITE, b"d%d/x\0value", 2),
        (Op.WRITE, b"d%d/a/b/c/d/e/f/g/h/i/j\0", 11),
    ],
)
def test_a_guest_has_as_many_nodes_as_it_may_and_no_more(
    world: World, hostile: Session, op: int, path: bytes, each: int
) -> None:
    """Those on the way to others count, too."""
    world.limit(NODES, 100)
    made = fill(hostile, op, path)

    assert made == 99 // each
    assert world.nodes(1) == 1 + made * each


def test_a_guest_has_as_many_nodes_in_transactions_as_without(
    world: World, hostile: Session
) -> None:
    """In one large one or in many small ones, at once or after another."""
    world.limit(NODES, 100)
    numbers = [hostile.start() for _ in range(3)]
    for number in numbers:
        for node in range(40):
            hostile.ok(Op.MKDIR, b"t%d-%d\0" % (number, node), number)
    ends = [hostile.ask(Op.TRANSACTION_END, b"T\0", number) for number in numbers]

    assert ends[:2] == [[(Op.TRANSACTION_END, b"OK\0")]] * 2
    assert ends[2] == [(Op.ERROR, b"ENOSPC\0")]
    assert world.nodes(1) == 81
    assert fill(hostile, Op.MKDIR, b"n%d\0") == 19


def test_removal_gives_back_what_was_used(world: World, hostile: Session) -> None:
    """Again and again the same number fits."""
    world.limit(NODES, 50)
    for _ in range(3):
        assert fill(hostile, Op.MKDIR, b"d/%d\0") == 48
        hostile.ok(Op.RM, b"d\0")
        assert world.nodes(1) == 1


def test_nodes_in_others_homes_count_for_who_made_them(
    world: World, dom0: Session, hostile: Session
) -> None:
    """A guest that may write elsewhere has no second quota there."""
    world.limit(NODES, 50)
    dom0.make(b"/shared", b"b0")

    assert fill(hostile, Op.MKDIR, b"/shared/%d\0") == 49
    assert fill(hostile, Op.MKDIR, b"%d\0") == 0
