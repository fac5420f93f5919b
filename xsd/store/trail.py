"""Paths that cost the same to make at any depth."""

from typing import final

from xsd.protocol.path import Path, format_path


@final
class Trail:
    """A path as its last part and the trail above it.

    Walks through thousand levels make one for each, where a path of its own for each
    would be half a million parts.

    Attributes:
        above: The trail of the node above; None only for the top of all paths.
        name: The last part.
        written: The text, once somebody asked for it.
        depth: Number of parts.
    """

    __slots__ = ("_path", "above", "depth", "name", "written")

    def __init__(self, above: "Trail | None", name: bytes) -> None:
        self.above = above
        self.name = name
        self.depth: int = 0 if above is None else above.depth + 1
        self._path: Path | None = None
        self.written = b""

    def path(self) -> Path:
        """The path; made once, when somebody asks."""
        path = self._path
        if path is None:
            parts: list[bytes] = []
            trail: Trail = self
            while trail.above is not None:
                parts.append(trail.name)
                trail = trail.above
            parts.reverse()
            path = self._path = tuple(parts)
        return path

    def text(self) -> bytes:
        """The path as text; what those above have is used."""
        if not self.written:
            rest: list[Trail] = []
            trail: Trail = self
            # The root has a text of its own, and so have special names.
            while trail.depth > 2 and not trail.written:
                rest.append(trail)
                above = trail.above
                assert above is not None  # noqa: S101  or it had no depth
                trail = above
            if not trail.written:
                trail.written = format_path(trail.path())
            text = trail.written
            while rest:
                trail = rest.pop()
                text = text + b"/" + trail.name
                trail.written = text
        return self.written


def trail_of(path: Path) -> Trail:
    """The trail of a path."""
    trail = Trail(None, b"")
    for name in path:
        trail = Trail(trail, name)
    return trail
