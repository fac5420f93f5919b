"""What a transaction has relied on and done, as one tree of path parts.

At each spot stand the facets that an answer depended on, and what the transaction did
to the node. Whoever lets it grow asks first what that costs; it shrinks when the
transaction removes what it had made itself. Old and new version of the store share
every node that has not changed, and everything below it, so that comparing them
goes only where something did change: a transaction that has read 1,000 nodes is
checked against a write elsewhere in a few steps.
"""

from typing import Final, final

from xsd.protocol.path import Path
from xsd.store.node import Node
from xsd.store.trail import Trail
from xsd.store.view import EXISTENCE, NAMES, PERMS, SUBTREE, VALUE

SPOT_BYTES: Final = 180
"""A spot, beside the bytes of its name: measured, with numbers of its own."""

FORK_BYTES: Final = 120
"""What each of several spots takes in the spot above: a share of a dict."""

Row = tuple[int, bytes, int, int, bool, int]
"""Depth, name, facets, generation of the naming, removed, order; see `listed`."""


@final
class Spot:
    """One path of a footprint, existing or missing.

    Attributes:
        name: Last part of the path.
        facets: What was relied on.
        named: Generation of the last WRITE, effective MKDIR or SET_PERMS that named
            the path, 0 if none did. It is void if the node is younger: the node was
            then removed and came back on the way to another.
        removed: Whether an RM named it while the node was there that others see.
        order: Place of its first change among all changed paths, 0 if none.
        only: The spot below, while there is a single one.
        below: The spots below by name, once there are several.
    """

    __slots__ = ("below", "facets", "name", "named", "only", "order", "removed")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.facets = 0
        self.named = 0
        self.removed = False
        self.order = 0
        # A chain needs no dict for each link.
        self.only: Spot | None = None
        self.below: dict[bytes, Spot] | None = None

    def child(self, name: bytes) -> "Spot | None":
        """The spot of that name below, or None."""
        only = self.only
        if only is not None:
            return only if only.name == name else None
        below = self.below
        return None if below is None else below.get(name)

    def children(self) -> "list[Spot]":
        """The spots below, in the order in which they were added."""
        if self.only is not None:
            return [self.only]
        return [] if self.below is None else list(self.below.values())

    def leads_on(self) -> bool:
        """Tell whether something was changed here, or there are spots below."""
        return self.order != 0 or self.only is not None or self.below is not None

    def fork_size(self) -> int:
        """Bytes that the spots below take here."""
        return 0 if self.below is None else FORK_BYTES * len(self.below)

    def add(self, spot: "Spot") -> None:
        """Add a spot below, of a name that is not there yet."""
        if self.below is not None:
            self.below[spot.name] = spot
        elif self.only is not None:
            self.below = {self.only.name: self.only, spot.name: spot}
            self.only = None
        else:
            self.only = spot

    def leave(self, kept: "list[Spot]") -> None:
        """Keep only some of the spots below."""
        self.below = None
        self.only = None
        for spot in kept:
            self.add(spot)


@final
class Footprint:
    """All that a transaction has relied on and done.

    Attributes:
        count: Paths with facets, as the quota ``transaction-nodes`` counts them.
        changed: Paths that it has changed and that may matter at its commit.
        size: Bytes that are kept.
        top: The spot above all paths.
        walked: Spots that walks through all of it have come by, ever.
    """

    __slots__ = ("changed", "count", "last", "size", "top", "walked")

    def __init__(self) -> None:
        self.count = 0
        self.changed = 0
        self.size = 0
        self.top = Spot(b"")
        self.last = 0
        self.walked = 0

    def nearest(self, path: Path, length: int) -> tuple[Spot, int]:
        """The last spot there is on the first parts of a path, and its depth."""
        spot = self.top
        for depth in range(length):
            # `Spot.child`, without a call: this is the way of every request.
            name = path[depth]
            below = spot.only
            if below is None:
                if spot.below is None:
                    return spot, depth
                below = spot.below.get(name)
                if below is None:
                    return spot, depth
            elif below.name != name:
                return spot, depth
            spot = below
        return spot, length

    def relies_on(self, path: Path) -> bool:
        """Tell whether any facet of the node at a path is relied on."""
        spot, depth = self.nearest(path, len(path))
        return depth == len(path) and spot.facets != 0

    def changes(self, path: Path) -> bool:
        """Tell whether the node at a path was changed."""
        spot, depth = self.nearest(path, len(path))
        return depth == len(path) and spot.order != 0

    def cost(self, spot: Spot, path: Path, depth: int, length: int) -> int:
        """Bytes that `extend` would add."""
        if depth == length:
            return 0
        size = (length - depth) * SPOT_BYTES
        for index in range(depth, length):
            size += len(path[index])
        if spot.only is not None:
            size += 2 * FORK_BYTES
        elif spot.below is not None:
            size += FORK_BYTES
        return size

    def extend(self, spot: Spot, path: Path, depth: int, length: int) -> Spot:
        """Make the spots that are missing; see `nearest`. Returns the last one."""
        if depth < length:
            self.size += self.cost(spot, path, depth, length)
            for index in range(depth, length):
                below = Spot(path[index])
                spot.add(below)
                spot = below
        return spot

    def rely(self, path: Path, length: int, facets: int) -> None:
        """Rely on facets of the node at the first ``length`` parts of a path."""
        spot, depth = self.nearest(path, length)
        self.rely_at(self.extend(spot, path, depth, length), facets)

    def rely_at(self, spot: Spot, facets: int) -> None:
        """Rely on facets of the node at a spot."""
        if not spot.facets:
            self.count += 1
        spot.facets |= facets

    def named(self, path: Path, generation: int) -> None:
        """A request has changed the node that it named."""
        spot = self._reach(path)
        self._changed(spot)
        spot.named = generation

    def made(self, path: Path, first: int, generation: int) -> None:
        """A request has made nodes from a depth on; the last is the one it named."""
        spot, depth = self.nearest(path, first)
        spot = self.extend(spot, path, depth, first)
        self._changed(spot)
        for depth in range(first, len(path)):
            below = spot.child(path[depth])
            if below is None:
                below = self.extend(spot, path, depth, depth + 1)
            spot = below
            self._changed(spot)
        spot.named = generation

    def removed(self, path: Path, base: Node, *, was_there: bool) -> None:
        """A node was removed; what was made below it leaves no trace.

        Args:
            path: The node.
            base: Top node of the state that the transaction began with.
            was_there: Whether the removed node is one that others see.
        """
        spot = self._reach(path)
        if was_there:
            self._changed(spot)
            spot.removed = True
        node: Node | None = base
        for name in path:
            node = None if node is None else node.child(name)
        self._prune(spot, node)

    def forget_changes(self) -> None:
        """Keep what was relied on only."""
        rows = [
            (depth, name, facets, 0, False, 0)
            for depth, name, facets, _named, _removed, _order in self.listed()
        ]
        self.top = rebuilt(rows).top
        self.changed = 0
        self._prune(self.top, None)

    def concerns(self, path: Path, now: Node) -> bool:
        """Tell whether a change that names a path might break something relied on.

        It errs on the side of caution: it may be true though nothing would break.

        Args:
            path: Of a node that is about to be written, made or removed.
            now: Top node of the present store.
        """
        spot = self.top
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
            below = spot.child(name)
            if below is None:
                return False
            spot = below
            node = child
        return True

    def named_paths(self) -> list[Path]:
        """Paths of all changes, in their order; what only leads to them is left out."""
        found: list[tuple[int, Trail]] = []
        rest: list[tuple[Spot, Trail]] = [(self.top, Trail(None, b""))]
        while rest:
            spot, trail = rest.pop()
            below = spot.children()
            if spot.order and (spot.named or spot.removed or not below):
                found.append((spot.order, trail))
            rest.extend([(each, Trail(trail, each.name)) for each in below])
        found.sort(key=_place)
        return [trail.path() for _order, trail in found]

    def broken(self, before: Node, now: Node) -> Path | None:
        """As `broken_at`, but returns the path, which has to be looked for."""
        spot = self.broken_at(before, now)
        return None if spot is None else self._path_of(spot)

    def broken_at(self, before: Node, now: Node) -> Spot | None:
        """Compare two versions of the store, given by their top nodes.

        Returns:
            The spot of a node that differs in a facet relied on, or None.
        """
        if before is now:
            return None
        spot = self.top
        old: Node | None = before
        new: Node | None = now
        rest: list[tuple[Spot, Node | None, Node | None]] = []
        while True:
            self.walked += 1
            if spot.facets and _differs(spot.facets, old, new):
                return spot
            only = spot.only
            if only is not None:
                # A chain is gone along without a list.
                name = only.name
                old = None if old is None else old.child(name)
                new = None if new is None else new.child(name)
                if old is not new:
                    spot = only
                    continue
            elif spot.below is not None:
                for name, below in spot.below.items():
                    old_child = None if old is None else old.child(name)
                    new_child = None if new is None else new.child(name)
                    if old_child is not new_child:
                        rest.append((below, old_child, new_child))
            if not rest:
                return None
            spot, old, new = rest.pop()

    def listed(self) -> list[Row]:
        """All of it as plain values, spots above before those below."""
        rows: list[Row] = []
        rest = [(0, self.top)]
        while rest:
            depth, spot = rest.pop()
            rows.append(
                (depth, spot.name, spot.facets, spot.named, spot.removed, spot.order)
            )
            below = spot.children()
            below.reverse()
            rest.extend([(depth + 1, each) for each in below])
        return rows

    def _path_of(self, wanted: Spot) -> Path:
        """The path of a spot."""
        rest: list[tuple[Spot, Trail]] = [(self.top, Trail(None, b""))]
        while True:
            spot, trail = rest.pop()
            self.walked += 1
            if spot is wanted:
                return trail.path()
            rest.extend([(each, Trail(trail, each.name)) for each in spot.children()])

    def _reach(self, path: Path) -> Spot:
        """The spot of a path, made if it is missing."""
        spot, depth = self.nearest(path, len(path))
        return self.extend(spot, path, depth, len(path))

    def _changed(self, spot: Spot) -> None:
        if not spot.order:
            self.last += 1
            self.changed += 1
            spot.order = self.last

    def _prune(self, start: Spot, node: Node | None) -> None:
        """Cut what is below a removed node and matters no more.

        Others have never seen what the state before does not have: that it was made
        and is gone is no change. Facets stay, and what was done to nodes that others
        have seen.

        Args:
            start: The spot of the removed node.
            node: The node there in the state that the transaction began with.
        """
        found: list[Spot] = []
        rest: list[tuple[Spot, Node | None]] = [(start, node)]
        while rest:
            spot, old = rest.pop()
            found.append(spot)
            if old is None and spot is not start:
                if spot.order:
                    self.changed -= 1
                spot.named = spot.order = 0
            rest.extend(
                [
                    (below, None if old is None else old.child(below.name))
                    for below in spot.children()
                ]
            )
        self.walked += len(found)
        # From the last to the first: those below come before those above them.
        while found:
            spot = found.pop()
            below_it = spot.children()
            kept = [each for each in below_it if _matters(each)]
            if len(kept) < len(below_it):
                self.size -= spot.fork_size()
                for each in below_it:
                    if not _matters(each):
                        self.size -= SPOT_BYTES + len(each.name)
                spot.leave(kept)
                self.size += spot.fork_size()


def rebuilt(rows: list[Row]) -> Footprint:
    """The footprint that `Footprint.listed` gave as plain values."""
    footprint = Footprint()
    spine = [footprint.top]
    for depth, name, facets, named, removed, order in rows:
        if depth:
            del spine[depth:]
            spine.append(footprint.extend(spine[-1], (name,), 0, 1))
        spot = spine[-1]
        spot.facets = facets
        spot.named = named
        spot.removed = removed
        spot.order = order
        footprint.count += facets != 0
        footprint.changed += order != 0
        footprint.last = max(footprint.last, order)
    return footprint


def measured(footprint: Footprint) -> int:
    """Bytes that are kept, counted anew; for checks."""
    size = 0
    rest = [footprint.top]
    while rest:
        spot = rest.pop()
        below = spot.children()
        size += spot.fork_size()
        for each in below:
            size += SPOT_BYTES + len(each.name)
        rest.extend(below)
    return size


def _matters(spot: Spot) -> bool:
    return spot.facets != 0 or spot.leads_on()


def _place(item: tuple[int, Trail]) -> int:
    return item[0]


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
