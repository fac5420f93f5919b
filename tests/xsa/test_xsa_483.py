"""XSA-483: what a dead domain used, counted against the next one of its id."""

from collections.abc import Callable

import pytest

from tests.support.hosts import AnyHost
from tests.xsa.support import World
from xsd.client import Client as RingClient
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.ops import Op
from xsd.store.quota import NODES, TRANSACTIONS, WATCHES
from xsd.testing import Session

DOMID = 1

LIMITS = {NODES: 20, WATCHES: 8, TRANSACTIONS: 4}


def nodes(guest: Session) -> list[Errno]:
    """Make nodes until it is refused; each new node is another answer."""
    return refused_after(guest, lambda n: (Op.MKDIR, b"n%d\0" % n))


def nodes_in_transactions(guest: Session) -> list[Errno]:
    """Make them in a transaction that is left open."""
    number = guest.start()
    return refused_after(guest, lambda n: (Op.MKDIR, b"n%d\0" % n), number)


def watches(guest: Session) -> list[Errno]:
    """Watch until it is refused."""
    return refused_after(guest, lambda n: (Op.WATCH, b"w\0%d\0" % n))


def transactions(guest: Session) -> list[Errno]:
    """Open transactions until it is refused."""
    return refused_after(guest, lambda _: (Op.TRANSACTION_START, b"\0"))


def refused_after(
    guest: Session, request: Callable[[int], tuple[int, bytes]], tx: int = 0
) -> list[Errno]:
    """Make requests; return one ENOSPC with as many elements before it as fit."""
    found: list[Errno] = []
    while True:
        op, payload = request(len(found))
        messages = guest.ask(op, payload, tx)
        if messages[-1][0] == Op.ERROR or messages[0][0] == Op.ERROR:
            return [*found, Errno.ENOSPC]
        found.append(Errno.EEXIST)


WAYS = [nodes, nodes_in_transactions, watches, transactions]


@pytest.mark.parametrize("use", WAYS)
def test_a_full_quota_is_free_again_for_the_next_domain(
    world: World, dom0: Session, use: Callable[[Session], list[Errno]]
) -> None:
    """Whatever was used up: the next one can use as much, ten times over."""
    for name, limit in LIMITS.items():
        world.limit(name, limit)
    before = world.counts()
    found: list[list[Errno]] = []
    for _ in range(10):
        guest = world.guest(DOMID)
        found.append(use(guest))
        assert len(found[-1]) >= LIMITS[TRANSACTIONS]
        dom0.ok(Op.RELEASE, b"%d\0" % DOMID)
        guest.close()
        assert world.counts() == before

    assert found == [found[0]] * 10


def test_limits_of_its_own_end_with_a_domain(world: World, dom0: Session) -> None:
    """The next one has those of all domains."""
    for value in (5, 50):
        guest = world.guest(DOMID)
        common = len(nodes(guest))
        dom0.ok(Op.SET_QUOTA, b"%d\0nodes\0%d\0" % (DOMID, value))
        dom0.ok(Op.RELEASE, b"%d\0" % DOMID)
        guest.close()

        assert len(nodes(world.guest(DOMID))) == common
        dom0.ok(Op.RELEASE, b"%d\0" % DOMID)


def make_until_refused(guest: RingClient) -> int:
    """Make nodes until one is refused; return how many there were."""
    for number in range(2 * LIMITS[NODES]):
        try:
            guest.mkdir(f"n{number}")
        except XenStoreError as error:
            if error.errno != Errno.ENOSPC:
                raise
            return number
    raise AssertionError("there is no limit")


@pytest.mark.parametrize("released", [False, True])
def test_a_domain_that_is_killed_leaves_its_quota(
    anywhere: AnyHost, released: bool
) -> None:
    """With nodes, watches and transactions at their limits."""
    for name, limit in LIMITS.items():
        anywhere.dom0.set_quota(name, limit)
    before = anywhere.counts()
    for _ in range(5):
        guest = anywhere.guest(DOMID)
        assert make_until_refused(guest) == LIMITS[NODES] - 1
        for number in range(LIMITS[WATCHES]):
            guest.watch("w", f"t{number}")
        for _transaction in range(LIMITS[TRANSACTIONS]):
            guest.transaction()
        if released:
            anywhere.dom0.release(DOMID)
        anywhere.end(DOMID)
        assert anywhere.counts() == before
