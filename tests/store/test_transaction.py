"""Transactions: what they see, what they conflict with, what they may use.

The first part goes through the examples at the head of the module; the table of
all operations against all changes is in test_conflicts.py.
"""

import pytest

from tests.store.support import Client
from xsd.protocol.errors import Errno, XenStoreError
from xsd.store import Store
from xsd.store.exceeded import QuotaExceeded
from xsd.store.quota import NODES, TRANSACTION_NODES


def fails(errno: Errno, transaction: Client) -> str:
    """Check that a commit fails; returns the reason."""
    with pytest.raises(XenStoreError) as caught:
        transaction.commit()
    assert caught.value.errno is errno
    return str(caught.value)


# The worked examples.


def test_reader_of_a_node_that_somebody_writes_gets_eagain(dom0: Client) -> None:
    """Even if the value is what it was."""
    dom0.write(b"/a", b"1")
    t1 = dom0.start()
    t1.read(b"/a")
    dom0.write(b"/a", b"1")

    assert fails(Errno.EAGAIN, t1) == "EAGAIN: changed meanwhile: /a"


def test_the_second_of_two_transactions_that_write_a_node_gets_eagain(
    dom0: Client,
) -> None:
    """The first to commit wins."""
    dom0.write(b"/a", b"0")
    t1, t2 = dom0.start(), dom0.start()
    t1.write(b"/a", b"1")
    t2.write(b"/a", b"2")
    t2.commit()

    fails(Errno.EAGAIN, t1)
    assert dom0.read(b"/a") == b"2"


def test_reader_of_a_node_commits_if_somebody_writes_below_it(dom0: Client) -> None:
    """A value does not depend on what is below."""
    dom0.write(b"/a/b", b"1")
    t1 = dom0.start()
    t1.read(b"/a")
    t1.write(b"/mine")
    dom0.write(b"/a/b", b"2")
    t1.commit()

    assert dom0.read(b"/mine") == b""


def test_writer_of_a_node_commits_if_somebody_creates_a_child(dom0: Client) -> None:
    """Both happen."""
    dom0.write(b"/a", b"1")
    t1 = dom0.start()
    t1.write(b"/a", b"2")
    dom0.write(b"/a/b", b"3")
    t1.commit()

    assert dom0.read(b"/a") == b"2"
    assert dom0.read(b"/a/b") == b"3"


def test_two_transactions_creating_siblings_both_commit(dom0: Client) -> None:
    """Two toolstacks start domains at once; the first to commit comes first."""
    dom0.mkdir(b"/d")
    t1, t2 = dom0.start(), dom0.start()
    t1.write(b"/d/x")
    t2.write(b"/d/y")
    t2.commit()
    t1.commit()

    assert dom0.directory(b"/d") == [b"y", b"x"]


def test_lister_of_a_directory_gets_eagain_if_a_child_comes(dom0: Client) -> None:
    """The list it got is not true any longer."""
    dom0.mkdir(b"/d")
    t1, t2 = dom0.start(), dom0.start()
    t1.directory(b"/d")
    t2.write(b"/d/y")
    t2.commit()

    fails(Errno.EAGAIN, t1)


def test_two_transactions_creating_the_same_missing_parent_conflict(
    dom0: Client,
) -> None:
    """For one of them it is not missing any longer."""
    dom0.mkdir(b"/d")
    t1, t2 = dom0.start(), dom0.start()
    t1.write(b"/d/x/1")
    t2.write(b"/d/x/2")
    t2.commit()

    assert fails(Errno.EAGAIN, t1) == "EAGAIN: changed meanwhile: /d/x"
    assert dom0.directory(b"/d/x") == [b"2"]


def test_reader_of_a_missing_node_gets_eagain_if_somebody_creates_it(
    dom0: Client,
) -> None:
    """ENOENT is an answer like any other."""
    t1 = dom0.start()
    with pytest.raises(XenStoreError, match="ENOENT"):
        t1.read(b"/no")
    dom0.write(b"/no")

    fails(Errno.EAGAIN, t1)


def test_remover_of_a_tree_gets_eagain_if_somebody_writes_in_it(dom0: Client) -> None:
    """What it would remove has not been seen by it."""
    dom0.write(b"/a/b/c")
    t1 = dom0.start()
    t1.rm(b"/a")
    dom0.write(b"/a/b/c")

    fails(Errno.EAGAIN, t1)
    assert dom0.read(b"/a/b/c") == b""


def test_snapshot_stays_before_a_change_of_what_was_read(dom0: Client) -> None:
    """All answers of one transaction are of one state."""
    dom0.write(b"/a", b"1")
    dom0.write(b"/b", b"1")
    t1 = dom0.start()
    t1.read(b"/a")
    dom0.write(b"/a", b"2")
    dom0.write(b"/b", b"2")

    assert t1.read(b"/b") == b"1"
    assert t1.read(b"/a") == b"1"
    fails(Errno.EAGAIN, t1)


def test_snapshot_moves_on_if_all_that_was_read_is_still_true(dom0: Client) -> None:
    """A newer state can be committed, an older one could not."""
    dom0.write(b"/a", b"1")
    dom0.write(b"/b", b"1")
    t1 = dom0.start()
    t1.read(b"/a")
    dom0.write(b"/b", b"2")

    assert t1.read(b"/b") == b"2"
    t1.write(b"/a", b"2")
    t1.commit()
    assert dom0.read(b"/a") == b"2"


def test_a_transaction_begins_with_its_first_access(dom0: Client) -> None:
    """Not with TRANSACTION_START."""
    dom0.write(b"/a", b"1")
    t1 = dom0.start()
    dom0.write(b"/a", b"2")

    assert t1.read(b"/a") == b"2"
    t1.commit()


def test_a_transaction_that_does_nothing_commits(dom0: Client) -> None:
    """Whatever others do."""
    t1 = dom0.start()
    dom0.write(b"/a")
    dom0.rm(b"/tool")

    assert t1.commit() == []


# What it sees.


def test_a_write_in_a_transaction_is_unseen_until_commit(dom0: Client) -> None:
    """Isolation: nobody else sees it, nor is told of it, before the end."""
    dom0.watch(b"/a")
    t1, t2 = dom0.start(), dom0.start()

    assert t1.write(b"/a", b"1") == []
    assert t1.read(b"/a") == b"1"
    for other in (dom0, t2):
        with pytest.raises(XenStoreError, match="ENOENT"):
            other.read(b"/a")
    assert t1.commit() == [(b"/a", b"/a")]
    assert dom0.read(b"/a") == b"1"


def test_an_aborted_transaction_leaves_nothing(store: Store, dom0: Client) -> None:
    """No node, no count, no open transaction."""
    used = dict(store.usage.nodes.used)
    t1 = dom0.start()
    t1.write(b"/a/b")
    t1.rm(b"/tool")
    t1.abort()

    assert dom0.directory(b"/") == [b"tool"]
    assert store.usage.nodes.used == used
    assert store.usage.transactions.of(0) == 0


def test_a_failed_commit_leaves_nothing(store: Store, dom0: Client) -> None:
    """The transaction is gone nevertheless."""
    dom0.write(b"/a", b"1")
    used = dict(store.usage.nodes.used)
    t1 = dom0.start()
    t1.write(b"/b/c")
    t1.rm(b"/tool")
    t1.read(b"/a")
    dom0.write(b"/a", b"2")
    fails(Errno.EAGAIN, t1)

    assert dom0.directory(b"/") == [b"tool", b"a"]
    assert store.usage.nodes.used == used
    assert store.usage.transactions.of(0) == 0


def test_a_transaction_never_sees_half_of_another_ones_commit(dom0: Client) -> None:
    """Whether it read before, after, or not at all what that one changed."""
    for name in (b"/x", b"/y", b"/other"):
        dom0.write(name, b"old")
    for first in (b"/x", b"/y", b"/other", b"/missing"):
        reader, writer = dom0.start(), dom0.start()
        if first == b"/missing":
            with pytest.raises(XenStoreError, match="ENOENT"):
                reader.read(first)
        else:
            reader.read(first)
        for name in (b"/x", b"/y"):
            writer.write(name, b"new of " + first)
        writer.commit()

        assert reader.read(b"/x") == reader.read(b"/y")
        reader.abort()


def test_a_transaction_sees_no_change_after_its_first_own_one(dom0: Client) -> None:
    """Its changes stand on one state; the commit carries them to the present."""
    dom0.write(b"/a", b"1")
    t1 = dom0.start()
    t1.write(b"/mine")
    dom0.write(b"/a", b"2")
    dom0.write(b"/new")

    assert t1.directory(b"/") == [b"tool", b"a", b"mine"]
    assert t1.read(b"/a") == b"1"
    fails(Errno.EAGAIN, t1)


def test_a_snapshot_does_not_move_for_a_change_in_the_transaction(
    dom0: Client,
) -> None:
    """Also where the change was its first request."""
    dom0.write(b"/a", b"1")
    t1 = dom0.start()
    t1.write(b"/mine")
    dom0.write(b"/a", b"2")

    assert t1.read(b"/a") == b"1"


def test_requests_after_a_commit_see_the_state_it_made(dom0: Client) -> None:
    """And a transaction that began before goes on with its own."""
    dom0.write(b"/a", b"1")
    t1, t2 = dom0.start(), dom0.start()
    t2.read(b"/a")
    t1.write(b"/a", b"2")
    t1.commit()
    dom0.write(b"/a/b")

    assert t2.read(b"/a") == b"1"
    assert dom0.read(b"/a") == b"2"


# What it depends on.


def test_the_owners_of_a_transaction_do_not_matter(dom0: Client, guest: Client) -> None:
    """A guest conflicts with dom0 and with itself outside the transaction."""
    guest.write(b"a", b"1")
    for other in (dom0, guest):
        t1 = guest.start()
        t1.read(b"a")
        other.write(b"/local/domain/1/a", b"2")

        fails(Errno.EAGAIN, t1)


def test_a_guest_depends_on_the_permissions_that_let_it_in(
    dom0: Client, guest: Client
) -> None:
    """Or kept it out: also EACCES is an answer."""
    dom0.write(b"/a")
    for entries in ((b"r0",), (b"n0",)):
        dom0.set_perms(b"/a", *entries)
        t1 = guest.start()
        if entries == (b"r0",):
            t1.read(b"/a")
        else:
            with pytest.raises(XenStoreError, match="EACCES"):
                t1.read(b"/a")
        dom0.set_perms(b"/a", b"r0", b"r2")

        fails(Errno.EAGAIN, t1)


def test_a_guest_depends_on_the_permissions_above_what_is_missing(
    dom0: Client, guest: Client
) -> None:
    """They decided between ENOENT and EACCES."""
    dom0.mkdir(b"/a")
    dom0.set_perms(b"/a", b"r0")
    t1 = guest.start()
    with pytest.raises(XenStoreError, match="ENOENT"):
        t1.read(b"/a/b/c")
    dom0.set_perms(b"/a", b"n0")

    assert fails(Errno.EAGAIN, t1) == "EAGAIN: changed meanwhile: /a"


def test_a_creator_depends_on_the_permissions_it_inherits(dom0: Client) -> None:
    """Dom0 as well."""
    dom0.mkdir(b"/a")
    t1 = dom0.start()
    t1.write(b"/a/b")
    dom0.set_perms(b"/a", b"r0")

    assert fails(Errno.EAGAIN, t1) == "EAGAIN: changed meanwhile: /a"


def test_a_node_removed_and_made_again_is_another_one(dom0: Client) -> None:
    """However equal it looks, and however far above what was read."""
    dom0.write(b"/a/b", b"1")
    t1 = dom0.start()
    t1.read(b"/a/b")
    dom0.rm(b"/a")
    dom0.write(b"/a/b", b"1")

    assert fails(Errno.EAGAIN, t1) == "EAGAIN: changed meanwhile: /a/b"


def test_what_a_transaction_created_itself_does_not_break_it(dom0: Client) -> None:
    """It may read, list and remove that, while others work elsewhere."""
    dom0.mkdir(b"/d")
    t1 = dom0.start()
    t1.write(b"/d/x/1", b"v")
    t1.read(b"/d/x/1")
    t1.directory(b"/d/x")
    t1.rm(b"/d/x/1")
    dom0.write(b"/d/y")
    t1.commit()

    assert dom0.directory(b"/d") == [b"y", b"x"]
    assert dom0.directory(b"/d/x") == []


def test_a_node_missing_made_and_removed_again_meanwhile_is_no_conflict(
    dom0: Client,
) -> None:
    """It is missing as it was: nothing that was read has changed."""
    t1 = dom0.start()
    with pytest.raises(XenStoreError, match="ENOENT"):
        t1.read(b"/no")
    dom0.write(b"/no")
    dom0.rm(b"/no")

    assert t1.commit() == []


def test_what_a_commit_made_and_removed_is_no_change_for_others(dom0: Client) -> None:
    """The list is as it was, and so is the generation it was read with."""
    dom0.write(b"/d/x")
    t1, t2 = dom0.start(), dom0.start()
    part = t1.directory_part(b"/d", 0)
    t2.write(b"/d/y")
    t2.rm(b"/d/y")
    t2.commit()

    assert dom0.directory_part(b"/d", 0) == part
    t1.commit()


def test_a_refusal_depends_on_the_permissions_only(dom0: Client, guest: Client) -> None:
    """EACCES tells nothing of the value, the names or what is below."""
    dom0.write(b"/a/b")
    transaction = guest.start()
    for request in (transaction.read, transaction.directory, transaction.rm):
        with pytest.raises(XenStoreError, match="EACCES"):
            request(b"/a")
    dom0.write(b"/a", b"1")
    dom0.write(b"/a/c")

    transaction.commit()


def test_a_change_of_the_root_is_found_too(dom0: Client) -> None:
    """The reason names it."""
    t1 = dom0.start()
    t1.read(b"/")
    dom0.write(b"/", b"1")

    assert fails(Errno.EAGAIN, t1) == "EAGAIN: changed meanwhile: /"


# What it may use.


def test_a_transaction_refused_for_a_quota_cannot_commit(
    store: Store, guest: Client
) -> None:
    """ENOMEM: a part of what the guest wanted is missing in it."""
    store.quotas.set(1, NODES, 2)
    t1 = guest.start()
    t1.write(b"a")
    with pytest.raises(QuotaExceeded):
        t1.write(b"b")

    assert fails(Errno.ENOMEM, t1) == "ENOMEM: an operation in it went over a quota"
    assert guest.directory(b"/local/domain/1") == []


def test_a_guests_transaction_touches_no_more_nodes_than_its_quota(
    store: Store, guest: Client
) -> None:
    """Exactly so many are accepted; touching one of them again is free."""
    for name in (b"a", b"b", b"c"):
        guest.write(name)
    store.quotas.set(1, TRANSACTION_NODES, 2)
    t1, t2 = guest.start(), guest.start()
    for transaction in (t1, t2):
        transaction.read(b"a")
        transaction.read(b"b")
        transaction.write(b"b", b"1")
    with pytest.raises(QuotaExceeded, match="quota of 2 transaction-nodes"):
        t2.read(b"c")

    t1.commit()
    fails(Errno.ENOMEM, t2)


def test_a_lowered_quota_leaves_a_transaction_what_it_has_touched(
    store: Store, guest: Client
) -> None:
    """It may go on with that; only another node is refused."""
    for name in (b"a", b"b", b"c"):
        guest.write(name)
    transaction = guest.start()
    transaction.read(b"a")
    transaction.read(b"b")
    store.quotas.set(1, TRANSACTION_NODES, 1)

    assert transaction.read(b"a") == b""
    transaction.write(b"b", b"1")
    with pytest.raises(QuotaExceeded, match="quota of 1 transaction-nodes"):
        transaction.read(b"c")


def test_dom0s_transaction_touches_what_it_likes(store: Store, dom0: Client) -> None:
    """No quota holds for it."""
    store.quotas.set(-1, TRANSACTION_NODES, 1)
    t1 = dom0.start()
    t1.write(b"/a")
    t1.write(b"/b")
    t1.commit()

    assert dom0.directory(b"/") == [b"tool", b"a", b"b"]


def test_nodes_in_a_transaction_count_against_the_quota(
    store: Store, guest: Client
) -> None:
    """Together with those that the guest has outside it."""
    store.quotas.set(1, NODES, 3)
    t1, t2 = guest.start(), guest.start()
    t1.write(b"a/b")
    t2.write(b"c/d")
    t2.commit()

    assert fails(Errno.ENOSPC, t1) == "ENOSPC: dom1 is at its quota of 3 nodes"
    assert store.usage.nodes.of(1) == 3
