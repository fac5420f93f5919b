"""XSA-414: a node with others on the way to it, of which one cannot be made."""

from typing import Final

import pytest

from tests.store.support import shape
from tests.xsa.support import World, home
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.store.quota import NODE_SIZE, NODES
from xsd.testing import Session

LEVELS: Final = 8

SIZE: Final = 250

LARGEST: Final = SIZE - 16 - 8 - 1
"""Longest name below a node of this size with one permission and nothing else."""

DEEP: Final = b"/".join([b"level%d" % number for number in range(LEVELS)])


@pytest.mark.parametrize(
    ("there", "fitting"),
    [(there, more) for there in range(LEVELS) for more in range(LEVELS - there)],
)
@pytest.mark.parametrize("op", [Op.WRITE, Op.MKDIR])
def test_a_quota_met_at_any_level_leaves_nothing(
    world: World, hostile: Session, there: int, fitting: int, op: int
) -> None:
    """However many levels there were before, and however many still fit."""
    if there:
        hostile.ok(Op.MKDIR, b"/".join(DEEP.split(b"/")[:there]) + b"\0")
    hostile.ok(Op.WATCH, b"/\0t\0")
    world.limit(NODES, 1 + there + fitting, 1)
    before = world.state()
    generation = world.store.generation

    assert hostile.refused(op, DEEP + b"\0") == Errno.ENOSPC
    assert world.state() == before
    assert world.store.generation == generation
    world.limit(NODES, 1 + LEVELS, 1)
    hostile.ok(op, DEEP + b"\0")


@pytest.mark.parametrize("level", range(LEVELS))
def test_a_node_too_big_at_any_level_leaves_nothing(
    world: World, hostile: Session, level: int, inside: bool
) -> None:
    """A name counts for the size of the node above it; one byte less fits."""
    names = DEEP.split(b"/")
    names[level] = b"x" * (LARGEST + 1)
    path = b"/".join(names)
    world.limit(NODE_SIZE, SIZE, 1)
    before = world.state()
    generation = world.store.generation

    number = hostile.start() if inside else 0
    assert hostile.refused(Op.MKDIR, path + b"\0", number) == Errno.ENOSPC
    if inside:
        assert hostile.commit(number) is Errno.ENOMEM
    else:
        assert world.store.generation == generation
    assert world.state() == before
    hostile.ok(Op.MKDIR, path.replace(b"xx", b"x", 1) + b"\0")


def test_a_value_too_big_leaves_none_of_the_levels_above_it(
    world: World, hostile: Session
) -> None:
    """The last thing that can go wrong is seen before the first is done."""
    before = shape(world.store)

    assert hostile.refused(Op.WRITE, DEEP + b"\0" + b"v" * 3000) == Errno.ENOSPC
    assert shape(world.store) == before


def test_a_right_that_is_missing_leaves_nothing(
    world: World, dom0: Session, hostile: Session
) -> None:
    """The nearest node decides for all levels that are missing."""
    dom0.ok(Op.MKDIR, home(1) + b"/level0/level1\0")
    dom0.ok(Op.SET_PERMS, home(1) + b"/level0/level1\0r0\0")
    before = world.state()

    assert hostile.refused(Op.WRITE, DEEP + b"\0") == Errno.EACCES
    assert world.state() == before
