"""The present state: it lists its changes and counts its nodes."""

from typing import Final

import pytest

from tests.store.support import Client, at, perms
from xsd.store import Store
from xsd.store.changes import REMOVED
from xsd.store.tree import find


@pytest.fixture(autouse=True)
def listening(store: Store) -> None:
    """Somebody wants to know what changes."""
    store.listening = True


ROWS: Final[dict[str, tuple[str, list[str]]]] = {
    "a change once": ("write /a 1", ["Change(CHANGED, b'/a')"]),
    "nodes made on the way from above, as implied": (
        "mkdir /a/b/c",
        [
            "Change(IMPLIED, b'/a')",
            "Change(IMPLIED, b'/a/b')",
            "Change(CHANGED, b'/a/b/c')",
        ],
    ),
    "nothing of what has no effect or only reads": (
        "mkdir /tool; rm /nothing; read /tool; directory /tool",
        [],
    ),
}


def ask(store: Store, script: str) -> None:
    """Requests of the live view itself, which tells nobody."""
    for request in script.split(";"):
        what, path, *more = request.encode().split()
        getattr(store.live, what.decode())(store.privileged.caller, at(path), *more)


@pytest.mark.parametrize("rule", ROWS)
def test_changes_are_listed(store: Store, rule: str) -> None:
    """Until the list is taken, or not at all where nobody wants to know."""
    script, expected = ROWS[rule]
    ask(store, script)

    assert [repr(change) for change in store.live.take_changes()] == expected
    assert store.live.take_changes() == []


def test_nothing_is_listed_when_nobody_wants_to_know(store: Store) -> None:
    """Neither watches nor anybody else."""
    store.listening = False
    ask(store, "write /a/b 1; write /a/b 2; rm /a")

    assert store.live.changes == []


def test_a_change_holds_value_and_permissions_before_and_after(store: Store) -> None:
    """None before it if there was no node."""
    ask(store, "write /a 1; write /a 2")
    old, new = perms(b"n0"), perms(b"n0", b"r32757")
    store.live.set_perms(store.privileged.caller, at(b"/a"), new)

    assert [
        (each.old_value, each.old_perms, each.value, each.perms)
        for each in store.live.take_changes()
    ] == [(None, None, b"1", old), (b"1", old, b"2", old), (b"2", old, b"2", new)]


def test_a_removal_holds_all_that_was_removed(store: Store) -> None:
    """One change for the topmost node; the others hang on it."""
    ask(store, "write /a/b 1; write /a 2")
    store.live.take_changes()
    top = find(store.live.tree.top, at(b"/a"))
    assert top is not None
    ask(store, "rm /a")
    (change,) = store.live.take_changes()

    assert (change.kind, change.path) == (REMOVED, at(b"/a"))
    assert (change.value, change.old_value) == (b"2", b"2")
    assert change.perms is change.old_perms is top.perms
    assert change.removed is top
    assert [child.value for _name, child in top.children()] == [b"1"]


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
