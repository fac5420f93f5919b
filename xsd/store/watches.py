"""Watches, found by the path of a change. What they are told is in events.py."""

from typing import final

from xsd.protocol.path import Path, format_path
from xsd.protocol.perms import Caller
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
        watches: The watches at exactly this path, by `Watch.order`.
        below: The next places by the next part of the path.
    """

    __slots__ = ("below", "watches")

    def __init__(self) -> None:
        self.watches: dict[int, Watch] = {}
        self.below: dict[bytes, Spot] = {}


@final
class WatchIndex:
    """All watches, found by the path of a change.

    Finding those that see a change costs the length of its path and the number
    found, however many there are elsewhere.

    Attributes:
        count: Number of watches.
    """

    __slots__ = ("_registered", "_top", "count")

    def __init__(self) -> None:
        self.count = 0
        self._registered = 0
        self._top = Spot()

    def add(self, watch: Watch) -> None:
        """Register a watch as the last one."""
        self._registered += 1
        watch.order = self._registered
        spot = self._top
        for name in watch.path:
            below = spot.below.get(name)
            if below is None:
                below = spot.below[name] = Spot()
            spot = below
        spot.watches[watch.order] = watch
        self.count += 1

    def remove(self, watch: Watch) -> None:
        """Take out a registered watch and what held only it (XSA-330)."""
        spots = [self._top]
        for name in watch.path:
            spots.append(spots[-1].below[name])
        del spots[-1].watches[watch.order]
        self.count -= 1
        for name in reversed(watch.path):
            spot = spots.pop()
            if spot.watches or spot.below:
                return
            del spots[-1].below[name]

    def all(self) -> list[Watch]:
        """Every watch, in the order in which they are told."""
        found: list[Watch] = []
        rest = [self._top]
        while rest:
            spot = rest.pop()
            found.extend(spot.watches.values())
            rest.extend(spot.below.values())
        found.sort(key=_order)
        return found

    def spots(self) -> int:
        """Number of places in the index, for checks of its size."""
        count = 0
        rest = [self._top]
        while rest:
            spot = rest.pop()
            count += 1
            rest.extend(spot.below.values())
        return count

    def spot(self, path: Path) -> Spot | None:
        """The place of a path, or None if nothing at or below it is watched."""
        spot = self._top
        for name in path:
            below = spot.below.get(name)
            if below is None:
                return None
            spot = below
        return spot

    def hits(self, path: Path) -> list[Watch]:
        """The watches that see a change of a path, in the order to tell them."""
        found: list[Watch] = []
        spot = self._top
        levels = len(path)
        for name in path:
            below = spot.below.get(name)
            if below is None:
                break
            spot = below
            levels -= 1
            found.extend(
                [
                    watch
                    for watch in spot.watches.values()
                    if watch.depth < 0 or watch.depth >= levels
                ]
            )
        if len(found) > 1:
            found.sort(key=_order)
        return found

    def special_hits(
        self, name: bytes, domid: int, *, plain: bool, deep: bool
    ) -> list[tuple[Watch, bytes]]:
        """The watches that are told of a domain, each with the path to tell.

        A watch on the special name without a depth is told the name, one with a
        depth of 1 or more the name and the domain id; depth 0 is told nothing.

        Args:
            name: ``@introduceDomain`` or ``@releaseDomain``.
            domid: The domain.
            plain: Whether watches without a depth are told.
            deep: Whether those with a depth, and those on the domain's own name,
                are told.
        """
        found: list[tuple[Watch, bytes]] = []
        spot = self._top.below.get(name)
        if spot is None:
            return found
        digits = b"%d" % domid
        full = name + b"/" + digits
        for watch in spot.watches.values():
            if watch.depth < 0:
                if plain:
                    found.append((watch, name))
            elif watch.depth > 0 and deep:
                found.append((watch, full))
        below = spot.below.get(digits)
        if below is not None and deep:
            found.extend([(watch, full) for watch in below.watches.values()])
        found.sort(key=_pair_order)
        return found


def _order(watch: Watch) -> int:
    return watch.order


def _pair_order(pair: tuple[Watch, bytes]) -> int:
    return pair[0].order
