"""Versions of the tree: what they share and what they do not."""

from hypothesis import given
from hypothesis import strategies as st

from tests.store.support import perms
from xsd.protocol.path import Path
from xsd.protocol.perms import owner_only
from xsd.store.clock import Clock
from xsd.store.node import Node
from xsd.store.tree import Place, Tree, find

NOBODY = owner_only(0)


def new_tree() -> tuple[Clock, Tree]:
    clock = Clock()
    return clock, Tree(clock, Node(0, b"", NOBODY, 0))


def add(tree: Tree, *path: bytes) -> Node:
    """Create the missing nodes of a path; returns the last."""
    spine = tree.spine(path)
    while len(spine) <= len(path):
        tree.add(path, spine, b"", NOBODY)
    return spine[-1]


def write(tree: Tree, path: Path, value: bytes) -> None:
    tree.set_value(path, tree.spine(path), value)


def test_no_two_trees_have_the_same_token() -> None:
    """Else one could change what belongs to the other."""
    clock, tree = new_tree()
    branch = Tree(clock, tree.freeze())

    assert branch.token != tree.token


def test_a_spine_ends_where_the_path_leaves_the_tree() -> None:
    """It has one node more than the path exactly if the node is there."""
    _clock, tree = new_tree()
    add(tree, b"a", b"b")

    assert len(tree.spine((b"a", b"b"))) == 3
    assert len(tree.spine((b"a", b"b", b"c", b"d"))) == 3
    assert tree.spine((b"x", b"b")) == [tree.top]


def test_find_follows_a_path() -> None:
    """None as soon as a part is missing; no path leads to the top."""
    _clock, tree = new_tree()
    node = add(tree, b"a", b"b")

    assert find(tree.top, (b"a", b"b")) is node
    assert find(tree.top, (b"a", b"x")) is None
    assert find(tree.top, (b"x", b"b")) is None
    assert find(tree.top, ()) is tree.top


def test_find_and_spine_look_into_wide_directories() -> None:
    """Their children are not in the plain dict."""
    _clock, tree = new_tree()
    for number in range(300):
        add(tree, b"%d" % number)

    assert find(tree.top, (b"299",)) is tree.spine((b"299",))[1]
    assert find(tree.top, (b"300",)) is None
    assert len(tree.spine((b"300",))) == 1


def test_each_change_marks_its_facet_with_a_generation_of_its_own() -> None:
    """Value, permissions, names; a new child marks its parent."""
    clock, tree = new_tree()
    parent = add(tree, b"a")
    child = add(tree, b"a", b"b")

    assert parent.names_changed == child.created == clock.now
    write(tree, (b"a",), b"1")
    assert parent.value == b"1"
    assert parent.value_changed == clock.now
    tree.set_perms((b"a",), tree.spine((b"a",)), perms(b"n1"))
    assert parent.perms.owner == 1
    assert parent.perms_changed == clock.now
    tree.remove((b"a", b"b"), tree.spine((b"a", b"b")))
    assert parent.child(b"b") is None
    assert parent.names_changed == clock.now
    assert parent.created < parent.value_changed < parent.perms_changed


def test_a_change_in_an_unfrozen_tree_copies_nothing() -> None:
    """The top and all below stay the same objects."""
    _clock, tree = new_tree()
    add(tree, b"a", b"b")
    top = tree.own((), [tree.top])
    before = tree.spine((b"a", b"b"))
    write(tree, (b"a", b"b"), b"1")

    assert tree.spine((b"a", b"b")) == before
    assert tree.top is top


def test_a_frozen_state_is_never_changed() -> None:
    """Whatever is done to the tree afterwards."""
    _clock, tree = new_tree()
    add(tree, b"a", b"b")
    add(tree, b"c")
    frozen = tree.freeze()
    old = find(frozen, (b"a", b"b"))
    write(tree, (b"a", b"b"), b"1")
    add(tree, b"a", b"d")
    tree.remove((b"c",), tree.spine((b"c",)))

    assert old is not None
    assert find(frozen, (b"a", b"b")) is old
    assert old.value == b""
    assert find(frozen, (b"a", b"d")) is None
    assert find(frozen, (b"c",)) is not None


def test_a_change_after_freezing_copies_the_nodes_of_its_path_only() -> None:
    """All others are shared by both versions."""
    _clock, tree = new_tree()
    add(tree, b"a", b"b")
    add(tree, b"c", b"d")
    frozen = tree.freeze()
    write(tree, (b"a", b"b"), b"1")

    assert tree.top is not frozen
    assert find(tree.top, (b"a",)) is not find(frozen, (b"a",))
    assert find(tree.top, (b"c",)) is find(frozen, (b"c",))


def test_a_path_is_copied_only_once_after_freezing() -> None:
    """The second change finds the nodes its own, also when another path shares some."""
    _clock, tree = new_tree()
    add(tree, b"a", b"b")
    add(tree, b"a", b"c")
    tree.freeze()
    write(tree, (b"a", b"b"), b"1")
    spine = tree.spine((b"a", b"b"))
    write(tree, (b"a", b"b"), b"2")
    write(tree, (b"a", b"c"), b"2")

    assert tree.spine((b"a", b"b")) == spine


def test_freezing_an_unchanged_tree_again_takes_no_token() -> None:
    """Nothing carries the present one."""
    _clock, tree = new_tree()
    add(tree, b"a")
    frozen = tree.freeze()
    token = tree.token

    assert tree.freeze() is frozen
    assert tree.token == token


def test_a_branch_leaves_the_tree_alone_until_it_is_adopted() -> None:
    """A commit that fails leaves a branch that nobody sees."""
    clock, tree = new_tree()
    add(tree, b"a")
    top = tree.top
    branch = Tree(clock, top)
    write(branch, (b"a",), b"1")
    old = find(tree.top, (b"a",))

    assert tree.top is top
    assert old is not None
    assert old.value == b""
    tree.adopt(branch)
    assert tree.top is branch.top
    assert tree.token == branch.token


def test_a_place_is_made_our_own_with_all_above_it() -> None:
    """As `own` does by a path; places beside it see the copies above them."""
    _clock, tree = new_tree()
    for name in (b"x", b"y"):
        add(tree, b"a", b"b", name)
    before = tree.freeze()
    top = Place(None, b"", tree.top)
    a = Place(top, b"a", find(before, (b"a",)))
    b = Place(a, b"b", find(before, (b"a", b"b")))
    x, y = [Place(b, name, find(before, (b"a", b"b", name))) for name in (b"x", b"y")]
    displaced = tree.displaced
    tree.write_own(tree.own_at(x), b"1")
    copied = tree.displaced - displaced
    tree.write_own(tree.own_at(y), b"2")

    assert tree.displaced - displaced - copied < copied / 2
    assert tree.spine((b"a", b"b", b"y")) == [each.node for each in (top, a, b, y)]
    assert contents(tree.top)[-1] != contents(before)[-1]
    assert [value for path, value in contents(tree.top) if len(path) == 3] == [
        b"2",
        b"1",
    ]
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
    _clock, tree = new_tree()
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
    """Paths and values in the order of creation."""
    found: list[tuple[Path, bytes]] = []
    rest: list[tuple[Path, Node]] = [((), top)]
    while rest:
        path, node = rest.pop()
        found.append((path, node.value))
        rest.extend([((*path, name), child) for name, child in node.children()])
    return found
