"""XSA-440: counters that go below zero when a commit meets a removal."""

from collections.abc import Callable

import pytest

from tests.support.hosts import AnyHost
from tests.xsa.support import World, home, refusal_of
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.testing import Session

INSIDE = home(1) + b"/data"


def by_guest(_dom0: Session, hostile: Session) -> None:
    """The owner removes the node."""
    hostile.ok(Op.RM, b"data\0")


def by_dom0(dom0: Session, _hostile: Session) -> None:
    """Somebody else does."""
    dom0.ok(Op.RM, INSIDE + b"\0")


def from_above(dom0: Session, _hostile: Session) -> None:
    """It goes with its parent."""
    dom0.ok(Op.RM, home(1) + b"\0")


def by_the_end(dom0: Session, _hostile: Session) -> None:
    """Its owner ends."""
    dom0.ok(Op.RELEASE, b"1\0")


def given_away(dom0: Session, _hostile: Session) -> None:
    """It counts for another domain now."""
    dom0.ok(Op.SET_PERMS, INSIDE + b"\0n2\0")


Outside = Callable[[Session, Session], None]


@pytest.mark.parametrize(
    "outside", [by_guest, by_dom0, from_above, by_the_end, given_away]
)
@pytest.mark.parametrize(
    ("op", "payload"),
    [
        (Op.RM, INSIDE + b"\0"),
        (Op.RM, home(1) + b"\0"),
        (Op.WRITE, INSIDE + b"\0other"),
        (Op.WRITE, INSIDE + b"/below\0other"),
        (Op.SET_PERMS, INSIDE + b"\0n2\0"),
    ],
)
def test_what_was_removed_outside_is_a_conflict(
    world: World,
    dom0: Session,
    hostile: Session,
    op: int,
    payload: bytes,
    outside: Outside,
) -> None:
    """Before anything is counted; no counter is negative, or kept at zero."""
    world.guest(2)
    hostile.ok(Op.WRITE, b"data/below\0value")
    number = dom0.start()
    dom0.ok(op, payload, number)
    outside(dom0, hostile)
    end = dom0.ask(Op.TRANSACTION_END, b"T\0", number)

    # New nodes below one that was only given away inherit from it.
    if (outside, op) != (given_away, Op.WRITE):
        assert end == [(Op.ERROR, b"EAGAIN\0")]
    world.check()
    assert all(count > 0 for count in world.store.usage.nodes.used.values())


def test_a_domain_that_ends_inside_many_transactions(
    world: World, dom0: Session, hostile: Session
) -> None:
    """All of them tried to take what went with it; each gets its reply."""
    for node in range(20):
        hostile.ok(Op.WRITE, b"data/%d\0value" % node)
    numbers = [dom0.start() for _ in range(20)]
    for node, number in enumerate(numbers):
        dom0.ok(Op.RM, INSIDE + b"/%d\0" % node, number)
        dom0.ok(Op.WRITE, b"/log/%d\0value" % node, number)
    dom0.ok(Op.RELEASE, b"1\0")
    refused = [dom0.refused(Op.TRANSACTION_END, b"T\0", each) for each in numbers]

    assert refused == [Errno.EAGAIN] * 20
    assert 1 not in world.store.usage.nodes.used
    assert dom0.refused(Op.READ, b"/log\0") == Errno.ENOENT


def test_a_domain_is_killed_inside_a_transaction_about_it(anywhere: AnyHost) -> None:
    """The toolstack gets EAGAIN and finds out why; the daemon goes on."""
    guest = anywhere.guest(1)
    guest.write("data", b"value")
    transaction = anywhere.dom0.transaction()
    transaction.rm(INSIDE)
    transaction.set_permissions(home(1), ["n0"])
    anywhere.end(1)

    assert refusal_of(transaction.commit) == Errno.EAGAIN
    assert 1 not in anywhere.run(lambda: anywhere.engine.store.usage.nodes.used)
