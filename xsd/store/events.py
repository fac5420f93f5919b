"""Watch events: what the changes of a request or commit are told as, and to whom."""

from typing import final

from xsd.protocol.path import Path, format_path, is_special
from xsd.protocol.perms import READ, Caller, Permissions
from xsd.store.changes import IMPLIED, REMOVED_BELOW, REMOVED_WITHIN, Change
from xsd.store.node import Node
from xsd.store.quota import MEMORY, Quotas
from xsd.store.tree import find
from xsd.store.usage import MESSAGE_BYTES, Usage
from xsd.store.watches import Spot, Watch, WatchIndex


@final
class Event:
    """One message that is due to one watch.

    Attributes:
        watch: Whom to tell.
        path: What to tell, absolute; `shown` is what the client is sent.
    """

    __slots__ = ("path", "watch")

    def __init__(self, watch: Watch, path: bytes) -> None:
        self.watch = watch
        self.path = path

    @property
    def shown(self) -> bytes:
        """The path as the client is told it."""
        return self.path[self.watch.cut :] if self.watch.cut else self.path

    def __repr__(self) -> str:
        return f"Event({self.shown!r}, {self.watch.token!r})"


@final
class Audience:
    """How many events guests have room for.

    A commit of a thousand nodes that a guest watches a hundred times would be a
    hundred thousand events. Those that cannot be kept for it (see the quota
    ``memory``) are not made, but for one, so that the loss is noticed.
    """

    __slots__ = ("_quotas", "_room", "_usage")

    def __init__(self, quotas: Quotas, usage: Usage) -> None:
        self._quotas = quotas
        self._usage = usage
        self._room: dict[int, int] = {}

    def begin(self) -> None:
        """Begin anew, with the room that there is now."""
        if self._room:
            self._room.clear()

    def has_room(self, caller: Caller) -> bool:
        """Tell whether a watcher can be told something more."""
        if caller.privileged:
            return True
        room = self._room.get(caller.domid)
        if room is None:
            limit = self._quotas.limit(caller.domid, MEMORY)
            if limit == 0:
                return True
            free = max(limit - self._usage.memory.of(caller.domid), 0)
            room = self._room[caller.domid] = free // MESSAGE_BYTES + 1
        return room > 0

    def tell(self, caller: Caller, count: int) -> None:
        """Count events that are due to a watcher."""
        if caller.domid in self._room:
            self._room[caller.domid] -= count


def events_for(
    index: WatchIndex,
    audience: Audience,
    changes: list[Change],
    before: Node,
    after: Node,
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
        before: Top node of the store before; the same as `after` if the changes
            were made in place.
        after: Top node of the store after them.
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
    told: set[Path] = set()
    for change in changes:
        # Who watches a special name waits for domains, not for its permissions.
        if change.kind == IMPLIED or is_special(change.path):
            continue
        if change.removed is None:
            _tell_of(index.hits(change.path), audience, change, before, after, events)
            continue
        watches = index.hits(change.path)
        if change.kind == REMOVED_WITHIN:
            # Those at the node and below it were told with its parent.
            above = [watch for watch in watches if watch.path != change.path]
            _tell_of(above, audience, change, before, after, events)
            continue
        if leaves_first:
            _tell_below(index, change, told, events, leaves_first=True)
        _tell_of(watches, audience, change, before, after, events)
        if not leaves_first:
            _tell_below(index, change, told, events, leaves_first=False)
        if change.kind == REMOVED_BELOW:
            told.add(change.path)
    return events


def may_read(caller: Caller, perms: Permissions | None) -> bool:
    """Tell whether a watcher may be told of a node with these permissions."""
    return perms is not None and perms.access(caller) & READ != 0


def _tell_of(
    watches: list[Watch],
    audience: Audience,
    change: Change,
    before: Node,
    after: Node,
    events: list[Event],
) -> None:
    """Tell watches of a change's own path."""
    text = b""
    last: Caller | None = None
    told = False
    for watch in watches:
        caller = watch.caller
        # Most watches in a row are of one domain.
        if caller is not last:
            last = caller
            told = caller.privileged or (
                audience.has_room(caller)
                and (
                    may_read(caller, change.perms)
                    or may_read(caller, change.old_perms)
                    or _may_read_parent(caller, change.path, before)
                    or _may_read_parent(caller, change.path, after)
                )
            )
        if told:
            text = text or format_path(change.path)
            events.append(Event(watch, text))
            if not caller.privileged:
                audience.tell(caller, 1)


def _may_read_parent(caller: Caller, path: Path, top: Node) -> bool:
    parent = find(top, path[:-1]) if len(path) > 1 else None
    return parent is not None and may_read(caller, parent.perms)


def _tell_below(
    index: WatchIndex,
    change: Change,
    told: set[Path],
    events: list[Event],
    *,
    leaves_first: bool,
) -> None:
    """Tell each watch below a removed node its own path, if a node was there."""
    start = index.spot(change.path)
    removed = change.removed
    if start is None or removed is None or not start.below:
        return
    found: list[tuple[Path, Node, Node, Spot]] = []
    rest: list[tuple[Path, Node, Node, Spot]] = [(change.path, removed, removed, start)]
    while rest:
        item = rest.pop()
        path, node, _parent, spot = item
        if path in told:
            continue
        if spot.watches and node is not removed:
            found.append(item)
        children = _watched_children(path, node, spot)
        if not leaves_first:
            children.reverse()
        rest.extend(children)
    if leaves_first:
        # Each node came before those below it, its children from last to first.
        found.reverse()
    for path, node, parent, spot in found:
        text = format_path(path)
        for watch in spot.watches.values():
            caller = watch.caller
            if (
                caller.privileged
                or may_read(caller, node.perms)
                or may_read(caller, parent.perms)
            ):
                events.append(Event(watch, text))


def _watched_children(
    path: Path, node: Node, spot: Spot
) -> list[tuple[Path, Node, Node, Spot]]:
    """The children of a node at or below which something is watched, in order."""
    found: list[tuple[Path, Node, Node, Spot]] = []
    for name, below in spot.below.items():
        child = node.child(name)
        if child is not None:
            found.append(((*path, name), child, node, below))
    found.sort(key=_created)
    return found


def _created(item: tuple[Path, Node, Node, Spot]) -> int:
    return item[1].created
