"""The record of what happened."""

from tests.store.support import at, perms
from xsd.store.changes import (
    CHANGED,
    IMPLIED,
    REMOVED,
    REMOVED_BELOW,
    REMOVED_WITHIN,
    Change,
    removal,
)
from xsd.store.node import Node

PERMISSIONS = perms(b"n0", b"r1")


def test_a_removal_tells_what_the_node_was() -> None:
    """There is nothing afterwards to tell of."""
    node = Node(1, b"value", PERMISSIONS, 1)
    change = removal(REMOVED, at(b"/a/b"), node)

    assert (change.kind, change.path) == (REMOVED, at(b"/a/b"))
    assert (change.value, change.old_value) == (b"value", b"value")
    assert (change.perms, change.old_perms) == (PERMISSIONS, PERMISSIONS)
    assert change.removed is node


def test_a_change_prints_its_kind_and_path() -> None:
    """For whoever reads a failed test."""
    printed = [
        repr(Change(kind, at(b"/a/b"), b"v", PERMISSIONS, None, None))
        for kind in (CHANGED, IMPLIED, REMOVED, REMOVED_BELOW, REMOVED_WITHIN)
    ]

    assert printed == [
        "Change(CHANGED, b'/a/b')",
        "Change(IMPLIED, b'/a/b')",
        "Change(REMOVED, b'/a/b')",
        "Change(REMOVED_BELOW, b'/a/b')",
        "Change(REMOVED_WITHIN, b'/a/b')",
    ]
