"""The command line of `xenstored` and of `xsd serve`: the C daemon's, and some more."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Final, NamedTuple, final

from xsd.daemon.arguments import Option, scan
from xsd.daemon.configfile import DEFAULT_FILE, FILE_VARIABLE
from xsd.daemon.settings import ROWS

EXIT_USAGE: Final = 2
"""Exit status if the command line or the configuration has a mistake."""

CHECK: Final = "--check-state"
"""What an update tries a new program with: it loads a state, and does nothing else.

It is no option beside others: whoever does not know it must not begin to serve.
"""

_HELP: Final = Option("help", "Hh", "", "print this text and exit", 1)
_VERSION: Final = Option("version", "", "", "print version and build, and exit", 2)

CONFIG: Final = Option(
    "config", "", "file", f"settings; else ${FILE_VARIABLE}, {DEFAULT_FILE}", 4
)
"""Names the file of settings."""

_GONE: Final = (
    Option("no-domain-init", "D", gone=True),
    Option("internal-db", "I", gone=True),
    Option("preserve-local", "L", gone=True),
    Option("output-pid", "P", gone=True),
    Option("no-recovery", "R", gone=True),
    Option("verbose", "V", gone=True),
)

OF_SETTINGS: Final = dict.fromkeys(
    given.option for row in ROWS.values() for given in row.given
)
"""Options that make settings."""

OPTIONS: Final = (
    *sorted((_HELP, _VERSION, CONFIG, *OF_SETTINGS), key=attrgetter("place")),
    *_GONE,
)
"""All, in the order of the text for `--help`."""


@final
class CommandLine(NamedTuple):
    """A command line, read but not yet validated.

    Attributes:
        settings: Keys and raw values for `config.load`, in order.
        ignored: Sentences about words without effect, to be shown as warnings.
        wants_help: `--help` was given.
        wants_version: `--version` was given.
    """

    settings: tuple[tuple[str, str], ...]
    ignored: tuple[str, ...]
    wants_help: bool = False
    wants_version: bool = False


def parse(arguments: Sequence[str], *, strict: bool = False) -> CommandLine:
    """Read the words after the program's name.

    Args:
        arguments: The words.
        strict: Refuse unknown options, instead of ignoring them as other versions'
            start scripts need it. Those of older versions are ignored all the same.

    Raises:
        UsageError: If the words are no command line at all.
    """
    found = scan(arguments, OPTIONS, strict=strict)
    names = {name for name, _ in found.given}
    own = {_HELP.name, _VERSION.name}
    return CommandLine(
        settings=tuple(pair for pair in found.given if pair[0] not in own),
        ignored=tuple(found.ignored),
        wants_help=_HELP.name in names,
        wants_version=_VERSION.name in names,
    )
