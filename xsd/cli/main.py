"""The command `xsd`: finds the subcommand, runs it, and reports what went wrong.

A subcommand's module is imported only when it is called, so that a client
command, of which a hotplug script runs dozens, pays for nothing of the daemon.
"""

import os
import sys

from xsd.cli.common import CommandError, CommandParser, program, read_quickly
from xsd.protocol.lean import Callable, Final, NoReturn, Sequence

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
    "update": ("xsd.cli.update:update", "replace the running daemon without a stop"),
    "domain": ("xsd.cli.domain:domain", "make and end domains where there is no Xen"),
    "health": ("xsd.cli.health:health", "tell whether the daemon does its work"),
    "state": ("xsd.cli.state:state", "look at what a daemon hands on to another"),
    "journal": ("xsd.cli.journal:journal", "verify, show or mend a journal"),
    "tape": ("xsd.cli.tape:tape", "show or replay what the daemon has recorded"),
    "help": ("xsd.cli.help:help_", "list these commands, or show the help of one"),
}
"""By name: where the function is, and one line for `--help`."""

_EXAMPLES: Final = """
examples:
  xsd serve --socket ./socket              a daemon of one's own
  xsd --socket ./socket ls                 what is in it
  xsd help read                            more about one command
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
    except CommandError as error:
        _complain(name, str(error))
    except OSError as error:
        from xsd.cli.reasons import why  # noqa: PLC0415  only where it is needed

        _complain(name, why(error, name))
    except KeyboardInterrupt:
        return INTERRUPTED
    return 1


def _chosen(arguments: Sequence[str] | None) -> tuple[str, list[str], str | None]:
    """Return the command, the words after it and the socket given before it."""
    if arguments is None:
        arguments = sys.argv[1:]
        for name in ORIGINALS:
            if program(name) == f"xenstore-{name}":
                return name, list(arguments), None
    before = _before_command(arguments)
    socket = None
    if before:
        options = read_quickly(_parser().arguments, arguments[:before])
        if options is None:
            before = len(arguments)
        else:
            socket = options.socket
    if before < len(arguments) and arguments[before] in COMMANDS:
        return arguments[before], list(arguments[before + 1 :]), socket
    return _odd(arguments)


def _before_command(words: Sequence[str]) -> int:
    """Return how many words stand before the command."""
    count = 0
    while count < len(words) and words[count].startswith("-"):
        count += 2 if words[count] == "--socket" else 1
    return count


def _odd(arguments: Sequence[str]) -> NoReturn:
    """Show help, or what is wrong with the words, and exit."""
    import argparse  # noqa: PLC0415  slow to load, as the other

    from xsd.cli.full import parser_of, suggestion  # noqa: PLC0415

    parser = parser_of(_parser())
    if not arguments:
        parser.print_help(sys.stderr)
        sys.exit(1)
    parser.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    values = parser.parse_args(list(arguments))
    name = values.command
    if name is None:
        parser.error("which command? xsd help lists them")
    parser.error(f"no such command: {name}{suggestion(name, list(COMMANDS))}")


def _parser() -> CommandParser:
    from xsd.build import version_of  # noqa: PLC0415  most have a command only

    lines = [f"  {name:<8} {text}" for name, (_, text) in COMMANDS.items()]
    parser = CommandParser(
        "",
        "A XenStore daemon and its tools.\n\ncommands:\n" + "\n".join(lines),
        _EXAMPLES,
    )
    parser.usage = "xsd [-h] [--socket PATH] [--version] COMMAND ..."
    parser.add_argument(
        "--version", action="version", version=version_of("xsd"), help="print it"
    )
    return parser


def _load(place: str) -> "Callable[[Sequence[str], str | None], int]":
    module, _, function = place.partition(":")
    # importlib would be one more module.
    __import__(module)
    command: Callable[[Sequence[str], str | None], int]
    command = getattr(sys.modules[module], function)
    return command


def _complain(command: str, message: str) -> None:
    """Print to stderr as it is: paths and values may hold any byte."""
    sys.stderr.flush()
    said = b"%s: %s\n" % (program(command).encode(), os.fsencode(message))
    sys.stderr.buffer.write(said)
    sys.stderr.buffer.flush()
