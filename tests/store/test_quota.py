"""Quotas: the limits, the counts, and where requests meet them."""

import pytest

from tests.store.support import Client, Enter, guest_of, refused
from xsd.protocol.errors import Errno, XenStoreError
from xsd.store import Store
from xsd.store.exceeded import QuotaExceeded
from xsd.store.quota import (
    DEFAULTS,
    MEMORY,
    NODE_PERMISSIONS,
    NODE_SIZE,
    NODES,
    TRANSACTION_NODES,
    TRANSACTIONS,
    WATCHES,
    Quotas,
)

# The limits.


def test_the_defaults_are_those_of_c_xenstored() -> None:
    """Named and ordered as its tools show them."""
    assert list(DEFAULTS.items()) == [
        ("nodes", 1000),
        ("watches", 128),
        ("outstanding", 20),
        ("memory", 2621440),
        ("transactions", 10),
        ("transaction-nodes", 1024),
        ("node-permissions", 5),
        ("path-max", 2048),
        ("node-size", 2048),
    ]
    assert Quotas().names() == [*DEFAULTS, "soft-memory"]


def test_a_limit_holds_for_every_domain_unless_it_has_its_own() -> None:
    """Also one that was set before the domain came."""
    quotas = Quotas()
    quotas.set(5, NODES, 7)
    quotas.set(-1, NODES, 3)
    quotas.set(5, WATCHES, 2)

    assert (quotas.limit(1, NODES), quotas.limit(5, NODES)) == (3, 7)
    assert (quotas.get(-1, NODES), quotas.get(1, NODES), quotas.get(5, NODES)) == (
        3,
        3,
        7,
    )
    assert (quotas.limit(1, WATCHES), quotas.limit(5, WATCHES)) == (128, 2)
    assert quotas.limit(5, TRANSACTIONS) == 10


def test_a_domain_that_is_gone_leaves_no_limits() -> None:
    """Its id may come back."""
    quotas = Quotas()
    quotas.set(5, NODES, 7)
    quotas.forget(5)
    quotas.forget(6)

    assert quotas.limit(5, NODES) == 1000


def test_the_soft_limit_of_memory_is_apart_from_the_hard_one() -> None:
    """For all and for one domain."""
    quotas = Quotas()
    quotas.set(-1, "soft-memory", 1)
    quotas.set(5, "soft-memory", 2)

    assert quotas.get(-1, "soft-memory") == 1
    assert quotas.get(5, "soft-memory") == 2
    assert quotas.get(5, MEMORY) == quotas.limit(5, MEMORY) == 2621440


@pytest.mark.parametrize("name", ["", "node", "soft-nodes", "soft-", "memory-soft"])
def test_an_unknown_quota_is_einval(name: str) -> None:
    """To ask for and to set; nothing is set."""
    quotas = Quotas()
    for domid in (-1, 5):
        with pytest.raises(XenStoreError, match="EINVAL: unknown quota"):
            quotas.get(domid, name)
        with pytest.raises(XenStoreError, match="EINVAL: unknown quota"):
            quotas.set(domid, name, 1)

    assert quotas.names() == Quotas().names()


def test_two_stores_do_not_share_limits() -> None:
    """Setting one changes no default."""
    Quotas().set(-1, NODES, 1)
    Quotas().set(-1, "soft-memory", 1)

    assert Quotas().get(-1, NODES) == 1000
    assert Quotas().get(-1, "soft-memory") == 2097152


# Nodes.


def test_a_guest_may_own_exactly_the_quota_of_nodes(
    guest: Client, enter: Enter
) -> None:
    """ "At most N": the Nth is made, the next one is ENOSPC."""
    guest.store.quotas.set(1, NODES, 4)
    guest.write(b"a/b")
    clients = [enter(guest), enter(guest)]
    for client in clients:
        client.write(b"a/b/c", b"x")

    refused(Errno.ENOSPC, clients[0].write, b"/local/domain/1/d")
    refused(Errno.ENOSPC, clients[1].mkdir, b"/local/domain/1/d")
    for client in clients:
        assert client.directory(b"/local/domain/1") == [b"a"]


def test_removed_nodes_make_room(guest: Client, enter: Enter) -> None:
    """In a transaction as outside."""
    guest.store.quotas.set(1, NODES, 4)
    guest.write(b"a/b/c")
    client = enter(guest)
    client.rm(b"a/b")
    client.write(b"d")
    client.write(b"e")

    refused(Errno.ENOSPC, client.write, b"/local/domain/1/f")


def test_a_quota_names_its_domain_and_limit(guest: Client, enter: Enter) -> None:
    """The operator reads it in the log."""
    guest.store.quotas.set(1, NODES, 1)
    with pytest.raises(QuotaExceeded, match="dom1 is at its quota of 1 nodes") as it:
        enter(guest).write(b"a")

    assert (it.value.domid, it.value.quota, it.value.limit) == (1, NODES, 1)


def test_limit_0_is_no_limit(guest: Client, enter: Enter) -> None:
    """For nodes, for their size, for those that a transaction touches."""
    for quota in (NODES, NODE_SIZE, TRANSACTION_NODES):
        guest.store.quotas.set(1, quota, 0)
    client = enter(guest)
    for number in range(1200):
        client.write(b"%d" % number)

    client.write(b"big", b"x" * 4000)


def test_the_record_of_a_guests_node_is_limited(guest: Client, enter: Enter) -> None:
    """16 bytes, 8 for each permission, the value: 2,048 are the most."""
    clients = [enter(guest) for _ in range(3)]
    for client in clients:
        client.write(b"a", b"x" * (2048 - 16 - 8))
        client.write(b"b", b"y")
        client.write(b"d", b"x" * (2048 - 16 - 3 * 8))
        client.set_perms(b"d", b"n1", b"r2", b"r3")

    refused(Errno.ENOSPC, clients[0].write, b"/local/domain/1/b", b"x" * 2025)
    refused(Errno.ENOSPC, clients[1].write, b"/local/domain/1/c", b"x" * 2025)
    refused(Errno.ENOSPC, clients[2].set_perms, b"/local/domain/1/a", b"n1", b"r2")
    assert clients[0].read(b"b") == b"y"


def test_a_new_name_counts_in_its_parents_record(guest: Client, enter: Enter) -> None:
    """Whether the parent is there already or is made on the way."""
    guest.mkdir(b"d")
    guest.mkdir(b"d/" + b"x" * (2048 - 16 - 8 - 1 - 2))

    refused(Errno.ENOSPC, enter(guest).mkdir, b"/local/domain/1/d/yy")
    too_long = b"/local/domain/1/e/" + b"x" * 2024 + b"/f"
    refused(Errno.ENOSPC, enter(guest).mkdir, too_long)
    refused(Errno.ENOSPC, enter(guest).mkdir, b"/local/domain/1/" + b"x" * 2048)
    enter(guest).mkdir(b"d/y")


def test_what_two_transactions_create_together_is_limited_too(
    store: Store, dom0: Client, guest: Client
) -> None:
    """Each alone left the record of the directory small enough; dom0 may go on."""
    guest.mkdir(b"d")
    store.quotas.set(1, NODE_SIZE, 16 + 8 + 2 * 16)
    names = [letter * 15 for letter in (b"w", b"x", b"y")]
    transactions = [guest.start() for _ in names]
    for name, transaction in zip(names, transactions, strict=True):
        transaction.mkdir(b"d/" + name)
    by_dom0 = dom0.start()
    by_dom0.mkdir(b"/local/domain/1/d/" + b"z" * 15)
    transactions[0].commit()
    transactions[1].commit()
    with pytest.raises(QuotaExceeded, match="dom1 is at its quota of 56 node-size"):
        transactions[2].commit()
    by_dom0.commit()

    assert guest.directory(b"d") == [b"w" * 15, b"x" * 15, b"z" * 15]


def test_a_transaction_may_make_a_node_smaller_that_is_too_big(
    store: Store, guest: Client
) -> None:
    """Or leave it as it is; a new one that is too big by then is refused."""
    guest.write(b"a", b"x" * 100)
    guest.mkdir(b"a/name")
    transactions = [guest.start() for _ in range(3)]
    smaller, same, new = transactions
    smaller.rm(b"a/name")
    same.write(b"a", b"y" * 100)
    new.write(b"b", b"z" * 100)
    store.quotas.set(1, NODE_SIZE, 100)
    smaller.commit()
    same.commit()

    with pytest.raises(QuotaExceeded, match="node-size: /local/domain/1/b"):
        new.commit()
    store.quotas.set(1, NODE_SIZE, 0)
    unlimited = guest.start()
    unlimited.write(b"c", b"x" * 3000)
    unlimited.commit()


def test_dom0_is_under_no_quota(dom0: Client, enter: Enter) -> None:
    """Nor are the nodes that it makes for a guest refused."""
    guest_of(dom0.store)
    dom0.store.quotas.set(-1, NODES, 1)
    dom0.mkdir(b"/a")
    dom0.set_perms(b"/a", b"n1")
    client = enter(dom0)
    client.write(b"/a/b/c", b"x" * 4000)
    client.write(b"/a/b", b"x" * 4000)

    assert client.get_perms(b"/a/b/c") == b"n1\0"


# Permissions, watches, transactions.


def test_a_guest_may_give_exactly_the_quota_of_permissions(
    guest: Client, enter: Enter
) -> None:
    """The owner's entry counts; dom0 may give more."""
    entries = [b"n1", b"r0", b"r1", b"r2", b"r3"]
    assert len(entries) == guest.store.quotas.limit(1, NODE_PERMISSIONS)
    guest.write(b"a")
    client = enter(guest)
    client.set_perms(b"a", *entries)

    with pytest.raises(QuotaExceeded, match="node-permissions"):
        client.set_perms(b"a", *entries, b"r4")
    assert client.get_perms(b"a") == b"n1\0r0\0r1\0r2\0r3\0"


def test_dom0_may_give_any_number_of_permissions(dom0: Client, enter: Enter) -> None:
    """It is under no quota."""
    dom0.write(b"/a")
    client = enter(dom0)
    client.set_perms(b"/a", *[b"r0"] * 50)

    assert client.get_perms(b"/a") == b"r0\0" * 50


def test_a_guest_may_have_exactly_the_quota_of_watches(
    store: Store, guest: Client
) -> None:
    """Over all its connections; one that is gone makes room; dom0 has any number."""
    store.quotas.set(-1, WATCHES, 2)
    first = guest.watch(b"a")
    guest.watch(b"b")

    with pytest.raises(QuotaExceeded, match="dom1 is at its quota of 2 watches"):
        guest.watch(b"c")
    store.unwatch(first)
    guest.watch(b"c")
    assert store.usage.watches.of(1) == 2

    other = guest_of(store, 2)
    other.watch(b"a")
    for number in range(5):
        Client(store, store.privileged.caller).watch(b"/", b"%d" % number)


def test_a_guest_may_have_exactly_the_quota_of_transactions(
    store: Store, guest: Client, dom0: Client
) -> None:
    """One that ends makes room, however it ends."""
    store.quotas.set(-1, TRANSACTIONS, 1)
    guest.write(b"a")
    for number in range(3):
        transaction = guest.start()
        with pytest.raises(QuotaExceeded, match="dom1 is at its quota of 1 trans"):
            guest.start()
        if number == 0:
            transaction.abort()
        elif number == 1:
            transaction.commit()
        else:
            transaction.read(b"a")
            guest.write(b"a")
            with pytest.raises(XenStoreError, match="EAGAIN"):
                transaction.commit()

    guest.start().abort()
    for _ in range(5):
        dom0.start()


def test_a_lowered_quota_takes_nothing_away(store: Store, guest: Client) -> None:
    """What is over it stays and may be used; only growth is refused."""
    guest.write(b"a/b", b"1")
    guest.watch(b"a")
    transaction = guest.start()
    for quota in (NODES, WATCHES, TRANSACTIONS):
        store.quotas.set(1, quota, 1)
    guest.write(b"a/b", b"2")
    guest.set_perms(b"a/b", b"r1")
    transaction.write(b"a/b", b"3")
    transaction.commit()

    with pytest.raises(QuotaExceeded):
        guest.write(b"c")
    assert guest.read(b"a/b") == b"3"
