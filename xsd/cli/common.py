"""What the subcommands share."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NoReturn, TypeVar

from xsd.client.address import PATH_VARIABLE, RUN_DIRECTORY, RUNDIR_VARIABLE
from xsd.client.client import Client
from xsd.client.nodes import NodeOperations
from xsd.protocol.errors import XenStoreError

T = TypeVar("T")

_SOCKET_HELP: Final = (
    f"the daemon's Unix socket (default: ${PATH_VARIABLE}, else"
    f" ${RUNDIR_VARIABLE}/socket, else {RUN_DIRECTORY}/socket)"
)


def program(command: str) -> str:
    """Return what messages begin with.

    That is `xsd read`, or `xenstore-read` if the process was started by this name.

    Args:
        command: The subcommand, or "" for `xsd` itself.
    """
    original = f"xenstore-{command}"
    called = os.path.basename(sys.argv[0])  # noqa: PTH119  pathlib is slow to import
    return original if called == original else f"xsd {command}".rstrip()


class CommandError(Exception):
    """The command has failed; the text is for the user."""


class CommandParser(argparse.ArgumentParser):
    """A parser with examples in its help and exit status 1 for misuse.

    Args:
        command: The subcommand, or "" for `xsd` itself.
        description: What it does.
        examples: Lines for the end of the help text.
    """

    def __init__(self, command: str, description: str, examples: str) -> None:
        super().__init__(
            prog=program(command),
            description=description,
            epilog=examples,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.add_argument("--socket", metavar="PATH", help=_SOCKET_HELP)

    def error(self, message: str) -> NoReturn:
        """Print the usage and what is wrong, and exit with status 1."""
        self.print_usage(sys.stderr)
        self.exit(1, f"{self.prog}: {message}\n")


class ClientParser(CommandParser):
    """A parser for a subcommand that is a client."""

    def __init__(self, command: str, description: str, examples: str) -> None:
        super().__init__(command, description, examples)
        self.add_argument(
            "-s",
            action="store_true",
            help="no effect: the socket is always used (as xenstore-* -s)",
        )

    def add_paths(self, *, many: bool = True, optional: bool = False) -> None:
        """Take one path or several, as `paths`."""
        few = "*" if optional else "+"
        self.add_argument("paths", nargs=few if many else 1, metavar="PATH")

    def parse(self, words: Sequence[str], socket: str | None) -> argparse.Namespace:
        """Read the words after the subcommand, options and paths in any order.

        Args:
            words: The words.
            socket: `--socket` as given before the subcommand.
        """
        # argparse takes `/a -p /b` only as "intermixed", and `--` only otherwise.
        read = self.parse_args if "--" in words else self.parse_intermixed_args
        options = read(list(words))
        options.socket = options.socket or socket
        return options


def run_in_transaction(
    client: Client, work: Callable[[NodeOperations], T], *, needed: bool
) -> T:
    """Do work in a transaction, repeated on a conflict, or without one."""
    return client.run_transaction(work) if needed else work(client)


def raw(words: Sequence[str]) -> list[bytes]:
    """Return arguments as the bytes they were on the command line."""
    return [os.fsencode(word) for word in words]


def show(text: bytes) -> str:
    """Return bytes for an error message, which prints them unchanged."""
    return os.fsdecode(text)


def strerror(error: XenStoreError) -> str:
    """Return the C library's phrase for a refusal."""
    return os.strerror(error.errno)


def child_path(parent: bytes, name: bytes) -> bytes:
    """Return the path of a child."""
    return parent + name if parent.endswith(b"/") else parent + b"/" + name


def ancestors(path: bytes) -> Iterator[bytes]:
    """Yield the paths above this one, nearest first, without the root."""
    parent = path.rpartition(b"/")[0]
    while parent:
        yield parent
        parent = parent.rpartition(b"/")[0]
