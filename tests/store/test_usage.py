"""xsd.store.usage: counters by domain, and memory as it is counted."""

import pytest

from tests.store.support import Client, Enter, at, dom0_of, guest_of, refused
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.perms import Caller
from xsd.protocol.request import UNLIMITED
from xsd.store import Store, Watch
from xsd.store.exceeded import QuotaExceeded
from xsd.store.footprint import FORK_BYTES, SPOT_BYTES
from xsd.store.node import Node, empty_size
from xsd.store.quota import DEFAULTS, MEMORY
from xsd.store.tree import find
from xsd.store.usage import (
    LEVEL_BYTES,
    NODE_BYTES,
    WATCH_BYTES,
    Account,
    Growth,
    Holdings,
    Usage,
)

EMPTY = 16 + 8
"""Bytes of a record with one permission, no value and no children."""


def node_of(store: Store, path: bytes) -> Node:
    node = find(store.live.tree.top, at(path))
    assert node is not None
    return node


# Counters.


def test_an_account_keeps_only_what_is_not_zero() -> None:
    """Domains that come and go leave nothing behind."""
    account = Account()
    account.add(1, 2)
    account.add(2, 1)
    account.add(1, -2)
    account.add(3, 0)

    assert account.used == {2: 1}
    assert (account.of(1), account.of(2)) == (0, 1)


def test_accounts_are_merged_by_domain() -> None:
    """As a commit does with what the transaction counted."""
    account, delta = Account(), Account()
    account.add(1, 2)
    account.add(2, 1)
    delta.add(1, -2)
    delta.add(3, 4)
    account.merge(delta)

    assert account.used == {2: 1, 3: 4}


def test_the_most_that_there_was_is_kept() -> None:
    """For each domain, and of all but the privileged one."""
    account = Account()
    account.add(0, 100)
    account.add(1, 5)
    account.add(1, -4)
    account.add(2, 3)
    account.saw(2, 4)
    account.saw(2, 1)

    assert account.most == {0: 100, 1: 5, 2: 4}
    assert account.peak(privileged=0) == 5


def test_a_domain_that_is_gone_counts_for_the_peak_only() -> None:
    """A later one of its id begins at what it has."""
    account = Account()
    account.add(1, 5)
    account.add(1, -5)
    account.forget(1)
    account.forget(2)
    account.add(1, 1)

    assert account.most == {1: 1}
    assert account.peak(privileged=0) == 5
    account.reset_peak()
    assert account.peak(privileged=0) == 1


def test_growth_has_no_entry_for_what_does_not_change() -> None:
    """Only nodes, only bytes, neither."""
    growth = Growth()
    growth.add(1, 1, 0)
    growth.add(2, 0, 8)
    growth.add(3, 0, 0)

    assert (growth.nodes.used, growth.memory.used) == ({1: 1}, {2: 8})


def test_there_is_an_account_for_each_quota() -> None:
    """In the same order."""
    assert [name for name, _account in Usage().by_quota()] == list(DEFAULTS)


def test_the_end_of_a_domain_ends_its_maxima(store: Store, guest: Client) -> None:
    """XSA-483: of every quota."""
    guest.write(b"a/b")
    store.unwatch(guest.watch(b"a"))
    guest.start().commit()
    store.release(1)

    for name, account in store.usage.by_quota():
        assert (name, account.of(1), account.most.get(1)) == (name, 0, None)
    assert store.usage.nodes.peak(0) == 3


def test_a_subtree_is_summed_up_by_owner(store: Store, dom0: Client) -> None:
    """Nodes and bytes of records, as RM must, which takes all of them."""
    guest_of(store)
    guest_of(store, 2)
    dom0.write(b"/a/b/c", b"123")
    dom0.set_perms(b"/a/b", b"n1", b"r2")
    dom0.write(b"/a/b/d")
    dom0.set_perms(b"/a/b/c", b"n2")
    found = Holdings(node_of(store, b"/a"), store.live.tree.token)

    assert found.nodes == {0: 1, 1: 2, 2: 1}
    assert found.sizes == {
        0: EMPTY + len(b"b\0"),
        1: EMPTY + 8 + len(b"c\0d\0") + EMPTY + 8,
        2: EMPTY + 3,
    }
    assert found.kept == found.own == 4 * NODE_BYTES + 3
    assert Holdings(node_of(store, b"/a"), -1).own == 0


# What counts as memory.


def test_nodes_count_as_their_records_for_their_owner(
    store: Store, dom0: Client, guest: Client
) -> None:
    """Whoever writes them; a name counts in the directory that it is in."""
    used = store.usage.memory
    assert used.of(1) == EMPTY
    guest.write(b"ab/c", b"123")
    assert used.of(1) == 3 * EMPTY + len(b"ab\0" + b"c\0" + b"123")
    dom0.write(b"/local/domain/1/ab/c", b"1")
    assert used.of(1) == 3 * EMPTY + len(b"ab\0" + b"c\0" + b"1")
    guest.set_perms(b"ab/c", b"n1", b"r0", b"r2")
    assert used.of(1) == 3 * EMPTY + 2 * 8 + len(b"ab\0" + b"c\0" + b"1")

    before = used.of(0)
    dom0.set_perms(b"/local/domain/1/ab/c", b"n0", b"r1")
    assert used.of(0) - before == EMPTY + 8 + 1
    assert used.of(1) == 2 * EMPTY + len(b"ab\0" + b"c\0")
    guest.rm(b"ab")
    assert (used.of(0), used.of(1)) == (before, EMPTY)


def test_a_watch_counts_with_its_levels(store: Store, guest: Client) -> None:
    """A long path costs what the index needs for it."""
    before = store.usage.memory.of(1)
    watch = guest.watch(b"a/b", b"token")

    size = WATCH_BYTES + len(b"/local/domain/1/a/b" + b"token") + 6 * LEVEL_BYTES
    assert watch.size == size
    assert store.usage.memory.of(1) == before + size
    store.unwatch(watch)
    assert store.usage.memory.of(1) == before


@pytest.mark.parametrize("end", ["commit", "abort", "conflict"])
def test_a_transaction_counts_as_long_as_it_is_open(
    store: Store, dom0: Client, guest: Client, end: str
) -> None:
    """What it relied on, and what it had to copy or make."""
    guest.write(b"a", b"12345")
    before = store.usage.memory.of(1)
    transaction = guest.start()
    assert store.usage.memory.of(1) == before
    transaction.read(b"a")
    read = store.usage.memory.of(1) - before
    looked_at = b"localdomain1a"  # and the root, of which the name is empty
    assert read == 5 * SPOT_BYTES + len(looked_at)
    transaction.write(b"a", b"123")
    copied = 6 * NODE_BYTES + 3  # top, root, local, domain, 1, a
    assert store.usage.memory.of(1) - before == read + copied
    transaction.write(b"b", b"1234")
    beside = SPOT_BYTES + 1 + 2 * FORK_BYTES  # two names in one directory
    assert store.usage.memory.of(1) - before == read + copied + beside + NODE_BYTES + 4
    transaction.rm(b"b")
    assert store.usage.memory.of(1) - before == read + copied + beside

    if end == "commit":
        transaction.commit()
        before -= 2
    elif end == "abort":
        transaction.abort()
    else:
        dom0.write(b"/local/domain/1/a", b"67890")
        with pytest.raises(XenStoreError, match="EAGAIN"):
            transaction.commit()
    assert store.usage.memory.of(1) == before


# The quota.


def limit_to(store: Store, more: int) -> None:
    """Give domain 1 exactly so much room beyond what it has."""
    store.quotas.set(1, MEMORY, store.usage.memory.of(1) + more)


@pytest.mark.parametrize(("room", "fits"), [(-1, False), (0, True), (1, True)])
def test_a_guest_may_use_exactly_the_quota_of_memory(
    store: Store, guest: Client, room: int, *, fits: bool
) -> None:
    """For a longer value, a new node, more permissions and a watch."""
    guest.write(b"a", b"1")
    watch = Watch(1, guest.caller, at(b"/x"), b"/x", b"t", UNLIMITED)
    for need, request in (
        (4, lambda: guest.write(b"a", b"12345")),
        (2 * EMPTY + 2 + 2 + 3, lambda: guest.write(b"b/c", b"123")),
        (EMPTY + 2, lambda: guest.mkdir(b"d")),
        (16, lambda: guest.set_perms(b"a", b"n1", b"r0", b"r2")),
        (watch.size, lambda: store.watch(watch)),
    ):
        limit_to(store, need + room)
        before = store.usage.memory.of(1), store.generation, store.watches.count
        if fits:
            request()
        else:
            with pytest.raises(QuotaExceeded, match="dom1 is at its quota") as it:
                request()
            after = store.usage.memory.of(1), store.generation, store.watches.count
            assert (it.value.errno, it.value.quota) == (Errno.ENOMEM, MEMORY)
            assert after == before


def test_without_memory_a_guest_may_shrink_and_remove(
    store: Store, guest: Client
) -> None:
    """That is how it gets room again."""
    guest.write(b"a", b"12345")
    guest.write(b"b", b"1")
    limit_to(store, 0)
    guest.write(b"a", b"1")
    guest.set_perms(b"a", b"r1")
    guest.rm(b"b")

    limit_to(store, -1)
    guest.write(b"a", b"2")
    refused(Errno.ENOMEM, guest.write, b"/local/domain/1/a", b"222")


def test_what_a_guest_writes_for_another_is_that_ones(
    store: Store, guest: Client
) -> None:
    """The owner pays, and its limit counts; in its directory a new name as well."""
    other = guest_of(store, 2)
    guest.write(b"a", b"1")
    guest.set_perms(b"a", b"n1", b"w2")
    limit_to(store, 3)
    refused(Errno.ENOMEM, other.write, b"/local/domain/1/a", b"12345")
    other.write(b"/local/domain/1/a", b"1234")
    before = store.usage.memory.of(1)
    other.mkdir(b"/local/domain/1/a/theirs")

    assert store.usage.memory.of(1) == before + len(b"theirs\0")
    assert store.usage.memory.of(2) == empty_size(node_of(store, b"/local").perms) + 8


@pytest.mark.parametrize(("room", "fits"), [(-1, False), (0, True)])
def test_a_transaction_has_exactly_the_quota_of_memory(
    store: Store, guest: Client, room: int, *, fits: bool
) -> None:
    """What goes over it fails the whole transaction."""
    guest.write(b"a", b"1")
    measured = guest.start()
    measured.write(b"a", b"12345")
    measured.write(b"b/c", b"1")
    need = 0 if measured.transaction is None else measured.transaction.charged
    measured.abort()
    limit_to(store, need + room)
    transaction = guest.start()
    transaction.write(b"a", b"12345")
    if fits:
        transaction.write(b"b/c", b"1")
        store.quotas.set(1, MEMORY, 0)
        transaction.commit()
        return
    refused(Errno.ENOMEM, transaction.write, b"/local/domain/1/b/c", b"1")
    store.quotas.set(1, MEMORY, 0)
    with pytest.raises(XenStoreError, match="ENOMEM"):
        transaction.commit()
    assert guest.read(b"a") == b"1"


def test_reading_in_a_transaction_takes_memory_too(store: Store, guest: Client) -> None:
    """What it relied on has to be remembered."""
    limit_to(store, 3 * SPOT_BYTES)
    transaction = guest.start()
    refused(Errno.ENOMEM, transaction.read, b"/local/domain/1")

    with pytest.raises(XenStoreError, match="ENOMEM"):
        transaction.commit()


@pytest.mark.parametrize("others", [False, True])
def test_a_commit_is_refused_that_takes_its_owner_over_the_quota(
    store: Store, dom0: Client, guest: Client, *, others: bool
) -> None:
    """Whether it takes the store's place as it is or is made again."""
    transaction = guest.start()
    transaction.write(b"a", b"1")
    if others:
        dom0.write(b"/elsewhere")
    store.quotas.set(1, MEMORY, EMPTY + 2 + EMPTY)
    with pytest.raises(QuotaExceeded, match="memory"):
        transaction.commit()
    again = guest.start()
    store.quotas.set(1, MEMORY, 0)
    again.write(b"a", b"1")
    store.quotas.set(1, MEMORY, EMPTY + 2 + EMPTY + 1)
    again.commit()

    assert guest.read(b"a") == b"1"


def test_dom0_is_refused_no_memory(store: Store, dom0: Client, enter: Enter) -> None:
    """Nor for its own nodes, nor for those of a guest; both count."""
    guest_of(store)
    dom0.write(b"/a")
    dom0.set_perms(b"/a", b"n1")
    for domid in (-1, 1):
        store.quotas.set(domid, MEMORY, 1)
    client = enter(dom0)
    client.write(b"/a", b"x" * 1000)
    client.write(b"/a/b", b"x" * 1000)
    client.write(b"/c", b"x" * 1000)
    if client.transaction is not None:
        client.commit()

    assert store.usage.memory.of(1) == 2 * (EMPTY + 1000) + 2


def test_a_guest_that_owns_no_such_node_pays_nothing(store: Store) -> None:
    """Of dom0's there is no limit; the caller is held to its node-size."""
    dom0 = dom0_of(store)
    guest = guest_of(store)
    dom0.write(b"/a")
    dom0.set_perms(b"/a", b"n0", b"w1")
    store.quotas.set(1, MEMORY, 1)
    guest.write(b"/a", b"x" * 1000)

    assert store.usage.memory.of(1) == 0


def test_size_of_a_watch_knows_relative_paths() -> None:
    """It is the full path that the index holds."""
    caller = Caller(1, privileged=False)
    path = at(b"/local/domain/1/a")
    relative = Watch(1, caller, path, b"a", b"t", UNLIMITED)
    absolute = Watch(1, caller, path, b"/local/domain/1/a", b"t", UNLIMITED)

    assert relative.size == absolute.size
