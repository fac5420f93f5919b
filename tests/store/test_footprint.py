"""Footprints: whether what was relied on still holds, and what is kept."""

import re
import sys
from typing import Final

import pytest

from tests.store.support import at, perms
from xsd.protocol.path import Path
from xsd.protocol.perms import owner_only
from xsd.store.clock import Clock
from xsd.store.footprint import Footprint, Row, Spot, measured, rebuilt
from xsd.store.node import Node
from xsd.store.tree import Tree
from xsd.store.view import EXISTENCE, NAMES, PERMS, SUBTREE, VALUE

NOBODY = owner_only(0)
A: Path = (b"", b"a")
AB: Path = (*A, b"b")
ABC: Path = (*AB, b"c")
NO: Path = (b"", b"no")


@pytest.fixture
def tree() -> Tree:
    """/a/b/c and no /no."""
    tree = Tree(Clock(), Node(0, b"", NOBODY, 0))
    add(tree, ABC)
    return tree


@pytest.fixture
def footprint() -> Footprint:
    """One that relies on nothing."""
    return Footprint()


def add(tree: Tree, path: Path) -> None:
    spine = tree.spine(path)
    while len(spine) <= len(path):
        tree.add(path, spine, b"", NOBODY)


def write(tree: Tree, path: Path) -> None:
    tree.set_value(path, tree.spine(path), b"")


def permit(tree: Tree, path: Path) -> None:
    tree.set_perms(path, tree.spine(path), perms(b"n0"))


def remove(tree: Tree, path: Path) -> None:
    tree.remove(path, tree.spine(path))


def replace(tree: Tree, path: Path) -> None:
    remove(tree, path)
    add(tree, path)


CHANGES: Final = {
    "add": add,
    "write": write,
    "permit": permit,
    "remove": remove,
    "replace": replace,
}
FACETS: Final = {
    "value": VALUE,
    "perms": PERMS,
    "names": NAMES,
    "existence": EXISTENCE,
    "subtree": SUBTREE,
}


def relying_on(text: str) -> Footprint:
    """By facet, path and, if less than that is relied on, the number of names."""
    facets, path, *length = text.split()
    parsed = at(path.encode())
    footprint = Footprint()
    for facet in facets.split("+"):
        footprint.rely(parsed, int(length[0]) if length else len(parsed), FACETS[facet])
    return footprint


@pytest.mark.parametrize(
    "row",
    [
        # A facet breaks with its own change or the node's end, though all is the same.
        "value /a/b | write /a/b -> /a/b",
        "perms /a/b | write /a/b ->",
        "names /a/b | write /a/b ->",
        "existence /a/b | write /a/b ->",
        "subtree /a/b | write /a/b -> /a/b",
        "value /a/b | permit /a/b ->",
        "perms /a/b | permit /a/b -> /a/b",
        "names /a/b | permit /a/b ->",
        "existence /a/b | permit /a/b ->",
        "subtree /a/b | permit /a/b -> /a/b",
        "value+perms /a/b | permit /a/b -> /a/b",
        "existence /a/b | remove /a/b -> /a/b",
        "existence /a/b | replace /a/b -> /a/b",
        "value /a/b | replace /a/b -> /a/b",
        # A change below breaks the whole subtree, and names as a child comes or goes.
        *[
            f"{relied} | {change} /a/b/c ->{broken}"
            for change in ("write", "permit", "remove", "replace")
            for relied, broken in (
                ("subtree /a", " /a"),
                ("value+perms+names /a", ""),
                ("names /a/b", " /a/b" if change in {"remove", "replace"} else ""),
            )
        ],
        # A missing node breaks when it comes, not when its neighbours do.
        "existence /no | write /a; add /other ->",
        "existence /no | write /a; add /other; add /no -> /no",
        "existence /no/x | add /no/x -> /no/x",
        "existence /no/y | add /no/x ->",
        "value /a/b/c | remove /a -> /a/b/c",
        # Only the given length counts; the rest is what the request went on to.
        "value /a/b/c 2 | write /a/b; write /a/b/c ->",
        "value /a/b/c 2 | write /a/b; write /a/b/c; write /a -> /a",
        # A special name that is missing leads to the top of all paths.
        "names @other 0 | write /a ->",
        "names @other 0 | add @other -> top",
    ],
)
def test_what_was_relied_on_breaks(tree: Tree, row: str) -> None:
    """What is relied on | changes -> what is broken, if anything."""
    relied, script, broken = re.split(r" \| | -> ?", row)
    before = tree.freeze()
    for each in script.split("; "):
        change, path = each.split()
        CHANGES[change](tree, at(path.encode()))
    expected = () if broken == "top" else at(broken.encode()) if broken else None
    footprint = relying_on(relied)

    assert footprint.broken(before, tree.top) == expected
    assert footprint.broken(before, before) is None


@pytest.mark.parametrize(
    ("relied", "concerned", "others"),
    [
        ("value /a/b", "/a/b /a", "/a/b/c /a/x"),
        ("names /a/b", "/a/b/new /a/b/c", "/a/b/c/deeper"),
        ("subtree /a/b", "/a/b/c/deeper", "/a/x"),
        ("existence /a/b", "/a", "/a/b/c"),
        ("existence /no", "/no/thing/here", "/a"),
    ],
)
def test_what_might_break_concerns_it(
    tree: Tree, relied: str, concerned: str, others: str
) -> None:
    """Changes that name these paths; also below what is missing."""
    add(tree, (*ABC, b"deeper"))
    footprint = relying_on(relied)
    seen = [
        [footprint.concerns(at(path.encode()), tree.top) for path in paths.split()]
        for paths in (concerned, others)
    ]

    assert [set(each) for each in seen] == [{True}, {False}]


# What it keeps.


def kept(footprint: Footprint) -> int:
    """Bytes of all objects of a footprint, as Python has them; names once."""
    seen: set[int] = set()
    size = 0
    rest: list[object] = [footprint.top]
    while rest:
        each = rest.pop()
        if each is None or isinstance(each, bool) or id(each) in seen:
            continue
        seen.add(id(each))
        size += sys.getsizeof(each)
        if isinstance(each, Spot):
            size += 16  # what the collector needs for it
            rest += [getattr(each, name) for name in Spot.__slots__]
        elif isinstance(each, dict):
            rest += [*each, *each.values()]
    return size


PATHS: dict[str, list[Path]] = {
    "a chain": [(b"", *[b"level%03d" % number for number in range(990)])],
    "short names": [(b"", *[b"%d" % number for number in range(300)])],
    "one directory": [(b"", b"d", b"name%04d" % number) for number in range(1000)],
    "long names": [(b"", b"d", b"%0500d" % number) for number in range(100)],
    "pairs": [(b"", b"%04d" % (n // 2), b"%04d" % n) for n in range(1000)],
    "few": [(b"", b"%04d" % number) for number in range(6)],
}


@pytest.mark.pure_only
@pytest.mark.parametrize("how", PATHS)
def test_it_is_charged_with_what_it_keeps(how: str, footprint: Footprint) -> None:
    """Never less, and not twice as much; the name counts, and so does each level."""
    for number, path in enumerate(PATHS[how]):
        footprint.rely(path, len(path), VALUE)
        footprint.made(path, 1, 1000 + number)
    real = kept(footprint)

    assert real * 0.95 <= footprint.size <= real * 2
    assert footprint.size == measured(footprint)


@pytest.mark.parametrize("how", PATHS)
def test_the_cost_of_a_path_is_known_before(how: str, footprint: Footprint) -> None:
    """To the byte."""
    for path in PATHS[how]:
        spot, depth = footprint.nearest(path, len(path))
        expected = footprint.size + footprint.cost(spot, path, depth, len(path))
        footprint.rely(path, len(path), VALUE)

        assert footprint.size == expected
        assert footprint.cost(*footprint.nearest(path, len(path))[:1], path, 0, 0) == 0


def test_what_was_made_and_removed_again_is_forgotten(
    tree: Tree, footprint: Footprint
) -> None:
    """But for what was relied on, and the place of the removed node itself."""
    path = (*NO, *[b"x"] * 990)
    sizes = set()
    for number in range(3):
        footprint.rely(path, 2, EXISTENCE)
        footprint.made(path, 2, 10 + number)
        assert footprint.changed == 991
        footprint.removed(NO, tree.top, was_there=False)
        sizes.add(footprint.size)

    assert len(sizes) == 1
    assert (footprint.count, footprint.changed) == (1, 1)
    assert footprint.size == measured(footprint)
    assert footprint.listed() == [
        (0, b"", 0, 0, False, 0),
        (1, b"", 0, 0, False, 0),
        (2, b"no", EXISTENCE, 0, False, 1),
    ]


def test_what_others_have_seen_is_remembered_below_a_removal(
    tree: Tree, footprint: Footprint
) -> None:
    """And what was relied on there, even of nodes that it made itself."""
    mine = (*ABC, b"mine", b"deeper")
    footprint.named(ABC, 10)
    footprint.made(mine, 5, 11)
    footprint.made((*AB, b"new"), 4, 13)
    footprint.rely(mine, 5, NAMES)
    footprint.removed(AB, tree.top, was_there=True)

    found = [(name, facets, order) for _, name, facets, *_, order in rows(footprint)]
    assert found == [(b"b", 0, 5), (b"c", 0, 1), (b"mine", NAMES, 0)]
    assert footprint.named_paths() == [ABC, AB]
    assert footprint.changed == 2
    assert footprint.size == measured(footprint)


def rows(footprint: Footprint) -> list[Row]:
    """Those with something in them."""
    return [row for row in footprint.listed() if any(row[2:])]


def test_paths_are_named_in_the_order_of_their_first_change(
    footprint: Footprint,
) -> None:
    """Those on the way to others are not, unless nothing else is left of them."""
    footprint.made((b"", b"x", b"y", b"z"), 2, 1)
    footprint.named(A, 2)
    footprint.rely(NO, 2, VALUE)
    footprint.named((b"", b"x", b"y", b"z"), 3)

    assert footprint.named_paths() == [(b"", b"x", b"y", b"z"), A]


def test_a_footprint_is_rebuilt_from_its_list(tree: Tree, footprint: Footprint) -> None:
    """All of it: it goes on as the one that was listed."""
    footprint.rely(ABC, 3, NAMES | PERMS)
    footprint.made((*NO, b"x"), 2, 7)
    footprint.removed(AB, tree.top, was_there=True)
    footprint.made((*NO, b"y"), 3, 8)
    again = rebuilt(footprint.listed())
    for each in (footprint, again):
        each.named(A, 9)

    assert again.listed() == footprint.listed()
    assert again.named_paths() == footprint.named_paths()
    assert (again.count, again.changed, again.size) == (1, 5, footprint.size)


def test_only_what_was_relied_on_stays_of_an_expelled_one(footprint: Footprint) -> None:
    """It protects the next attempt."""
    footprint.rely(ABC, 3, NAMES)
    footprint.made((*NO, b"x"), 2, 7)
    footprint.forget_changes()

    assert rows(footprint) == [(3, b"b", NAMES, 0, False, 0)]
    assert (footprint.count, footprint.changed) == (1, 0)
    assert footprint.size == measured(footprint)
    assert footprint.named_paths() == []
