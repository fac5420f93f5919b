"""The checker finds what it is there to find."""

import pytest

from tests.store.support import Client, at, dom0_of, guest_of, perms
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


def test_a_store_in_use_is_in_order(store: Store, dom0: Client, guest: Client) -> None:
    """With guests, transactions, watches, wide directories, special nodes."""
    for number in range(300):
        dom0.write(b"/wide/%d" % number)
    guest.write(b"a/b")
    guest.watch(b"a")
    open_one, transaction = guest.start(), dom0.start()
    open_one.write(b"a/c")
    transaction.rm(b"/wide/7")
    dom0.write(b"/other")
    transaction.commit()

    assert verify(store) == []
    open_one.abort()


def test_a_node_owned_below_a_shared_one_is_found(broken: Store) -> None:
    """A snapshot would see it change."""
    broken.live.tree.freeze()
    node_of(broken, b"/a").token = broken.live.tree.token

    assert verify(broken) == [
        "b'/a' may be changed in place, the node above not",
    ]


def test_impossible_generations_are_found(broken: Store) -> None:
    """Of the future, or before the node's creation."""
    node_of(broken, b"/a/b").value_changed = broken.generation + 1
    node = node_of(broken, b"/a/d")
    node.value_changed = node.perms_changed = node.names_changed = 1

    assert sorted(verify(broken)) == [
        "b'/a/b' has impossible generations",
        "b'/a/d' has impossible generations",
    ]


def test_impossible_names_are_found(broken: Store) -> None:
    """An empty one, or one that holds a slash."""
    parent = node_of(broken, b"/a/d")
    for name in (b"", b"x/y"):
        broken.usage.nodes.add(0, 1)
        broken.usage.memory.add(0, empty_size(perms(b"n0")) + len(name) + 1)
        generation = broken.clock.tick()
        parent.put_child(name, Node(parent.token, b"", parent.perms, generation))
        parent.names_changed = generation
        parent.names_size += len(name) + 1

    assert verify(broken) == [
        "b'/a/d' has a child b''",
        "b'/a/d' has a child b'x/y'",
    ]


def test_a_wrong_size_of_names_is_found(broken: Store) -> None:
    """Quotas rely on it."""
    node_of(broken, b"/a").names_size += 1
    broken.usage.memory.add(0, 1)

    assert verify(broken) == ["b'/a' has names of 4 bytes, not as kept"]


def test_children_out_of_order_are_found(broken: Store) -> None:
    """DIRECTORY lists them as they were created."""
    parent = node_of(broken, b"/a")
    parent.narrow = dict(reversed(parent.narrow.items()))

    assert verify(broken) == ["b'/a' has b'b' out of order"]


def test_a_directory_kept_in_the_wrong_form_is_found(broken: Store) -> None:
    """Wide as narrow, narrow as wide."""
    dom0 = dom0_of(broken)
    for number in range(257):
        dom0.write(b"/w/%d" % number)
        dom0.write(b"/n/%d" % number)
    wide = node_of(broken, b"/w")
    wide.narrow, wide.wide = dict(wide.children()), None
    parent = node_of(broken, b"/n")
    narrow = parent.wide
    assert narrow is not None
    for number in range(200):
        narrow.remove(b"%d" % number, broken.live.tree.token)
        broken.usage.nodes.add(0, -1)
        parent.names_size -= len(b"%d\0" % number)
        broken.usage.memory.add(0, -empty_size(perms(b"n0")) - len(b"%d\0" % number))

    assert sorted(verify(broken)) == [
        "b'/n' is narrow, but kept as wide",
        "b'/w' is wide, but kept as narrow",
    ]


def test_a_wide_directory_that_disagrees_with_itself_is_found(broken: Store) -> None:
    """Its count, its listing, a child in the wrong cell."""
    dom0 = dom0_of(broken)
    for number in range(300):
        dom0.write(b"/w/%d" % number)
    wide = node_of(broken, b"/w").wide
    assert wide is not None
    wide.count += 1
    wide.listing = b"nothing\0"
    cells = wide._root.cells
    cells[0].nodes, cells[1].nodes = cells[1].nodes, cells[0].nodes
    faults = verify(broken)

    assert "b'/w' counts 301 of 300" in faults
    assert "b'/w' lists other children than it has" in faults
    assert any(fault.startswith("b'/w' does not find ") for fault in faults)


def test_wrong_counts_are_found(broken: Store) -> None:
    """Of nodes, watches, transactions and bytes."""
    guest_of(broken, 1)
    size = broken.usage.memory.of(0)
    broken.usage.nodes.add(1, 1)
    broken.usage.watches.add(0, -1)
    broken.usage.transactions.add(1, -2)
    broken.usage.memory.add(0, 1)

    assert verify(broken) == [
        "nodes by domain are {0: 9}, kept as {0: 9, 1: 1}",
        "watches by domain are {0: 1}, kept as {}",
        "transactions by domain are {}, kept as {1: -2}",
        f"memory by domain are {{0: {size}}}, kept as {{0: {size + 1}}}",
    ]


def test_a_broken_watch_index_is_found(broken: Store) -> None:
    """A wrong count, a watch in the wrong place, a place that nobody needs."""
    index = broken.watches
    index.count += 1
    place = index.spot(at(b"/a"))
    assert place is not None
    (watch,) = index.all()
    watch.path = at(b"/a")

    assert verify(broken) == [
        "1 watches, kept as 2",
        "Watch(#1, b'/a/b', b'/a/b') is not where it belongs",
        "watch index has 4 places, needs 3",
    ]


def test_faults_at_the_top_are_told_too(broken: Store) -> None:
    """It has no path."""
    broken.live.tree.top.value_changed = broken.generation + 1

    assert verify(broken) == ["b'(top)' has impossible generations"]


def test_nodes_are_counted_from_a_path_down(broken: Store) -> None:
    """None where none is; special nodes are below no path."""
    assert count_nodes(broken, at(b"/")) == 7
    assert count_nodes(broken, at(b"/a")) == 4
    assert count_nodes(broken, at(b"/a/b/c")) == 1
    assert count_nodes(broken, at(b"/no")) == 0
    assert count_nodes(broken, at(b"@releaseDomain")) == 1
