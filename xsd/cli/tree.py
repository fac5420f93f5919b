"""`xsd tree`: everything below a node, drawn as a tree."""

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, final

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
Values are escaped as `xsd read` does, and on a terminal cut to its width.

examples:
  xsd tree                                 everything
  xsd tree -p /local/domain/5              with permissions
  xsd tree -d 2 /local/domain              two levels; [+3] hides three children
"""


class Branches(NamedTuple):
    """The four pieces the tree is drawn with, each of three columns or more."""

    child: str
    last_child: str
    beside: str
    below_last: str


LINES: Final = Branches("├── ", "└── ", "│   ", "    ")
ASCII: Final = Branches("|-- ", "`-- ", "|   ", "    ")


def tree(words: Sequence[str], socket: str | None) -> int:
    """Draw everything below some nodes."""
    parser = ClientParser(
        "tree", "Draw all nodes below a node, by default the root.", _EXAMPLES
    )
    parser.add_argument(
        "-p", "--permissions", action="store_true", help="permissions too"
    )
    parser.add_argument(
        "-d", "--depth", type=int, metavar="N", help="levels to go down"
    )
    parser.add_argument(
        "--ascii", action="store_true", help="draw with ASCII characters"
    )
    parser.add_paths(optional=True)
    options = parser.parse(words, socket)
    with Client(options.socket) as client:
        drawing = Drawing(
            client,
            ASCII if options.ascii or not _can_draw_lines() else LINES,
            depth=options.depth,
            permissions=options.permissions,
        )
        width = _width()
        for path in raw(options.paths) or [b"/"]:
            for line in drawing.lines(path):
                shown = line if width is None else _cut(line, width)
                sys.stdout.write(shown + "\n")
    return 0


@final
class Drawing:
    """Trees in one style.

    Args:
        client: Where the nodes come from.
        branches: What to draw with.
        depth: Levels below the top to show; None shows all.
        permissions: Whether to show permissions.
    """

    __slots__ = ("_branches", "_client", "_depth", "_permissions")

    def __init__(
        self,
        client: Client,
        branches: Branches,
        *,
        depth: int | None,
        permissions: bool,
    ) -> None:
        self._client = client
        self._branches = branches
        self._depth = depth
        self._permissions = permissions

    def lines(self, top: bytes) -> Iterator[str]:
        """Yield the lines of the tree below a node, the node itself first.

        Nodes that vanish meanwhile are left out.

        Raises:
            CommandError: If `top` cannot be read.
        """
        branches = self._branches
        # Of each node: its path, depth, label, and how lines below it begin.
        waiting = [(top, 0, show(top), "")]
        while waiting:
            path, depth, label, lead = waiting.pop()
            try:
                line, names = self._describe(path, label, hide=depth == self._depth)
            except XenStoreError as error:
                if depth and error.errno == Errno.ENOENT:
                    continue
                message = f"cannot read {show(path)}: {strerror(error)}"
                raise CommandError(message) from None
            yield line
            branch, below = branches.last_child, branches.below_last
            for name in reversed(names):
                child = child_path(path, name)
                waiting.append(
                    (child, depth + 1, lead + branch + show(name), lead + below)
                )
                branch, below = branches.child, branches.beside

    def _describe(
        self, path: bytes, label: str, *, hide: bool
    ) -> tuple[str, list[bytes]]:
        """Return a node's line, and the children to be shown below it."""
        value = self._client.read(path)
        names = self._client.directory(path)
        line = label
        if self._permissions:
            line += " (" + show(b",".join(self._client.get_permissions(path))) + ")"
        if hide and names:
            line += f" [+{len(names)}]"
            names = []
        if value:
            line += ' = "' + escape(value).decode("ascii") + '"'
        return line, names


def _can_draw_lines() -> bool:
    """Tell whether the output's encoding has box drawing characters."""
    try:
        "".join(LINES).encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return False
    return True


def _width() -> int | None:
    """Return the columns of the terminal; None if there is none, or it cannot tell."""
    if not sys.stdout.isatty():
        return None
    return os.get_terminal_size(sys.stdout.fileno()).columns or None


def _cut(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    return (line[: max(0, width - 3)] + "...")[:width]
