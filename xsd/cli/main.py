"""The command `xsd`: finds the subcommand, runs it, and reports what went wrong.

A subcommand's module is imported only when it is called, so that a client
command, of which a hotplug script runs dozens, pays for nothing of the daemon.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Final

from xsd.cli.common import CommandError, CommandParser, program
from xsd.protocol.errors import XenStoreError

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "serve": ("xsd.cli.serve:serve", "run the daemon"),
    "config": ("xsd.cli.config:config", "check and show the daemon's configuration"),
    "read": ("xsd.cli.nodes:read", "print values"),
    "write": ("xsd.cli.nodes:write", "set values"),
    "list": ("xsd.cli.nodes:list_", "print the names of children"),
    "ls": ("xsd.cli.ls:ls", "print everything below a node, as xenstore-ls does"),
    "tree": ("xsd.cli.tree:tree", "draw everything below a node"),
    "exists": ("xsd.cli.nodes:exists", "tell by the exit status whether nodes exist"),
    "mkdir": ("xsd.cli.nodes:mkdir", "make nodes with empty values"),
    "rm": ("xsd.cli.nodes:rm", "remove nodes and all below them"),
    "chmod": ("xsd.cli.chmod:chmod", "set permissions"),
    "watch": ("xsd.cli.watch:watch", "print the path of each change"),
    "control": ("xsd.cli.control:control", "give the daemon a command"),
    "domain": ("xsd.cli.domain:domain", "make and end domains where there is no Xen"),
    "health": ("xsd.cli.health:health", "tell whether the daemon does its work"),
    "tape": ("xsd.cli.tape:tape", "show or replay what the daemon has recorded"),
}
"""By name: where the function is, and one line for `--help`."""

_EXAMPLES: Final = """
examples:
  xsd serve --socket ./socket              a daemon of one's own
  xsd --socket ./socket ls                 what is in it
  xsd read --help                          more about one command
"""

ORIGINALS: Final = (
    *("read", "write", "list", "ls", "exists", "rm", "chmod", "watch", "control"),
)
"""Commands that also go by the name `xenstore-COMMAND`, as through a link to `xsd`."""

INTERRUPTED: Final = 130
"""Exit status after Ctrl-C: what a shell shows for a death by SIGINT."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status.

    Status 1 stands for any failure, also of the command line itself, as in the
    xenstore-* tools.

    Args:
        arguments: The words after the program's name; None takes the process's, with
            that name, which may be one of the xenstore-* tools'.
    """
    name, words, socket = _chosen(arguments)
    command = _load(COMMANDS[name][0])
    try:
        try:
            return command(words, socket)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output has had enough. What is still buffered must
        # not raise again when the interpreter flushes it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (CommandError, XenStoreError, OSError) as error:
        _complain(name, os.fsencode(str(error)))
    except KeyboardInterrupt:
        return INTERRUPTED
    return 1


def _chosen(arguments: Sequence[str] | None) -> tuple[str, list[str], str | None]:
    """Return the command, the words after it and the socket given before it."""
    if arguments is None:
        for name in ORIGINALS:
            if program(name) == f"xenstore-{name}":
                return name, sys.argv[1:], None
    parser = _parser()
    options = parser.parse_args(arguments)
    name, *words = options.words
    if name not in COMMANDS:
        parser.error(f"no such command: {name}")
    return name, words, options.socket


def _parser() -> argparse.ArgumentParser:
    lines = [f"  {name:<8} {text}" for name, (_, text) in COMMANDS.items()]
    parser = CommandParser(
        "",
        "A XenStore daemon and its tools.\n\ncommands:\n" + "\n".join(lines),
        _EXAMPLES,
    )
    parser.usage = "xsd [-h] [--socket PATH] [--version] COMMAND ..."
    parser.add_argument(
        "--version", action="version", version=f"xsd {_version()}", help="print it"
    )
    parser.add_argument(
        "words", nargs=argparse.PARSER, metavar="COMMAND", help=argparse.SUPPRESS
    )
    return parser


def _version() -> str:
    version: str = importlib.import_module("xsd").__version__
    return version


def _load(place: str) -> Callable[[Sequence[str], str | None], int]:
    module, _, function = place.partition(":")
    command: Callable[[Sequence[str], str | None], int] = getattr(
        importlib.import_module(module), function
    )
    return command


def _complain(command: str, message: bytes) -> None:
    """Print to stderr as it is: paths and values may hold any byte."""
    sys.stderr.flush()
    sys.stderr.buffer.write(b"%s: %s\n" % (program(command).encode(), message))
    sys.stderr.buffer.flush()
