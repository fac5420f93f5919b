"""XSA-272: nodes that are not counted, and so have no limit."""

from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.xsa.support import World, home
from xsd.protocol.ops import Op
from xsd.store.quota import DEFAULTS, NODES

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


RULES: Final[dict[str, str]] = {
    # Those on the way to others count, too.
    **{
        f"a guest has as many nodes as it may and no more, by {request}": f"""
            limit nodes 100; {request.replace("N", f"{{1..{99 // each}}}")}
            nodes 1 -> {1 + 99 // each * each}
            {request.replace("N", "0")} -> ENOSPC
        """
        for request, each in (
            ("mkdir dN/x", 2),
            ("write dN/x value", 2),
            ("write dN/a/b/c/d/e/f/g/h/i/j", 11),
        )
    },
    "a guest has as many in transactions, many or one, as without": """
        limit nodes 100; start t1; start t2; start t3
        t1 mkdir t1-{1..40}; t2 mkdir t2-{1..40}; t3 mkdir t3-{1..40}
        t1 commit -> OK; t2 commit -> OK; t3 commit -> ENOSPC; nodes 1 -> 81
        mkdir n{1..19}; mkdir n -> ENOSPC
    """,
    "a transaction may replace nodes at the limit": """
        limit nodes 4; mkdir n{1..3}; start t1; t1 rm n1; t1 mkdir new; t1 commit -> OK
        nodes 1 -> 4; mkdir n1 -> ENOSPC
    """,
    "removal gives back what was used, again and again": f"""
        limit nodes 50
        {"mkdir d/{1..48}; mkdir d/x -> ENOSPC; rm d; nodes 1 -> 1;" * 3}
    """,
    "nodes in others' homes count for who made them": """
        enter 1; limit nodes 50; 0 make /shared b0; mkdir /shared/{1..49}
        mkdir /shared/x -> ENOSPC; mkdir x -> ENOSPC
    """,
}


@pytest.mark.parametrize("rule", RULES)
def test_every_node_of_a_guest_counts(world: World, rule: str) -> None:
    """However it was made, and wherever it is."""
    world.play(RULES[rule])
