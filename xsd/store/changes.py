"""What a request did to the store: the one record that everything else reads.

The tree is never told who watches it. Operations return changes; watch events
are derived from them, and so is whatever else wants to know what happened and why.
They tell of nodes, before and after; they are not enough to do the same again
elsewhere (see `xsd.store.state` for all that a store consists of).
"""

from typing import Final, final

from xsd.protocol.path import Path
from xsd.protocol.perms import Permissions
from xsd.store.node import Node
from xsd.store.trail import Trail

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
    """Why something changes: the input that is carried out.

    Attributes:
        connection: Number of the connection that asked, 0 if none did.
        domid: Whose that is, or whom the input is about.
        transaction: Id of the transaction on that connection, 0 for none.
        op: Type of the request, as on the wire; -1 if it is none.
    """

    __slots__ = ("connection", "domid", "op", "transaction")

    def __init__(self, connection: int, domid: int, transaction: int, op: int) -> None:
        self.connection = connection
        self.domid = domid
        self.transaction = transaction
        self.op = op

    def __repr__(self) -> str:
        numbers = (self.connection, self.domid, self.transaction, self.op)
        return f"Cause(#{numbers[0]}, dom{numbers[1]}, {numbers[2]}, {numbers[3]})"


@final
class Change:
    """One step from the old state of the store to the new one.

    Attributes:
        kind: CHANGED, IMPLIED, REMOVED, REMOVED_BELOW or REMOVED_WITHIN.
        value: Value afterwards; before it, for removals.
        perms: Permissions afterwards; before it, for removals.
        old_value: Value before, or None if there was no node.
        old_perms: Permissions before, or None if there was no node.
        removed: For removals the node as it was, with all below it.
        above_before: Permissions of the node above before, None if it was missing
            or the path is that of the root or a special name.
        above_after: The same afterwards.
        trail: The path, where many of a commit share their way; None if it stands
            alone.
        cause: Why, if that is known.
    """

    __slots__ = (
        "_path",
        "above_after",
        "above_before",
        "cause",
        "kind",
        "old_perms",
        "old_value",
        "perms",
        "removed",
        "trail",
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
        self.value = value
        self.perms = perms
        self.old_value = old_value
        self.old_perms = old_perms
        self.removed = removed
        self.above_before: Permissions | None = None
        self.above_after: Permissions | None = None
        self.trail: Trail | None = None
        self.cause: Cause | None = None
        self._path = path

    @property
    def path(self) -> Path:
        """The node; for removals the topmost one."""
        if self.trail is not None:
            return self.trail.path()
        return self._path

    def __repr__(self) -> str:
        kinds = ("CHANGED", "IMPLIED", "REMOVED", "REMOVED_BELOW", "REMOVED_WITHIN")
        return f"Change({kinds[self.kind]}, {b'/'.join(self.path)!r})"


def removal(kind: int, path: Path, node: Node) -> Change:
    """The change that takes a node and everything below it away."""
    return Change(kind, path, node.value, node.perms, node.value, node.perms, node)
