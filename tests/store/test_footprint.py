"""Whether what was relied on still holds in a newer version of the store."""

from collections.abc import Callable

import pytest

from tests.store.support import perms
from xsd.protocol.path import Path, parse_path
from xsd.protocol.perms import owner_only
from xsd.store import Store
from xsd.store.clock import Clock
from xsd.store.footprint import Footprint
from xsd.store.node import Node
from xsd.store.tree import Tree
from xsd.store.view import EXISTENCE, NAMES, PERMS, SUBTREE, VALUE

NOBODY = owner_only(0)
A: Path = (b"", b"a")
AB: Path = (b"", b"a", b"b")
ABC: Path = (b"", b"a", b"b", b"c")
NO: Path = (b"", b"no")


@pytest.fixture
def tree() -> Tree:
    """/a/b/c and no /no."""
    clock = Clock()
    tree = Tree(clock, Node(0, b"", NOBODY, 0))
    add(tree, ABC)
    return tree


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


def relying_on(path: Path, facets: int) -> Footprint:
    footprint = Footprint()
    footprint.rely(path, len(path), facets)
    return footprint


@pytest.mark.parametrize(
    ("facets", "change", "breaks"),
    [
        (VALUE, write, True),
        (PERMS, write, False),
        (NAMES, write, False),
        (EXISTENCE, write, False),
        (SUBTREE, write, True),
        (VALUE, permit, False),
        (PERMS, permit, True),
        (NAMES, permit, False),
        (EXISTENCE, permit, False),
        (SUBTREE, permit, True),
        (VALUE | PERMS, permit, True),
        (EXISTENCE, remove, True),
        (EXISTENCE, replace, True),
        (VALUE, replace, True),
    ],
)
def test_a_facet_breaks_with_its_own_change_or_the_nodes_end(
    tree: Tree, facets: int, change: Callable[[Tree, Path], None], breaks: bool
) -> None:
    """Even if the change leaves all as it was."""
    before = tree.freeze()
    change(tree, AB)

    found = relying_on(AB, facets).broken(before, tree.top)
    assert found == (AB if breaks else None)


@pytest.mark.parametrize("change", [write, permit, remove, replace])
def test_a_change_below_breaks_the_whole_subtree_only(
    tree: Tree, change: Callable[[Tree, Path], None]
) -> None:
    """And the names, where a child comes or goes."""
    before = tree.freeze()
    change(tree, ABC)

    assert relying_on(A, SUBTREE).broken(before, tree.top) == A
    assert relying_on(A, VALUE | PERMS | NAMES).broken(before, tree.top) is None
    names = relying_on(AB, NAMES).broken(before, tree.top)
    assert names == (AB if change in (remove, replace) else None)


def test_a_missing_node_breaks_when_it_comes(tree: Tree) -> None:
    """Not when its neighbours do."""
    before = tree.freeze()
    write(tree, A)
    add(tree, (b"", b"other"))
    footprint = relying_on(NO, EXISTENCE)

    assert footprint.broken(before, tree.top) is None
    add(tree, NO)
    assert footprint.broken(before, tree.top) == NO


def test_what_is_below_a_missing_node_breaks_with_it(tree: Tree) -> None:
    """In whichever version it is missing."""
    before = tree.freeze()
    below = (*NO, b"x")
    add(tree, below)

    assert relying_on(below, EXISTENCE).broken(before, tree.top) == below
    assert relying_on(below, VALUE).broken(tree.top, before) == below
    missing_in_both = (*NO, b"y")
    assert relying_on(missing_in_both, EXISTENCE).broken(before, tree.top) is None


def test_only_the_given_length_of_a_path_is_footprint(tree: Tree) -> None:
    """The rest is what the request went on to."""
    footprint = Footprint()
    footprint.rely(ABC, 2, VALUE)
    before = tree.freeze()
    write(tree, AB)
    write(tree, ABC)

    assert footprint.broken(before, tree.top) is None
    write(tree, A)
    assert footprint.broken(before, tree.top) == A


def test_the_top_of_all_paths_can_be_footprint(tree: Tree) -> None:
    """A special name that is missing leads to it."""
    footprint = Footprint()
    footprint.rely((b"@other",), 0, NAMES)
    before = tree.freeze()
    add(tree, (b"@other",))

    assert footprint.broken(before, tree.top) == ()


def test_the_same_version_breaks_nothing(tree: Tree) -> None:
    """It is not even looked at."""
    top = tree.freeze()

    assert relying_on(A, SUBTREE).broken(top, top) is None


def test_a_path_counts_once(tree: Tree) -> None:
    """However many facets; the places above it do not count."""
    footprint = Footprint()
    footprint.rely(ABC, 4, VALUE)
    footprint.rely(ABC, 4, VALUE | PERMS)

    assert footprint.count == 1
    footprint.rely(ABC, 2, EXISTENCE)
    assert footprint.count == 2
    assert footprint.broken(tree.freeze(), tree.top) is None


@pytest.mark.parametrize(
    ("facets", "path", "concerned"),
    [
        (VALUE, b"/a/b", True),
        (VALUE, b"/a", True),
        (VALUE, b"/a/b/c", False),
        (VALUE, b"/a/x", False),
        (NAMES, b"/a/b/new", True),
        (NAMES, b"/a/b/c", True),
        (NAMES, b"/a/b/c/deeper", False),
        (SUBTREE, b"/a/b/c/deeper", True),
        (EXISTENCE, b"/a/b/c", False),
    ],
)
def test_what_might_break_concerns_it(
    store: Store, facets: int, path: bytes, concerned: bool
) -> None:
    """Something relied on at /a/b, and a change that names a path."""
    store.write(store.privileged.caller, parse_path(b"/a/b/c/deeper"), b"")
    footprint = Footprint()
    footprint.rely(parse_path(b"/a/b"), 3, facets)

    top = store.live.tree.top
    assert footprint.concerns(parse_path(path), top) is concerned


def test_what_is_made_below_a_missing_node_concerns_it(store: Store) -> None:
    """It would not be missing any more."""
    footprint = Footprint()
    footprint.rely(parse_path(b"/no"), 2, EXISTENCE)

    top = store.live.tree.top
    assert footprint.concerns(parse_path(b"/no/thing/here"), top)
