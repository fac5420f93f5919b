"""A node of the tree, and how versions of the tree share it.

Every tree has a token. A node that carries it belongs to that tree alone and
may be changed in place; any other may be shared with a snapshot and is copied
before its first change, as are the nodes above it (the design of QEMU's
emulated XenStore, with tokens in the place of reference counts). Giving the
tree a new token is then all it takes to make a snapshot.
"""

from typing import Final, final

from xsd.protocol.perms import Permissions
from xsd.store.children import NARROW_BELOW, WIDE_ABOVE, WideChildren


@final
class Node:
    """Value, permissions and children of one path.

    Attributes:
        token: Tree that may change this object in place.
        value: Any bytes.
        perms: Immutable, shared by many nodes.
        created: Generation in which the node came into being; tells it from an
            earlier node of the same path and gives the order among siblings.
        value_changed: Generation of the last change of the value.
        perms_changed: Generation of the last change of the permissions.
        names_changed: Generation of the last child made or removed.
        names_size: Bytes of `listing`; kept by whoever adds and removes children.
        narrow: Children, while they are few; read it only to look one up.
        wide: Children, once they are many.
    """

    __slots__ = (
        "created",
        "names_changed",
        "names_size",
        "narrow",
        "perms",
        "perms_changed",
        "token",
        "value",
        "value_changed",
        "wide",
    )

    def __init__(
        self, token: int, value: bytes, perms: Permissions, generation: int
    ) -> None:
        self.token = token
        self.value = value
        self.perms = perms
        self.created = generation
        self.value_changed = generation
        self.perms_changed = generation
        self.names_changed = generation
        self.names_size = 0
        self.narrow = _NONE
        self.wide: WideChildren | None = None

    @property
    def generation(self) -> int:
        """Generation of the last change of any kind."""
        return max(self.value_changed, self.perms_changed, self.names_changed)

    def copy(self, token: int) -> "Node":
        """The same node for another tree; the children stay shared."""
        node = Node(token, self.value, self.perms, self.created)
        node.value_changed = self.value_changed
        node.perms_changed = self.perms_changed
        node.names_changed = self.names_changed
        node.names_size = self.names_size
        if self.narrow:
            node.narrow = self.narrow.copy()
        elif self.wide is not None:
            node.wide = self.wide.copy()
        return node

    def child(self, name: bytes) -> "Node | None":
        """The child of that name, or None."""
        found = self.narrow.get(name)
        if found is None and self.wide is not None:
            return self.wide.get(name)
        return found

    def put_child(self, name: bytes, node: "Node") -> None:
        """Add a child or replace it; only on a node that may be changed."""
        wide = self.wide
        if wide is not None:
            wide.put(name, node, self.token)
            return
        children = self.narrow
        if not children:
            self.narrow = {name: node}
            return
        children[name] = node
        if len(children) > WIDE_ABOVE:
            wide = self.wide = WideChildren(self.token)
            for each, below in children.items():
                wide.put(each, below, self.token)
            self.narrow = _NONE

    def remove_child(self, name: bytes) -> None:
        """Take out a child that is there; only on a node that may be changed."""
        wide = self.wide
        if wide is None:
            del self.narrow[name]
            return
        wide.remove(name, self.token)
        if wide.count < NARROW_BELOW:
            self.narrow = dict(wide.items())
            self.wide = None

    def children(self) -> "list[tuple[bytes, Node]]":
        """Names and child nodes in the order of creation."""
        if self.wide is not None:
            return self.wide.items()
        return list(self.narrow.items())

    def child_count(self) -> int:
        """Number of children."""
        if self.wide is not None:
            return self.wide.count
        return len(self.narrow)

    def listing(self) -> bytes:
        """Names of the children in order, each followed by a NUL."""
        if self.wide is not None:
            return self.wide.listing()
        children = self.narrow
        return b"\0".join([*children, b""]) if children else b""

    def unlisted_count(self) -> int:
        """Number of children that `listing` has to look at; few are none."""
        wide = self.wide
        return 0 if wide is None or wide.is_listed else wide.count

    def record_size(self) -> int:
        """Bytes that count against the quota ``node-size`` (C's record)."""
        return empty_size(self.perms) + len(self.value) + self.names_size


RECORD_HEADER: Final = 16
RECORD_ENTRY: Final = 8


def empty_size(perms: Permissions) -> int:
    """Bytes of the record of a node without value and children."""
    return RECORD_HEADER + RECORD_ENTRY * len(perms.entries)


def name_size(name: bytes) -> int:
    """Bytes that a child takes in the record of its parent."""
    return len(name) + 1


_NONE: Final[dict[bytes, Node]] = {}
"""Children of every leaf; never changed."""
