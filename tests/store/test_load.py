"""How versions of a store are made of one another."""

import struct

import pytest

from xsd.protocol.errors import XenStoreError
from xsd.protocol.path import parse_path
from xsd.protocol.perms import NONE, Entry
from xsd.protocol.records import NodeData
from xsd.store.children import WIDE_ABOVE
from xsd.store.image import NUMBERS
from xsd.store.load import LOADED, ImageError, Nodes, patched
from xsd.store.node import Node
from xsd.store.tree import find

MINE = (Entry(NONE, 0),)


def _nodes(*texts: bytes) -> Nodes:
    nodes = Nodes({})
    for text in texts:
        nodes.add(NodeData(text, b"v", MINE))
    return nodes


def _numbered(nodes: Nodes, count: int) -> Nodes:
    """Created one after the other, as they came."""
    rows = [(each, each, each, each, 1) for each in range(1, count + 1)]
    nodes.numbers(
        struct.pack(f"<{NUMBERS * count}q", *[n for row in rows for n in row])
    )
    return nodes


def _names(node: Node | None) -> list[bytes]:
    assert node is not None
    return [name for name, _child in node.children()]


def _other(created: int, value: bytes = b"new") -> Node:
    nodes = _nodes(b"/")
    [(_name, node)] = nodes.top.children()
    # As numbers do, before anything is shared.
    node.value, node.created, node.token = value, created, 3
    return node


def test_another_version_shares_what_is_the_same() -> None:
    """Only so is it known later that nothing has changed there."""
    top = _numbered(_nodes(b"/", b"/a", b"/a/x", b"/a/y", b"/b"), 5).top
    root, a = parse_path(b"/"), parse_path(b"/a")
    y, z = parse_path(b"/a/y"), parse_path(b"/a/z")
    rows = [(root, _other(1)), (a, _other(2)), (y, None), (z, _other(9))]

    other = patched(top, [*rows], (9, 9, 9, 9, 7))

    assert other.token == 7
    assert _names(find(other, a)) == [b"x", b"z"]
    assert _names(find(top, a)) == [b"x", b"y"]
    for text in (b"/a/x", b"/b"):
        shared = find(top, parse_path(text))
        assert shared is not None
        assert find(other, parse_path(text)) is shared
    changed = find(other, a)
    assert changed is not None
    assert changed.names_size == 4


def test_siblings_keep_the_order_in_which_they_were_made() -> None:
    """What one version has and the other has not may stand between them."""
    top = _numbered(_nodes(b"/", b"/a", b"/c"), 3).top
    rows = [(parse_path(b"/"), _other(1)), (parse_path(b"/b"), _other(2))]
    rows[1][1].created = 2
    last = find(top, parse_path(b"/c"))
    assert last is not None
    last.created = 3
    first = find(top, parse_path(b"/a"))
    assert first is not None
    first.created = 1

    assert _names(find(patched(top, [*rows], (1,) * NUMBERS), parse_path(b"/"))) == [
        b"a", b"b", b"c",
    ]  # fmt: skip


def test_a_wide_directory_is_not_changed_for_others() -> None:
    """Its parts are shared as well."""
    count = WIDE_ABOVE + 10
    nodes = _nodes(b"/", *[b"/%d" % number for number in range(count)])
    top = _numbered(nodes, count + 1).top
    root = parse_path(b"/")
    gone = parse_path(b"/7")
    rows = [(root, _other(1)), (gone, None), (parse_path(b"/new"), _other(5000))]

    other = patched(top, [*rows], (1,) * NUMBERS)
    mine = find(top, root)
    assert mine is not None
    assert mine.token != LOADED
    mine.put_child(b"late", _other(6000))

    assert mine.child_count() == count + 1
    assert b"7" in _names(mine)
    theirs = _names(find(other, root))
    assert len(theirs) == count
    assert theirs[-1] == b"new"
    assert not {b"7", b"late"} & {*theirs}


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        ([b"/", b"/a/b"], "cannot be there"),
        ([b"/", b"/a", b"/a"], "cannot be there"),
        ([b"/a"], "cannot be there"),
        ([b"/", b"/a", b"/a/b", b"/c/b"], "cannot be there"),
    ],
)
def test_nodes_are_refused_that_hang_in_the_air_or_come_twice(
    texts: list[bytes], reason: str
) -> None:
    """Half a tree is none."""
    with pytest.raises(ImageError, match=reason):
        _nodes(*texts)


@pytest.mark.parametrize("text", [b"/a/", b"/a/b ", b"/a//b", b"//b", b"@a/", b""])
def test_what_is_no_path_is_none_behind_a_sibling_either(text: bytes) -> None:
    """Nor behind a node that is above none."""
    with pytest.raises(XenStoreError):
        _nodes(b"@a", b"/", b"/a", b"/a/a", text)
    with pytest.raises(XenStoreError):
        _nodes(b"/", b"/a", b"@a", text)


def test_nodes_may_come_in_any_order_behind_the_one_above() -> None:
    """Those with the same name share it, which most have in a store of guests."""
    texts = [b"/", b"/a", b"/b", b"/a/x", b"/b/x", b"/a/y", b"/a/x/x", b"@c", b"@c/x"]
    top = _nodes(*texts).top

    for text in texts:
        assert find(top, parse_path(text, special=True)) is not None
    lists = [find(top, parse_path(text)) for text in (b"/a", b"/b", b"/a/x")]
    names = [_names(node)[0] for node in lists]
    assert names == [b"x"] * 3
    assert names[0] is names[1] is names[2]


def test_a_node_of_the_store_has_permissions() -> None:
    """Only in a transaction may one be missing."""
    with pytest.raises(ImageError, match="cannot be there"):
        _nodes(b"/").add(NodeData(b"/a", b"", ()))


@pytest.mark.parametrize("size", [0, 8 * NUMBERS - 1, 8 * NUMBERS + 8])
def test_as_many_numbers_as_nodes_are_needed(size: int) -> None:
    """Or they would be others'."""
    nodes = _nodes(b"/")

    with pytest.raises(ImageError, match="numbers for 1 nodes"):
        nodes.numbers(bytes(size))
    with pytest.raises(ImageError, match="without numbers"):
        nodes.finish()
