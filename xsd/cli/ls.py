"""`xsd ls`: a node's descendants in the layout of xenstore-ls."""

import os
import sys

from xsd.cli.common import (
    ClientParser,
    connect,
    raw,
    refused,
    show,
    strerror,
)
from xsd.cli.escape import escape
from xsd.client.client import Client
from xsd.client.walk import walk
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.lean import Final, Sequence, final

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
    with connect(options) as client:
        for path in raw(options.paths) or [b"/"]:
            try:
                _print(client, layout, path)
            except XenStoreError as error:
                said = f"xs_directory ({show(error.path)}): {strerror(error)}"
                raise refused("ls", error, error.path, said) from None
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


def _print(client: Client, layout: "Layout", top: bytes) -> None:
    """Print a line for each node below `top`; one that vanishes meanwhile has none."""
    for visit in walk(client, top, permissions=layout.permissions):
        if visit.depth:
            try:
                line = layout.line(visit.depth - 1, visit.path, visit.value)
                if layout.permissions:
                    line += b"  (" + b",".join(visit.permissions) + b")"
            except XenStoreError as error:
                if error.errno != Errno.ENOENT:
                    raise
                visit.children = []
            else:
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
