"""Child nodes of a wide directory, shared between versions of the tree.

Most nodes keep their children in a small tuple, which a change makes anew. With 100,000
children that would cost a millisecond for each, so a node with more than `WIDE_ABOVE`
of them keeps them here: a tree of small dicts, chosen by the bits of the name's hash,
of which a change after a snapshot copies only the few on its way. The cost of a change
is so the same for every width.

The dicts are owned by token like nodes (see node.py). Beside them are the names in the
order of creation: the text in which they are listed, cut into rows.
"""

from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from xsd.store.node import Node

WIDE_ABOVE: Final = 32
"""Most children in a tuple, which is looked through."""

NARROW_BELOW: Final = 16
"""A wide directory that shrinks below this gets a tuple again."""

_CELL_MAX: Final = 64
_BITS: Final = 3
_FAN: Final = 1 << _BITS
_DEPTH_MAX: Final = 20
"""Levels: 60 bits of hash. Names that still collide share a cell."""

_ROW_BYTES: Final = 2048
"""Bytes of a row to which no name is added any more. A change copies a row."""


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
        size: Bytes of their names, each with its NUL.
    """

    __slots__ = ("_listing", "_root", "_rows", "count", "size")

    def __init__(self, token: int) -> None:
        self.count = 0
        self.size = 0
        self._root = _Cell(token)
        # Names in the order of creation, each with its NUL; none of the rows is empty.
        self._rows: list[bytes] = []
        # All rows, once somebody has asked: who does so in parts of 4 KiB asks again.
        self._listing: bytes | None = None

    def copy(self) -> "WideChildren":
        """Another version that shares everything but a list of the rows."""
        other = WideChildren(0)
        other.count = self.count
        other.size = self.size
        other._root = self._root
        other._rows = self._rows.copy()
        other._listing = self._listing
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
        """Add a child as the last one, or replace it by a copy."""
        cell, depth = self._own_cell(name, token)
        nodes = cell.nodes
        before = len(nodes)
        nodes[name] = node
        if len(nodes) == before:
            return
        self.count += 1
        self.size += len(name) + 1
        self._listing = None
        _add(self._rows, name)
        if before >= _CELL_MAX and depth < _DEPTH_MAX:
            _split(cell, depth, token)

    def remove(self, name: bytes, token: int) -> None:
        """Take out a child that is there."""
        cell, _depth = self._own_cell(name, token)
        index = self._row_of(cell.nodes[name].created)
        del cell.nodes[name]
        self.count -= 1
        self.size -= len(name) + 1
        self._listing = None
        rows = self._rows
        text = rows[index] = _without(rows[index], name)
        if not text:
            del rows[index]
            return
        _join(rows, index)
        if index:
            _join(rows, index - 1)

    def sort(self) -> None:
        """Bring children that were put in any order into that of creation."""
        found: list[tuple[bytes, Node]] = []
        for cell in self._leaves():
            found.extend(cell.nodes.items())
        found.sort(key=_created)
        self._listing = None
        rows = self._rows = []
        for name, _node in found:
            _add(rows, name)

    def items(self) -> "list[tuple[bytes, Node]]":
        """Names and nodes in the order in which the nodes were created."""
        found: list[tuple[bytes, Node]] = []
        for row in self._rows:
            for name in row[:-1].split(b"\0"):
                node = self.get(name)
                if node is not None:  # It is there; see check.py.
                    found.append((name, node))
        return found

    def nodes(self) -> "list[Node]":
        """The nodes in any order."""
        found: list[Node] = []
        for cell in self._leaves():
            found.extend(cell.nodes.values())
        return found

    def unlisted_rows(self) -> int:
        """Rows that `listing` has to put together."""
        return len(self._rows) if self._listing is None else 0

    def listing(self) -> bytes:
        """The names in order, each followed by a NUL."""
        text = self._listing
        if text is None:
            text = self._listing = b"".join(self._rows)
        return text

    def _row_of(self, created: int) -> int:
        """Place of the row with the name of the node that was created then."""
        rows = self._rows
        low = 0
        high = len(rows)
        while high - low > 1:
            middle = (low + high) >> 1
            text = rows[middle]
            first = self.get(text[: text.find(b"\0")])
            assert first is not None  # noqa: S101  what is listed is there
            if first.created <= created:
                low = middle
            else:
                high = middle
        return low

    def _leaves(self) -> list[_Cell]:
        """The cells that hold the nodes."""
        found: list[_Cell] = []
        rest = [self._root]
        while rest:
            cell = rest.pop()
            if cell.cells:
                rest.extend(cell.cells)
            else:
                found.append(cell)
        return found

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


def _add(rows: list[bytes], name: bytes) -> None:
    """List a name behind all others."""
    if rows and len(rows[-1]) < _ROW_BYTES:
        rows[-1] += name + b"\0"
    else:
        rows.append(name + b"\0")


def _without(row: bytes, name: bytes) -> bytes:
    """A row of names without one of them."""
    entry = name + b"\0"
    start = 0 if row.startswith(entry) else row.find(b"\0" + entry) + 1
    return row[:start] + row[start + len(entry) :]


def _join(rows: list[bytes], index: int) -> None:
    """Make one row of two if little is left of them."""
    if index + 1 < len(rows):
        one, other = rows[index], rows[index + 1]
        if len(one) + len(other) < _ROW_BYTES // 2:
            rows[index : index + 2] = [one + other]


def _split(cell: _Cell, depth: int, token: int) -> None:
    """Deal the children of a full cell out to eight below it."""
    cell.cells = [_Cell(token) for _ in range(_FAN)]
    for name, node in cell.nodes.items():
        index = (hash(name) >> (_BITS * depth)) & (_FAN - 1)
        cell.cells[index].nodes[name] = node
    cell.nodes = {}


def _created(item: "tuple[bytes, Node]") -> int:
    return item[1].created
