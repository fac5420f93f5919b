"""The store itself, as requests outside transactions see and change it."""

from typing import final

from xsd.protocol.path import Path, format_path
from xsd.protocol.perms import Permissions
from xsd.store.changes import CHANGED, IMPLIED, REMOVED, Cause, Change, removal
from xsd.store.exceeded import QuotaExceeded
from xsd.store.node import Node
from xsd.store.quota import MEMORY, Quotas
from xsd.store.trail import Trail
from xsd.store.tree import Tree
from xsd.store.usage import Usage
from xsd.store.view import View


@final
class Live(View):
    """The current state. Changes are made in place and listed.

    Attributes:
        usage: What each domain uses.
        cause: Why what is changed now is changed, if that is known.
        changes: What was changed and not told yet, in order.
        noting: Whether anybody wants to know; else nothing is listed.
        epoch: Grows whenever rights change otherwise than in the tree: domains
            that come, go or get a target.
    """

    __slots__ = ("cause", "changes", "epoch", "noting", "usage")

    def __init__(self, tree: Tree, quotas: Quotas, usage: Usage) -> None:
        super().__init__(tree, quotas, tracked=False)
        self.usage = usage
        self.epoch = 0
        self.cause: Cause | None = None
        self.noting = False
        self.changes: list[Change] = []

    def take_changes(self) -> list[Change]:
        """What was changed since the last call, in order."""
        changes = self.changes
        self.changes = []
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
        """Count a node for those whom it names, or with the sign -1 no longer."""
        self._charge(node.perms.owner, sign, sign * node.record_size())
        self._mention(node.perms, sign)

    def _open(self) -> None:
        """Nothing: the store is always ready."""

    def _open_to_change(self) -> None:
        """Nothing, too."""

    def _depend(self, path: Path, length: int, facets: int) -> None:
        """Nothing: no other request can come between."""

    def _created(self, path: Path, spine: list[Node], first: int) -> None:
        if not self.noting:
            return
        last = len(spine) - 1
        if first < last:
            trail = Trail(None, b"")
            for index in range(1, last):
                trail = Trail(trail, path[index - 1])
                if index >= first:
                    node = spine[index]
                    change = Change(IMPLIED, (), node.value, node.perms, None, None)
                    change.trail = trail
                    self._note(change, spine, index)
        node = spine[last]
        change = Change(CHANGED, path, node.value, node.perms, None, None)
        self._note(change, spine, last)

    def _changed(
        self, path: Path, spine: list[Node], old_value: bytes, old_perms: Permissions
    ) -> None:
        if self.noting:
            node = spine[-1]
            change = Change(CHANGED, path, node.value, node.perms, old_value, old_perms)
            self._note(change, spine, len(path))

    def _removed(self, path: Path, spine: list[Node], node: Node) -> None:
        if self.noting:
            self._note(removal(REMOVED, path, node), spine, len(path))

    def _note(self, change: Change, spine: list[Node], depth: int) -> None:
        """List a change of the node at a depth."""
        if depth > 1:
            # Nothing is changed at once with the node above.
            above = spine[depth - 1].perms
            change.above_before = change.above_after = above
        change.cause = self.cause
        self.changes.append(change)

    def _charge(self, domid: int, nodes: int, size: int) -> None:
        if nodes:
            self.usage.nodes.add(domid, nodes)
        if size:
            self.usage.memory.add(domid, size)

    def _mention(self, perms: Permissions, nodes: int) -> None:
        self.usage.mentions.add(perms, nodes)

    def _nodes_of(self, domid: int) -> int:
        return self.usage.nodes.of(domid)

    def _afford(
        self, path: Path, spine: list[Node], payer: int, growth: int, value_growth: int
    ) -> None:
        if growth > 0:
            self.check_memory(payer, growth, format_path(path))

    def _afford_removal(self, path: Path, spine: list[Node]) -> None:
        """Nothing: it makes room."""

    def _worked(self, count: int) -> None:
        self.usage.work += count

    def _saw_size(self, domid: int, size: int) -> None:
        self.usage.node_size.saw(domid, size)
