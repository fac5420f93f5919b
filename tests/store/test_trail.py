"""Paths that share what is above them."""

import pytest

from tests.store.support import at
from xsd.store.trail import Trail, key_of, trail_of

LEVELS = 1500


@pytest.mark.parametrize(
    "text", [b"/", b"/a", b"/a/b/c", b"@releaseDomain", b"@releaseDomain/5"]
)
def test_a_trail_is_its_path_and_its_text(text: bytes) -> None:
    """Also where one above has been asked before."""
    trail = trail_of(at(text))
    below = Trail(trail, b"below")

    assert (trail.path(), trail.text()) == (at(text), text)
    assert trail.size == (len(text) if text != b"/" else 0)
    assert trail.key() == key_of(text)
    assert below.path() == (*at(text), b"below")
    if text != b"/":
        assert below.text() == text + b"/below"
        assert below.key() == key_of(below.text()) != trail.key()


def test_a_deep_trail_needs_no_recursion() -> None:
    """Nor the paths of all levels above it."""
    trail = trail_of((b"", *[b"x"] * LEVELS))

    assert trail.text() == b"/x" * LEVELS
    assert trail.size == len(trail.text())
    assert trail.key() == key_of(trail.text())
