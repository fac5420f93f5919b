"""What a transaction has relied on, and whether it still holds.

The facets are kept in a tree of path parts, like the store itself. Old and new
version of the store share every node that has not changed, nor anything below
it, so comparing them goes only where something did change: a transaction that
has read 1,000 nodes is checked against a write elsewhere in a few steps.
"""

from typing import final

from xsd.protocol.path import Path
from xsd.store.node import Node
from xsd.store.view import EXISTENCE, NAMES, PERMS, SUBTREE, VALUE


@final
class _Spot:
    """Facets relied on at one path, and the spots below it."""

    __slots__ = ("below", "facets")

    def __init__(self) -> None:
        self.facets = 0
        self.below: dict[bytes, _Spot] = {}


@final
class Dependencies:
    """Facets of nodes, existing or missing, that must not change.

    Attributes:
        count: Paths with a facet, as the quota ``transaction-nodes`` counts them.
        levels: Levels of all these paths together, each shared one counted once.
    """

    __slots__ = ("_top", "count", "levels")

    def __init__(self) -> None:
        self.count = 0
        self.levels = 0
        self._top = _Spot()

    def add(self, path: Path, length: int, facets: int) -> None:
        """Rely on facets of the node at the first ``length`` parts of a path."""
        spot = self._top
        for index in range(length):
            name = path[index]
            below = spot.below.get(name)
            if below is None:
                below = spot.below[name] = _Spot()
                self.levels += 1
            spot = below
        if not spot.facets:
            self.count += 1
        spot.facets |= facets

    def count_levels(self) -> int:
        """Count `levels` anew, for checks."""
        count = 0
        rest = [self._top]
        while rest:
            spot = rest.pop()
            count += len(spot.below)
            rest.extend(spot.below.values())
        return count

    def concerns(self, path: Path, now: Node) -> bool:
        """Tell whether a change that names a path might break something relied on.

        It errs on the side of caution: it may be true though nothing would break.

        Args:
            path: Of a node that is about to be written, made or removed.
            now: Top node of the present store.
        """
        spot = self._top
        node: Node | None = now
        for index, name in enumerate(path):
            child = None if node is None else node.child(name)
            facets = spot.facets
            if node is None and facets & EXISTENCE:
                return True
            if facets & SUBTREE:
                return True
            if facets & NAMES and (child is None or index == len(path) - 1):
                return True
            below = spot.below.get(name)
            if below is None:
                return False
            spot = below
            node = child
        return True

    def broken(self, before: Node, now: Node) -> Path | None:
        """Compare two versions of the store, given by their top nodes.

        Returns:
            The path of a node that differs in a facet relied on, or None.
        """
        if before is now:
            return None
        rest: list[tuple[_Spot, Node | None, Node | None, Path]] = [
            (self._top, before, now, ())
        ]
        while rest:
            spot, old, new, path = rest.pop()
            if spot.facets and _differs(spot.facets, old, new):
                return path
            for name, below in spot.below.items():
                old_child = None if old is None else old.child(name)
                new_child = None if new is None else new.child(name)
                if old_child is not new_child:
                    rest.append((below, old_child, new_child, (*path, name)))
        return None


def _differs(facets: int, old: Node | None, new: Node | None) -> bool:
    """Compare two versions of a node that are not the same object."""
    if old is None or new is None:
        return old is not new
    if old.created != new.created or facets & SUBTREE:
        # A node is copied only when it or something below it changes.
        return True
    return (
        (facets & VALUE != 0 and old.value_changed != new.value_changed)
        or (facets & PERMS != 0 and old.perms_changed != new.perms_changed)
        or (facets & NAMES != 0 and old.names_changed != new.names_changed)
    )
