"""A node of the tree, and how versions of the tree share it.

Every tree has a token. A node that carries it belongs to that tree alone and
may be changed in place; any other may be shared with a snapshot and is copied
before its first change, as are the nodes above it (the design of QEMU's
emulated XenStore, with tokens in the place of reference counts). Giving the
tree a new token is then all it takes to make a snapshot.
"""

from typing import Final, cast, final

from mypy_extensions import i64

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
        narrow: Children, while they are few: their names in the order of creation,
            then the nodes in the same order. One small object: to look a name up in it
            does not take a look at any other child.
        wide: Children, once they are many.
    """

    __slots__ = (
        "created",
        "names_changed",
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
        self.narrow: tuple[object, ...] = ()
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
        node.narrow = self.narrow
        if self.wide is not None:
            node.wide = self.wide.copy()
        return node

    def child(self, name: bytes) -> "Node | None":
        """The child of that name, or None."""
        narrow = self.narrow
        # This is the way of every request: native integers, and no look at a node.
        count: i64 = len(narrow) >> 1
        left = count
        for each in narrow:
            if each is name or cast("bytes", each) == name:
                return cast("Node", narrow[count + count - left])
            left -= 1
            if left == 0:
                break
        wide = self.wide
        return None if wide is None else wide.get(name)

    def put_child(self, name: bytes, node: "Node") -> None:
        """Add a child or replace it; only on a node that may be changed.

        A child that is added is the last one.
        """
        wide = self.wide
        if wide is not None:
            wide.put(name, node, self.token)
            return
        narrow = self.narrow
        if not narrow:
            self.narrow = (name, node)
            return
        row = list(narrow)
        # As in `child`: a commit does this at each level.
        count: i64 = len(narrow) >> 1
        left = count
        for each in narrow:
            if left == 0:
                break
            if each is name or cast("bytes", each) == name:
                row[count + count - left] = node
                self.narrow = tuple(row)
                return
            left -= 1
        row.insert(count, name)
        row.append(node)
        self.narrow = tuple(row)
        if count == WIDE_ABOVE:
            wide = WideChildren(self.token)
            for each, below in self.children():
                wide.put(each, below, self.token)
            self.narrow = ()
            self.wide = wide

    def remove_child(self, name: bytes) -> None:
        """Take out a child that is there; only on a node that may be changed."""
        wide = self.wide
        if wide is None:
            row = list(self.narrow)
            index = row.index(name)
            del row[(len(row) >> 1) + index]
            del row[index]
            self.narrow = tuple(row)
            return
        wide.remove(name, self.token)
        if wide.count < NARROW_BELOW:
            self._set_narrow(wide.items())
            self.wide = None

    def sort_children(self) -> None:
        """Bring children that were put in any order into that of creation."""
        if self.wide is not None:
            self.wide.sort()
        else:
            self._set_narrow(sorted(self.children(), key=_created))

    def share_children(self, other: "Node") -> None:
        """Have the children that another node has."""
        self.narrow = other.narrow
        self.wide = None if other.wide is None else other.wide.copy()

    def children(self) -> "list[tuple[bytes, Node]]":
        """Names and child nodes in the order of creation."""
        if self.wide is not None:
            return self.wide.items()
        narrow = self.narrow
        count = len(narrow) >> 1
        found: list[tuple[bytes, Node]] = []
        for index in range(count):
            node = cast("Node", narrow[count + index])
            found.append((cast("bytes", narrow[index]), node))
        return found

    def nodes(self) -> "list[Node]":
        """The child nodes in any order."""
        if self.wide is not None:
            return self.wide.nodes()
        narrow = self.narrow
        return cast("list[Node]", list(narrow[len(narrow) >> 1 :]))

    def child_count(self) -> int:
        """Number of children."""
        if self.wide is not None:
            return self.wide.count
        return len(self.narrow) >> 1

    @property
    def names_size(self) -> int:
        """Bytes of `listing`."""
        if self.wide is not None:
            return self.wide.size
        narrow = self.narrow
        left: i64 = len(narrow) >> 1
        size = left
        for each in narrow:
            size += len(cast("bytes", each))
            left -= 1
            if left == 0:
                break
        return size

    def listing(self) -> bytes:
        """Names of the children in order, each followed by a NUL."""
        if self.wide is not None:
            return self.wide.listing()
        narrow = self.narrow
        if not narrow:
            return b""
        names = cast("list[bytes]", list(narrow[: len(narrow) >> 1]))
        return b"\0".join(names) + b"\0"

    def listing_from(self, offset: int, size: int) -> tuple[int, bytes]:
        """A part of `listing` that has so many bytes from an offset on, and where."""
        if self.wide is not None:
            return self.wide.listing_from(offset, size)
        return 0, self.listing()

    def row_count(self) -> int:
        """Rows that `listing_from` may have to pass over; few names are in none."""
        return 0 if self.wide is None else self.wide.row_count()

    def record_size(self) -> int:
        """Bytes that count against the quota ``node-size`` (C's record)."""
        return empty_size(self.perms) + len(self.value) + self.names_size

    def _set_narrow(self, items: "list[tuple[bytes, Node]]") -> None:
        row: list[object] = [name for name, _node in items]
        row.extend([node for _name, node in items])
        self.narrow = tuple(row)


RECORD_HEADER: Final = 16
RECORD_ENTRY: Final = 8


def empty_size(perms: Permissions) -> int:
    """Bytes of the record of a node without value and children."""
    return RECORD_HEADER + RECORD_ENTRY * len(perms.entries)


def name_size(name: bytes) -> int:
    """Bytes that a child takes in the record of its parent."""
    return len(name) + 1


_SHARED_MAX: Final = 4096
_SHARED_BYTES: Final = 64

_shared: Final[dict[bytes, bytes]] = {}
"""Names and values that nodes may share: the same few come again in each domain."""


def shared(text: bytes) -> bytes:
    """The same name or value, as an object that other nodes may have for theirs."""
    known = _shared.get(text)
    if known is None:
        known = text
        if len(text) <= _SHARED_BYTES:
            if len(_shared) == _SHARED_MAX:
                _shared.clear()
            _shared[text] = text
    return known


def _created(item: "tuple[bytes, Node]") -> int:
    return item[1].created
