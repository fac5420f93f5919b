"""The store itself, as requests outside transactions see and change it."""

from typing import final

from protocol.path import Path
from protocol.perms import Permissions
from xsd.store.changes import CHANGED, IMPLIED, REMOVED, Change, removal
from xsd.store.node import Node
from xsd.store.quota import Account, Quotas
from xsd.store.tree import Tree
from xsd.store.view import View


@final
class Live(View):
    """The current state. Changes are made in place and listed.

    Attributes:
        nodes: How many nodes each domain owns.
        epoch: Grows whenever rights change otherwise than in the tree: domains
            that come, go or get a target.
    """

    __slots__ = ("_changes", "epoch", "nodes")

    def __init__(self, tree: Tree, quotas: Quotas, nodes: Account) -> None:
        super().__init__(tree, quotas)
        self.nodes = nodes
        self.epoch = 0
        self._changes: list[Change] = []

    def take_changes(self) -> list[Change]:
        """What was changed since the last call, in order."""
        changes = self._changes
        self._changes = []
        return changes

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

    def _charge(self, domid: int, count: int) -> None:
        self.nodes.add(domid, count)

    def _nodes_of(self, domid: int) -> int:
        return self.nodes.of(domid)
