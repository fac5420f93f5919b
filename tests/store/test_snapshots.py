"""xsd.store.snapshots: how much of the store's past open transactions may keep."""

import pytest

from tests.store.script import Play, play
from tests.store.support import Client, at
from xsd.protocol.errors import XenStoreError
from xsd.protocol.perms import Caller
from xsd.store import Store, Transaction
from xsd.store.quota import DEFAULTS, TRANSACTIONS
from xsd.store.snapshots import DISPLACED_MAX
from xsd.store.tree import find


@pytest.fixture
def small_past(monkeypatch: pytest.MonkeyPatch) -> int:
    """So few bytes that a test can displace them."""
    limit = 100_000
    monkeypatch.setattr("xsd.store.snapshots.DISPLACED_MAX", limit)
    return limit


pytestmark = pytest.mark.pure_only


@pytest.fixture
def store(small_past: int, store: Store) -> Store:
    """A store with that limit."""
    store.transactions.expel_at = small_past
    return store


GUEST = Caller(9, privileged=False)


def begun(store: Store) -> Transaction:
    """A guest's transaction with a snapshot."""
    transaction = store.start(GUEST)
    transaction.get_perms(GUEST, at(b"@releaseDomain"))
    return transaction


def rewrite(client: Client, size: int) -> None:
    """Displace at least so many bytes: snapshots of guests keep the old values."""
    store = client.store
    begin = store.live.tree.displaced
    for _ in range(size // 4000 + 2):
        if store.live.tree.displaced < begin + size:
            transaction = begun(store)
            client.write(b"/big", b"x" * 4000)
            store.abort(transaction)
    assert store.live.tree.displaced >= begin + size


def test_what_is_replaced_or_removed_counts_as_displaced(
    store: Store, dom0: Client
) -> None:
    """Copies for the sake of a guest's snapshot, subtrees; no change in place.

    What came after the snapshot does not, nor what nobody keeps or only dom0 does.
    """
    tree = store.live.tree
    dom0.write(b"/a/b", b"x" * 1000)
    dom0.write(b"/a/c", b"x" * 1000)
    of_dom0 = dom0.start()
    of_dom0.read(b"/a")
    begin = tree.displaced
    dom0.write(b"/a/b", b"y" * 1000)
    tree.freeze()
    dom0.write(b"/a/b", b"y" * 1000)
    assert tree.displaced == begin
    transaction = begun(store)
    dom0.write(b"/a/b", b"z" * 1000)
    copied = tree.displaced - begin
    assert copied > 1000
    tree.freeze()
    dom0.write(b"/a/b", b"z" * 1000)
    assert tree.displaced == begin + copied == store.usage.past_of(9) + begin
    dom0.rm(b"/a")
    assert 1000 < tree.displaced - begin - copied < 3000
    store.abort(transaction)
    dom0.rm(b"/big")
    assert store.usage.past_of(9) == store.usage.memory_of(9) == 0


def test_a_commit_displaces_what_it_changed(store: Store, dom0: Client) -> None:
    """Whether it takes the store's place as it is or is made again."""
    dom0.write(b"/a", b"x" * 1000)
    for meanwhile in ("dir /", "write /b"):
        begun(store)
        begin = store.live.tree.displaced
        play(dom0, f"start t1; t1 write /a y*1000; {meanwhile}; t1 commit")

        assert store.live.tree.displaced - begin > 1000


def test_a_guest_loses_a_snapshot_that_is_too_old(
    store: Store, small_past: int, dom0: Client, guest: Client
) -> None:
    """It is told EAGAIN at the end, and what it had changed is forgotten."""
    transaction = guest.start()
    transaction.write(b"a", b"1")
    kept = transaction.opened
    rewrite(dom0, small_past)

    assert kept.expelled
    assert kept.snapshot is None
    assert kept.tree.own_size == 0
    with pytest.raises(XenStoreError, match="EAGAIN: it kept too much of the past"):
        transaction.commit()
    assert store.transactions.all() == []


def test_who_lost_its_snapshot_goes_on_with_the_present(
    small_past: int, dom0: Client, guest: Client
) -> None:
    """Its requests are answered as ever, and it loses that state as well in time."""
    guest.write(b"a", b"1")
    transaction = guest.start()
    play(transaction, "read a -> 1")
    rewrite(dom0, small_past)
    guest.write(b"a", b"2")
    play(transaction, "read a -> 2; write b 3; read b -> 3")
    rewrite(dom0, small_past)

    play(transaction, "dir /local/domain/1 -> a; commit -> EAGAIN")
    play(guest, "dir /local/domain/1 -> a")


def test_younger_snapshots_stay_until_their_time(
    small_past: int, dom0: Client, guest: Client
) -> None:
    """And those of dom0, and of transactions that have not begun."""
    unused, old, of_dom0 = guest.start(), guest.start(), dom0.start()
    old.read(b"/local/domain/1")
    of_dom0.write(b"/of-dom0")
    rewrite(dom0, small_past // 2)
    young = guest.start()
    young.read(b"/local/domain/1")
    rewrite(dom0, small_past // 2)
    opened = [unused, old, of_dom0, young]
    assert [each.opened.expelled for each in opened] == [False, True, False, False]
    rewrite(dom0, small_past // 2 + 5000)

    assert [each.opened.expelled for each in opened] == [False, True, False, True]
    unused.commit()
    of_dom0.commit()
    old.abort()
    young.abort()


@pytest.mark.parametrize("how", ["rewrite", "remove"])
@pytest.mark.parametrize(
    ("guests", "nodes", "limit"),
    [
        pytest.param(1, 50, 100_000, id="a guest alone"),
        pytest.param(
            2, 200, DISPLACED_MAX, id="the real bound", marks=pytest.mark.slow
        ),
    ],
)
def test_the_bound_is_in_force(
    monkeypatch: pytest.MonkeyPatch, how: str, guests: int, nodes: int, limit: int
) -> None:
    """With as many transactions as quotas allow, by both ways to displace nodes."""
    store = Store()
    if limit != DISPLACED_MAX:
        monkeypatch.setattr("xsd.store.snapshots.DISPLACED_MAX", limit)
        store.transactions.expel_at = limit
    game = Play(store)
    opened: list[Client] = []
    for domid in range(1, guests + 1):
        guest = game.client(f"{domid}")
        for _ in range(DEFAULTS[TRANSACTIONS]):
            if how == "remove":
                play(guest, "mkdir d; rm d")
            for number in range(nodes):
                guest.write(b"d/%d/%d" % (number // 300, number), b"x" * 1000)
            opened.append(guest.start())
            opened[-1].read(b"d")
    displaced = store.live.tree.displaced
    kept = [each.opened for each in opened if not each.opened.expelled]

    assert displaced > 1.5 * limit
    assert 0 < len(kept) < len(opened)
    assert displaced - min([each.mark for each in kept]) <= limit
    assert find(store.live.tree.top, at(b"/local/domain/%d" % guests)) is not None
