"""`xsd ls`: a node's descendants in the layout of xenstore-ls."""

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Final, final

from xsd.cli.common import (
    ClientParser,
    CommandError,
    child_path,
    raw,
    show,
    strerror,
)
from xsd.cli.escape import escape
from xsd.client.client import Client
from xsd.protocol.errors import Errno, XenStoreError

_EXAMPLES: Final = """
examples:
  xsd ls                                   everything
  xsd ls -f /local/domain/0                /local/domain/0/name = "Domain-0"
  xsd ls -p /tool                          permissions behind each line
  xsd ls | grep state                      lines are cut to 80 columns; -f cuts none
"""

WIDTH: Final = 80
"""Columns of a line where the output is no terminal."""

PERMISSIONS_COLUMN: Final = 60
"""Where dots lead the eye to."""

_FRAME: Final = 8
r"""Columns that a value cut short takes besides itself: ` = "` and `\..."`."""


def ls(words: Sequence[str], socket: str | None) -> int:
    """Print everything below some nodes."""
    parser = ClientParser(
        "ls", "Print all nodes below a node, by default the root.", _EXAMPLES
    )
    parser.add_argument(
        "-f", "--full", action="store_true", help="whole paths and values"
    )
    parser.add_argument(
        "-p", "--permissions", action="store_true", help="permissions too"
    )
    parser.add_paths(optional=True)
    options = parser.parse(words, socket)
    layout = Layout(
        None if options.full else line_width(),
        full=options.full,
        permissions=options.permissions,
    )
    with Client(options.socket) as client:
        for path in raw(options.paths) or [b"/"]:
            for depth, node in walk(client, path):
                _print(client, layout, depth, node)
    return 0


def line_width() -> int | None:
    """Return the columns a line may have, or None for any number.

    As in xenstore-ls: two less than the terminal has; a terminal that does not
    tell (a serial line says 0) sets no limit.
    """
    if not sys.stdout.isatty():
        return WIDTH
    columns = os.get_terminal_size(sys.stdout.fileno()).columns - 2
    return None if columns < 0 else columns


def walk(client: Client, top: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield depth, from 0, and path of each node below `top`, parents first.

    A node that vanishes meanwhile is left out.

    Raises:
        CommandError: If `top` cannot be listed.
    """
    waiting = _children(client, top, 0)
    while waiting:
        depth, path = waiting.pop()
        yield depth, path
        waiting += _children(client, path, depth + 1)


def _children(client: Client, path: bytes, depth: int) -> list[tuple[int, bytes]]:
    """Return the children, the last one first: `walk` takes from the end."""
    try:
        names = client.directory(path)
    except XenStoreError as error:
        if depth and error.errno == Errno.ENOENT:
            return []
        message = f"xs_directory ({show(path)}): {strerror(error)}"
        raise CommandError(message) from None
    return [(depth, child_path(path, name)) for name in reversed(names)]


def _print(client: Client, layout: "Layout", depth: int, path: bytes) -> None:
    permissions: list[bytes] = []
    try:
        value = client.read(path)
        if layout.permissions:
            permissions = client.get_permissions(path)
    except XenStoreError as error:
        if error.errno == Errno.ENOENT:
            return
        raise
    line = layout.line(depth, path, value)
    if layout.permissions:
        line += b"  (" + b",".join(permissions) + b")"
    sys.stdout.buffer.write(line + b"\n")


@final
class Layout:
    """How a line looks.

    Args:
        width: Columns a line may have; None cuts nothing.
        full: Whole paths instead of indented names.
        permissions: Whether permissions will follow.
    """

    __slots__ = ("full", "permissions", "width")

    def __init__(self, width: int | None, *, full: bool, permissions: bool) -> None:
        self.width = width
        self.full = full
        self.permissions = permissions

    def line(self, depth: int, path: bytes, value: bytes) -> bytes:
        """Return a node's line without its permissions and line end."""
        label = path if self.full else b" " * depth + path.rpartition(b"/")[2]
        if self.width is None:
            whole = label + b' = "' + escape(value) + b'"'
            return whole + b" " if self.permissions else whole
        room = self.width - _FRAME
        if room >= depth:
            label = label[:room]
        # The unescaped length decides, as in xenstore-ls: a value whose escapes
        # make it longer than the line is printed whole.
        if len(label) + len(value) > room:
            left = room - len(label)
            shown = escape(value)
            if left >= 0:
                shown = shown[:left]
            return label + b' = "' + shown + b'\\..."'
        line = label + b' = "' + escape(value) + b'"'
        return line + self._dots(len(line), self.width) if self.permissions else line

    def _dots(self, at: int, width: int) -> bytes:
        """Return what leads from column `at` to the permissions."""
        end = min(PERMISSIONS_COLUMN, width)
        dots = [b"." if column % 2 else b" " for column in range(at + 1, end)]
        return b" " + b"".join(dots)
