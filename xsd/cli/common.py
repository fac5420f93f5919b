"""What the subcommands share.

Their options are in one place each, the calls of `add_argument`. What people and
scripts usually write is read here; help, abbreviations and mistakes are left to
`argparse` (`xsd.cli.full`), which takes longer to load than all of a client command.
"""

import os
import sys

from xsd.client.address import PATH_VARIABLE, RUN_DIRECTORY, RUNDIR_VARIABLE
from xsd.client.client import Client
from xsd.protocol.errors import XenStoreError
from xsd.protocol.lean import (
    TYPE_CHECKING,
    Any,
    Callable,
    Final,
    Iterator,
    NoReturn,
    Sequence,
    TypeVar,
    final,
)

if TYPE_CHECKING:
    import argparse
    from types import TracebackType
    from typing import TextIO

    from xsd.client.nodes import NodeOperations

    Values = argparse.Namespace
else:

    class Values:
        """What a command line says: an attribute for each option and operand."""


T = TypeVar("T")

_SOCKET_HELP: Final = (
    f"the daemon's Unix socket (default: ${PATH_VARIABLE}, else"
    f" ${RUNDIR_VARIABLE}/socket, else {RUN_DIRECTORY}/socket)"
)

ANSWER_S: Final = 10.0
"""Seconds that a command waits for an answer, unless told otherwise."""

LIMIT_MAX_S: Final = 3600.0
"""Most seconds that may be told."""


def program(command: str) -> str:
    """Return what messages begin with.

    That is `xsd read`, or `xenstore-read` if the process was started by this name.

    Args:
        command: The subcommand, or "" for `xsd` itself.
    """
    original = f"xenstore-{command}"
    called = os.path.basename(sys.argv[0])  # noqa: PTH119  pathlib is slow to import
    return original if called == original else f"xsd {command}".rstrip()


def as_original(command: str) -> bool:
    """Tell whether the process was started by the name of a xenstore-* tool."""
    return not program(command).startswith("xsd")


class CommandError(Exception):
    """The command has failed; the text is for the user."""


class ValueMistakeError(ValueError):
    """What an option was given is no value for it; the text is for the user."""


@final
class Argument:
    """An option or an operand, as for `argparse.ArgumentParser.add_argument`.

    Attributes:
        names: `-p` and `--prefix`, or the one of an operand.
        details: The arguments by name.
        dest: Under which name its value is found.
        is_option: Whether it is none of the operands.
        is_switch: Whether it is an option without a value.
    """

    __slots__ = ("dest", "details", "is_option", "is_switch", "names")

    def __init__(self, names: tuple[str, ...], details: dict[str, Any]) -> None:
        self.names = names
        self.details = details
        self.is_option = names[0].startswith("-")
        self.is_switch = details.get("action") == "store_true"
        long = [name for name in names if name.startswith("--")]
        name = (long or names)[0].lstrip("-").replace("-", "_")
        self.dest: str = details.get("dest", name)

    @property
    def default(self) -> object:
        """What it is where the command line does not say."""
        return self.details.get("default", False if self.is_switch else None)


class CommandParser:
    """The options of a command, with examples in its help.

    Args:
        command: The subcommand, or "" for `xsd` itself.
        description: What it does.
        examples: Lines for the end of the help text.

    Attributes:
        usage: The line of usage, in the place of one made of the options.
        arguments: Options and operands, in order.
    """

    def __init__(self, command: str, description: str, examples: str) -> None:
        self.command = command
        self.description = description
        self.examples = examples
        self.usage: str | None = None
        self.arguments: list[Argument] = []
        self.add_argument("--socket", metavar="PATH", help=_SOCKET_HELP)

    def add_argument(self, *names: str, **details: Any) -> None:
        """Take one more, as `argparse.ArgumentParser.add_argument` does."""
        self.arguments.append(Argument(names, details))

    def parse_args(self, words: Sequence[str]) -> Values:
        """Read the words after the command, and exit with status 1 for misuse."""
        return read_quickly(self.arguments, words) or self._full(words)

    def print_usage(self, file: "TextIO") -> None:
        """Print the line of usage."""
        from xsd.cli.full import parser_of  # noqa: PLC0415  see above

        parser_of(self).print_usage(file)

    def error(self, message: str) -> NoReturn:
        """Print the usage and what is wrong, and exit with status 1."""
        from xsd.cli.full import parser_of  # noqa: PLC0415  see above

        parser_of(self).error(message)

    def _full(self, words: Sequence[str]) -> Values:
        from xsd.cli.full import parser_of  # noqa: PLC0415  see above

        return parser_of(self).read(list(words))


class ClientParser(CommandParser):
    """A parser for a subcommand that is a client.

    Args:
        command: The subcommand.
        description: What it does.
        examples: Lines for the end of the help text.
        limited: Whether `--timeout` is that of `connect`.
    """

    def __init__(
        self, command: str, description: str, examples: str, *, limited: bool = True
    ) -> None:
        super().__init__(command, description, examples)
        self.add_argument(
            "-s",
            action="store_true",
            help="no effect: the socket is always used (as xenstore-* -s)",
        )
        if limited:
            # The originals wait for ever, and so does who takes their place.
            usual = 0.0 if as_original(command) else ANSWER_S
            self.add_argument(
                "--timeout",
                type=_seconds,
                default=usual,
                metavar="SECONDS",
                help=f"to wait for each answer, 0 for ever (default: {usual:g})",
            )

    def add_paths(self, *, many: bool = True, optional: bool = False) -> None:
        """Take one path or several, as `paths`."""
        few = "*" if optional else "+"
        self.add_argument("paths", nargs=few if many else 1, metavar="PATH")

    def parse(self, words: Sequence[str], socket: str | None) -> Values:
        """Read the words after the subcommand, options and paths in any order.

        Args:
            words: The words.
            socket: `--socket` as given before the subcommand.
        """
        options = self.parse_args(words)
        options.socket = options.socket or socket
        return options


def read_quickly(arguments: Sequence[Argument], words: Sequence[str]) -> Values | None:
    """Read a command line in which nothing is odd.

    Returns:
        What it says, or None if argparse should say what it means, or what is wrong.
    """
    options = {
        name: each for each in arguments if each.is_option for name in each.names
    }
    values = Values()
    for each in arguments:
        setattr(values, each.dest, each.default)
    operands: list[str] = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            operands.append(word)
        elif word == "--":
            operands += rest
        elif not _take(values, options, word, rest):
            return None
    wanted = [each for each in arguments if not each.is_option]
    return values if _share_out(values, wanted, operands) else None


def _take(
    values: Values, options: dict[str, Argument], word: str, rest: Iterator[str]
) -> bool:
    """Read a word with one option, or with letters; tell whether that was possible."""
    name, equals, value = word.partition("=")
    if name in options:
        option = options[name]
        if option.is_switch:
            setattr(values, option.dest, True)
            return not equals
        return _give(values, option, value if equals else next(rest, "-"))
    for index, letter in enumerate(word[1:], start=2):
        known = options.get(f"-{letter}")
        if known is None:
            return False
        if not known.is_switch:
            return _give(values, known, word[index:] or next(rest, "-"))
        setattr(values, known.dest, True)
    return len(word) > 1


def _give(values: Values, argument: Argument, text: str) -> bool:
    """Take a value, unless it is missing, looks like an option or is wrong."""
    details = argument.details
    if text.startswith("-") or "action" in details:
        return False
    try:
        value: object = details["type"](text) if "type" in details else text
    except ValueError:
        return False
    setattr(values, argument.dest, value)
    return value in details.get("choices", (value,))


def _share_out(values: Values, wanted: list[Argument], operands: list[str]) -> bool:
    """Give each operand its place; tell whether there is one for each, and no more."""
    left = list(operands)
    for each in wanted:
        how_many = each.details.get("nargs")
        if how_many in ("+", "*"):
            if how_many == "+" and not left:
                return False
            setattr(values, each.dest, left)
            return each is wanted[-1]
        if not left or how_many not in (None, 1):
            return False
        if how_many == 1:
            setattr(values, each.dest, [left.pop(0)])
        elif not _give(values, each, left.pop(0)):
            return False
    return not left


def _seconds(text: str) -> float:
    """Read a time limit, 0 for none.

    Raises:
        ValueMistakeError: If it is none.
    """
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if 0 <= seconds <= LIMIT_MAX_S:
        return seconds
    raise ValueMistakeError(f"{text!r} is no number of seconds up to {LIMIT_MAX_S:g}")


@final
class LimitedClient(Client):
    """A client that says what is the matter when it has waited too long.

    Args:
        path: The daemon's socket, or None for the usual one.
        limit: Seconds to wait for each answer; 0 for ever.
    """

    __slots__ = ("_limit",)

    def __init__(self, path: str | None, limit: float) -> None:
        self._limit = limit
        super().__init__(path, timeout=limit or None)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        super().__exit__(kind, error, traceback)
        if isinstance(error, TimeoutError):
            raise CommandError(
                f"the daemon has not answered within {self._limit:g} s: is it stopped,"
                " or too busy? --timeout SECONDS waits longer, --timeout 0 for ever"
            ) from None


def connect(options: Values) -> LimitedClient:
    """Return a client as the options of a `ClientParser` say.

    Raises:
        NotListeningError: If no daemon could be reached.
    """
    return LimitedClient(options.socket, options.timeout)


def run_in_transaction(
    client: Client, work: "Callable[[NodeOperations], T]", *, needed: bool
) -> T:
    """Do work in a transaction, repeated on a conflict, or without one."""
    return client.run_transaction(work) if needed else work(client)


def refused(
    command: str, error: XenStoreError, path: bytes, original: str
) -> CommandError:
    """Return the error of a command whose request was refused.

    Args:
        command: The subcommand.
        error: The refusal.
        path: The node that the user has named.
        original: What the xenstore-* tool of this name says, which scripts may expect.
    """
    if as_original(command):
        return CommandError(original)
    from xsd.cli.reasons import why_refused  # noqa: PLC0415  only where it is needed

    return CommandError(why_refused(error, path, command))


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
