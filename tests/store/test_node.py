"""Nodes: their children, their copies and what counts for quotas."""

import pytest

from tests.store.support import perms
from xsd.protocol.perms import owner_only
from xsd.store.children import NARROW_BELOW, WIDE_ABOVE
from xsd.store.node import RECORD_ENTRY, RECORD_HEADER, Node, shared

NOBODY = owner_only(0)
FACETS = "names_changed", "perms_changed", "value_changed"


def parent_of(count: int) -> Node:
    """A node with children 0 to count - 1, created in this order."""
    parent = Node(1, b"value", NOBODY, 1)
    for number in range(count):
        parent.put_child(b"%d" % number, Node(1, b"", NOBODY, 2 + number))
    return parent


def names_of(node: Node) -> list[bytes]:
    return [name for name, _child in node.children()]


@pytest.mark.parametrize("count", [0, 1, WIDE_ABOVE, WIDE_ABOVE + 1, WIDE_ABOVE + 50])
def test_a_directory_answers_alike_though_it_is_wide_with_its_33rd_child(
    count: int,
) -> None:
    """Up to 32 children are a small tuple; width is not visible from outside."""
    parent = parent_of(count)
    names = [b"%d" % number for number in range(count)]

    assert (parent.wide is not None) == (count > WIDE_ABOVE)
    assert names_of(parent) == names
    assert parent.child_count() == count
    assert parent.listing() == b"".join([name + b"\0" for name in names])
    assert [parent.child(name) for name in names] == [it for _, it in parent.children()]
    assert parent.child(b"none") is None


def test_a_directory_that_shrinks_becomes_narrow_again() -> None:
    """At 15 children, in the order of creation; well below where it becomes wide."""
    widths: list[int] = []
    parent = parent_of(WIDE_ABOVE + 1)
    for number in range(20):
        parent.remove_child(b"%d" % number)
        if parent.wide is not None:
            widths.append(parent.child_count())

    assert widths[-1] == NARROW_BELOW
    assert parent.wide is None
    assert names_of(parent) == [b"%d" % number for number in range(20, 33)]


def test_a_copy_has_all_of_the_original_and_children_of_its_own() -> None:
    """Whether few or many; the child nodes are the same objects."""
    for count in (0, 3, WIDE_ABOVE + 1):
        original = parent_of(count)
        for generation, facet in enumerate(FACETS, 10):
            setattr(original, facet, generation)
        copy = original.copy(2)
        children = original.children()
        new = Node(2, b"", NOBODY, 1000)
        copy.put_child(b"new", new)

        assert copy.token == 2
        assert (copy.value, copy.created) == (b"value", 1)
        assert copy.perms is original.perms
        assert [getattr(copy, facet) for facet in FACETS] == [10, 11, 12]
        assert original.children() == children
        assert copy.children() == [*children, (b"new", new)]


def test_the_generation_is_that_of_the_last_change_of_any_facet() -> None:
    """DIRECTORY_PART tells by it that the node changed."""
    node = Node(1, b"", NOBODY, 5)
    seen = [node.generation]
    for facet in FACETS:
        setattr(node, facet, seen[-1] + 1)
        seen.append(node.generation)

    assert seen == [5, 6, 7, 8]


def test_the_listing_of_a_wide_directory_is_kept() -> None:
    """A client reads 100,000 names in hundreds of parts."""
    parent = parent_of(WIDE_ABOVE + 1)
    listing = parent.listing()
    assert parent.listing() is listing
    parent.put_child(b"new", Node(1, b"", NOBODY, 1000))
    assert parent.listing() == listing + b"new\0"


def test_the_record_size_is_that_of_c_xenstored() -> None:
    """16 bytes, 8 for each permission, the value, each name with its NUL."""
    node = Node(1, b"12345", perms(b"n0", b"r1", b"r2"), 1)
    node.put_child(b"name", parent_of(0))
    node.put_child(b"x", parent_of(0))

    assert (RECORD_HEADER, RECORD_ENTRY) == (16, 8)
    assert node.record_size() == 16 + 3 * 8 + 5 + len(b"name\0x\0")


def test_names_that_many_nodes_have_are_kept_once() -> None:
    """And values; but for long ones, of which a guest could have us keep too much."""
    first = shared(b"%s" % bytearray(b"state"))
    second = shared(b"%s" % bytearray(b"state"))
    long = b"%064d" % 0

    assert first is second
    assert shared(long) is shared(bytes(bytearray(long)))
    assert shared(long + b"0") is not shared(bytes(bytearray(long + b"0")))


def test_not_more_than_some_thousand_names_are_kept() -> None:
    """Then they are forgotten, and those that come again are kept anew."""
    old = shared(b"%s" % bytearray(b"old"))
    for number in range(10_000):
        shared(b"name-%d" % number)

    assert shared(b"%s" % bytearray(b"old")) is not old
