"""The record of what happened."""

from tests.store.support import at, perms
from xsd.store import changes
from xsd.store.changes import Change


def test_a_change_prints_its_kind_and_path() -> None:
    """For whoever reads a failed test."""
    for kind in ("CHANGED", "IMPLIED", "REMOVED", "REMOVED_BELOW", "REMOVED_WITHIN"):
        number: int = getattr(changes, kind)
        change = Change(number, at(b"/a/b"), b"v", perms(b"n0"), None, None)

        assert repr(change) == f"Change({kind}, b'/a/b')"
