"""A store made from the records of a stream; see image.py."""

from typing import Any, Final, final

from xsd.protocol.path import Path, is_name, parse_path
from xsd.protocol.perms import Entry, Permissions
from xsd.protocol.records import SEEN, NodeData
from xsd.store.domains import Domain
from xsd.store.footprint import rebuilt
from xsd.store.image import PACKED
from xsd.store.node import Node, shared
from xsd.store.store import Store
from xsd.store.transaction import Transaction
from xsd.store.tree import find
from xsd.store.usage import Growth

LOADED: Final = -1
"""Token of what is loaded: no tree has it, so that whatever is shared is copied."""

Row = tuple[Path, Node | None]
"""A node that is another one in a version of the store, or is not there."""


class ImageError(Exception):
    """Records do not make a store."""


@final
class Nodes:
    """Makes nodes of records.

    Attributes:
        top: Top node of the store.
        rows: By connection and transaction what the transaction began with, and what
            it made of that, where these are not the store and the former.
    """

    __slots__ = (
        "_above",
        "_above_path",
        "_count",
        "_entries",
        "_lists",
        "_perms",
        "_recent",
        "_wide",
        "rows",
        "top",
    )

    def __init__(self, wide: dict[str, list[int]]) -> None:
        """Begin with no nodes at all.

        Args:
            wide: See `NodeWriter.wide`.
        """
        self._wide = wide
        self._count = 0
        self._recent: list[Node | None] = []
        self._lists: dict[tuple[Entry, ...], Permissions] = {}
        # Those of the latest node, which the next one often shares.
        self._entries: tuple[Entry, ...] = ()
        self._perms = Permissions((Entry(0, 0),))
        # Nodes come parents first, and most of them behind a sibling: the node above
        # the latest one, and what stands before the last slash of the path.
        self._above: Node | None = None
        self._above_path: bytes | None = None
        # Nodes of the same name share it.
        self.rows: dict[tuple[int, int], tuple[list[Row], list[Row]]] = {}
        self.top = Node(LOADED, b"", self._perms, 0)

    def add(self, record: NodeData) -> None:
        """Take the next record.

        Raises:
            ImageError: If the node above it is missing or it was there before.
            XenStoreError: EINVAL if the path is none.
        """
        node = self._node(record)
        self._recent.append(node)
        self._count += 1
        if record.connection:
            whose = record.connection, record.transaction
            seen, made = self.rows.setdefault(whose, ([], []))
            path = parse_path(record.path, special=True)
            (seen if record.access & SEEN else made).append((path, node))
            return
        above_path, slash, name = record.path.rpartition(b"/")
        if not slash or above_path != self._above_path or not is_name(name):
            name = self._find_above(record.path)
        above = self._above
        if above is None or above.child(name) is not None or node is None:
            raise ImageError(f"{record.path!r} cannot be there")
        node.value = shared(node.value)
        node.created = self._count
        above.put_child(shared(name), node)

    def _find_above(self, raw: bytes) -> bytes:
        """Look for the node above a path; the last part of the path."""
        path = parse_path(raw, special=True)
        self._above = find(self.top, path[:-1])
        # Not of the topmost nodes, which have no such slash.
        self._above_path = raw.rpartition(b"/")[0] if len(path) > 1 else None
        return path[-1]

    def numbers(self, body: bytes) -> None:
        """Give the latest nodes the numbers that they had.

        Raises:
            ImageError: If there are not so many nodes.
        """
        count = len(self._recent)
        size = PACKED.size * count
        # Padding may follow.
        if not size <= len(body) < size + 8:
            raise ImageError(f"{len(body)} bytes of numbers for {count} nodes")
        at = 0
        for node in self._recent:
            if node is not None:
                set_numbers(node, PACKED.unpack_from(body, at))
            at += PACKED.size
        self._recent = []

    def finish(self) -> None:
        """There are no more records.

        Raises:
            ImageError: If some nodes were not given numbers.
        """
        if self._recent:
            raise ImageError(f"{len(self._recent)} nodes without numbers")

    def _node(self, record: NodeData) -> Node | None:
        entries = record.entries
        if not entries:
            return None
        if entries is self._entries and not self._wide:
            return Node(LOADED, record.value, self._perms, 0)
        self._entries = entries
        domids = self._wide.get(str(self._count))
        if domids is not None:
            entries = tuple(
                [
                    Entry(entry.rights, domid, stale=entry.stale)
                    for entry, domid in zip(entries, domids, strict=True)
                ]
            )
        perms = self._lists.get(entries)
        if perms is None:
            perms = self._lists[entries] = Permissions(entries)
        self._perms = perms
        return Node(LOADED, record.value, perms, 0)


def set_numbers(node: Node, numbers: tuple[int, ...]) -> None:
    """Give a node the numbers of another; see `numbers_of`."""
    (
        node.created,
        node.value_changed,
        node.perms_changed,
        node.names_changed,
        node.token,
    ) = numbers


def patched(top: Node, rows: list[Row], numbers: tuple[int, ...]) -> Node:
    """Another version of a store, which shares with it what is the same.

    Args:
        top: Top node of the store.
        rows: Where they differ, parents first.
        numbers: Of the new top node.
    """
    node = top.copy(LOADED)
    set_numbers(node, numbers)
    made: dict[Path, Node] = {(): node}
    below: dict[Path, dict[bytes, Node | None]] = {}
    for path, each in rows:
        below.setdefault(path[:-1], {})[path[-1]] = each
        if each is not None:
            made[path] = each
    # Those below first: a node is shared as soon as it is another's child.
    for path in reversed(list(made)):
        _inherit(made[path], find(top, path), below.get(path, {}), is_top=not path)
    return node


def _inherit(
    node: Node, old: Node | None, changed: dict[bytes, Node | None], *, is_top: bool
) -> None:
    """Give a node the children of its former version, but for some."""
    if old is not None and not is_top:
        node.share_children(old)
    for name, child in changed.items():
        if node.child(name) is not None:
            node.remove_child(name)
        if child is not None:
            node.put_child(name, child)
    if changed:
        node.sort_children()


def restore(store: Store, nodes: Nodes, state: dict[str, Any]) -> None:
    """Make a new store what another was, but for watches and transactions.

    Args:
        store: A new one.
        nodes: Its nodes, with their numbers.
        state: See `describe_store`.

    Raises:
        ImageError: If the other had another control domain, or was in another one.
    """
    if state["who"] != [store.privileged.domid, store.own.domid]:
        raise ImageError(f"control domain and own domain were {state['who']}")
    tree = store.live.tree
    nodes.top.perms = tree.top.perms
    tree.top = nodes.top
    set_numbers(tree.top, tuple(state["top"]))
    tree.token, tree.own_size, tree.displaced, tree.kept_below = state["tree"]
    store.live.epoch = state["epoch"]
    store.usage.displaced = tree.displaced
    store.transactions.expel_at = state["expel_at"]
    store.domains.restore([_domain(store, row) for row in state["domains"]])
    hard, soft, own = state["quotas"]
    store.quotas.restore(hard, soft, {domid: dict(limits) for domid, limits in own})
    store.usage.mentions.used = _numbers(state["mentions"])
    accounts = dict(store.usage.by_quota())
    for name, (used, most, past) in state["accounts"].items():
        accounts[name].restore(_numbers(used), _numbers(most), past)


def restore_transaction(
    store: Store,
    transaction: Transaction,
    rows: tuple[list[Row], list[Row]],
    state: dict[str, Any],
) -> None:
    """Make a new transaction of the store what another was.

    Args:
        store: What `restore` has made.
        transaction: Its, and just begun.
        rows: See `Nodes.rows`.
        state: See `describe_transaction`.
    """
    tree = transaction.tree
    top = store.live.tree.top
    if state["seen"] is not None:
        top = transaction.snapshot = patched(top, rows[0], tuple(state["seen"]))
    elif state["begun"]:
        transaction.snapshot = top
    tree.top = top
    if state["made"] is not None:
        tree.top = patched(top, rows[1], tuple(state["made"]))
    tree.token, tree.own_size, tree.displaced, tree.kept_below = state["tree"]
    transaction.number = state["number"]
    transaction.since = state["since"]
    transaction.epoch = state["epoch"]
    transaction.mark = state["mark"]
    transaction.charged = state["charged"]
    transaction.failed = state["failed"]
    transaction.expelled = state["expelled"]
    transaction.undone = state["undone"]
    transaction.own_conflict = state["own_conflict"]
    growth: Growth = transaction.growth
    nodes, memory, mentions = state["growth"]
    growth.nodes.used = _numbers(nodes)
    growth.memory.used = _numbers(memory)
    growth.mentions.used = _numbers(mentions)
    footprint = transaction.footprint = rebuilt(
        [(depth, name.encode("latin-1"), *rest) for depth, name, *rest in state["rows"]]
    )
    footprint.last = state["last"]
    if transaction.snapshot is not None and not transaction.caller.privileged:
        store.usage.keep_past(
            transaction.caller.domid, transaction.number, transaction.mark
        )


def _domain(store: Store, row: list[int]) -> Domain:
    domid, unique_id, born, introduced, shut_down, port, features, target, control = row
    domain = Domain(domid, unique_id, born, privileged=bool(control))
    for known in (store.privileged, store.own):
        if known.domid == domid:
            # Whoever is connected already is this one.
            domain = known
            domain.unique_id, domain.born = unique_id, born
    domain.introduced = bool(introduced)
    domain.shut_down = bool(shut_down)
    domain.port = port
    domain.features = features
    domain.caller.target = target
    return domain


def _numbers(pairs: list[list[int]]) -> dict[int, int]:
    return {key: value for key, value in pairs}  # noqa: C416  for their types
