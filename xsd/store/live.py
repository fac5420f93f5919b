"""The store itself, as requests outside transactions see and change it."""

from typing import final

from xsd.protocol.path import Path, format_path
from xsd.protocol.perms import Permissions
from xsd.store.changes import CHANGED, IMPLIED, REMOVED, Change, removal
from xsd.store.exceeded import QuotaExceeded
from xsd.store.node import Node
from xsd.store.quota import MEMORY, Quotas
from xsd.store.tree import Tree
from xsd.store.usage import Usage
from xsd.store.view import View


@final
class Live(View):
    """The current state. Changes are made in place and listed.

    Attributes:
        usage: What each domain uses.
        epoch: Grows whenever rights change otherwise than in the tree: domains
            that come, go or get a target.
    """

    __slots__ = ("_changes", "epoch", "usage")

    def __init__(self, tree: Tree, quotas: Quotas, usage: Usage) -> None:
        super().__init__(tree, quotas)
        self.usage = usage
        self.epoch = 0
        self._changes: list[Change] = []

    def take_changes(self) -> list[Change]:
        """What was changed since the last call, in order."""
        changes = self._changes
        self._changes = []
        return changes

    def check_memory(self, domid: int, more: int, path: bytes = b"") -> None:
        """Check that there is room for so many more bytes of a domain.

        Raises:
            XenStoreError: ENOMEM; the path is for the log.
        """
        limit = self._quotas.limit(domid, MEMORY)
        if 0 < limit < self.usage.memory.of(domid) + more:
            raise QuotaExceeded(domid, MEMORY, limit, path)

    def charge_node(self, node: Node, sign: int) -> None:
        """Count a node for its owner, or with the sign -1 no longer."""
        self._charge(node.perms.owner, sign, sign * node.record_size())

    def _open(self) -> None:
        """Nothing: the store is always ready."""

    def _depend(self, path: Path, length: int, facets: int) -> None:
        """Nothing: no other request can come between."""

    def _created(self, path: Path, node: Node, *, by_name: bool) -> None:
        kind = CHANGED if by_name else IMPLIED
        self._changes.append(Change(kind, path, node.value, node.perms, None, None))

    def _changed(
        self, path: Path, node: Node, old_value: bytes, old_perms: Permissions
    ) -> None:
        self._changes.append(
            Change(CHANGED, path, node.value, node.perms, old_value, old_perms)
        )

    def _removed(self, path: Path, node: Node) -> None:
        self._changes.append(removal(REMOVED, path, node))

    def _charge(self, domid: int, nodes: int, size: int) -> None:
        if nodes:
            self.usage.nodes.add(domid, nodes)
        if size:
            self.usage.memory.add(domid, size)

    def _nodes_of(self, domid: int) -> int:
        return self.usage.nodes.of(domid)

    def _afford(
        self, path: Path, spine: list[Node], payer: int, growth: int, value_growth: int
    ) -> None:
        if growth > 0:
            self.check_memory(payer, growth, format_path(path))

    def _worked(self, count: int) -> None:
        self.usage.work += count

    def _saw_size(self, domid: int, size: int) -> None:
        self.usage.node_size.saw(domid, size)
