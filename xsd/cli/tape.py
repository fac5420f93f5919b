"""`xsd tape`: what the daemon has recorded, to read it and to do it once more."""

from collections.abc import Iterator, Sequence
from typing import Final

from xsd.cli.common import CommandError, CommandParser
from xsd.cli.escape import escape
from xsd.engine import Engine
from xsd.engine.inputs import KINDS, Input
from xsd.engine.replay import UNKNOWN, DivergenceError, replay
from xsd.engine.tracing import name_of
from xsd.persistence.tape import Recorded, TapeError, TapeReader
from xsd.store import Store

_EXAMPLES: Final = """
commands:
  show FILE               print what is on a tape that --record has written
  replay FILE             carry it out without clients, and say what comes of it;
                          status 1 if something is not as it was

examples:
  xsd tape show ./record
  xsd tape replay ./record

Values are printed, too, and may be secret.
"""

SHOWN: Final = 200
"""Bytes of a payload that are printed."""

_COMMANDS: Final = ("show", "replay")


def tape(words: Sequence[str], _socket: str | None) -> int:
    """Run one of the commands about tapes."""
    parser = CommandParser("tape", "Look at what the daemon has recorded.", _EXAMPLES)
    parser.usage = "xsd tape [-h] show|replay FILE"
    parser.add_argument("command", choices=_COMMANDS, help="what to do with it")
    parser.add_argument("file", metavar="FILE", help="the tape")
    options = parser.parse_args(words)
    with open(options.file, "rb") as lines:  # noqa: PTH123  pathlib is slow to import
        try:
            reader = TapeReader(lines)
            if options.command == "show":
                _show(reader)
            else:
                _replay(reader)
        except TapeError as error:
            raise CommandError(f"{options.file}: {error}") from error
        except DivergenceError as error:
            raise CommandError(
                f"{options.file}: line {reader.line}: {shown(error.entry)}:"
                f" {error.reason}"
            ) from error
    return 0


def _show(reader: TapeReader) -> None:
    print(f"tape of control domain {reader.control}")
    for each in reader:
        print(f"{each.at_ms / 1000:10.3f} {shown(each.entry)}{_generation(each)}")


def _generation(recorded: Recorded) -> str:
    generation = recorded.entry.generation
    return "" if generation == UNKNOWN else f" -> {generation}"


def _replay(reader: TapeReader) -> None:
    engine = Engine(Store(reader.control, own_domid=reader.own))
    count = replay(engine, _inputs(reader))
    store = engine.store
    print(f"inputs:       {count}")
    print(f"generation:   {store.generation}")
    print(f"connections:  {len(engine.connections)}")
    print(f"domains:      {len(store.domains.all())}")
    print(f"nodes:        {sum(store.usage.nodes.used.values())}")


def _inputs(reader: TapeReader) -> Iterator[Input]:
    for each in reader:
        yield each.entry


def shown(entry: Input) -> str:
    """An input for people, on one line."""
    parts = [KINDS[entry.kind]]
    if entry.connection:
        parts.append(f"#{entry.connection}")
    parts.append(f"dom{entry.domid}")
    frame = entry.frame
    if frame is not None:
        parts.append(name_of(frame.op))
        if frame.tx_id:
            parts.append(f"tx {frame.tx_id}")
        parts.append(f"'{escape(frame.payload[:SHOWN]).decode('ascii')}'")
        if len(frame.payload) > SHOWN:
            parts.append(f"... {len(frame.payload)} bytes")
    if entry.name:
        parts.append(entry.name)
    if entry.numbers:
        parts.append(" ".join(map(str, entry.numbers)))
    if entry.answers:
        parts.append(f"answers {' '.join(map(str, entry.answers))}")
    return " ".join(parts)
