"""`xsd state`: what a daemon hands on to another, to look at, compare and change."""

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Final, final

from xsd.cli.common import CommandError, CommandParser, program
from xsd.cli.statediff import Seen, differences
from xsd.engine import Engine
from xsd.engine.foreign import adopt, is_ours, store_for
from xsd.persistence.statejson import StateJsonError, from_json, to_json
from xsd.protocol.dump import FIRST_LINE, Dump, DumpError
from xsd.protocol.records import (
    ConnectionData,
    DomainData,
    NodeData,
    Record,
    TransactionData,
    WatchData,
)
from xsd.protocol.stream import (
    VERSION_MAX,
    StreamError,
    StreamReader,
    StreamWriter,
)
from xsd.store.check import verify
from xsd.store.load import ImageError

_EXAMPLES: Final = """
commands:
  verify FILE...          look whether each is whole and can be loaded, and print what
                          is in it; status 1 if one is not
  diff FILE FILE          print in what two differ, as far as clients see it: what the
                          first alone has (-), the second alone (+), or both (!);
                          status 1 if there is something, 2 for trouble
  convert FILE [OUTPUT]   write it in another way: a stream as JSON, anything else as a
                          stream

A FILE is a stream as C xenstored and xsd write it, the same as JSON, or what oxenstored
writes.

examples:
  xsd state verify state_dump
  xsd state convert state_dump state.json
  xsd state diff state_dump state.json

Values are printed, too, and may be secret.
"""

_COMMANDS: Final = ("verify", "diff", "convert")

TROUBLE: Final = 2
"""Status of `diff` if it cannot compare."""

LONG: Final = 1_000_000
"""Bytes of a stream from which on it is told how far the reading is."""

_STREAM: Final = "stream"

_COUNTED: Final[dict[str, type[Record]]] = {
    "clients": ConnectionData,
    "watches": WatchData,
    "transactions": TransactionData,
    "nodes": NodeData,
    "domains": DomainData,
}


@final
class Progress:
    """Says on a terminal how far something long is; elsewhere nothing."""

    def __init__(self, what: str, whole: int) -> None:
        self._what = what
        self._whole = whole
        self._percent = -1
        self._is_shown = whole >= LONG and sys.stderr.isatty()

    def at(self, done: int) -> None:
        """So many bytes of the whole are done."""
        if self._is_shown and done * 100 // self._whole != self._percent:
            self._percent = done * 100 // self._whole
            sys.stderr.write(f"\r{self._what}: {self._percent} %")
            sys.stderr.flush()

    def end(self) -> None:
        """It is over, and its line empty again."""
        if self._is_shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


@final
class State:
    """A file that was read.

    Attributes:
        kind: What it is.
        size: Bytes of it.
        records: What is in it.
        version: Of the stream that it is or was.
        big_endian: Byte order of that.
    """

    def __init__(self, name: str) -> None:
        """Read it.

        Raises:
            CommandError: If it is no state, or is not whole.
            OSError: If it cannot be read.
        """
        with open(name, "rb") as file:  # noqa: PTH123  pathlib is slow to import
            data = file.read()
        self.size = len(data)
        self.version = VERSION_MAX
        self.big_endian = False
        try:
            if data.startswith(FIRST_LINE):
                self.kind = "dump of oxenstored"
                self.records = Dump(data).records
            elif data.lstrip()[:1] == b"{":
                self.kind = "JSON"
                self.records, self.version, self.big_endian = from_json(data)
            else:
                reader = StreamReader(data)
                self.kind = _STREAM
                self.version, self.big_endian = reader.version, reader.big_endian
                self.records = _all_of(reader, Progress(f"reading {name}", len(data)))
        except (DumpError, StateJsonError, StreamError) as error:
            raise CommandError(f"{name}: {error}") from error


def state(words: Sequence[str], _socket: str | None) -> int:
    """Run one of the commands about states."""
    parser = CommandParser("state", "Work with the state of a daemon.", _EXAMPLES)
    parser.usage = "xsd state [-h] verify|diff|convert [OPTION ...] FILE ..."
    parser.add_argument("command", choices=_COMMANDS, help="what to do with it")
    parser.add_argument("files", nargs="+", metavar="FILE", help="what was written")
    parser.add_argument(
        "--to", choices=("json", "stream"), help="what convert writes, see below"
    )
    parser.add_argument(
        "--version",
        type=int,
        choices=(1, VERSION_MAX),
        help="of the stream that convert writes; 1 has no depths and no features",
    )
    parser.add_argument(
        "--order", choices=("little", "big"), help="its byte order (of both: as it was)"
    )
    options = parser.parse_args(words)
    files: list[str] = options.files
    if options.command == "verify":
        return max([_verify(name) for name in files])
    if options.command == "diff":
        if len(files) != 2:
            parser.error("diff takes two files")
        return _diff(*files)
    if len(files) > 2:
        parser.error("convert takes a file, and an output")
    source = State(files[0])
    source.version = options.version or source.version
    if options.order:
        source.big_endian = options.order == "big"
    to_stream = options.to == _STREAM if options.to else source.kind != _STREAM
    _write(_bytes_of(source, to_stream=to_stream), *files[1:])
    return 0


def _all_of(reader: StreamReader, progress: Progress) -> list[Record]:
    records: list[Record] = []
    try:
        while (record := reader.next()) is not None:
            records.append(record)
            progress.at(reader.offset)
    finally:
        progress.end()
    return records


def _verify(name: str) -> int:
    """Look at one file, print what is in it, and tell the status."""
    try:
        found = State(name)
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


def _diff(one: str, other: str) -> int:
    try:
        found = differences(Seen(State(one).records), Seen(State(other).records))
    except (CommandError, OSError) as error:
        _complain(str(error))
        return TROUBLE
    status = 0
    for line in found:
        status = 1
        print(line)
    return status


def _bytes_of(found: State, *, to_stream: bool) -> Iterator[bytes]:
    """The state as it is to be written, in pieces.

    Raises:
        CommandError: If something is larger than a stream has room for.
    """
    version, big_endian = found.version, found.big_endian
    if not to_stream:
        for piece in to_json(found.records, version, big_endian=big_endian):
            yield piece.encode("ascii")
        return
    writer = StreamWriter(version, big_endian=big_endian)
    yield writer.preamble()
    for number, record in enumerate(found.records, 1):
        try:
            yield writer.record(record)
        except ValueError as error:
            raise CommandError(f"record {number}: {error}") from error
    yield writer.end()


def _write(pieces: Iterator[bytes], output: str = "-") -> None:
    """Write all, to a file that nobody else may read, or to the terminal.

    A file is there in the end whole or not at all.
    """
    if output == "-":
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        return
    part = f"{output}.part"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(pieces)
        os.replace(part, output)  # noqa: PTH105  pathlib is slow to import
    except BaseException:
        os.unlink(part)  # noqa: PTH108
        raise
