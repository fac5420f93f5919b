"""`xsd state`: what a daemon hands on to another, to look at, compare and change."""

import os
import sys
from collections.abc import Sequence
from typing import Final

from xsd.cli.common import (
    CommandError,
    CommandParser,
    LimitedClient,
    Values,
    program,
)
from xsd.cli.statediff import Seen, differences
from xsd.cli.statedomain import part_of
from xsd.cli.statefile import LONG, STREAM, Progress, State, bytes_of, read, write
from xsd.cli.stateload import bring_in, load
from xsd.cli.staterunning import fetch
from xsd.engine import Engine
from xsd.engine.foreign import adopt, is_ours, store_for
from xsd.protocol.records import (
    ConnectionData,
    DomainData,
    NodeData,
    Record,
    TransactionData,
    WatchData,
)
from xsd.protocol.stream import VERSION_MAX
from xsd.store.check import verify
from xsd.store.load import ImageError

_EXAMPLES: Final = """
commands:
  dump [OUTPUT]           write the state of the running daemon
  load FILE               make the nodes of the running daemon those of FILE, all at
                          once or not at all; what is not in FILE is removed
  export DOMID [OUTPUT]   write what is of one domain: its home, limits and features,
                          its watches, and what is under way on its ring
  import DOMID FILE       make a domain of the running daemon what one was
  verify [FILE...]        look whether each is whole and can be loaded, and print what
                          is in it; status 1 if one is not
  diff FILE [FILE]        print in what two differ, as far as clients see it: what the
                          first alone has (-), the second alone (+), or both (!);
                          status 1 if there is something, 2 for trouble
  convert FILE [OUTPUT]   write it in another way: a stream as JSON, anything else as a
                          stream

A FILE is a stream as C xenstored and xsd write it, the same as JSON, or what oxenstored
writes; verify and diff take the running daemon where none is named.

Who runs guests has to --force a load, and whoever exports a domain should pause it
before.

examples:
  xsd state dump state_dump
  xsd state dump --to=json | less
  xsd state verify state_dump
  xsd state convert state_dump state.json
  xsd state diff state_dump state.json

Values are printed, too, and may be secret.
"""

_OPERANDS: Final = {
    "dump": (0, 1),
    "load": (1, 1),
    "export": (1, 2),
    "import": (2, 2),
    "verify": (0, sys.maxsize),
    "diff": (1, 2),
    "convert": (1, 2),
}
"""How many words each command takes, at least and at most."""

ANSWER_S: Final = 120.0
"""Seconds that a copy of a large state may take."""

STEPS: Final = 1000
"""Steps of a load from which on it is told how far it is."""

_RUNNING: Final = "the running daemon"
"""What is named in the place of a file."""

TROUBLE: Final = 2
"""Status of `diff` if it cannot compare."""

_COUNTED: Final[dict[str, type[Record]]] = {
    "clients": ConnectionData,
    "watches": WatchData,
    "transactions": TransactionData,
    "nodes": NodeData,
    "domains": DomainData,
}


def state(words: Sequence[str], socket: str | None) -> int:
    """Run one of the commands about states."""
    parser = CommandParser("state", "Work with the state of a daemon.", _EXAMPLES)
    commands = "|".join(_OPERANDS)
    parser.usage = f"xsd state [-h] {commands} [OPTION ...] [WORD ...]"
    parser.add_argument("command", choices=tuple(_OPERANDS), help="what to do")
    parser.add_argument("operands", nargs="*", metavar="WORD", help="see below")
    parser.add_argument(
        "--to", choices=("json", "stream"), help="in what way a state is written"
    )
    parser.add_argument(
        "--version",
        type=int,
        choices=(1, VERSION_MAX),
        help="of the stream that is written; 1 has no depths and no features",
    )
    parser.add_argument(
        "--order", choices=("little", "big"), help="its byte order (of both: as it was)"
    )
    parser.add_argument(
        "--force", action="store_true", help="load though there are guests"
    )
    options = parser.parse_args(words)
    options.socket = options.socket or socket
    least, most = _OPERANDS[options.command]
    if not least <= len(options.operands) <= most:
        parser.error(f"{options.command} takes other words: see --help")
    return _run(options)


def _run(options: Values) -> int:
    operands: list[str] = options.operands
    match options.command:
        case "verify":
            return max([_verify(options, name) for name in operands or [_RUNNING]])
        case "diff":
            return _diff(options, *operands)
        case "convert":
            found = read(operands[0])
            _write(options, found, operands[1:], to_stream=found.kind != STREAM)
        case "dump":
            _write(options, _found(options, _RUNNING), operands, to_stream=True)
        case "export":
            found = _found(options, _RUNNING)
            found.records = part_of(found.records, _domid(operands[0]))
            _write(options, found, operands[1:], to_stream=True)
        case "load":
            found = read(operands[0])
            with _client(options) as client, Progress("loading", STEPS) as progress:
                load(client, found.records, progress.at, force=options.force)
        case _:
            found = read(operands[1])
            domid = _domid(operands[0])
            with _client(options) as client, Progress("importing", STEPS) as progress:
                bring_in(client, domid, found.records, progress.at)
    return 0


def _client(options: Values) -> LimitedClient:
    return LimitedClient(options.socket, ANSWER_S)


def _found(options: Values, name: str) -> State:
    """That of a file, or of the running daemon.

    Raises:
        CommandError: If it is no state, or is not whole.
        OSError: If it cannot be read.
    """
    if name != _RUNNING:
        return read(name)
    with _client(options) as client, Progress("fetching the state", LONG) as progress:
        return State(name, fetch(client, progress.at))


def _domid(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise CommandError(f"{text}: no domain id")
    return int(text)


def _write(
    options: Values, found: State, output: list[str], *, to_stream: bool
) -> None:
    """Write it as is wished, else as it was, to a file or the terminal."""
    found.version = options.version or found.version
    if options.order:
        found.big_endian = options.order == "big"
    if options.to:
        to_stream = options.to == STREAM
    write(bytes_of(found, to_stream=to_stream), *output)


def _verify(options: Values, name: str) -> int:
    """Look at one, print what is in it, and tell the status."""
    try:
        found = _found(options, name)
        engine = Engine(store_for(found.records))
        adopt(engine, found.records, found.version)
        faults = verify(engine.store)
    except (CommandError, ImageError) as error:
        text = str(error) if isinstance(error, CommandError) else f"{name}: {error}"
        _complain(text)
        return 1
    order = "big" if found.big_endian else "little"
    by = "xsd" if is_ours(found.records) else "C xenstored, or another daemon"
    how = f", version {found.version}, {order} endian"
    if found.kind.endswith("oxenstored"):
        by, how = "oxenstored", ""
    print(f"{name}: {found.kind}{how}, {found.size} bytes")
    print(f"  written by:    {by}")
    for what, kind in _COUNTED.items():
        count = sum([_is_of(record, kind) for record in found.records])
        print(f"  {what + ':':<14} {count}")
    for fault in faults:
        print(f"  fault: {fault}")
    return int(bool(faults))


def _complain(text: str) -> None:
    """Say what is wrong with a file, whose name may hold any byte."""
    sys.stderr.flush()
    message = os.fsencode(text)
    sys.stderr.buffer.write(b"%s: %s\n" % (program("state").encode(), message))
    sys.stderr.buffer.flush()


def _is_of(record: Record, kind: type[Record]) -> bool:
    """Tell whether a record is of a kind; a transaction's nodes are not counted."""
    if isinstance(record, NodeData) and record.connection:
        return False
    return isinstance(record, kind)


def _diff(options: Values, one: str, other: str = _RUNNING) -> int:
    try:
        mine, theirs = _found(options, one), _found(options, other)
        found = differences(Seen(mine.records), Seen(theirs.records))
    except (CommandError, OSError) as error:
        _complain(str(error))
        return TROUBLE
    status = 0
    for line in found:
        status = 1
        print(line)
    return status
