"""Rules that concern domains: who they are, who works for whom, what they may use."""

import pytest

from tests.support.hosts import PATIENCE_S, AnyHost
from tests.xsa.support import EVERY_DOMAIN, World, home, refusal_of
from xsd.client import Event
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.store.quota import (
    DEFAULTS,
    MEMORY,
    NODE_PERMISSIONS,
    NODE_SIZE,
    NODES,
    OUTSTANDING,
    PATH_MAX,
    TRANSACTION_NODES,
    TRANSACTIONS,
    WATCHES,
)
from xsd.testing import Session
from xsd.testing.session import event

# 6. A domid is not enough to know who somebody is.


def test_a_domain_that_took_anothers_place_is_a_new_one(anywhere: AnyHost) -> None:
    """Even if the daemon has never seen that there was none in between."""
    watcher = anywhere.client()
    watcher.watch("@releaseDomain", "gone")
    guest = anywhere.guest(5)
    guest.write("data", b"secret")
    first = guest.unique_id
    replaced = anywhere.replace(5)
    assert replaced.unique_id != first

    for _ in range(2):  # the first event of a watch comes at once
        assert watcher.next_event(PATIENCE_S) == Event(b"@releaseDomain", b"gone")
    assert not anywhere.dom0.is_domain_introduced(5)
    assert not anywhere.dom0.exists(home(5))
    anywhere.dom0.introduce(5, 1, replaced.port)
    assert refusal_of(replaced.write, "data", b"mine") == Errno.EACCES


def test_introducing_a_domain_that_took_anothers_place_ends_the_other(
    anywhere: AnyHost,
) -> None:
    """INTRODUCE may come before the hypervisor's news; nothing is inherited."""
    anywhere.guest(5).write("data", b"secret")
    (old,) = anywhere.connections_of(5)
    replaced = anywhere.replace(5)
    anywhere.dom0.introduce(5, 1, replaced.port)

    (new,) = anywhere.connections_of(5)
    assert new is not old
    assert not anywhere.dom0.exists(home(5))


# 7. SET_TARGET gives rights, not quotas, and as long as there is a target.


def test_a_stub_domain_has_its_targets_rights(
    world: World, dom0: Session, hostile: Session
) -> None:
    """To read, write, list and watch; not those of others."""
    target = world.guest(2)
    target.ok(Op.WRITE, b"data\0value")
    assert hostile.refused(Op.READ, home(2) + b"/data\0") == Errno.EACCES
    dom0.ok(Op.SET_TARGET, b"1\x002\0")

    assert hostile.reply(Op.READ, home(2) + b"/data\0") == (Op.READ, b"value")
    hostile.ok(Op.WATCH, home(2) + b"\0t\0")
    hostile.ok(Op.WRITE, home(2) + b"/data\0other")
    target.ok(Op.WRITE, b"data\0third")
    assert hostile.take() == [event(home(2) + b"/data", b"t")]
    assert target.refused(Op.READ, home(1) + b"\0") == Errno.EACCES
    assert hostile.refused(Op.READ, home(7) + b"\0") == Errno.EACCES


def test_a_stub_domain_pays_for_itself(
    world: World, dom0: Session, hostile: Session
) -> None:
    """What it makes in its target's home is its own, up to its own quota."""
    target = world.guest(2)
    dom0.ok(Op.SET_TARGET, b"1\x002\0")
    world.limit(NODES, 10, 1)
    for number in range(9):
        hostile.ok(Op.MKDIR, home(2) + b"/%d\0" % number)

    assert hostile.refused(Op.MKDIR, home(2) + b"/more\0") == Errno.ENOSPC
    assert world.nodes(1) == 10
    assert world.nodes(2) == 1
    target.ok(Op.MKDIR, b"mine\0")


def test_a_stub_domains_rights_end_with_its_target(
    world: World, dom0: Session, hostile: Session
) -> None:
    """At once, for its watches and open transactions too."""
    world.guest(2).ok(Op.WRITE, b"data\0value")
    dom0.ok(Op.WRITE, b"/x\0value")
    dom0.ok(Op.SET_PERMS, b"/x\0n0\0r2\0")
    dom0.ok(Op.SET_TARGET, b"1\x002\0")
    hostile.ok(Op.WATCH, b"/x\0t\0")
    number = hostile.start()
    assert hostile.reply(Op.READ, b"/x\0", number) == (Op.READ, b"value")
    dom0.ok(Op.RELEASE, b"2\0")
    world.guest(2)
    dom0.ok(Op.SET_PERMS, b"/x\0n0\0r2\0")
    dom0.ok(Op.WRITE, b"/x\0other")

    assert hostile.refused(Op.READ, b"/x\0") == Errno.EACCES
    assert hostile.refused(Op.READ, b"/x\0", number) == Errno.EACCES
    assert hostile.take() == []
    assert hostile.refused(Op.READ, home(2) + b"\0") == Errno.EACCES


# 10. A limit below what is in use already refuses growth and nothing else.


def use(guest: Session) -> None:
    """Use some of everything."""
    for number in range(10):
        guest.ok(Op.WRITE, b"data/%d\0" % number + b"v" * 100)
        guest.ok(Op.WATCH, b"data/%d\0t\0" % number)
    guest.ok(Op.SET_PERMS, b"data\0n1\0r2\0r3\0r7\0")


@pytest.mark.parametrize("limit", [1, 2])
@pytest.mark.parametrize("quota", DEFAULTS)
def test_a_limit_below_the_use_breaks_nothing(
    world: World, dom0: Session, hostile: Session, quota: str, limit: int
) -> None:
    """What is there can be read and given back; every request has its reply."""
    use(hostile)
    number = hostile.start()
    hostile.ok(Op.WRITE, b"data/1\0value", number)
    with world.bystander.away():
        for domid in (EVERY_DOMAIN, 1):
            world.limit(quota, limit, domid)
        for op, payload in (
            (Op.READ, b"data\0"),
            (Op.WRITE, b"data/1\0" + b"v" * 200),
            (Op.MKDIR, b"new/one\0"),
            (Op.WATCH, b"new\0t\0"),
            (Op.TRANSACTION_START, b"\0"),
            (Op.SET_PERMS, b"data/1\0n1\0r2\0r3\0r7\0r8\0"),
        ):
            for transaction in (0, number):
                assert len(hostile.ask(op, payload, transaction)) >= 1
        hostile.ask(Op.TRANSACTION_END, b"T\0", number)
        hostile.ok(Op.RESET_WATCHES, b"\0")
        dom0.ok(Op.RM, home(1) + b"/data\0")
        dom0.ask(Op.RM, home(1) + b"/new\0")
        world.limit(quota, DEFAULTS[quota])

    assert world.nodes(1) == 1


def test_nodes_beyond_a_new_limit_can_be_used_and_removed(
    world: World, hostile: Session
) -> None:
    """New ones cannot be made until there are few enough."""
    use(hostile)
    world.limit(NODES, 5, 1)
    hostile.ok(Op.WRITE, b"data/1\0value")
    assert hostile.refused(Op.MKDIR, b"new\0") == Errno.ENOSPC
    for number in range(7):
        hostile.ok(Op.RM, b"data/%d\0" % number)
        assert hostile.refused(Op.MKDIR, b"new\0") == Errno.ENOSPC
    hostile.ok(Op.RM, b"data/7\0")

    hostile.take()
    hostile.ok(Op.MKDIR, b"new\0")


def test_watches_and_transactions_beyond_a_new_limit_go_on(
    world: World, dom0: Session, hostile: Session
) -> None:
    """They are told and committed as before; there are no more of them."""
    use(hostile)
    numbers = [hostile.start() for _ in range(3)]
    for quota in (WATCHES, TRANSACTIONS):
        world.limit(quota, 2, 1)
    dom0.ok(Op.WRITE, home(1) + b"/data/9\0value")

    assert hostile.take() == [event(b"data/9", b"t")]
    assert hostile.refused(Op.WATCH, b"new\0t\0") == Errno.ENOSPC
    assert hostile.refused(Op.TRANSACTION_START, b"\0") == Errno.ENOSPC
    for node, number in enumerate(numbers):
        hostile.ok(Op.WRITE, b"t%d\0value" % node, number)
        hostile.ok(Op.TRANSACTION_END, b"T\0", number)


def test_a_node_beyond_a_new_size_can_be_made_smaller(
    world: World, hostile: Session
) -> None:
    """Step by step; it cannot grow again."""
    hostile.ok(Op.WRITE, b"data\0" + b"v" * 1000)
    world.limit(NODE_SIZE, 100, 1)

    for size in (900, 500):
        hostile.ok(Op.WRITE, b"data\0" + b"v" * size)
    assert hostile.refused(Op.WRITE, b"data\0" + b"v" * 501) == Errno.ENOSPC
    hostile.ok(Op.WRITE, b"data\0")


def test_permissions_beyond_a_new_number_stay(world: World, hostile: Session) -> None:
    """Until they are replaced by as many as are allowed."""
    use(hostile)
    world.limit(NODE_PERMISSIONS, 2, 1)

    assert hostile.reply(Op.GET_PERMS, b"data\0")[1].count(b"\0") == 4
    refused = hostile.refused(Op.SET_PERMS, b"data\0n1\0r2\0r3\0")
    assert refused == Errno.ENOSPC
    hostile.ok(Op.SET_PERMS, b"data\0n1\0r2\0")


def test_a_transaction_beyond_a_new_size_goes_no_further(
    world: World, hostile: Session
) -> None:
    """It cannot commit what it was not allowed to do; the next one can."""
    use(hostile)
    number = hostile.start()
    for node in range(5):
        hostile.ok(Op.WRITE, b"data/%d\0value" % node, number)
    world.limit(TRANSACTION_NODES, 3, 1)

    assert hostile.refused(Op.WRITE, b"data/7\0value", number) == Errno.ENOSPC
    assert hostile.refused(Op.TRANSACTION_END, b"T\0", number) == Errno.ENOMEM
    number = hostile.start()
    hostile.ok(Op.WRITE, b"data/1\0value", number)
    hostile.ok(Op.TRANSACTION_END, b"T\0", number)


def test_a_limit_for_one_domain_is_not_one_for_others(
    dom0: Session, hostile: Session, world: World
) -> None:
    """Nor for dom0, which has none; 0 is no limit."""
    for quota in DEFAULTS:
        world.limit(quota, 1, 1)
    assert world.bystander.is_served()
    for quota in (NODES, MEMORY, OUTSTANDING, PATH_MAX, NODE_SIZE, TRANSACTION_NODES):
        world.limit(quota, 0, 1)
    for number in range(DEFAULTS[NODES] + 100):
        hostile.ok(Op.MKDIR, b"%d/%d\0" % (number // 100, number))
        dom0.ok(Op.MKDIR, b"/of-dom0/%d\0" % number)
    assert world.bystander.is_served()
