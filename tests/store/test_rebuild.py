"""A store is made up from nodes of which no more is known than what clients see."""

import pytest

from xsd.protocol.errors import XenStoreError
from xsd.protocol.limits import DOMID_ANY
from xsd.protocol.path import parse_path
from xsd.protocol.perms import NONE, READ, Entry
from xsd.protocol.records import NodeData
from xsd.store import Store
from xsd.store.check import verify
from xsd.store.children import WIDE_ABOVE
from xsd.store.load import ImageError
from xsd.store.rebuild import named, rebuild
from xsd.store.tree import find

MINE = (Entry(NONE, 0),)
THEIRS = (Entry(NONE, 5), Entry(READ, 6), Entry(READ, 7, stale=True))
EVERYONES = (Entry(NONE, 0), Entry(READ, DOMID_ANY))


def _nodes(*paths: bytes) -> list[NodeData]:
    return [NodeData(path, b"v", MINE) for path in paths]


def test_nodes_are_there_as_they_were_told() -> None:
    """Siblings in order, values and permissions, stale ones too; and nothing else."""
    store = Store()
    told = [
        *_nodes(b"@releaseDomain", b"/", b"/z", b"/a", b"/z/x"),
        NodeData(b"/a/own", b"\0\xff", THEIRS),
    ]

    rebuild(store, told)

    top = store.live.tree.top
    for record in told:
        node = find(top, parse_path(record.path, special=True))
        assert node is not None
        assert (node.value, node.perms.entries) == (record.value, record.entries)
    root = find(top, parse_path(b"/"))
    assert root is not None
    assert [name for name, _ in root.children()] == [b"z", b"a"]
    assert verify(store) == []


def test_what_nodes_take_is_counted_again() -> None:
    """For their owners, whatever the limits; who is named with a right is, too."""
    store = Store()
    before = store.usage.nodes.of(0)
    store.set_quota(-1, "nodes", 1)
    own = [NodeData(b"/%d" % each, b"v", THEIRS) for each in range(3)]

    rebuild(store, _nodes(b"/") + own)

    usage = store.usage
    assert before > 3
    assert (usage.nodes.of(0), usage.nodes.of(5)) == (3, 3)
    assert (usage.nodes.most[5], usage.mentions.of(6)) == (3, 3)
    assert usage.memory.of(5) == 3 * (16 + 3 * 8 + 1)
    assert verify(store) == []


def test_special_nodes_of_which_nothing_is_told_are_as_in_a_new_store() -> None:
    """Domains are told of through them."""
    store = Store()

    rebuild(store, _nodes(b"/", b"@introduceDomain"))

    release = find(store.live.tree.top, (b"@releaseDomain",))
    introduce = find(store.live.tree.top, (b"@introduceDomain",))
    assert release is not None
    assert introduce is not None
    assert (release.perms.entries, introduce.value) == (EVERYONES, b"v")
    assert verify(store) == []


def test_a_directory_of_many_is_as_it_would_be() -> None:
    """And what is built can be changed."""
    store = Store()
    paths = [b"/%d" % number for number in range(WIDE_ABOVE + 10)]

    rebuild(store, _nodes(b"/", *paths))
    store.rm(store.privileged.caller, parse_path(b"/7"))
    store.write(store.privileged.caller, parse_path(b"/new"), b"v")

    assert verify(store) == []


@pytest.mark.parametrize(
    ("paths", "reason"),
    [
        ([b"/", b"/a/b"], "below nothing"),
        ([b"/a", b"/"], "below nothing"),
        ([b"/", b"/a", b"/a"], "there twice"),
        ([b"/", b"@x", b"@x"], "there twice"),
        ([b"/", b"@x/5"], "below nothing"),
        ([b"/", b"a"], "no place"),
        ([b"/", b""], "no place"),
        ([b"@releaseDomain"], "no root"),
        ([], "no root"),
    ],
)
def test_what_cannot_be_a_tree_is_refused(paths: list[bytes], reason: str) -> None:
    """Half of one is none."""
    with pytest.raises(ImageError, match=reason):
        rebuild(Store(), _nodes(*paths))


@pytest.mark.parametrize("path", [b"//", b"/a/", b"/a b"])
def test_what_is_no_path_is_refused(path: bytes) -> None:
    """As in a request."""
    with pytest.raises(XenStoreError):
        rebuild(Store(), _nodes(b"/", path))


def test_who_is_named_is_found() -> None:
    """But nobody by a stale permission or by a number that is no domain's."""
    records = [NodeData(b"/", b"", EVERYONES), NodeData(b"/a", b"", THEIRS)]

    assert named(records) == [0, 5, 6]
