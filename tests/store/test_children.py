"""Children of very wide directories."""

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


def test_a_listing_is_void_when_a_name_comes_or_goes() -> None:
    """It stays when a child is replaced: the names are the same."""
    after: list[bytes | None] = []
    for name in (b"1", b"3"):
        children, _expected = filled(3)
        children.listing = b"0\x001\x002\0"
        children.put(name, leaf(3), 1)
        after.append(children.listing)
    children.listing = b"0\x001\x002\x003\0"
    children.remove(b"3", 1)

    assert after == [b"0\x001\x002\0", None]
    assert children.listing is None


def test_a_copy_takes_the_listing_along() -> None:
    """It is true of both until one of them changes."""
    original, _expected = filled(2)
    original.listing = b"0\x001\0"
    copy = original.copy()
    copy.remove(b"0", 2)

    assert original.listing == b"0\x001\0"
    assert copy.listing is None


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
    for number, name in enumerate(names):
        children.put(name, leaf(number), 1)

    assert children.count == 200
    assert [name for name, _node in children.items()] == names
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
