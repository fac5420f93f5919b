"""Every request in a transaction against every change outside that may matter."""

from typing import Final

from tests.differential.model import Sequence, Step, c0, c1, c2, sequence

_SETTING: Final = (
    *(c0.write("/a"), c0.write("/a/z", "x"), c0.write("/a/n", "1"), c0.write("/a/n/k")),
    c2.watch("/", "w"),
)

_INSIDE: Final[dict[str, tuple[Step, ...]]] = {
    "nothing": (),
    "a read": (c0.read("/a/n", tx="t"),),
    "a read of a missing node": (c0.read("/a/m", tx="t"),),
    "a list": (c0.ls("/a/n", tx="t"),),
    "a list of the parent": (c0.ls("/a", tx="t"),),
    "permissions read": (c0.get_perms("/a/n", tx="t"),),
    "a write": (c0.write("/a/n", "new", tx="t"),),
    "a new node": (c0.write("/a/m", "new", tx="t"),),
    "a mkdir of what exists": (c0.mkdir("/a/n", tx="t"),),
    "a mkdir": (c0.mkdir("/a/m", tx="t"),),
    "a removal": (c0.rm("/a/n", tx="t"),),
    "a removal of nothing": (c0.rm("/a/m", tx="t"),),
    "permissions set": (c0.set_perms("/a/n", "n0", "r3", tx="t"),),
    "a read far below": (c0.read("/a/m/o", tx="t"),),
    "a new node with its parent": (c0.write("/a/m/o", "v", tx="t"),),
    "a failing removal": (c0.rm("/a/m/o", tx="t"),),
    "a new node below": (c0.write("/a/n/new", "v", tx="t"),),
    "a child removed": (c0.rm("/a/n/k", tx="t"),),
    "a removal and a write": (c0.rm("/a/n", tx="t"), c0.write("/a/n", "v", tx="t")),
    "a write and a removal": (c0.write("/a/m", "v", tx="t"), c0.rm("/a/m", tx="t")),
}

_OUTSIDE: Final[dict[str, tuple[Step, ...]]] = {
    "a write": (c1.write("/a/n", "x"),),
    "a write of an equal value": (c1.write("/a/n", "1"),),
    "permissions": (c1.set_perms("/a/n", "n0", "r4"),),
    "equal permissions": (c1.set_perms("/a/n", "n0"),),
    "a new child": (c1.write("/a/n/new"),),
    "a child removed": (c1.rm("/a/n/k"),),
    "a child written": (c1.write("/a/n/k", "x"),),
    "a removal": (c1.rm("/a/n"),),
    "a removal undone": (c1.rm("/a/n"), c1.write("/a/n", "1"), c1.write("/a/n/k")),
    "the parent written": (c1.write("/a", "x"),),
    "permissions of the parent": (c1.set_perms("/a", "n0", "r4"),),
    "a new sibling": (c1.write("/a/s"),),
    "a sibling removed": (c1.rm("/a/z"),),
    "a sibling written": (c1.write("/a/z", "y"),),
    "the missing node made": (c1.write("/a/m"),),
    "the missing node made and removed": (c1.write("/a/m"), c1.rm("/a/m")),
    "a node below the missing one": (c1.write("/a/m/o"),),
    "everything removed": (c1.rm("/a"),),
    "the root written": (c1.write("/"),),
    "a mkdir of what exists": (c1.mkdir("/a/n"),),
    "a removal of nothing": (c1.rm("/a/m"),),
    "something else": (c1.write("/c"),),
}

_AFTER: Final = (c0.ls("/a"), c0.read("/a/n"), c0.read("/a/m"), c0.get_perms("/a/n"))


def _after(inside: str, outside: str) -> Sequence:
    return sequence(
        f"inside {inside}, then outside {outside}",
        *_SETTING,
        c0.start("t"),
        *_INSIDE[inside],
        *_OUTSIDE[outside],
        c0.commit("t"),
        *_AFTER,
    )


def _before(inside: str, outside: str) -> Sequence:
    return sequence(
        f"outside {outside}, then inside {inside}",
        *_SETTING,
        c0.start("t"),
        *_OUTSIDE[outside],
        *_INSIDE[inside],
        c0.commit("t"),
        *_AFTER,
    )


SEQUENCES: Final = tuple(
    make(inside, outside)
    for inside in _INSIDE
    for outside in _OUTSIDE
    for make in (_after, _before)
)
