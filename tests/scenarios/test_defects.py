"""Defects that other XenStore daemons had, each kept from coming back here.

Most are of QEMU's emulated XenStore or of C xenstored; those at the end are about
sizes that a careless implementation does not survive. Paths that are made in part are
XSA-414 and XSA-415, deep ones XSA-418.
"""

import tracemalloc
from collections.abc import Callable

import pytest

from tests.store.support import Client, dom0_of, guest_of, shape, watched
from xsd.protocol.errors import XenStoreError
from xsd.protocol.ops import Op
from xsd.protocol.path import parse_path
from xsd.protocol.request import OWN, GetFeature, parse_request
from xsd.store import Store
from xsd.store.check import verify

WIDTH = 100_000


@pytest.fixture
def dom0() -> Client:
    """The privileged domain of a new store."""
    return dom0_of(Store())


# Paths.


@pytest.mark.parametrize(
    "path", [b"/a/", b"/a/b/", b"a/", b"//", b"/local/domain/", b"", b"/a//b"]
)
def test_a_path_does_not_end_in_a_slash(path: bytes) -> None:
    """EINVAL, also for what looks like the beginning of a home (XSA-481)."""
    with pytest.raises(XenStoreError, match="EINVAL"):
        parse_path(path, b"/local/domain/1", special=True)


def test_get_feature_of_one_nul_is_no_request_for_dom0() -> None:
    """An empty string is no number; no argument at all asks for one's own."""
    with pytest.raises(XenStoreError, match="EINVAL"):
        parse_request(Op.GET_FEATURE, b"\0")

    request = parse_request(Op.GET_FEATURE, b"")
    assert isinstance(request, GetFeature)
    assert request.domid == OWN


# Watches.


def test_a_watch_on_the_root_goes_on_firing(dom0: Client) -> None:
    """For the root itself, for a child, for what is deep below; in commits too."""
    watched(dom0, b"/")
    for path in (b"/", b"/a", b"/a/b/c"):
        for _ in range(2):
            assert dom0.write(path) == [(path, b"/")]
    transaction = dom0.start()
    transaction.write(b"/a/b/c")

    assert transaction.commit() == [(b"/a/b/c", b"/")]


def test_unwatching_the_second_of_three_watches_leaves_two(dom0: Client) -> None:
    """On one path, in whichever order the others go afterwards."""
    watches = [dom0.watch(b"/a", token) for token in (b"1", b"2", b"3")]
    store = dom0.store
    store.unwatch(watches[1])

    assert dom0.write(b"/a") == [(b"/a", b"1"), (b"/a", b"3")]
    store.unwatch(watches[0])
    assert dom0.write(b"/a") == [(b"/a", b"3")]
    store.unwatch(watches[2])
    assert dom0.write(b"/a") == []
    assert verify(store) == []


def test_two_disjoint_removals_in_one_transaction_both_reach_the_ancestors(
    dom0: Client,
) -> None:
    """Each is told by its own topmost node."""
    dom0.write(b"/a/b/c")
    dom0.write(b"/a/d/e")
    watched(dom0, b"/", b"/a")
    transaction = dom0.start()
    transaction.rm(b"/a/b")
    transaction.rm(b"/a/d")

    assert transaction.commit() == [
        (b"/a/b", b"/"),
        (b"/a/b", b"/a"),
        (b"/a/d", b"/"),
        (b"/a/d", b"/a"),
    ]


# Transactions.


def test_a_node_removed_in_a_transaction_is_missing_in_it(dom0: Client) -> None:
    """To READ, DIRECTORY, GET_PERMS and SET_PERMS, and in its parent's list."""
    dom0.write(b"/a/b", b"1")
    transaction = dom0.start()
    transaction.rm(b"/a")

    assert transaction.directory(b"/") == [b"tool"]
    for request in (transaction.read, transaction.directory, transaction.get_perms):
        for path in (b"/a", b"/a/b"):
            with pytest.raises(XenStoreError, match="ENOENT"):
                request(path)
    with pytest.raises(XenStoreError, match="ENOENT"):
        transaction.set_perms(b"/a", b"r0")
    transaction.rm(b"/a")
    with pytest.raises(XenStoreError, match="ENOENT"):
        transaction.rm(b"/a/b")


def test_a_node_removed_twice_in_a_transaction_is_counted_once(dom0: Client) -> None:
    """The counters are those of the nodes that are left."""
    dom0.write(b"/a/b/c")
    transaction = dom0.start()
    transaction.rm(b"/a/b")
    transaction.rm(b"/a/b")
    transaction.rm(b"/a")
    transaction.commit()

    assert dom0.store.usage.nodes.used == {0: 5}
    assert verify(dom0.store) == []


def test_mkdir_of_an_existing_node_succeeds_and_changes_nothing(dom0: Client) -> None:
    """No value is lost, nobody is told, no count grows; in a transaction neither."""
    dom0.write(b"/a/b", b"1")
    before = shape(dom0.store)
    generation = dom0.store.generation
    watched(dom0, b"/")

    assert dom0.mkdir(b"/a/b") == []
    assert dom0.store.generation == generation
    transaction = dom0.start()
    transaction.mkdir(b"/a/b")
    assert transaction.commit() == []
    assert shape(dom0.store) == before
    assert verify(dom0.store) == []


def test_permissions_for_all_domains_can_be_set_by_dom0(dom0: Client) -> None:
    """Over its socket, which belongs to no domain's ring; even as the owner."""
    guest = guest_of(dom0.store)
    dom0.write(b"/a", b"1")
    dom0.set_perms(b"/a", b"n0", b"r32757")
    assert guest.read(b"/a") == b"1"
    dom0.set_perms(b"/a", b"n32757")

    guest.write(b"/a", b"2")
    assert dom0.read(b"/a") == b"2"
    assert verify(dom0.store) == []


# Sizes.


@pytest.mark.slow
def test_removals_from_the_bottom_up_cost_no_more_than_one(dom0: Client) -> None:
    """A commit looks at each node once, however many removals it was part of."""
    watched(dom0, b"/")
    levels = [b"/x" * level for level in range(1, 901)]
    dom0.write(levels[-1])
    transaction = dom0.start()
    for path in reversed(levels):
        transaction.rm(path)
    transaction.write(levels[-1], b"1")

    assert transaction.commit() == [(levels[-1], b"/")]
    assert verify(dom0.store) == []


@pytest.mark.slow
def test_a_change_in_a_very_wide_directory_costs_as_in_a_small_one() -> None:
    """After a snapshot no more than the way to the child is copied.

    What is measured is memory: a copy of 100,000 children takes several MiB.
    """
    store = Store()
    dom0 = dom0_of(store)
    for number in range(WIDTH):
        store.live.mkdir(dom0.caller, (b"", b"w", b"%d" % number))
    store.live.take_changes()
    requests: list[Callable[[Client], object]] = [
        lambda client: client.write(b"/w/7", b"1"),
        lambda client: client.set_perms(b"/w/7", b"r0"),
        lambda client: client.mkdir(b"/w/7/x"),
        lambda client: client.mkdir(b"/w/new"),
        lambda client: client.rm(b"/w/new"),
        lambda client: client.rm(b"/w/7"),
    ]
    costs: list[int] = []
    tracemalloc.start()
    try:
        for request in requests:
            reader, writer = dom0.start(), dom0.start()
            reader.read(b"/w/99999")
            tracemalloc.reset_peak()
            before, _peak = tracemalloc.get_traced_memory()
            request(writer)
            writer.commit()
            reader.commit()
            _after, peak = tracemalloc.get_traced_memory()
            costs.append(peak - before)
    finally:
        tracemalloc.stop()

    assert max(costs) < 64 * 1024


@pytest.mark.slow
def test_a_very_wide_directory_is_listed_in_parts(dom0: Client) -> None:
    """In the order of creation, whole names in each, until the end mark."""
    store = dom0.store
    for number in range(WIDTH):
        store.live.mkdir(dom0.caller, (b"", b"w", b"%d" % number))
    store.live.take_changes()
    names = b""
    while True:
        part = dom0.directory_part(b"/w", len(names)).partition(b"\0")[2]
        assert len(part) <= 4096
        if part.endswith(b"\0\0"):
            names += part[:-1]
            break
        assert part.endswith(b"\0")
        names += part

    assert names == b"".join([b"%d\0" % number for number in range(WIDTH)])
    with pytest.raises(XenStoreError, match="E2BIG"):
        dom0.directory(b"/w")
