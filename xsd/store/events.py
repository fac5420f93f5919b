"""Watch events: what the changes of a request or commit are told as, and to whom."""

from typing import Final, final

from mypy_extensions import mypyc_attr

from xsd.protocol.path import format_path
from xsd.protocol.perms import Caller
from xsd.store.changes import IMPLIED, REMOVED_BELOW, REMOVED_WITHIN, Change
from xsd.store.node import Node
from xsd.store.quota import MEMORY, Quotas
from xsd.store.trail import Trail, key_of, trail_of
from xsd.store.tree import find
from xsd.store.usage import MESSAGE_BYTES, Usage
from xsd.store.watches import Sight, Sights, Spot, Watch, WatchIndex, in_order, may_read


@mypyc_attr(acyclic=True)
class Event:
    """One message that is due to one watch.

    Attributes:
        watch: Whom to tell.
        place: What to tell, absolute: its text, or the trail of which that is made
            when it is sent.
    """

    __slots__ = ("place", "watch")

    def __init__(self, watch: Watch, place: bytes | Trail) -> None:
        self.watch = watch
        self.place = place

    @property
    def path(self) -> bytes:
        """What to tell; `shown` is what the client is sent."""
        place = self.place
        return place if isinstance(place, bytes) else place.text()

    @property
    def shown(self) -> bytes:
        """The path as the client is told it."""
        place = self.place
        path = place if isinstance(place, bytes) else place.text()
        return path[self.watch.cut :] if self.watch.cut else path

    @property
    def size(self) -> int:
        """Bytes of its payload."""
        place = self.place
        size = len(place) if isinstance(place, bytes) else place.size or 1
        return size - self.watch.cut + len(self.watch.token) + 2

    def key(self) -> int:
        """A number that is the same for equal events, and hardly ever for others."""
        place = self.place
        key = key_of(place) if isinstance(place, bytes) else place.key()
        return hash((key, self.watch.token))

    def equals(self, other: "Event") -> bool:
        """Tell whether another one tells the same client the same."""
        watch, its = self.watch, other.watch
        if watch is not its and (watch.token != its.token or watch.cut != its.cut):
            return False
        mine, theirs = self.place, other.place
        return mine is theirs or (self.size == other.size and self.path == other.path)

    def __repr__(self) -> str:
        return f"Event({self.shown!r}, {self.watch.token!r})"


EVENTS_MAX: Final = 2048
"""Events that a guest's request makes for guests, about; they take some 4 us each. What
more would be told of it is lost: of nodes that this guest may change."""

ALL_EVENTS: Final = 1 << 62
"""In the place of that, no limit."""

LOOKS_PER_WORK: Final = 8
"""Watchers that may not be told, or places below a removed node, that are as much work
to look at as one node is to change."""


@final
class Audience:
    """Who may be told of a change, and how many events guests have room for.

    A commit of a thousand nodes that a guest watches a hundred times would be a
    hundred thousand events. Those that cannot be kept for it (see the quota
    ``memory``) are not made, but for one, so that the loss is noticed.
    """

    __slots__ = (
        "_callers",
        "_change",
        "_groups",
        "_left",
        "_quotas",
        "_room",
        "_usage",
        "looks",
        "lost",
        "most",
    )

    def __init__(self, quotas: Quotas, usage: Usage) -> None:
        self._quotas = quotas
        self._usage = usage
        self._room: dict[int, int] = {}
        # Who may be told, and of which change among whose watches that was found out.
        self._callers: list[Caller] = []
        self._change: Change | None = None
        self._groups: dict[Caller, list[Watch]] = {}
        self._left = 0
        # How many watchers and places were looked at.
        self.looks = 0
        # How many events a request may make for guests, about.
        self.most = ALL_EVENTS
        # Whether there were more events than may be.
        self.lost = False

    def begin(self) -> None:
        """Begin anew, with the room that there is now."""
        self._room.clear()
        self._change = None
        self._left = self.most
        self.looks = 0

    def end(self) -> None:
        """Count what was looked at as work."""
        self._usage.work += self.looks // LOOKS_PER_WORK

    def of(self, sight: Sight, change: Change) -> list[Caller]:
        """Those of a sight who may know of a change; found out once for many alike."""
        groups = sight.groups
        last = self._change
        if last is None or groups is not self._groups or not _are_alike(last, change):
            self._callers = [
                caller
                for caller in groups
                if caller.privileged or _may_know(caller, change)
            ]
            self.looks += len(groups)
            self._groups = groups
            self._change = change
        return self._callers

    def has_room(self, caller: Caller) -> bool:
        """Tell whether a watcher can be told something more."""
        if caller.privileged:
            return True
        if self._left <= 0:
            self.lost = True
            return False
        room = self._room.get(caller.domid)
        if room is None:
            limit = self._quotas.limit(caller.domid, MEMORY)
            if limit == 0:
                return True
            free = max(limit - self._usage.memory_of(caller.domid), 0)
            room = self._room[caller.domid] = free // MESSAGE_BYTES + 1
        return room > 0

    def tell(self, caller: Caller, count: int) -> None:
        """Count events that are due to a guest."""
        self._left -= count
        if caller.domid in self._room:
            self._room[caller.domid] -= count


def events_for(
    index: WatchIndex,
    audience: Audience,
    changes: list[Change],
    *,
    leaves_first: bool,
) -> list[Event]:
    """The events that changes cause, in the order in which they are sent.

    A watch sees the change of a node at or below its path. Of a removed tree,
    those at or above a node that an RM named are told that node, and each watch below
    the topmost one is told its own path if a node was there.

    Args:
        index: All watches.
        audience: Who can be told how much.
        changes: In their order.
        leaves_first: Whether the nodes of a removed tree are told from the leaves
            up, as for a single RM, or from the top down, as for a commit.

    Returns:
        Events for those who may read the node or its parent, by its old or its new
        permissions (XSA-115).
    """
    events: list[Event] = []
    if not index.count:
        return events
    audience.begin()
    told: set[Spot] = set()
    sights = Sights(index)
    for change in changes:
        if change.kind == IMPLIED:
            continue
        sight = sights.of(change)
        if change.removed is None:
            _tell_of(sight, audience, change, events)
        elif change.kind == REMOVED_WITHIN:
            # Those at the node and below it were told with its parent.
            _tell_of(sight, audience, change, events, above_only=True)
        elif sight.groups or sight.spot is not None:
            if leaves_first:
                _tell_below(sight.spot, audience, change, told, events, up=True)
            _tell_of(sight, audience, change, events)
            if not leaves_first:
                _tell_below(sight.spot, audience, change, told, events, up=False)
            if change.kind == REMOVED_BELOW and sight.spot is not None:
                told.add(sight.spot)
    audience.end()
    return events


def special_events(
    index: WatchIndex, top: Node, name: bytes, domid: int, *, plain: bool, deep: bool
) -> list[Event]:
    """The events of a special name in a store; see `WatchIndex.special_hits`."""
    node = find(top, (name,))
    if node is None:
        return []
    hits = index.special_hits(name, node.perms, domid, plain=plain, deep=deep)
    return [Event(watch, path) for watch, path in hits]


def _tell_of(
    sight: Sight,
    audience: Audience,
    change: Change,
    events: list[Event],
    *,
    above_only: bool = False,
) -> None:
    """Tell watches of a change's own path."""
    found: list[Watch] = []
    for caller in audience.of(sight, change):
        if not audience.has_room(caller):
            continue
        seeing = sight.seeing(sight.groups[caller], above_only=above_only)
        found.extend(seeing)
        if not caller.privileged:
            audience.tell(caller, len(seeing))
    if not found:
        return
    in_order(found)
    place = format_path(change.path) if change.trail is None else change.trail
    events.extend([Event(watch, place) for watch in found])


def _may_know(caller: Caller, change: Change) -> bool:
    """Tell whether a watcher may know of a change."""
    return (
        may_read(caller, change.perms)
        or may_read(caller, change.old_perms)
        or may_read(caller, change.above_before)
        or may_read(caller, change.above_after)
    )


def _are_alike(one: Change, other: Change) -> bool:
    """Tell whether the same watchers may know of two changes; neighbours share them."""
    return (
        one.perms is other.perms
        and one.old_perms is other.old_perms
        and one.above_before is other.above_before
        and one.above_after is other.above_after
    )


def _tell_below(
    start: Spot | None,
    audience: Audience,
    change: Change,
    told: set[Spot],
    events: list[Event],
    *,
    up: bool,
) -> None:
    """Tell each watch below a removed node its own path, if a node was there.

    Either from the leaves up or from the top down.
    """
    removed = change.removed
    if start is None or removed is None or not start.children():
        return
    trail = trail_of(change.path) if change.trail is None else change.trail
    found: list[_Sighted] = []
    rest = [_Sighted(trail, removed, removed, start)]
    while rest:
        each = rest.pop()
        if each.spot in told:
            continue
        if each.node is not removed:
            found.append(each)
        children = _watched_children(each)
        audience.looks += 2 + each.spot.child_count()
        if not up:
            children.reverse()
        rest.extend(children)
    if up:
        # Each node came before those below it, its children from last to first.
        found.reverse()
    for each in found:
        audience.looks += each.spot.count_callers()
        readers = each.spot.readers(each.node.perms, each.parent.perms)
        events.extend([Event(watch, each.trail) for watch in readers])


@final
class _Sighted:
    """A node of a removed tree at or below which something is watched."""

    __slots__ = ("node", "parent", "spot", "trail")

    def __init__(self, trail: Trail, node: Node, parent: Node, spot: Spot) -> None:
        self.trail = trail
        self.node = node
        self.parent = parent
        self.spot = spot


def _watched_children(each: _Sighted) -> list[_Sighted]:
    """The children of a node at or below which something is watched, in order."""
    found: list[_Sighted] = []
    node = each.node
    for below in each.spot.children():
        child = node.child(below.name)
        if child is not None:
            trail = Trail(each.trail, below.name)
            found.append(_Sighted(trail, child, node, below))
    found.sort(key=_created)
    return found


def _created(each: _Sighted) -> int:
    return each.node.created
