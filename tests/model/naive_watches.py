"""The watches of the naive store, and what they are told of changes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from tests.model.naive_state import Rights, State, Step, at_or_below
from xsd.protocol.path import Path, format_path

Told = tuple[int, bytes]
"""Number of a watch and the path that it is told."""


@final
@dataclass(frozen=True, slots=True)
class NaiveWatch:
    """A watch; a depth below 0 is none."""

    number: int
    who: int
    path: Path
    shown: bytes
    depth: int

    def sees(self, path: Path) -> bool:
        """Tell whether a path is at or below that of the watch, within its depth."""
        levels = len(path) - len(self.path)
        below = path[: len(self.path)] == self.path
        return below and (self.depth < 0 or levels <= self.depth)

    def text(self, path: Path) -> bytes:
        if self.shown[:1] in (b"/", b"@"):
            return format_path(path)
        return format_path(path).removeprefix(b"/local/domain/%d/" % self.who)


@final
class NaiveWatches:
    """All watches.

    Attributes:
        all: In the order of registration, in which they are told of a change.
    """

    def __init__(self, may_read: Callable[[int, Rights], bool]) -> None:
        self.all: list[NaiveWatch] = []
        self._may_read = may_read

    def remove(self, number: int) -> None:
        self.all = [watch for watch in self.all if watch.number != number]

    def count(self, who: int) -> int:
        return len([watch for watch in self.all if watch.who == who])

    def tell_step(self, before: State, after: State, step: Step) -> list[Told]:
        """Tell of a change outside transactions: a removed tree from its leaves up."""
        if not step.removes:
            return self._tell(before, after, step.path)
        told: list[Told] = []
        for path in at_or_below(before, step.path, leaves_first=True):
            told += self._tell(before, after, path, only_at=path != step.path)
        return told

    def tell_commit(self, steps: list[Step], before: State, after: State) -> list[Told]:
        """Tell of each path once, in the order in which the transaction changed them.

        What was made below a node that was then removed has never been changed.

        Told is what was named and is there; and of each tree that was removed,
        parents first, what has gone and what came back as another. A node that has gone
        with its parent is told to its own watches, and to others if it was named, too.
        """
        named: set[Path] = set()
        old, present = set(before), set(before)
        removed: set[Path] = set()
        changed: list[Path] = []
        for step in steps:
            if step.removes:
                removed |= {step.path} & old
                changed = [
                    each
                    for each in changed
                    if each in before
                    or each == step.path
                    or each[: len(step.path)] != step.path
                ]
                for kept in (named, old, present):
                    kept -= {
                        each for each in kept if each[: len(step.path)] == step.path
                    }
            else:
                named.add(step.path)
            way = [step.path[:length] for length in range(1, len(step.path))]
            changed += [*[each for each in way if each not in present], step.path]
            present |= set() if step.removes else {*way, step.path}
        order: list[tuple[Path, bool]] = []
        for top in dict.fromkeys(changed):
            lost = at_or_below(before, top) if top in removed else []
            order += [(path, path == top) for path in lost if path not in named]
            order += [(top, True)] if top in named else []
        told: list[Told] = []
        seen: dict[Path, bool] = {}
        for path, by_name in order:
            was, new = before.get(path), after.get(path)
            only_at = new is None and path[:-1] not in after and not by_name
            if seen.get(path, False) or (path in seen and only_at):
                continue
            all_seen = path not in seen
            seen[path] = not only_at
            if new is None:
                at = self._tell(before, after, path, only_at=True)
                everybody = self._tell(before, after, path)
                if only_at:
                    told += at
                else:
                    told += [x for x in everybody if all_seen or x not in at]
            elif (
                was is None
                or path in named
                or (was.value, was.rights) != (new.value, new.rights)
            ):
                told += self._tell(before, after, path)
        return told

    def tell_domain(
        self, state: State, name: Path, domid: int, *, plain: bool = True
    ) -> list[Told]:
        """Tell of a domain: its name is for those who ask for it or for a depth."""
        own = (*name, b"%d" % domid)
        told: list[Told] = []
        for watch in self.all:
            if not self._may_read(watch.who, state[name].rights):
                continue
            if watch.path == name and watch.depth < 0:
                told += [(watch.number, format_path(name))] if plain else []
            elif watch.path == own or (watch.path == name and watch.depth > 0):
                told.append((watch.number, format_path(own)))
        return told

    def _tell(
        self, before: State, after: State, path: Path, *, only_at: bool = False
    ) -> list[Told]:
        """Tell the watches that see a path, and may know of it, that it changed.

        To know of a node is to be able to read it or its parent, before or after.
        Special names tell only of domains.
        """
        if path[0]:
            return []
        known = (before.get(path), after.get(path))
        above = (before.get(path[:-1]), after.get(path[:-1]))
        lists = [node.rights for node in (*known, *above) if node is not None]
        return [
            (watch.number, watch.text(path))
            for watch in self.all
            if (watch.path == path if only_at else watch.sees(path))
            and any(self._may_read(watch.who, rights) for rights in lists)
        ]
