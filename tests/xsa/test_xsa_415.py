"""XSA-415: a creation that fails in a transaction which is committed all the same."""

import pytest

from tests.store.support import shape
from tests.xsa.support import World, home
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.store.quota import NODE_SIZE, NODES, TRANSACTION_NODES
from xsd.testing import Session

LEVELS = 6

DEEP = b"/".join([b"level%d" % number for number in range(LEVELS)])


@pytest.mark.parametrize("fitting", range(LEVELS))
@pytest.mark.parametrize(
    "after", [(Op.READ, b"first\0"), (Op.WRITE, b"other\0value"), (Op.RM, b"first\0")]
)
def test_a_transaction_in_which_a_creation_failed_does_nothing(
    world: World, hostile: Session, fitting: int, after: tuple[int, bytes]
) -> None:
    """What it did before and after is lost with it; the client is told."""
    hostile.ok(Op.WATCH, b"/\0t\0")
    world.limit(NODES, 2 + fitting, 1)
    before = shape(world.store)
    number = hostile.start()
    hostile.ok(Op.MKDIR, b"first\0", number)
    assert hostile.refused(Op.MKDIR, DEEP + b"\0", number) == Errno.ENOSPC
    assert hostile.get(Op.DIRECTORY, home(1) + b"\0", number) == b"first\0"
    hostile.ask(*after, number)

    assert hostile.refused(Op.TRANSACTION_END, b"T\0", number) == Errno.ENOMEM
    assert shape(world.store) == before
    assert 1 not in world.transactions()
    hostile.ok(Op.MKDIR, b"first\0")


@pytest.mark.parametrize(
    ("quota", "limit", "op", "payload"),
    [
        (NODE_SIZE, 200, Op.WRITE, b"a/b\0" + b"v" * 300),
        (NODE_SIZE, 200, Op.MKDIR, b"a/" + b"n" * 300 + b"\0"),
        (TRANSACTION_NODES, 3, Op.WRITE, b"a/b/c/d\0v"),
    ],
)
def test_other_quotas_fail_a_transaction_alike(
    world: World, hostile: Session, quota: str, limit: int, op: int, payload: bytes
) -> None:
    """Whatever was refused for want of room."""
    world.limit(quota, limit, 1)
    number = hostile.start()
    hostile.ok(Op.MKDIR, b"first\0", number)
    before = shape(world.store)
    messages = [hostile.ask(op, payload, number)]
    messages += [hostile.ask(Op.READ, b"x%d\0" % each, number) for each in range(3)]

    assert [(Op.ERROR, b"ENOSPC\0")] in messages
    assert hostile.refused(Op.TRANSACTION_END, b"T\0", number) == Errno.ENOMEM
    assert shape(world.store) == before


def test_a_transaction_in_which_a_creation_failed_can_be_dropped(
    world: World, hostile: Session
) -> None:
    """`F` is OK, as ever; the next transaction begins without the failure."""
    world.limit(NODES, 3, 1)
    before = world.counts()
    number = hostile.start()
    assert hostile.refused(Op.MKDIR, DEEP + b"\0", number) == Errno.ENOSPC
    hostile.ok(Op.TRANSACTION_END, b"F\0", number)

    assert world.counts() == before
    number = hostile.start()
    hostile.ok(Op.MKDIR, b"a\0", number)
    hostile.ok(Op.TRANSACTION_END, b"T\0", number)


def test_a_right_that_is_missing_does_not_fail_a_transaction(hostile: Session) -> None:
    """Nothing of such a request is done, so the rest can be committed."""
    with hostile.transaction() as number:
        hostile.ok(Op.MKDIR, b"first\0", number)
        assert hostile.refused(Op.MKDIR, b"/no/right\0", number) == Errno.EACCES

    assert hostile.reply(Op.READ, b"first\0") == (Op.READ, b"")
