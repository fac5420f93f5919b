"""What of a store is written; `tests/engine/test_image.py` has whole engines."""

from xsd.protocol.path import parse_path
from xsd.protocol.perms import parse_permissions
from xsd.protocol.records import SEEN, WRITTEN, NodeData, UnknownData
from xsd.store import Store
from xsd.store.image import (
    NODES,
    NODES_AT_ONCE,
    NUMBERS,
    NodeWriter,
    difference_records,
    node_records,
    numbers_of,
)
from xsd.store.tree import find


def _write(store: Store, text: bytes) -> None:
    store.write(store.privileged.caller, parse_path(text), b"v")


def test_nodes_come_with_their_numbers_so_many_at_a_time() -> None:
    """Whoever writes a large store can do something else after each."""
    store = Store()
    for number in range(NODES_AT_ONCE):
        _write(store, b"/d/%d" % number)

    records = [*node_records(store.live.tree.top, NodeWriter())]

    numbers = [each for each in records if isinstance(each, UnknownData)]
    assert [each.kind for each in numbers] == [NODES, NODES]
    assert [len(each.body) // (8 * NUMBERS) for each in numbers] == [NODES_AT_ONCE, 6]
    assert records.index(numbers[0]) == NODES_AT_ONCE
    assert len(records) == NODES_AT_ONCE + 6 + 2


def test_a_difference_is_what_changed_came_and_went() -> None:
    """And the nodes above it, which had to be copied; nothing else is looked at."""
    store = Store()
    for text in (b"/a/kept", b"/a/changed", b"/a/gone/x", b"/b/kept"):
        _write(store, text)
    before = store.live.tree.freeze()
    _write(store, b"/a/changed")
    _write(store, b"/a/new")
    store.rm(store.privileged.caller, parse_path(b"/a/gone"))

    def told(access: int) -> list[tuple[bytes, int]]:
        now = store.live.tree.top
        rows = difference_records(before, now, NodeWriter(), (3, 4), access)
        found = []
        for row in rows:
            assert isinstance(row, NodeData)
            assert (row.connection, row.transaction) == (3, 4)
            found.append((row.path, row.access if row.entries else -1 - row.access))
        return found

    there, gone = WRITTEN, -1
    assert told(WRITTEN) == [
        (b"/", there), (b"/a", there), (b"/a/changed", there), (b"/a/new", there),
        (b"/a/gone", gone),
    ]  # fmt: skip
    assert [row[1] for row in told(SEEN)] == [SEEN, SEEN, SEEN, SEEN, -1 - SEEN]


def test_domain_ids_of_more_than_16_bits_are_noted_apart() -> None:
    """A record has no room for them."""
    store = Store()
    _write(store, b"/a")
    perms = parse_permissions([b"n0", b"r70000"])
    store.set_perms(store.privileged.caller, parse_path(b"/a"), perms)
    writer = NodeWriter()
    node = find(store.live.tree.top, parse_path(b"/a"))
    assert node is not None

    writer.record(b"/", store.live.tree.top)
    writer.record(b"/a", node)

    assert writer.wide == {"1": [0, 70000]}
    assert len(numbers_of(node)) == NUMBERS
