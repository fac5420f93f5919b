"""Watches, found by the path of a change. What they are told is in events.py."""

from typing import final

from xsd.protocol.path import Path, format_path
from xsd.protocol.perms import READ, Caller, Permissions
from xsd.store.changes import Change
from xsd.store.trail import Trail
from xsd.store.usage import LEVEL_BYTES, WATCH_BYTES


@final
class Watch:
    """One registered watch.

    Attributes:
        connection: Number of the connection that is told.
        caller: Who that is, for permissions.
        path: What is watched.
        token: Sent along with each event; any bytes but NUL.
        depth: Levels below the path that are seen, or `request.UNLIMITED`.
        shown: The path as the client gave it.
        cut: Bytes to cut off the paths of events: the client gave a relative
            path and is told relative ones.
        size: Bytes that count as its client's memory.
        order: Place among all watches in the order of registration, in which they
            are told of a change.
    """

    __slots__ = (
        "caller",
        "connection",
        "cut",
        "depth",
        "order",
        "path",
        "shown",
        "size",
        "token",
    )

    def __init__(
        self,
        connection: int,
        caller: Caller,
        path: Path,
        shown: bytes,
        token: bytes,
        depth: int,
    ) -> None:
        self.connection = connection
        self.caller = caller
        self.path = path
        self.shown = shown
        self.token = token
        self.depth = depth
        full = len(format_path(path))
        relative = shown[:1] not in (b"/", b"@")
        self.cut = full - len(shown) if relative else 0
        self.size = WATCH_BYTES + full + len(token) + LEVEL_BYTES * len(path)
        self.order = 0

    def __repr__(self) -> str:
        return f"Watch(#{self.connection}, {self.shown!r}, {self.token!r})"


@final
class Spot:
    """One place in the index.

    Attributes:
        name: Last part of its path.
    """

    __slots__ = ("_below", "_groups", "_one", "_only", "name")

    def __init__(self, name: bytes) -> None:
        self.name = name
        # Most spots are on the way to a single other one, or have a single watch.
        self._only: Spot | None = None
        self._below: dict[bytes, Spot] | None = None
        self._one: Watch | None = None
        self._groups: dict[Caller, dict[int, Watch]] | None = None

    def child(self, name: bytes) -> "Spot | None":
        """The place of that name below, or None if nothing is watched there."""
        only = self._only
        if only is not None:
            return only if only.name == name else None
        below = self._below
        return None if below is None else below.get(name)

    def children(self) -> "list[Spot]":
        """The places below."""
        if self._only is not None:
            return [self._only]
        return [] if self._below is None else list(self._below.values())

    def add_child(self, spot: "Spot") -> None:
        """Add a place below, of a name that is not there yet."""
        if self._below is not None:
            self._below[spot.name] = spot
        elif self._only is not None:
            self._below = {self._only.name: self._only, spot.name: spot}
            self._only = None
        else:
            self._only = spot

    def remove_child(self, name: bytes) -> None:
        """Take out a place below."""
        self._only = None
        below = self._below
        if below is not None:
            del below[name]
            if len(below) == 1:
                self._only = next(iter(below.values()))
                self._below = None

    def is_empty(self) -> bool:
        """Tell whether nothing is watched here or below."""
        return (
            self._one is None
            and self._groups is None
            and self._only is None
            and self._below is None
        )

    def is_watched(self) -> bool:
        """Tell whether something is watched exactly here."""
        return self._one is not None or self._groups is not None

    def watches(self) -> list[Watch]:
        """The watches at exactly this path, in the order to tell them."""
        if self._one is not None:
            return [self._one]
        found: list[Watch] = []
        if self._groups is not None:
            for group in self._groups.values():
                found.extend(group.values())
            in_order(found)
        return found

    def readers(
        self, perms: Permissions, above: Permissions | None = None
    ) -> list[Watch]:
        """The watches here of those who may read a node, or the one above."""
        found: list[Watch] = []
        one = self._one
        groups = self._groups
        if one is not None:
            if may_read(one.caller, perms) or may_read(one.caller, above):
                found.append(one)
        elif groups is not None:
            # Whoever may not costs the same with one watch or a hundred.
            for caller, group in groups.items():
                if may_read(caller, perms) or may_read(caller, above):
                    found.extend(group.values())
            in_order(found)
        return found

    def child_count(self) -> int:
        """Number of places below."""
        if self._below is not None:
            return len(self._below)
        return 0 if self._only is None else 1

    def count_callers(self) -> int:
        """Number of those who watch here."""
        return 1 if self._groups is None else len(self._groups)

    def add_watch(self, watch: Watch) -> None:
        """Add a watch here."""
        one = self._one
        groups = self._groups
        if groups is None:
            if one is None:
                self._one = watch
                return
            groups = self._groups = {one.caller: {one.order: one}}
            self._one = None
        group = groups.get(watch.caller)
        if group is None:
            groups[watch.caller] = {watch.order: watch}
        else:
            group[watch.order] = watch

    def remove_watch(self, watch: Watch) -> None:
        """Take out a watch that is here."""
        self._one = None
        groups = self._groups
        if groups is not None:
            group = groups[watch.caller]
            del group[watch.order]
            if not group:
                del groups[watch.caller]
            if not groups:
                self._groups = None

    def join(self, groups: dict[Caller, list[Watch]]) -> None:
        """Add the watches here to others by caller."""
        one = self._one
        if one is not None:
            groups[one.caller] = [*groups.get(one.caller, ()), one]
        elif self._groups is not None:
            for caller, group in self._groups.items():
                groups[caller] = [*groups.get(caller, ()), *group.values()]


@final
class WatchIndex:
    """All watches, found by the path of a change.

    Finding those that see a change costs the length of its path and the number
    found, however many there are elsewhere.

    Attributes:
        count: Number of watches.
        registered: How many there have been.
        top: The place above all paths.
    """

    __slots__ = ("count", "registered", "top")

    def __init__(self) -> None:
        self.count = 0
        self.top = Spot(b"")
        self.registered = 0

    def add(self, watch: Watch) -> None:
        """Register a watch as the last one."""
        self.restore(watch, self.registered + 1)

    def restore(self, watch: Watch, order: int) -> None:
        """Register a watch at its former place in the order; see `Watch.order`."""
        self.registered = order
        watch.order = order
        spot = self.top
        for name in watch.path:
            below = spot.child(name)
            if below is None:
                below = Spot(name)
                spot.add_child(below)
            spot = below
        spot.add_watch(watch)
        self.count += 1

    def remove(self, watch: Watch) -> None:
        """Take out a registered watch and what held only it (XSA-330)."""
        spots = [self.top]
        for name in watch.path:
            below = spots[-1].child(name)
            assert below is not None  # noqa: S101  it was registered
            spots.append(below)
        spots[-1].remove_watch(watch)
        self.count -= 1
        while len(spots) > 1:
            spot = spots.pop()
            if not spot.is_empty():
                return
            spots[-1].remove_child(spot.name)

    def all(self) -> list[Watch]:
        """Every watch, in the order in which they are told."""
        found: list[Watch] = []
        rest = [self.top]
        while rest:
            spot = rest.pop()
            found.extend(spot.watches())
            rest.extend(spot.children())
        in_order(found)
        return found

    def spots(self) -> int:
        """Number of places in the index, for checks of its size."""
        count = 0
        rest = [self.top]
        while rest:
            spot = rest.pop()
            count += 1
            rest.extend(spot.children())
        return count

    def spot(self, path: Path) -> Spot | None:
        """The place of a path, or None if nothing at or below it is watched."""
        spot = self.top
        for name in path:
            below = spot.child(name)
            if below is None:
                return None
            spot = below
        return spot

    def special_hits(
        self, name: bytes, perms: Permissions, domid: int, *, plain: bool, deep: bool
    ) -> list[tuple[Watch, bytes]]:
        """The watches that are told of a domain, each with the path to tell.

        A watch on the special name without a depth is told the name, one with a
        depth of 1 or more the name and the domain id; depth 0 is told nothing.

        Args:
            name: ``@introduceDomain`` or ``@releaseDomain``.
            perms: Permissions of that; only those who may read it are told.
            domid: The domain.
            plain: Whether watches without a depth are told.
            deep: Whether those with a depth, and those on the domain's own name,
                are told.
        """
        found: list[tuple[Watch, bytes]] = []
        spot = self.top.child(name)
        if spot is None:
            return found
        digits = b"%d" % domid
        full = name + b"/" + digits
        for watch in spot.readers(perms):
            if watch.depth < 0:
                if plain:
                    found.append((watch, name))
            elif watch.depth > 0 and deep:
                found.append((watch, full))
        below = spot.child(digits)
        if below is not None and deep:
            found.extend([(watch, full) for watch in below.readers(perms)])
        found.sort(key=_pair_order)
        return found


@final
class Sight:
    """Who sees what happens at one path.

    Attributes:
        groups: The watches at the path and above it by caller; not to be changed.
        spot: The place of the path in the index, None if nothing is watched there
            or below.
        depth: Number of parts of the path.
    """

    __slots__ = ("depth", "groups", "spot")

    def __init__(
        self, groups: dict[Caller, list[Watch]], spot: Spot | None, depth: int
    ) -> None:
        self.groups = groups
        self.spot = spot
        self.depth = depth

    def seeing(self, watches: list[Watch], *, above_only: bool = False) -> list[Watch]:
        """Those of a group that look so deep; or of those above the path only."""
        levels = self.depth
        return [
            watch
            for watch in watches
            if (watch.depth < 0 or watch.depth >= levels - len(watch.path))
            and not (above_only and len(watch.path) == levels)
        ]


@final
class Sights:
    """The sights of one request or commit; neighbours share what is the same."""

    __slots__ = ("_index", "_known")

    def __init__(self, index: WatchIndex) -> None:
        self._index = index
        self._known: dict[Trail, Sight] = {}

    def of(self, change: Change) -> Sight:
        """Who sees a change. Nobody sees special nodes: theirs are domains' watches."""
        if change.trail is None:
            return self.at(change.path)
        rest: list[Trail] = []
        trail = change.trail
        known = self._known
        sight = known.get(trail)
        while sight is None:
            rest.append(trail)
            if trail.above is None:
                sight = known[trail] = Sight({}, self._index.top, 0)
                rest.pop()
                break
            trail = trail.above
            sight = known.get(trail)
        while rest:
            trail = rest.pop()
            sight = known[trail] = _below(sight, trail.name)
        return sight

    def at(self, path: Path) -> Sight:
        """Who sees a change of a path."""
        groups: dict[Caller, list[Watch]] = {}
        spot: Spot | None = None if path[0] else self._index.top
        for name in path:
            if spot is None:
                break
            spot = spot.child(name)
            if spot is not None and spot.is_watched():
                spot.join(groups)
        return Sight(groups, spot, len(path))


def _below(sight: Sight, name: bytes) -> Sight:
    """The sight of a node below another."""
    depth = sight.depth + 1
    if depth == 1 and name:
        return Sight({}, None, depth)
    spot = None if sight.spot is None else sight.spot.child(name)
    groups = sight.groups
    if spot is not None and spot.is_watched():
        groups = groups.copy()
        spot.join(groups)
    return Sight(groups, spot, depth)


def may_read(caller: Caller, perms: Permissions | None) -> bool:
    """Tell whether a watcher may be told of a node with these permissions."""
    return perms is not None and perms.access(caller) & READ != 0


def in_order(watches: list[Watch]) -> None:
    """Bring watches into the order in which they are told."""
    last = 0
    for watch in watches:
        # As a rule they are, which is found out in a tenth of the time.
        if watch.order < last:
            watches.sort(key=_order)
            return
        last = watch.order


def _order(watch: Watch) -> int:
    return watch.order


def _pair_order(pair: tuple[Watch, bytes]) -> int:
    return pair[0].order
