"""Child nodes of a very wide directory, shared between versions of the tree.

Most nodes keep their children in a plain dict, which a new version of the node
copies. With 100,000 children that copy would cost a millisecond for each change
that follows a snapshot, so a node with more than `WIDE_ABOVE` of them keeps
them here: a tree of small dicts, chosen by the bits of the name's hash, of which
a change copies only the few on its way. The cost of a change is so the same for
every width.

Cells are owned by token like nodes (see node.py).
"""

from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from xsd.store.node import Node

WIDE_ABOVE: Final = 256
"""Most children in a plain dict; copying that many costs about 2 us."""

NARROW_BELOW: Final = 64
"""A wide directory that shrinks below this gets a plain dict again."""

_CELL_MAX: Final = 64
_BITS: Final = 3
_FAN: Final = 1 << _BITS
_DEPTH_MAX: Final = 20
"""Levels: 60 bits of hash. Names that still collide share a cell."""

_LATE_MAX: Final = 64
"""Names that come and go until all are listed anew. Each costs a copy of the text at
most, which is a thousandth of what it costs to look at every child."""

_Late = tuple[bytes, bool]
"""A name, and whether it came or went."""


@final
class _Cell:
    """A dict of children, or eight cells once there were too many for one."""

    __slots__ = ("cells", "nodes", "token")

    def __init__(self, token: int) -> None:
        self.token = token
        self.nodes: dict[bytes, Node] = {}
        self.cells: list[_Cell] = []


@final
class WideChildren:
    """A persistent map from name to node.

    Attributes:
        count: Number of children.
    """

    __slots__ = ("_late", "_listing", "_root", "count")

    def __init__(self, token: int) -> None:
        self.count = 0
        self._root = _Cell(token)
        # The names as they were listed last, None if they never were, and those that
        # came or went since; who asks for 4 KiB after the other has them kept.
        self._listing: bytes | None = None
        self._late: list[_Late] = []

    def copy(self) -> "WideChildren":
        """Another version that shares everything; O(1)."""
        other = WideChildren(0)
        other.count = self.count
        other._listing = self._listing
        if self._late:
            other._late = self._late.copy()
        other._root = self._root
        return other

    def get(self, name: bytes) -> "Node | None":
        """The child of that name, or None."""
        cell = self._root
        bits = hash(name)
        while cell.cells:
            cell = cell.cells[bits & (_FAN - 1)]
            bits >>= _BITS
        return cell.nodes.get(name)

    def put(self, name: bytes, node: "Node", token: int) -> None:
        """Add a child or replace it."""
        cell, depth = self._own_cell(name, token)
        if name not in cell.nodes:
            self.count += 1
            self._note(name, came=True)
        cell.nodes[name] = node
        if len(cell.nodes) > _CELL_MAX and depth < _DEPTH_MAX:
            _split(cell, depth, token)

    def remove(self, name: bytes, token: int) -> None:
        """Take out a child that is there."""
        cell, _depth = self._own_cell(name, token)
        del cell.nodes[name]
        self.count -= 1
        self._note(name, came=False)

    def items(self) -> "list[tuple[bytes, Node]]":
        """Names and nodes in the order in which the nodes were created."""
        found: list[tuple[bytes, Node]] = []
        rest = [self._root]
        while rest:
            cell = rest.pop()
            if cell.cells:
                rest.extend(cell.cells)
            else:
                found.extend(cell.nodes.items())
        found.sort(key=_created)
        return found

    @property
    def is_listed(self) -> bool:
        """Whether `listing` need not look at every child."""
        return self._listing is not None

    def listing(self) -> bytes:
        """The names in order, each followed by a NUL."""
        text = self._listing
        if text is None:
            text = b"\0".join([*[name for name, _ in self.items()], b""])
        elif self._late:
            text = _brought_up_to_date(text, self._late)
        else:
            return text
        self._listing = text
        self._late = []
        return text

    def _note(self, name: bytes, *, came: bool) -> None:
        """Note a name that came as the last one, or went."""
        if self._listing is None:
            return
        if len(self._late) == _LATE_MAX:
            self._listing = None
            self._late = []
        else:
            self._late.append((name, came))

    def _own_cell(self, name: bytes, token: int) -> tuple[_Cell, int]:
        """The cell for a name, made the token's own, and its depth."""
        cell = self._root
        if cell.token != token:
            cell = self._root = _copy_cell(cell, token)
        bits = hash(name)
        depth = 0
        while cell.cells:
            index = bits & (_FAN - 1)
            below = cell.cells[index]
            if below.token != token:
                below = cell.cells[index] = _copy_cell(below, token)
            cell = below
            bits >>= _BITS
            depth += 1
        return cell, depth


def _copy_cell(cell: _Cell, token: int) -> _Cell:
    copy = _Cell(token)
    copy.nodes = cell.nodes.copy()
    copy.cells = cell.cells.copy()
    return copy


def _brought_up_to_date(text: bytes, late: list[_Late]) -> bytes:
    """A listing with the names that came since, without those that went."""
    new: list[bytes] = []
    for name, came in late:
        row = name + b"\0"
        if came:
            new.append(row)
        elif row in new:
            new.remove(row)
        else:
            start = 0 if text.startswith(row) else text.find(b"\0" + row) + 1
            text = text[:start] + text[start + len(row) :]
    return text + b"".join(new) if new else text


def _split(cell: _Cell, depth: int, token: int) -> None:
    """Deal the children of a full cell out to eight below it."""
    cell.cells = [_Cell(token) for _ in range(_FAN)]
    for name, node in cell.nodes.items():
        index = (hash(name) >> (_BITS * depth)) & (_FAN - 1)
        cell.cells[index].nodes[name] = node
    cell.nodes = {}


def _created(item: "tuple[bytes, Node]") -> int:
    return item[1].created
