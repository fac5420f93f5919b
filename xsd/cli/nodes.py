"""`xsd read`, `write`, `list`, `exists`, `mkdir` and `rm`.

They print what xenstore-read and its companions print, byte for byte. Several
paths are one transaction, as there: nothing is written or removed if one fails.
"""

import sys

from xsd.cli.common import (
    ClientParser,
    Values,
    ancestors,
    as_original,
    child_path,
    connect,
    raw,
    refused,
    run_in_transaction,
    show,
)
from xsd.cli.escape import escape, unescape
from xsd.client.nodes import NodeOperations
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.lean import Callable, Final, Sequence

_READ_EXAMPLES: Final = r"""
examples:
  xsd read /local/domain/0/name            Domain-0
  xsd read -p /a /b                        /a: 1
                                           /b: two\nlines
  xsd read -R /a                           the bytes alone, no newline behind
"""

_WRITE_EXAMPLES: Final = r"""
examples:
  xsd write /tool/me/state running
  xsd write /a 1 /b 2                      both or none
  xsd write /a 'two\nlines\x00'            bytes by \n \t \r \xff \377 \\
  xsd write -R /a 'C:\new'                 as it stands
  xsd write /a -- -x                       a value that begins with a dash
"""

_LIST_EXAMPLES: Final = """
examples:
  xsd list /local/domain                   0
  xsd list -p /local/domain                /local/domain/0
"""

_EXISTS_EXAMPLES: Final = """
The exit status is 0 if all of them exist, else 1.

examples:
  xsd exists /local/domain/5 || echo gone
"""

_MKDIR_EXAMPLES: Final = """
Missing parents are made too; a node that exists stays as it is.

examples:
  xsd mkdir /tool/me
"""

_RM_EXAMPLES: Final = """
A missing node is no error if its parent exists.

examples:
  xsd rm /tool/me
  xsd rm -t /a/b/c                         /a/b and /a too, if they hold nothing
"""


def read(words: Sequence[str], socket: str | None) -> int:
    """Print values."""
    parser = ClientParser("read", "Print the values of nodes.", _READ_EXAMPLES)
    parser.add_argument(
        "-p", "--prefix", action="store_true", help="print `PATH: ` before each"
    )
    parser.add_argument(
        "-R", "--raw", action="store_true", help="do not escape; no newline after it"
    )
    parser.add_paths()
    options = parser.parse(words, socket)
    lines: list[bytes] = []

    def work(store: NodeOperations) -> None:
        lines.clear()
        for path in raw(options.paths):
            try:
                value = store.read(path)
            except XenStoreError as error:
                said = f"couldn't read path {show(path)}"
                raise refused("read", error, path, said) from None
            prefix = path + b": " if options.prefix else b""
            lines.append(prefix + (value if options.raw else escape(value) + b"\n"))

    return _run(options, work, lines, needed=len(options.paths) > 1)


def write(words: Sequence[str], socket: str | None) -> int:
    """Set values."""
    parser = ClientParser("write", "Set the values of nodes.", _WRITE_EXAMPLES)
    parser.add_argument(
        "-R", "--raw", action="store_true", help="take values as they are"
    )
    parser.add_argument("pairs", nargs="+", metavar="PATH VALUE")
    options = parser.parse(words, socket)
    pairs = raw(options.pairs)
    if len(pairs) % 2:
        parser.error(f"no value for path {options.pairs[-1]}")

    def work(store: NodeOperations) -> None:
        for path, text in zip(pairs[::2], pairs[1::2], strict=True):
            try:
                store.write(path, text if options.raw else unescape(text))
            except XenStoreError as error:
                said = f"could not write path {show(path)}"
                raise refused("write", error, path, said) from None

    return _run(options, work, [], needed=len(pairs) > 2)


def list_(words: Sequence[str], socket: str | None) -> int:
    """Print the names of children."""
    parser = ClientParser("list", "Print the names of children.", _LIST_EXAMPLES)
    parser.add_argument("-p", "--prefix", action="store_true", help="print whole paths")
    parser.add_paths()
    options = parser.parse(words, socket)
    lines: list[bytes] = []

    def work(store: NodeOperations) -> None:
        lines.clear()
        for path in raw(options.paths):
            try:
                names = store.directory(path)
            except XenStoreError as error:
                said = f"could not list path {show(path)}"
                raise refused("list", error, path, said) from None
            for name in names:
                whole = child_path(path, name) if options.prefix else name
                lines.append(whole + b"\n")

    return _run(options, work, lines, needed=len(options.paths) > 1)


def exists(words: Sequence[str], socket: str | None) -> int:
    """Tell by the exit status whether nodes exist."""
    parser = ClientParser("exists", "Tell whether nodes exist.", _EXISTS_EXAMPLES)
    parser.add_paths()
    options = parser.parse(words, socket)

    def work(store: NodeOperations) -> bool:
        for path in raw(options.paths):
            try:
                store.read(path)
            except XenStoreError as error:
                if error.errno == Errno.ENOENT or as_original("exists"):
                    return False
                raise refused("exists", error, path, "") from None
        return True

    with connect(options) as client:
        found = run_in_transaction(client, work, needed=len(options.paths) > 1)
    return 0 if found else 1


def mkdir(words: Sequence[str], socket: str | None) -> int:
    """Make nodes with empty values."""
    parser = ClientParser("mkdir", "Make nodes with empty values.", _MKDIR_EXAMPLES)
    parser.add_paths()
    options = parser.parse(words, socket)

    def work(store: NodeOperations) -> None:
        for path in raw(options.paths):
            try:
                store.mkdir(path)
            except XenStoreError as error:
                said = f"could not make path {show(path)}"
                raise refused("mkdir", error, path, said) from None

    return _run(options, work, [], needed=len(options.paths) > 1)


def rm(words: Sequence[str], socket: str | None) -> int:
    """Remove nodes and all below them."""
    parser = ClientParser("rm", "Remove nodes and all below them.", _RM_EXAMPLES)
    parser.add_argument(
        "-t",
        "--tidy",
        action="store_true",
        help="remove the parents too that are left without value and children",
    )
    parser.add_paths()
    options = parser.parse(words, socket)

    def work(store: NodeOperations) -> None:
        for path in raw(options.paths):
            try:
                store.rm(path)
            except XenStoreError as error:
                said = f"could not remove path {show(path)}"
                raise refused("rm", error, path, said) from None
            if options.tidy:
                _tidy(store, path)

    needed = options.tidy or len(options.paths) > 1
    return _run(options, work, [], needed=needed)


def _tidy(store: NodeOperations, path: bytes) -> None:
    """Remove the nodes above a path as long as they hold nothing."""
    for parent in ancestors(path):
        if store.read(parent) or store.directory(parent):
            return
        store.rm(parent)


def _run(
    options: Values,
    work: Callable[[NodeOperations], None],
    lines: list[bytes],
    *,
    needed: bool,
) -> int:
    """Do the work, then print its lines: those before a failure as well."""
    with connect(options) as client:
        try:
            run_in_transaction(client, work, needed=needed)
        finally:
            sys.stdout.buffer.writelines(lines)
    return 0
