"""Commits: what becomes of the store, and what is told of it."""

import pytest

from tests.store.support import Client, guest_of, shape
from xsd.protocol.errors import XenStoreError
from xsd.store import Store
from xsd.store.check import verify

# What the store is afterwards.


def test_changes_are_carried_over_to_a_newer_state(dom0: Client) -> None:
    """Those of others since the snapshot stay."""
    for path in (b"/a", b"/b", b"/c/d"):
        dom0.write(path, b"old")
    t1 = dom0.start()
    t1.write(b"/a", b"mine")
    t1.set_perms(b"/b", b"r0")
    t1.rm(b"/c/d")
    t1.write(b"/new/node", b"mine")
    dom0.set_perms(b"/a", b"w0")
    dom0.write(b"/b", b"theirs")
    dom0.write(b"/c", b"theirs")
    dom0.write(b"/theirs", b"theirs")
    t1.commit()

    assert shape(dom0.store) == [
        (b"/", b"", b"n0\0"),
        (b"/tool", b"", b"n0\0"),
        (b"/tool/xenstored", b"", b"n0\0"),
        (b"/a", b"mine", b"w0\0"),
        (b"/b", b"theirs", b"r0\0"),
        (b"/c", b"theirs", b"n0\0"),
        (b"/theirs", b"theirs", b"n0\0"),
        (b"/new", b"", b"n0\0"),
        (b"/new/node", b"mine", b"n0\0"),
    ]


def test_nodes_made_on_the_way_are_carried_over_as_they_are(dom0: Client) -> None:
    """With what was written to them later in the transaction."""
    t1 = dom0.start()
    t1.write(b"/a/b/c", b"1")
    t1.write(b"/a", b"2")
    t1.set_perms(b"/a/b", b"r0")
    dom0.write(b"/other")
    t1.commit()

    assert dom0.read(b"/a") == b"2"
    assert dom0.get_perms(b"/a/b") == b"r0\0"
    assert dom0.read(b"/a/b/c") == b"1"


def test_siblings_keep_the_order_in_which_they_were_created(dom0: Client) -> None:
    """Also where one was removed and made again, or came on the way to another."""
    for others in (False, True):
        dom0.mkdir(b"/d")
        t1 = dom0.start()
        for path in (b"/d/x", b"/d/y/1", b"/d/z"):
            t1.write(path)
        t1.rm(b"/d/x")
        t1.write(b"/d/x")
        t1.write(b"/d/y")
        if others:
            dom0.write(b"/other")
        t1.commit()

        assert dom0.directory(b"/d") == [b"y", b"z", b"x"]
        dom0.rm(b"/d")


def test_a_node_changes_hands_with_its_count(store: Store, dom0: Client) -> None:
    """Whether or not others committed meanwhile."""
    guest_of(store, 1)
    guest_of(store, 2)
    dom0.write(b"/a/b")
    for others, owner in ((False, 1), (True, 2)):
        t1 = dom0.start()
        t1.set_perms(b"/a", b"n%d" % owner)
        t1.set_perms(b"/a/b", b"n%d" % owner)
        t1.write(b"/a/c")
        if others:
            dom0.write(b"/other")
        t1.commit()

        assert store.usage.nodes.of(owner) == 3
        assert verify(store) == []
        dom0.rm(b"/a/c")
    assert store.usage.nodes.of(1) == 0


def test_removing_gives_the_owners_their_count_back(
    store: Store, dom0: Client, guest: Client
) -> None:
    """Also of nodes that another one owns below."""
    guest.write(b"a/b/c")
    dom0.set_perms(b"/local/domain/1/a/b", b"n0")
    t1 = guest.start()
    t1.rm(b"a")
    dom0.write(b"/other")
    t1.commit()

    assert store.usage.nodes.of(1) == 1
    assert verify(store) == []


def test_a_tree_removed_after_a_part_of_it_is_carried_over(dom0: Client) -> None:
    """In whichever order the two were touched."""
    for first in (b"/a", b"/a/b"):
        dom0.write(b"/a/b/c")
        t1 = dom0.start()
        t1.write(first, b"1")
        t1.rm(b"/a/b")
        t1.rm(b"/a")
        dom0.write(b"/other")
        t1.commit()

        assert dom0.directory(b"/") == [b"tool", b"other"]
        assert dom0.store.usage.nodes.used == {0: 6}


# Rights that are gone by the time of the commit.


def test_a_right_lost_with_the_target_ends_a_commit(dom0: Client) -> None:
    """EACCES, and nothing of the transaction happens."""
    store = dom0.store
    guest_of(store, 1)
    guest_of(store, 3)
    stub = guest_of(store, 2)
    store.set_target(2, 1)
    for path in (b"/value", b"/perms", b"/gone/x", b"/dir"):
        dom0.write(path)
        dom0.set_perms(path, b"n1")
    transactions = [stub.start() for _ in range(4)]
    transactions[0].write(b"/value", b"x")
    transactions[1].set_perms(b"/perms", b"r1")
    transactions[2].rm(b"/gone/x")
    transactions[3].write(b"/dir/new/x")
    store.set_target(2, 3)
    before = shape(store)

    for transaction in transactions:
        with pytest.raises(XenStoreError, match="EACCES: dom2 lost the right"):
            transaction.commit()
    assert shape(store) == before


@pytest.mark.parametrize("back", [False, True], ids=["gone", "another one"])
def test_permissions_for_a_domain_that_is_gone_are_not_committed(
    dom0: Client, back: bool
) -> None:
    """EAGAIN: the next attempt learns what the id stands for now (XSA-322)."""
    store = dom0.store
    guest_of(store, 5)
    dom0.mkdir(b"/a")
    dom0.mkdir(b"/b")
    owner, reader = dom0.start(), dom0.start()
    owner.set_perms(b"/a", b"n5")
    reader.set_perms(b"/b", b"n0", b"r5")
    store.release(5)
    if back:
        guest_of(store, 5)

    for transaction in (owner, reader):
        with pytest.raises(XenStoreError, match="EAGAIN: names a domain"):
            transaction.commit()
    assert dom0.get_perms(b"/a") == dom0.get_perms(b"/b") == b"n0\0"


def test_domains_that_come_and_go_do_not_disturb_other_transactions(
    dom0: Client,
) -> None:
    """Nor do permissions that the transaction found."""
    store = dom0.store
    guest_of(store, 5)
    guest_of(store, 6)
    dom0.mkdir(b"/a")
    dom0.set_perms(b"/a", b"n0", b"r6")
    t1 = dom0.start()
    t1.write(b"/a/b")
    t1.set_perms(b"/a/b", b"n6", b"r32757", b"r7")
    t1.write(b"/a", b"x")
    t1.rm(b"/tool")
    store.release(5)
    guest_of(store, 7)
    t1.commit()

    assert dom0.get_perms(b"/a/b") == b"n6\0r32757\0r7\0"
