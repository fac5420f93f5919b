"""Versions of the tree: what they share and what they do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store.support import perms, walk
from xsd.protocol.path import Path
from xsd.protocol.perms import owner_only
from xsd.store.clock import Clock
from xsd.store.node import Node
from xsd.store.tree import Place, Tree, find

NOBODY = owner_only(0)
AB: Path = (b"a", b"b")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tree(clock: Clock) -> Tree:
    """With /a/b and /c, each without the empty name of the root."""
    tree = Tree(clock, Node(0, b"", NOBODY, 0))
    add(tree, b"a", b"b")
    add(tree, b"c")
    return tree


def add(tree: Tree, *path: bytes) -> Node:
    """Create the missing nodes of a path; returns the last."""
    spine = tree.spine(path)
    while len(spine) <= len(path):
        tree.add(path, spine, b"", NOBODY)
    return spine[-1]


def write(tree: Tree, path: Path, value: bytes) -> None:
    tree.set_value(path, tree.spine(path), value)


def test_no_two_trees_have_the_same_token(clock: Clock, tree: Tree) -> None:
    """Else one could change what belongs to the other."""
    assert Tree(clock, tree.freeze()).token != tree.token


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ((), 0),
        (AB, 2),
        ((*AB, b"c", b"d"), 2),
        ((b"a", b"x"), 1),
        ((b"x", b"b"), 0),
        ((b"wide", b"299"), 2),
        ((b"wide", b"300"), 1),
    ],
)
def test_a_spine_ends_where_the_path_leaves_the_tree(
    tree: Tree, path: Path, there: int
) -> None:
    """Also in a wide directory; what is missing is not found."""
    for number in range(300):
        add(tree, b"wide", b"%d" % number)
    spine, node = tree.spine(path), tree.top
    for name in path[:there]:
        child = node.child(name)
        assert child is not None
        node = child

    assert len(spine) == there + 1
    assert spine[-1] is node
    assert find(tree.top, path) is (node if there == len(path) else None)


def test_each_change_marks_its_facet_with_a_generation_of_its_own(
    clock: Clock, tree: Tree
) -> None:
    """Value, permissions, names; a new child marks its parent."""
    parent, child = tree.spine((b"c",))[-1], add(tree, b"c", b"d")

    assert parent.names_changed == child.created == clock.now
    write(tree, (b"c",), b"1")
    assert parent.value == b"1"
    assert parent.value_changed == clock.now
    tree.set_perms((b"c",), tree.spine((b"c",)), perms(b"n1"))
    assert parent.perms.owner == 1
    assert parent.perms_changed == clock.now
    tree.remove((b"c", b"d"), tree.spine((b"c", b"d")))
    assert parent.child(b"d") is None
    assert parent.names_changed == clock.now
    assert parent.created < parent.value_changed < parent.perms_changed


def test_a_change_in_an_unfrozen_tree_copies_nothing(tree: Tree) -> None:
    """The top and all below stay the same objects."""
    before = tree.spine(AB)
    write(tree, AB, b"1")

    assert tree.spine(AB) == before


def test_a_change_after_freezing_copies_the_nodes_of_its_path_only(tree: Tree) -> None:
    """All others are shared by both versions."""
    frozen = tree.freeze()
    write(tree, AB, b"1")

    assert tree.top is not frozen
    assert find(tree.top, (b"a",)) is not find(frozen, (b"a",))
    assert find(tree.top, (b"c",)) is find(frozen, (b"c",))


def test_a_path_is_copied_only_once_after_freezing(tree: Tree) -> None:
    """The second change finds the nodes its own, also when another path shares some."""
    add(tree, b"a", b"c")
    tree.freeze()
    write(tree, AB, b"1")
    spine = tree.spine(AB)
    write(tree, AB, b"2")
    write(tree, (b"a", b"c"), b"2")

    assert tree.spine(AB) == spine


def test_freezing_an_unchanged_tree_again_takes_no_token(tree: Tree) -> None:
    """Nothing carries the present one."""
    frozen = tree.freeze()
    token = tree.token

    assert tree.freeze() is frozen
    assert tree.token == token


def test_a_branch_leaves_the_tree_alone_until_it_is_adopted(
    clock: Clock, tree: Tree
) -> None:
    """A commit that fails leaves a branch that nobody sees."""
    top = tree.top
    branch = Tree(clock, top)
    write(branch, AB, b"1")

    assert tree.top is top
    assert tree.spine(AB)[-1].value == b""
    tree.adopt(branch)
    assert tree.top is branch.top
    assert tree.token == branch.token


def test_a_place_is_made_our_own_with_all_above_it(tree: Tree) -> None:
    """As `own` does by a path; places beside it see the copies above them."""
    for name in (b"x", b"y"):
        add(tree, *AB, name)
    before = tree.freeze()
    top = Place(None, b"", tree.top)
    a = Place(top, b"a", find(before, (b"a",)))
    b = Place(a, b"b", find(before, AB))
    x, y = [Place(b, name, find(before, (*AB, name))) for name in (b"x", b"y")]
    displaced = tree.displaced
    tree.write_own(tree.own_at(x), b"1")
    copied = tree.displaced - displaced
    tree.write_own(tree.own_at(y), b"2")

    assert tree.displaced - displaced - copied < copied / 2
    assert tree.spine((*AB, b"y")) == [each.node for each in (top, a, b, y)]
    values = [value for path, value in contents(tree.top) if len(path) == 3]
    assert values == [b"2", b"1"]
    assert all(value == b"" for _path, value in contents(before))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "write", "remove", "freeze"]),
            st.lists(st.sampled_from([b"a", b"b", b"c"]), min_size=1, max_size=4),
        ),
        max_size=60,
    )
)
def test_frozen_states_stay_as_they_were(steps: list[tuple[str, list[bytes]]]) -> None:
    """Any sequence of changes leaves every earlier version alone."""
    tree = Tree(Clock(), Node(0, b"", NOBODY, 0))
    versions = [(tree.freeze(), contents(tree.top))]
    for number, (what, names) in enumerate(steps):
        path = tuple(names)
        if what == "freeze":
            versions.append((tree.freeze(), contents(tree.top)))
        elif what == "add":
            add(tree, *path)
        elif find(tree.top, path) is None:
            continue
        elif what == "write":
            write(tree, path, b"%d" % number)
        else:
            tree.remove(path, tree.spine(path))

    for frozen, expected in versions:
        assert contents(frozen) == expected


def contents(top: Node) -> list[tuple[Path, bytes]]:
    """Paths and values."""
    return [(path, node.value) for path, node in walk(top)]
