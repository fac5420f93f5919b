"""`xsd help`: the commands, or the help of one."""

from collections.abc import Sequence
from typing import Final

from xsd.cli.common import CommandParser

_EXAMPLES: Final = """
examples:
  xsd help                                 the commands
  xsd help read                            as `xsd read --help`
"""


def help_(words: Sequence[str], _socket: str | None) -> int:
    """Show what there is."""
    parser = CommandParser("help", "Show the commands, or the help of one.", _EXAMPLES)
    parser.add_argument(
        "command", nargs="*", metavar="COMMAND", help="the command, and what follows it"
    )
    options = parser.parse_args(words)
    # The command line's own, which is there whenever this is.
    from xsd.cli.main import main  # noqa: PLC0415  each finds the other

    return main([*options.command, "--help"])
