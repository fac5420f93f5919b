"""The state of the naive store: one dict, and how it is looked at and changed."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, final

from xsd.protocol.errors import Errno
from xsd.protocol.path import Path

ROOT: Final[Path] = (b"",)

VALUE: Final = "value"
RIGHTS: Final = "rights"
NAMES: Final = "names"
EXISTENCE: Final = "existence"
EVERYTHING: Final = "everything from there down"

Facet = tuple[Path, str]


class RefusedError(Exception):
    """A request is answered with an error."""

    def __init__(self, errno: Errno) -> None:
        super().__init__(errno.name)
        self.errno = errno


@final
@dataclass(frozen=True, slots=True)
class Right:
    """One entry of a permission list; a void one grants nothing."""

    letter: str
    domid: int
    void: bool = False


Rights = tuple[Right, ...]

NOBODY: Final[Rights] = (Right("n", 0),)


@final
@dataclass(frozen=True, slots=True)
class NaiveNode:
    """A node.

    Attributes:
        value: Its value.
        rights: Its permission list.
        created: Number of the node, in the order in which nodes were made.
        written: When the value was last set.
        granted: When the rights were last set.
    """

    value: bytes
    rights: Rights
    created: int
    written: int
    granted: int


State = dict[Path, NaiveNode]


@final
@dataclass(frozen=True, slots=True)
class Step:
    """One change: a value or rights are set or, with neither, a node is removed."""

    path: Path
    value: bytes | None = None
    rights: Rights = ()

    @property
    def removes(self) -> bool:
        return self.value is None and not self.rights


def apply(state: State, who: int, step: Step, clock: Iterator[int]) -> None:
    """Make a change, asking nothing."""
    path = step.path
    node = state.get(path)
    if step.removes:
        for each in at_or_below(state, path):
            del state[each]
    elif step.value is None:
        state[path] = replace(state[path], rights=step.rights, granted=next(clock))
    elif node is not None:
        state[path] = replace(node, value=step.value, written=next(clock))
    else:
        above = nearest(state, path)
        rights = state[above].rights if above else NOBODY
        if who:
            rights = (replace(rights[0], domid=who), *rights[1:])
        for length in range(len(above) + 1, len(path) + 1):
            value = step.value if length == len(path) else b""
            now = next(clock)
            state[path[:length]] = NaiveNode(value, rights, now, now, now)


def children(state: State, path: Path) -> list[Path]:
    """The children of a node in the order in which they were made."""
    found = [each for each in state if each[:-1] == path]
    return sorted(found, key=lambda each: state[each].created)


def at_or_below(state: State, path: Path, *, leaves_first: bool = False) -> list[Path]:
    """A node and all below it, siblings in order, parents first unless told else."""
    below: dict[Path, list[Path]] = {}
    for each in sorted(state, key=lambda each: state[each].created):
        below.setdefault(each[:-1], []).append(each)
    found = []
    rest = [path]
    while rest:
        each = rest.pop()
        found.append(each)
        beneath = below.get(each, [])
        rest.extend(beneath if leaves_first else reversed(beneath))
    return found[::-1] if leaves_first else found


def nearest(state: State, path: Path) -> Path:
    """The last node on a path that exists; () above the root and special nodes."""
    while path and path not in state:
        path = path[:-1]
    return path


def record_size(state: State, path: Path) -> int:
    """What counts against the quota node-size."""
    names = [len(each[-1]) + 1 for each in children(state, path)]
    node = state[path]
    return 16 + 8 * len(node.rights) + len(node.value) + sum(names)


def owned(state: State) -> dict[int, int]:
    counts: dict[int, int] = {}
    for node in state.values():
        owner = node.rights[0].domid
        counts[owner] = counts.get(owner, 0) + 1
    return counts


def differences(before: State, after: State) -> set[Facet]:
    """The facets of nodes that are not what they were."""
    found: set[Facet] = set()
    for path in before.keys() | after.keys():
        old, new = before.get(path), after.get(path)
        if old is new:
            continue
        if old is None or new is None or old.created != new.created:
            found |= {(path, EXISTENCE), (path[:-1], NAMES)}
            continue
        if old.written != new.written:
            found.add((path, VALUE))
        if old.granted != new.granted:
            found.add((path, RIGHTS))
    return found
