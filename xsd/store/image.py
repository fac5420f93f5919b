"""The store as records of Xen's stream, and back: nodes, and what has none of Xen's.

Xen's records say what every daemon has to know. Ours has more: generations, which
decide what conflicts, maxima, open transactions with the states they began with. That
stands in records of our own, which others skip: `STATE`, JSON with a value for each
part, and `NODES`, five numbers for each node record since the last of them. With both
a store is loaded as it was, so that the same inputs make the same of it; without them
it is made up from Xen's records, as after a live update from C xenstored.
"""

import struct
from collections.abc import Iterator
from typing import Any, Final, final

from xsd.protocol.path import Path, format_path
from xsd.protocol.records import (
    SEEN,
    WRITTEN,
    NodeData,
    Record,
    TransactionData,
    UnknownData,
)
from xsd.store.domains import Domain
from xsd.store.node import Node
from xsd.store.store import Store
from xsd.store.transaction import Transaction
from xsd.store.tree import find

STATE: Final = 0x78736400
"""Type of the record with the rest of the state."""

NODES: Final = 0x78736401
"""Type of the records with numbers of nodes."""

NODES_AT_ONCE: Final = 1000
"""Most nodes of one such record."""

NUMBERS: Final = 5
"""How many there are of each node."""

PACKED: Final = struct.Struct(f"<{NUMBERS}q")
"""Those of a node as they are written; see `numbers_of`."""


@final
class NodeWriter:
    """Turns nodes into records, and notes of each what these have no room for.

    Attributes:
        wide: Permissions whose domain ids have more than 16 bits, by the number of the
            node record.
    """

    __slots__ = ("_count", "_numbers", "wide")

    def __init__(self) -> None:
        self._numbers: list[bytes] = []
        self._count = 0
        self.wide: dict[str, list[int]] = {}

    def record(
        self,
        path: bytes,
        node: Node,
        connection: int = 0,
        transaction: int = 0,
        access: int = 0,
    ) -> NodeData:
        """The record of a node."""
        entries = node.perms.entries
        for entry in entries:
            if entry.domid > 0xFFFF:
                self.wide[str(self._count)] = [each.domid for each in entries]
                break
        self._note(
            PACKED.pack(
                node.created,
                node.value_changed,
                node.perms_changed,
                node.names_changed,
                node.token,
            )
        )
        return NodeData(path, node.value, entries, connection, transaction, access)

    def missing(
        self, path: bytes, connection: int, transaction: int, access: int
    ) -> NodeData:
        """The record of a node that is not there."""
        self._note(bytes(PACKED.size))
        return NodeData(path, b"", (), connection, transaction, access)

    def full(self) -> bool:
        """Tell whether it is time for `flush`."""
        return len(self._numbers) >= NODES_AT_ONCE

    def flush(self) -> UnknownData:
        """The numbers of the nodes since the last time."""
        numbers = self._numbers
        self._numbers = []
        return UnknownData(NODES, b"".join(numbers))

    def _note(self, numbers: bytes) -> None:
        self._numbers.append(numbers)
        self._count += 1


def numbers_of(node: Node) -> list[int]:
    """What of a node is no part of its record."""
    return [
        node.created,
        node.value_changed,
        node.perms_changed,
        node.names_changed,
        node.token,
    ]


def node_records(top: Node, writer: NodeWriter) -> Iterator[Record]:
    """All nodes below a top node, parents first, siblings in order.

    Whatever has begun with it may go on later: what a top node leads to must not
    change meanwhile (see `Tree.freeze`).
    """
    rest = top.children()
    rest.reverse()
    while rest:
        path, node = rest.pop()
        yield writer.record(path or b"/", node)
        if writer.full():
            yield writer.flush()
        if node.child_count():
            below = node.children()
            below.reverse()
            path += b"/"
            for name, child in below:
                rest.append((path + name, child))
    yield writer.flush()


def difference_records(
    before: Node, after: Node, writer: NodeWriter, whose: tuple[int, int], access: int
) -> Iterator[Record]:
    """What of a version of the store is not what it is in another, parents first.

    Args:
        before: Top node of the other.
        after: Top node of the version.
        writer: It.
        whose: Number of a connection, and of a transaction there.
        access: Of the records of what is there.
    """
    rest: list[tuple[Path, Node | None]] = [((), after)]
    while rest:
        path, node = rest.pop()
        old = find(before, path)
        if path:
            raw = format_path(path)
            if node is None:
                yield writer.missing(raw, *whose, access & 1)
            else:
                yield writer.record(raw, node, *whose, access)
        if node is None:
            continue
        below: list[tuple[Path, Node | None]] = []
        for name, child in node.children():
            if old is None or old.child(name) is not child:
                below.append(((*path, name), child))
        if old is not None:
            for name, _was in old.children():
                if node.child(name) is None:
                    below.append(((*path, name), None))
        below.reverse()
        rest.extend(below)


def describe_store(store: Store) -> dict[str, Any]:
    """All of a store's state that is neither a node's nor a client's, for JSON."""
    live = store.live
    tree = live.tree
    hard, soft, own = store.quotas.described()
    return {
        "who": [store.privileged.domid, store.own.domid],
        "clock": [store.clock.now, store.clock.beats],
        "epoch": live.epoch,
        "tree": [tree.token, tree.own_size, tree.displaced, tree.kept_below],
        "top": numbers_of(tree.top),
        "expel_at": store.transactions.expel_at,
        "registered": store.watches.registered,
        "domains": [_domain(domain) for domain in store.domains.all()],
        "quotas": [hard, soft, own],
        "accounts": {
            name: [_pairs(account.used), _pairs(account.most), account.described()[2]]
            for name, account in store.usage.by_quota()
        },
        "mentions": _pairs(store.usage.mentions.used),
    }


def transaction_records(
    store: Store,
    transaction: Transaction,
    writer: NodeWriter,
    connection: int,
    number: int,
) -> Iterator[Record]:
    """An open transaction, with what of its versions is not what the store is.

    What it began with is in nodes that it has seen, what it made of that in nodes that
    it has written or deleted.
    """
    yield TransactionData(connection, number)
    whose = connection, number
    now = store.live.tree.top
    snapshot = transaction.snapshot
    base = now if snapshot is None else snapshot
    if base is not now:
        yield from difference_records(now, base, writer, whose, SEEN)
    if snapshot is not None and transaction.tree.top is not base:
        yield from difference_records(
            base, transaction.tree.top, writer, whose, WRITTEN
        )
    yield writer.flush()


def describe_transaction(store: Store, transaction: Transaction) -> dict[str, Any]:
    """What of an open transaction is no part of its records, for JSON."""
    tree = transaction.tree
    snapshot = transaction.snapshot
    is_now = snapshot is None or snapshot is store.live.tree.top
    is_unchanged = snapshot is None or snapshot is tree.top
    growth = transaction.growth
    return {
        "number": transaction.number,
        "begun": snapshot is not None,
        "seen": None if snapshot is None or is_now else numbers_of(snapshot),
        "made": None if is_unchanged else numbers_of(tree.top),
        "tree": [tree.token, tree.own_size, tree.displaced, tree.kept_below],
        "since": transaction.since,
        "epoch": transaction.epoch,
        "mark": transaction.mark,
        "charged": transaction.charged,
        "failed": transaction.failed,
        "expelled": transaction.expelled,
        "undone": transaction.undone,
        "own_conflict": transaction.own_conflict,
        "growth": [
            _pairs(growth.nodes.used),
            _pairs(growth.memory.used),
            _pairs(growth.mentions.used),
        ],
        "rows": [
            [depth, name.decode("latin-1"), *rest]
            for depth, name, *rest in transaction.footprint.listed()
        ],
        "last": transaction.footprint.last,
    }


def _domain(domain: Domain) -> list[int]:
    return [
        domain.domid,
        domain.unique_id,
        domain.born,
        domain.introduced,
        domain.shut_down,
        domain.port,
        domain.features,
        domain.caller.target,
        domain.caller.privileged,
    ]


def _pairs(numbers: dict[int, int]) -> list[list[int]]:
    return [[key, value] for key, value in numbers.items()]
