"""Command lines that need `argparse`: for help, abbreviations and mistakes."""

import argparse
import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn, final

from xsd.cli.common import Argument, CommandParser, ValueMistakeError, Values, program

_REST: Final = argparse.PARSER


@final
class FullParser(argparse.ArgumentParser):
    """A parser with examples in its help and exit status 1 for misuse."""

    def read(self, words: list[str]) -> Values:
        """Read words, options and operands in any order, and exit if they are wrong."""
        # argparse takes `/a -p /b` only as "intermixed", and `--` only otherwise.
        how = self.parse_known_intermixed_args
        if "--" in words or any(each.nargs == _REST for each in self._actions):
            how = self.parse_known_args
        values, unknown = how(words, Values())
        if unknown:
            text = f"unrecognized arguments: {' '.join(unknown)}"
            self.error(text + suggestion(unknown[0], list(self._option_string_actions)))
        return values

    def error(self, message: str) -> NoReturn:
        """Print the usage and what is wrong, and exit with status 1."""
        self.print_usage(sys.stderr)
        self.exit(1, f"{self.prog}: {message}\n")


def parser_of(command: CommandParser) -> FullParser:
    """Make the parser of a command's options."""
    parser = FullParser(
        prog=program(command.command),
        usage=command.usage,
        description=command.description,
        epilog=command.examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for argument in command.arguments:
        parser.add_argument(*argument.names, **_details(argument))
    return parser


def suggestion(word: str, known: list[str]) -> str:
    """Return a question after what was perhaps meant; "" if nothing is like it."""
    import difflib  # noqa: PLC0415  for typing mistakes alone

    found = difflib.get_close_matches(word.partition("=")[0], known, 1)
    return f" (did you mean {found[0]}?)" if found else ""


def _details(argument: Argument) -> dict[str, Any]:
    details = dict(argument.details)
    if "type" in details:
        details["type"] = _telling(details["type"])
    return details


def _telling(read: Callable[[str], object]) -> Callable[[str], object]:
    """Have argparse show what is wrong with a value in the words of who reads it."""

    def told(text: str) -> object:
        try:
            return read(text)
        except ValueMistakeError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    told.__name__ = read.__name__
    return told
