"""XSA-418: a tree so deep that walking it takes more stack than there is."""

from collections.abc import Iterator
from typing import Final

import pytest

from tests.support.hosts import Host
from tests.xsa.support import World, shallow_stack
from xsd.store.quota import NODES, TRANSACTION_NODES

LEVELS: Final = 1024
"""Of a guest's longest path if each name is one letter: 2,047 bytes."""

DEEP: Final = "/".join("d" * LEVELS)

DEEPER: Final = "/d" * 2000
"""Nearly as deep as a message can hold; only dom0 may use it."""

BOTH: Final = f"0 watch / root; 0 watch {DEEPER} leaf"

CHANGED: Final = f"0 hear -> {DEEPER}:root {DEEPER}:leaf"

OTHERS: Final = {"alone": "", "others": "0 write ~7/other value; 0 hear"}
"""Whether others have changed something before a commit."""

RULES: Final[dict[str, str]] = {
    "a guest's deepest path is made, listed and removed, and all of it counted": f"""
        write {DEEP} value; nodes 1 -> {1 + LEVELS}; read {DEEP} -> value
        {";".join([f"dir {DEEP[:size]} -> d" for size in range(1, len(DEEP), 2)])}
        dir {DEEP} -> -; rm d; nodes 1 -> 1; 0 control check -> OK
    """,
    **{
        f"a conflict is found at the bottom, by {request[:6]}": f"""
            write {DEEP} value; start t1; t1 write x value; t1 {request}
            0 write ~1/{DEEP} other; t1 commit -> EAGAIN
        """
        for request in (f"read {DEEP}", "rm d/d")
    },
    "watches as deep are told, and leave nothing": f"""
        enter 1; note; watch d t; watch {DEEP} t
        write {DEEP} value; hear -> {DEEP}:t
        rm d; hear -> {DEEP}:t d:t
        reset; same
    """,
    # A message has room for twice as many levels as a guest may make.
    "the deepest path of dom0 is no trouble": f"""
        {BOTH}; nodes 0 -> 7; 0 write {DEEPER} value; {CHANGED}; 0 set {DEEPER} n0
        {CHANGED}; 0 read {DEEPER} -> value; 0 dir {DEEPER[:-2]} -> d; nodes 0 -> 2007
        0 rm /d; 0 hear -> {DEEPER}:leaf /d:root; nodes 0 -> 7
    """,
    "a deep tree goes with its domain, and rights on others' nodes": f"""
        write {DEEP} value; 0 write {DEEPER} value; 0 set {DEEPER} n1
        0 set {DEEPER[:-2]} n0 r1; 0 watch {DEEPER} t; 0 release 1
        0 hear -> {DEEPER}:t; nodes 1 -> 0; 0 get {DEEPER[:-2]} -> n0
        0 rm /d; 0 hear
    """,
    **{
        f"a transaction goes as deep, {who}": f"""
            start t1; t1 write {DEEP} value; {other}; t1 commit -> OK
            nodes 1 -> {1 + LEVELS}
            start t2; t2 rm d; {other}; t2 commit -> OK; nodes 1 -> 1
        """
        for who, other in OTHERS.items()
    },
    # Made, changed, removed and made again, and removed.
    **{
        f"commits as deep are told, {who}": f"""
            {BOTH}
            0 start t; t write {DEEPER} value; {other}; t commit -> OK; {CHANGED}
            0 start t; t set {DEEPER} r0; {other}; t commit -> OK; {CHANGED}
            0 start t; t rm /d; t write {DEEPER} v; {other}; t commit -> OK; {CHANGED}
            0 start t; t rm /d; {other}; t commit -> OK
            0 hear -> /d:root {DEEPER}:leaf
        """
        for who, other in OTHERS.items()
    },
}


@pytest.fixture(autouse=True)
def little_stack(world: World) -> Iterator[None]:
    """Room for far fewer calls than there are levels."""
    world.limit(NODES, 2 * LEVELS)
    world.limit(TRANSACTION_NODES, 3 * LEVELS)
    with shallow_stack():
        yield


@pytest.mark.parametrize("rule", RULES)
def test_no_walk_is_as_deep_as_the_tree(world: World, rule: str) -> None:
    """Level by level and all at once."""
    world.play(RULES[rule])


def test_a_ring_carries_the_deepest_path(host: Host) -> None:
    """It is longer than the ring itself."""
    host.dom0.set_quota("nodes", 2 * LEVELS)
    guest = host.guest(1)
    guest.watch("d", "t")
    guest.write(DEEP, b"value")
    assert guest.read(DEEP) == b"value"
    with guest.transaction() as transaction:
        transaction.rm("d")

    assert host.nodes_of(1) == 1
