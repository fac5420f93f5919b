"""The present state: it lists its changes and counts its nodes."""

import pytest

from tests.store.support import Client, at
from xsd.protocol.path import Path
from xsd.store import Store
from xsd.store.changes import CHANGED, IMPLIED, REMOVED


@pytest.fixture(autouse=True)
def listening(store: Store) -> None:
    """Somebody wants to know what changes."""
    store.listening = True


def changes(store: Store, dom0: Client) -> list[tuple[int, Path]]:
    """What the last request on `store.live` did."""
    assert dom0.store is store
    return [(change.kind, change.path) for change in store.live.take_changes()]


def test_a_change_is_listed_once(store: Store, dom0: Client) -> None:
    """Taking the list empties it."""
    store.live.write(dom0.caller, at(b"/a"), b"1")

    assert changes(store, dom0) == [(CHANGED, at(b"/a"))]
    assert changes(store, dom0) == []


def test_nodes_made_on_the_way_are_listed_from_above(
    store: Store, dom0: Client
) -> None:
    """As implied, then the one that was named."""
    store.live.mkdir(dom0.caller, at(b"/a/b/c"))

    assert changes(store, dom0) == [
        (IMPLIED, at(b"/a")),
        (IMPLIED, at(b"/a/b")),
        (CHANGED, at(b"/a/b/c")),
    ]


def test_a_change_holds_value_and_permissions_before_and_after(
    store: Store, dom0: Client
) -> None:
    """None before it if there was no node."""
    caller = dom0.caller
    store.live.write(caller, at(b"/a"), b"1")
    store.live.write(caller, at(b"/a"), b"2")
    old = store.live.get_perms(caller, at(b"/a"))
    new = store.live.get_perms(caller, at(b"@releaseDomain"))
    store.live.set_perms(caller, at(b"/a"), new)
    made, written, permitted = store.live.take_changes()

    assert (made.value, made.perms) == (b"1", old)
    assert made.old_value is None
    assert made.old_perms is None
    assert (written.old_value, written.value) == (b"1", b"2")
    assert (written.old_perms, written.perms) == (old, old)
    assert (permitted.old_value, permitted.value) == (b"2", b"2")
    assert (permitted.old_perms, permitted.perms) == (old, new)


def test_a_removal_holds_all_that_was_removed(store: Store, dom0: Client) -> None:
    """One change for the topmost node; the others hang on it."""
    dom0.write(b"/a/b", b"1")
    store.live.rm(dom0.caller, at(b"/a"))
    (change,) = store.live.take_changes()

    assert (change.kind, change.path) == (REMOVED, at(b"/a"))
    assert change.removed is not None
    below = change.removed.child(b"b")
    assert below is not None
    assert below.value == b"1"


def test_requests_without_effect_list_nothing(store: Store, dom0: Client) -> None:
    """MKDIR of what is there, RM of what is not, anything that only reads."""
    caller = dom0.caller
    store.live.mkdir(caller, at(b"/tool"))
    store.live.rm(caller, at(b"/nothing"))
    store.live.read(caller, at(b"/tool"))
    store.live.directory(caller, at(b"/tool"))

    assert changes(store, dom0) == []


def test_nodes_are_counted_for_their_owner(
    store: Store, dom0: Client, guest: Client
) -> None:
    """However they come to it and whoever makes them."""
    used = store.usage.nodes
    assert (used.of(0), used.of(1)) == (5 + 2, 1)

    guest.write(b"a/b")
    dom0.write(b"/local/domain/1/c")
    assert (used.of(0), used.of(1)) == (7, 4)

    dom0.set_perms(b"/local/domain/1/a/b", b"n0")
    assert (used.of(0), used.of(1)) == (8, 3)

    guest.rm(b"a")
    assert (used.of(0), used.of(1)) == (7, 2)


def test_the_epoch_grows_when_rights_change_outside_the_tree(
    store: Store, dom0: Client
) -> None:
    """Domains that come, go or get a target; not when a node changes."""
    epochs = [store.live.epoch]
    for domid in (1, 2):
        store.introduce(domid, 1)
        epochs.append(store.live.epoch)
    store.set_target(1, 2)
    epochs.append(store.live.epoch)
    store.end([1])
    epochs.append(store.live.epoch)

    assert epochs == sorted(set(epochs))
    dom0.write(b"/a")
    store.introduce(2, 3)
    assert store.live.epoch == epochs[-1]


def test_nothing_is_listed_when_nobody_wants_to_know(
    store: Store, dom0: Client
) -> None:
    """Neither watches nor anybody else."""
    store.listening = False
    store.live.write(dom0.caller, at(b"/a/b"), b"1")
    store.live.rm(dom0.caller, at(b"/a"))

    assert store.live.changes == []
