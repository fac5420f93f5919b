"""States in files: read and written, in every way that there is."""

import os
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Self, final

from xsd.cli.common import CommandError
from xsd.persistence.statejson import StateJsonError, from_json, to_json
from xsd.protocol.dump import FIRST_LINE, Dump, DumpError
from xsd.protocol.records import Record
from xsd.protocol.stream import (
    VERSION_MAX,
    StreamError,
    StreamReader,
    StreamWriter,
)

LONG: Final = 1_000_000
"""Bytes of a stream from which on it is told how far the reading is."""

STREAM: Final = "stream"
"""Kind of a state as C xenstored and xsd write it."""


@final
class Progress:
    """Says on a terminal how far something long is; elsewhere nothing.

    As a context manager it leaves its line empty in the end.
    """

    def __init__(self, what: str, long: int) -> None:
        """Make it.

        Args:
            what: What goes on.
            long: What is shorter than this is not told.
        """
        self._what = what
        self._long = long
        self._percent = -1
        self._is_terminal = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._percent >= 0:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def at(self, done: int, whole: int) -> None:
        """So much of the whole is done."""
        if not self._is_terminal or whole < self._long:
            return
        percent = done * 100 // whole
        if percent != self._percent:
            self._percent = percent
            sys.stderr.write(f"\r{self._what}: {percent} %")
            sys.stderr.flush()


@final
class State:
    """One that was read.

    Attributes:
        kind: What it is.
        size: Bytes of it.
        records: What is in it.
        version: Of the stream that it is or was.
        big_endian: Byte order of that.
    """

    def __init__(self, name: str, data: bytes) -> None:
        """Read it.

        Args:
            name: Where it is from.
            data: All of it.

        Raises:
            CommandError: If it is no state, or is not whole.
        """
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
                self.kind = STREAM
                self.version, self.big_endian = reader.version, reader.big_endian
                self.records = _all_of(reader, name, len(data))
        except (DumpError, StateJsonError, StreamError) as error:
            raise CommandError(f"{name}: {error}") from error


def read(name: str) -> State:
    """Read a file.

    Raises:
        CommandError: If it is no state, or is not whole.
        OSError: If it cannot be read.
    """
    with open(name, "rb") as file:  # noqa: PTH123  pathlib is slow to import
        return State(name, file.read())


def _all_of(reader: StreamReader, name: str, size: int) -> list[Record]:
    records: list[Record] = []
    with Progress(f"reading {name}", LONG) as progress:
        while (record := reader.next()) is not None:
            records.append(record)
            progress.at(reader.offset, size)
    return records


def bytes_of(found: State, *, to_stream: bool) -> Iterator[bytes]:
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


def write(pieces: Iterator[bytes], output: str = "-") -> None:
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
