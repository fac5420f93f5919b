"""`xsd journal`: whether a journal is whole, what is in it, and mending it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from xsd.cli.common import CommandError, CommandParser
from xsd.client.address import RUN_DIRECTORY, RUNDIR_VARIABLE
from xsd.persistence.directory import CHECKPOINT, Directory
from xsd.persistence.mending import cut_off
from xsd.persistence.reading import read_journal
from xsd.persistence.segment import JournalError
from xsd.persistence.tape import encode, encode_header
from xsd.protocol.stream import StreamError, read_stream

_EXAMPLES: Final = """
commands:
  verify                  say whether it is whole; the status is 0 if it is, 1 if the
                          daemon would start with less than was taken, 2 if it would
                          refuse the journal
  dump                    print the inputs behind the checkpoint as a tape, which
                          `xsd tape` shows
  truncate                say where the first damage is; with --yes, cut the journal
                          there, and keep what was there in files *.damaged

examples:
  xsd journal verify
  xsd journal dump ./journal | xsd tape show /dev/stdin
  xsd journal truncate --yes ./journal

Values are printed by dump, too, and may be secret. In the journal of a running daemon
the last entry may be on its way, and files may go while they are read.
"""

NAME: Final = "journal"
"""Of the directory, in that of the daemon's socket."""

STATUS_TORN: Final = 1
STATUS_REFUSED: Final = 2
"""Exit statuses of `verify`."""

_COMMANDS: Final = ("verify", "dump", "truncate")


def journal(words: Sequence[str], _socket: str | None) -> int:
    """Run one of the commands about journals."""
    parser = CommandParser("journal", "Look at a journal, or mend it.", _EXAMPLES)
    parser.usage = "xsd journal [-h] [--yes] verify|dump|truncate [DIRECTORY]"
    parser.add_argument("command", choices=_COMMANDS, help="what to do with it")
    default = _default()
    parser.add_argument(
        "directory",
        metavar="DIRECTORY",
        nargs="?",
        default=default,
        help=f"where it is (default: {default})",
    )
    parser.add_argument("--yes", action="store_true", help="have truncate do it")
    options = parser.parse_args(words)
    path = Path(options.directory)
    if options.command == "verify":
        return _verify(path)
    try:
        if options.command == "truncate":
            return _truncate(Directory(path), yes=options.yes)
        _dump(Directory(path))
    except JournalError as error:
        raise CommandError(f"{path}: {error}") from error
    return 0


def _default() -> str:
    return f"{os.environ.get(RUNDIR_VARIABLE) or RUN_DIRECTORY}/{NAME}"


def _is_whole(content: bytes) -> bool:
    """Tell whether a checkpoint is a state as a whole."""
    try:
        read_stream(content)
    except StreamError:
        return False
    return True


def _verify(path: Path) -> int:
    try:
        reading = read_journal(Directory(path), _is_whole)
        count = sum(1 for _ in reading)
    except (JournalError, OSError) as error:
        print(error)
        return STATUS_REFUSED
    for name in reading.passed_over:
        print(f"{name}: it is not whole, and not used")
    if reading.torn is not None:
        print(f"{reading.torn}; cut by the daemon at its start")
    if reading.lost:
        print(f"inputs were lost behind some, {reading.number} is the last one")
    begin = f" behind {reading.checkpoint_name}" if reading.checkpoint_name else ""
    inputs = "input" if count == 1 else "inputs"
    if reading.torn is not None or reading.lost or reading.passed_over:
        print(f"{count} {inputs}{begin}")
        return STATUS_TORN
    print(f"ok: {count} {inputs}{begin}")
    return 0


def _dump(directory: Directory) -> None:
    reading = read_journal(directory, _is_whole)
    begun = False
    for each in reading:
        if not begun:
            _print(encode_header(reading.control, reading.own))
            begun = True
        place = {"segment": each.name, "offset": each.offset, "number": each.number}
        _print(encode(each.entry, 0, place))
    if not begun:
        _print(encode_header(reading.control, reading.own))


def _print(line: bytes) -> None:
    print(line.decode("ascii"), end="")


def _truncate(directory: Directory, *, yes: bool) -> int:
    if yes:
        directory.lock()
    place = _first_damage(directory)
    if place is None:
        print("there is nothing to cut")
        return 0
    name, offset, what = place
    print(what)
    if name.startswith(CHECKPOINT):
        raise CommandError(f"there is nothing before {name}; move the journal away")
    if not yes:
        raise CommandError(f"with --yes, {name} is cut at offset {offset}")
    for kept in cut_off(directory, name, offset):
        print(f"kept as {kept}")
    print(f"cut {name} at offset {offset}")
    return 0


def _first_damage(directory: Directory) -> tuple[str, int, str] | None:
    """Where a journal is not whole, and what is wrong there."""
    try:
        reading = read_journal(directory, _is_whole)
        for _ in reading:
            pass
    except JournalError as error:
        return error.name, error.offset, str(error)
    torn = reading.torn
    return None if torn is None else (torn.name, torn.offset, str(torn))
