"""What a request did to the store: the one record that everything else reads.

The tree is never told who watches it. Operations return changes; watch events
are derived from them, and so is whatever else must know what happened. A list
of changes says all that is needed to do the same again to another store.
"""

from typing import Final, final

from xsd.protocol.path import Path
from xsd.protocol.perms import Permissions
from xsd.store.node import Node

CHANGED: Final = 0
"""A node was written, made or given permissions by name, or lost its content."""

IMPLIED: Final = 1
"""A node was made on the way to another. Nobody is told."""

REMOVED: Final = 2
"""A node went with everything below it; its parent is still there."""

REMOVED_BELOW: Final = 3
"""As REMOVED, and a later change of the same commit took the parent too."""

REMOVED_WITHIN: Final = 4
"""An RM named the node, and an earlier change of the same commit took its parent."""


@final
class Cause:
    __slots__ = ("connection", "domid", "transaction", "op")

    def __init__(self, connection: int, domid: int, transaction: int, op: int) -> None:
        self.connection = connection
        self.domid = domid
        self.transaction = transaction
        self.op = op


@final
class Change:
    """One step from the old state of the store to the new one.

    Attributes:
        kind: CHANGED, IMPLIED, REMOVED, REMOVED_BELOW or REMOVED_WITHIN.
        path: The node; for removals the topmost one.
        value: Value afterwards; before it, for removals.
        perms: Permissions afterwards; before it, for removals.
        old_value: Value before, or None if there was no node.
        old_perms: Permissions before, or None if there was no node.
        removed: For removals the node as it was, with all below it.
    """

    __slots__ = (
        "cause",
        "kind",
        "old_perms",
        "old_value",
        "path",
        "perms",
        "removed",
        "value",
    )

    def __init__(
        self,
        kind: int,
        path: Path,
        value: bytes,
        perms: Permissions,
        old_value: bytes | None,
        old_perms: Permissions | None,
        removed: Node | None = None,
    ) -> None:
        self.kind = kind
        self.cause: Cause | None = None
        self.path = path
        self.value = value
        self.perms = perms
        self.old_value = old_value
        self.old_perms = old_perms
        self.removed = removed

    def __repr__(self) -> str:
        kinds = ("CHANGED", "IMPLIED", "REMOVED", "REMOVED_BELOW", "REMOVED_WITHIN")
        return f"Change({kinds[self.kind]}, {b'/'.join(self.path)!r})"


def removal(kind: int, path: Path, node: Node) -> Change:
    """The change that takes a node and everything below it away."""
    return Change(kind, path, node.value, node.perms, node.value, node.perms, node)
