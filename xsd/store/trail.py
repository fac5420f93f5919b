"""Paths that cost the same to make and to keep at any depth."""

from typing import Final, final

from xsd.protocol.path import Path, format_path

_KEY_MASK: Final = (1 << 60) - 1
"""Keys are small enough for a compiled attribute to hold them by itself."""


@final
class Trail:
    """A path as its last part and the trail above it.

    Walks through thousand levels make one for each, where a path of its own for each
    would be half a million parts. Neither path nor text is kept: what waits for being
    told of many nodes shares the way to them.

    Attributes:
        above: The trail of the node above; None only for the top of all paths.
        known_key: The key, once somebody asked for it; else 0.
        name: The last part.
        size: Bytes of the text; 0 for the root, whose text is one byte.
    """

    __slots__ = ("above", "known_key", "name", "size")

    def __init__(self, above: "Trail | None", name: bytes) -> None:
        self.above = above
        self.name = name
        self.size: int = -1 if above is None else above.size + 1 + len(name)
        self.known_key = 0

    def path(self) -> Path:
        """The path."""
        parts: list[bytes] = []
        trail: Trail = self
        while trail.above is not None:
            parts.append(trail.name)
            trail = trail.above
        parts.reverse()
        return tuple(parts)

    def text(self) -> bytes:
        """The path as text."""
        return format_path(self.path())

    def key(self) -> int:
        """The `key_of` its text; what those above have is used."""
        if not self.known_key:
            rest: list[Trail] = []
            trail: Trail = self
            while trail.above is not None and not trail.known_key:
                rest.append(trail)
                trail = trail.above
            key = trail.known_key
            while rest:
                trail = rest.pop()
                key = trail.known_key = _joined(key, trail.name)
        return self.known_key


def trail_of(path: Path) -> Trail:
    """The trail of a path."""
    trail = Trail(None, b"")
    for name in path:
        trail = Trail(trail, name)
    return trail


def key_of(text: bytes) -> int:
    """A number that is the same for equal paths, and hardly ever for others."""
    key = 0
    if text == b"/":
        return _joined(key, b"")
    for name in text.split(b"/"):
        key = _joined(key, name)
    return key


def _joined(key: int, name: bytes) -> int:
    return hash((key, name)) & _KEY_MASK
