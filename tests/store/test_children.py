"""Children of very wide directories."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xsd.protocol.perms import owner_only
from xsd.store.children import WideChildren
from xsd.store.node import Node

NOBODY = owner_only(0)


class Colliding(bytes):
    """A name whose hash is that of all others."""

    __slots__ = ()

    def __hash__(self) -> int:
        return 7


def leaf(created: int) -> Node:
    """A node made at a generation."""
    return Node(1, b"", NOBODY, created)


def filled(count: int) -> tuple[WideChildren, dict[bytes, Node]]:
    """Children 0 to count - 1, owned by token 1, and the same as a dict."""
    children = WideChildren(1)
    expected: dict[bytes, Node] = {}
    for number in range(count):
        name = b"%d" % number
        expected[name] = leaf(number)
        children.put(name, expected[name], 1)
    return children, expected


def names(children: WideChildren) -> bytes:
    """What `listing` should tell, found the long way."""
    return b"".join([name + b"\0" for name, _node in children.items()])


@given(st.lists(st.integers(0, 40), max_size=200), st.integers(0, 90))
def test_a_listing_tells_the_names_that_there_are(turns: list[int], start: int) -> None:
    """Whatever came and went since the last one; what is replaced is as it was.

    A copy that goes its own way, and what it was copied of, have both theirs.
    """
    children, _expected = filled(start)
    versions = [children]
    for turn, number in enumerate(turns):
        name = b"%d" % number
        which = turn % len(versions)
        each = versions[which]
        token = 1 if len(versions) == 1 else 2 + which
        if number % 7 == 0:
            assert each.listing() == names(each)
        there = each.get(name)
        if there is not None and turn % 3:
            each.remove(name, token)
        else:
            generation = 1000 + turn if there is None else there.created
            each.put(name, leaf(generation), token)
        if turn == 50:
            versions.append(children.copy())

    assert [each.listing() for each in versions] == [names(each) for each in versions]


@pytest.mark.pure_only
def test_no_child_is_looked_at_to_list_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much has changed; a listing is kept until a name comes or goes."""
    children, _expected = filled(10_000)
    before = children.listing()
    assert children.listing() is before
    assert children.unlisted_rows() == 0
    monkeypatch.setattr(WideChildren, "items", None)
    for number in range(10_000, 10_200):
        children.put(b"%d" % number, leaf(number), 1)
        children.remove(b"%d" % (number - 5000), 1)
        assert 0 < children.unlisted_rows() < 60
        listing = children.listing()
        assert listing.endswith(b"\0%d\0" % number)
        assert b"\0%d\0" % (number - 5000) not in listing


def test_rows_of_which_little_is_left_are_put_together() -> None:
    """A directory that has had many children does not keep a row for each 2 KiB."""
    children, _expected = filled(20_000)
    for number in range(20_000):
        if number % 100:
            children.remove(b"%d" % number, 1)
    assert children.count == 200
    assert children.size == len(children.listing()) < 1200
    children.put(b"new", leaf(20_000), 1)

    assert children.unlisted_rows() <= 3


def test_children_that_came_in_any_order_are_brought_into_that_of_creation() -> None:
    """Where a version of the store is put together from another; see `patched`."""
    children = WideChildren(1)
    for number in (*range(500, 1000), *range(500)):
        children.put(b"%d" % number, leaf(number), 1)
    children.sort()
    children.remove(b"999", 1)

    assert children.listing() == b"".join([b"%d\0" % number for number in range(999)])
    assert [node.created for _name, node in children.items()] == [*range(999)]


def test_a_change_after_a_copy_shares_nearly_all_cells() -> None:
    """The cost of a change must not grow with the width (see the module)."""
    original, _expected = filled(20_000)
    copy = original.copy()
    copy.put(b"20000", leaf(20_000), 2)
    copied = 0
    rest = [(original._root, copy._root)]
    while rest:
        one, other = rest.pop()
        if one is not other:
            copied += 1
            rest.extend(zip(one.cells, other.cells, strict=False))

    # 20,000 names fill 512 cells of the third level; one may be about to split.
    assert 4 <= copied <= 5


def test_names_whose_hashes_are_equal_are_kept_apart() -> None:
    """They share a cell, which is then not split without end."""
    children = WideChildren(1)
    names = [Colliding(b"%d" % number) for number in range(200)]
    expected: list[Node | None] = []
    for number, name in enumerate(names):
        children.put(name, leaf(number), 1)
        expected.append(children.get(name))

    assert children.count == 200
    assert [children.get(name) for name in names] == expected
    assert {*children.nodes()} == {*expected}
    assert children.get(Colliding(b"199")) is not None
    assert children.get(Colliding(b"200")) is None


@given(
    st.sampled_from([100, 1000]),
    st.lists(
        st.tuples(
            st.sampled_from(["put", "replace", "remove", "copy"]), st.integers(0, 120)
        ),
        max_size=400,
    ),
)
@example(5000, [("copy", 0), ("remove", 1), ("put", 5000), ("replace", 2)])
def test_versions_are_persistent_maps_in_the_order_of_creation(
    count: int, steps: list[tuple[str, int]]
) -> None:
    """Every version stays what a copied dict would be; a replaced child its place."""
    children, expected = filled(count)
    token, created = 1, count
    versions: list[tuple[WideChildren, dict[bytes, Node]]] = []
    for what, number in steps:
        name = b"%d" % number
        if what == "copy":
            versions.append((children, dict(expected)))
            token += 1
            children = children.copy()
        elif what == "put" or (what == "replace" and name in expected):
            created += 1
            if what == "put" and name in expected:
                del expected[name]
                children.remove(name, token)
            old = expected.get(name)
            expected[name] = leaf(old.created if old else created)
            children.put(name, expected[name], token)
        elif name in expected:
            del expected[name]
            children.remove(name, token)
    versions.append((children, expected))

    for version, model in versions:
        assert version.count == len(model)
        assert version.items() == list(model.items())
        assert all(version.get(name) is node for name, node in model.items())
        missing = {b"%d" % number for number in range(121)} - {*model}
        assert not any(version.get(name) for name in (*missing, b"none"))
