"""Defects that other XenStore daemons had, each kept from coming back here.

Most are of QEMU's emulated XenStore or of C xenstored; those at the end are about
sizes that a careless implementation does not survive. Paths that are made in part are
XSA-414 and XSA-415, deep ones XSA-418.
"""

import tracemalloc
from collections.abc import Callable
from typing import Final

import pytest

from tests.store.script import Play
from tests.store.support import Client, dom0_of, shape, watched
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


RULES: Final[dict[str, str]] = {
    "a watch on the root goes on firing, for what is deep below and in commits too": """
        watch /
        write / -> /:/; write / -> /:/
        write /a -> /a:/; write /a -> /a:/
        write /a/b/c -> /a/b/c:/; write /a/b/c -> /a/b/c:/
        start t1; t1 write /a/b/c; t1 commit -> /a/b/c:/
    """,
    "unwatching the second of three watches leaves two": """
        watch /a 1; watch /a 2; watch /a 3
        unwatch 2; write /a -> /a:1 /a:3
        unwatch 1; write /a -> /a:3
        unwatch 3; write /a -> -
    """,
    "two disjoint removals in one transaction both reach the ancestors": """
        write /a/b/c; write /a/d/e; watch /; watch /a
        start t1; t1 rm /a/b; t1 rm /a/d
        t1 commit -> /a/b:/ /a/b:/a /a/d:/ /a/d:/a
    """,
    "a node removed in a transaction is missing in it, and in its parent's list": """
        write /a/b 1; start t1; t1 rm /a
        t1 dir / -> tool
        t1 read /a -> ENOENT; t1 dir /a -> ENOENT; t1 get /a -> ENOENT
        t1 read /a/b -> ENOENT; t1 dir /a/b -> ENOENT; t1 get /a/b -> ENOENT
        t1 set /a r0 -> ENOENT
        t1 rm /a; t1 rm /a/b -> ENOENT
    """,
    "a node removed twice in a transaction is counted once": """
        write /a/b/c; start t1
        t1 rm /a/b; t1 rm /a/b; t1 rm /a; t1 commit; dir / -> tool
    """,
    # Over its socket, which belongs to no domain's ring.
    "permissions for all domains can be set by dom0, even as the owner": """
        1 read / -> EACCES; write /a 1
        set /a n0 r32757; 1 read /a -> 1
        set /a n32757; 1 write /a 2; read /a -> 2
    """,
}


@pytest.mark.parametrize("rule", RULES)
def test_defect_is_not_here(rule: str) -> None:
    """Of watches and transactions; the store is consistent afterwards."""
    store = Store()
    Play(store).run(RULES[rule])
    assert verify(store) == []


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
