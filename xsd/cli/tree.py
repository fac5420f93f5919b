"""`xsd tree`: everything below a node, drawn as a tree."""

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
from xsd.client.walk import Visit, walk
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.lean import Final, Iterator, Sequence, final

_EXAMPLES: Final = """
Values are escaped as `xsd read` does, and on a terminal cut to its width.

examples:
  xsd tree                                 everything
  xsd tree -p /local/domain/5              with permissions
  xsd tree -d 2 /local/domain              two levels; [+3] hides three children
"""


@final
class Branches:
    """The four pieces the tree is drawn with, each of three columns or more."""

    __slots__ = ("below_last", "beside", "child", "last_child")

    def __init__(
        self, child: str, last_child: str, beside: str, below_last: str
    ) -> None:
        self.child = child
        self.last_child = last_child
        self.beside = beside
        self.below_last = below_last

    def __str__(self) -> str:
        return self.child + self.last_child + self.beside + self.below_last


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
    with connect(options) as client:
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
        # How the lines below a node begin, by its depth.
        leads = [""]
        steps = walk(
            self._client, top, permissions=self._permissions, depth=self._depth
        )
        try:
            for visit in steps:
                try:
                    text = self._describe(visit)
                except XenStoreError as error:
                    if not visit.depth or error.errno != Errno.ENOENT:
                        raise
                    visit.children = []
                else:
                    yield self._label(visit, leads) + text
        except XenStoreError as error:
            said = f"cannot read {show(error.path)}: {strerror(error)}"
            raise refused("tree", error, error.path, said) from None

    def _label(self, visit: Visit, leads: list[str]) -> str:
        """Return the beginning of a line, and note how those below it begin."""
        if not visit.depth:
            return show(visit.path)
        del leads[visit.depth :]
        lead, branches = leads[-1], self._branches
        leads.append(lead + (branches.below_last if visit.is_last else branches.beside))
        branch = branches.last_child if visit.is_last else branches.child
        return lead + branch + show(visit.path.rpartition(b"/")[2])

    def _describe(self, visit: Visit) -> str:
        """Return what a node's line says beside its name."""
        value, names = visit.value, visit.names
        text = ""
        if self._permissions:
            text += " (" + show(b",".join(visit.permissions)) + ")"
        if visit.depth == self._depth and names:
            text += f" [+{len(names)}]"
        if value:
            text += ' = "' + escape(value).decode("ascii") + '"'
        return text


def _can_draw_lines() -> bool:
    """Tell whether the output's encoding has box drawing characters."""
    try:
        str(LINES).encode(sys.stdout.encoding)
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
