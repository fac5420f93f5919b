"""The checker finds what it is there to find."""

from collections.abc import Callable
from typing import Final

import pytest

from tests.store.support import at, dom0_of, perms
from xsd.store import Store
from xsd.store.check import count_nodes, verify
from xsd.store.node import Node, empty_size
from xsd.store.tree import find


@pytest.fixture
def broken() -> Store:
    """A store in order, which the test will spoil."""
    store = Store()
    dom0 = dom0_of(store)
    dom0.write(b"/a/b/c", b"1")
    dom0.write(b"/a/d")
    dom0.watch(b"/a/b")
    return store


def node_of(store: Store, path: bytes) -> Node:
    node = find(store.live.tree.top, at(path))
    assert node is not None
    return node


def share(store: Store) -> None:
    """What a snapshot would see change."""
    store.live.tree.freeze()
    node_of(store, b"/a").token = store.live.tree.token


def mistime(store: Store) -> None:
    """Of the future, or before the node's creation; the top has no path."""
    node_of(store, b"/a/b").value_changed = store.generation + 1
    node = node_of(store, b"/a/d")
    node.value_changed = node.perms_changed = node.names_changed = 1
    store.live.tree.top.value_changed = store.generation + 1


def misname(store: Store) -> None:
    """An empty one, or one that holds a slash."""
    parent = node_of(store, b"/a/d")
    for name in (b"", b"x/y"):
        store.usage.nodes.add(0, 1)
        store.usage.memory.add(0, empty_size(perms(b"n0")) + len(name) + 1)
        generation = store.clock.tick()
        parent.put_child(name, Node(parent.token, b"", parent.perms, generation))
        parent.names_changed = generation


def reorder(store: Store) -> None:
    """DIRECTORY lists them as they were created."""
    parent = node_of(store, b"/a")
    one, other, *nodes = parent.narrow
    parent.narrow = (other, one, *reversed(nodes))


def double(store: Store) -> None:
    """A name that two nodes have."""
    parent = node_of(store, b"/a")
    one, _other, *nodes = parent.narrow
    parent.narrow = (one, one, *nodes)


def miscount(store: Store) -> None:
    """Nodes, watches, transactions, bytes, and who is named."""
    store.usage.nodes.add(1, 1)
    store.usage.watches.add(0, -1)
    store.usage.transactions.add(1, -2)
    store.usage.memory.add(0, 1)
    store.usage.mentions.add(perms(b"n0", b"r77"), 1)


def misplace(store: Store) -> None:
    """A wrong count, a watch in the wrong place, a place that nobody needs."""
    store.watches.count += 1
    (watch,) = store.watches.all()
    watch.path = at(b"/a")


FAULTS: Final[dict[str, tuple[Callable[[Store], None], list[str]]]] = {
    "a node owned below a shared one": (
        share,
        ["b'/a' may be changed in place, the node above not"],
    ),
    "impossible generations": (
        mistime,
        [
            "b'(top)' has impossible generations",
            "b'/a/b' has impossible generations",
            "b'/a/d' has impossible generations",
        ],
    ),
    "impossible names": (
        misname,
        ["b'/a/d' has a child b''", "b'/a/d' has a child b'x/y'"],
    ),
    "children out of order": (reorder, ["b'/a' has b'b' out of order"]),
    "one name for two": (double, ["b'/a' has b'b' twice"]),
    "wrong counts": (
        miscount,
        [
            "memory by domain are {0: 1006}, kept as {0: 1007}",
            "mentions by domain are {}, kept as {77: 1}",
            "nodes by domain are {0: 9}, kept as {0: 9, 1: 1}",
            "transactions by domain are {}, kept as {1: -2}",
            "watches by domain are {0: 1}, kept as {}",
        ],
    ),
    "a broken watch index": (
        misplace,
        [
            "1 watches, kept as 2",
            "Watch(#1, b'/a/b', b'/a/b') is not where it belongs",
            "watch index has 4 places, needs 3",
        ],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_is_found(broken: Store, fault: str) -> None:
    """Each fault in a line of its own."""
    spoil, expected = FAULTS[fault]
    spoil(broken)

    assert sorted(verify(broken)) == expected


def test_a_directory_kept_in_the_wrong_form_is_found(broken: Store) -> None:
    """Wide as narrow, narrow as wide."""
    dom0 = dom0_of(broken)
    for number in range(257):
        dom0.write(b"/w/%d" % number)
        dom0.write(b"/n/%d" % number)
    wide = node_of(broken, b"/w")
    names = [name for name, _child in wide.children()]
    wide.narrow = (*names, *[child for _name, child in wide.children()])
    wide.wide = None
    parent = node_of(broken, b"/n")
    narrow = parent.wide
    assert narrow is not None
    for number in range(250):
        narrow.remove(b"%d" % number, broken.live.tree.token)
        broken.usage.nodes.add(0, -1)
        broken.usage.memory.add(0, -empty_size(perms(b"n0")) - len(b"%d\0" % number))

    assert sorted(verify(broken)) == [
        "b'/n' is narrow, but kept as wide",
        "b'/w' is wide, but kept as narrow",
    ]


def test_a_wide_directory_that_disagrees_with_itself_is_found(broken: Store) -> None:
    """Its count, the size of its names, its listing, children in the wrong cell."""
    dom0 = dom0_of(broken)
    for number in range(300):
        dom0.write(b"/w/%d" % number)
    wide = node_of(broken, b"/w").wide
    assert wide is not None
    wide.count += 1
    wide.size += 1
    wide._listing = b"nothing\0"
    cells = wide._root.cells
    moved = len(cells[0].nodes) + len(cells[1].nodes)
    cells[0].nodes, cells[1].nodes = cells[1].nodes, cells[0].nodes
    faults = verify(broken)

    assert f"b'/w' counts 301 of {300 - moved}" in faults
    assert "b'/w' lists other children than it has" in faults
    assert f"b'/w' does not find {moved} of its children" in faults
    assert any(fault.endswith(" bytes, not as kept") for fault in faults)


def test_nodes_are_counted_from_a_path_down(broken: Store) -> None:
    """None where none is; special nodes are below no path."""
    paths = (b"/", b"/a", b"/a/b/c", b"/no", b"@releaseDomain")

    assert [count_nodes(broken, at(path)) for path in paths] == [7, 4, 1, 0, 1]
