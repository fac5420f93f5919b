"""XSA-414: a node with others on the way to it, of which one cannot be made."""

from typing import Final

import pytest

from tests.engine.support import Client
from tests.store.support import shape
from tests.xsa.support import Bystander, Counts, home
from xsd.engine import Engine
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.store.quota import NODE_SIZE, NODES

LEVELS: Final = 8

DEEP: Final = b"/".join([b"level%d" % number for number in range(LEVELS)])


@pytest.mark.parametrize(
    ("there", "fitting"),
    [(there, more) for there in range(LEVELS) for more in range(LEVELS - there)],
)
@pytest.mark.parametrize("op", [Op.WRITE, Op.MKDIR])
def test_a_quota_met_at_any_level_leaves_nothing(
    engine: Engine,
    hostile: Client,
    bystander: Bystander,
    there: int,
    fitting: int,
    op: int,
) -> None:
    """However many levels there were before, and however many still fit."""
    if there:
        hostile.ok(Op.MKDIR, b"/".join(DEEP.split(b"/")[:there]) + b"\0")
    hostile.ok(Op.WATCH, b"/\0t\0")
    engine.store.quotas.set(1, NODES, 1 + there + fitting)
    before = Counts(engine.store), shape(engine.store)
    generation = engine.store.generation

    assert hostile.errno(op, DEEP + b"\0") == Errno.ENOSPC
    assert (Counts(engine.store), shape(engine.store)) == before
    assert engine.store.generation == generation
    engine.store.quotas.set(1, NODES, 1 + LEVELS)
    hostile.ok(op, DEEP + b"\0")
    assert bystander.is_served()


@pytest.mark.parametrize("level", range(LEVELS))
def test_a_node_too_big_at_any_level_leaves_nothing(
    engine: Engine, hostile: Client, bystander: Bystander, level: int
) -> None:
    """A name counts for the size of the node above it."""
    names = DEEP.split(b"/")
    names[level] = b"x" * 300
    path = b"/".join(names)
    engine.store.quotas.set(1, NODE_SIZE, 250)
    before = Counts(engine.store), shape(engine.store)
    generation = engine.store.generation

    assert hostile.errno(Op.MKDIR, path + b"\0") == Errno.ENOSPC
    assert (Counts(engine.store), shape(engine.store)) == before
    assert engine.store.generation == generation
    assert bystander.is_served()


def test_a_value_too_big_leaves_none_of_the_levels_above_it(
    engine: Engine, hostile: Client, bystander: Bystander
) -> None:
    """The last thing that can go wrong is seen before the first is done."""
    before = shape(engine.store)

    assert hostile.errno(Op.WRITE, DEEP + b"\0" + b"v" * 3000) == Errno.ENOSPC
    assert shape(engine.store) == before
    assert bystander.is_served()


def test_a_right_that_is_missing_leaves_nothing(
    engine: Engine, dom0: Client, hostile: Client, bystander: Bystander
) -> None:
    """The nearest node decides for all levels that are missing."""
    dom0.ok(Op.MKDIR, home(1) + b"/level0/level1\0")
    dom0.ok(Op.SET_PERMS, home(1) + b"/level0/level1\0r0\0")
    before = Counts(engine.store), shape(engine.store)

    assert hostile.errno(Op.WRITE, DEEP + b"\0") == Errno.EACCES
    assert (Counts(engine.store), shape(engine.store)) == before
    assert bystander.is_served()
