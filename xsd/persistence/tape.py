r"""Tapes as text: the inputs of an engine, one JSON object a line.

The first line says what the file is::

    {"tape": 1, "control": 0, "order": "little"}

`tape` is the version of the format, `control` the control domain, and `order` the byte
order of the frames' headers; `own` is the domain that the daemon ran in, if that was
another one. Each line after it is an input, in the order in which they were carried
out; what does not belong to its kind is left out::

    {"at": 0, "kind": "limit", "domid": -1, "name": "nodes", "numbers": [500],
     "generation": 4}
    {"at": 5230, "kind": "came", "connection": 7, "domid": 0, "generation": 4}
    {"at": 5231, "kind": "request", "connection": 7, "domid": 0,
     "frame": "\u000b\u0000...", "generation": 5}
    {"at": 5240, "kind": "domains", "numbers": [0, 5], "answers": [3], "generation": 9}

(a line each; they are cut here). `at` is milliseconds since the start, for people: a
replay does not look at it. `kind` is a name of `xsd.engine.inputs.KINDS`, where
`connection`, `domid`, `name`, `numbers` and `answers` are explained; `frame` is the
whole frame, header and payload, one character a byte (Latin-1); `generation` is the
store's after the input, by which a replay sees whether it does what was done before.
An input without one is carried out unlooked-at.

Readers ignore keys that they do not know, and refuse a version that they do not know,
and a line that is no input: one that was cut off, for instance, because the machine
went down while it was written.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Final, final

from xsd.engine.inputs import KINDS, REQUEST, Input
from xsd.engine.replay import UNKNOWN
from xsd.protocol.frame import Frame, FrameDecoder

VERSION: Final = 1
"""Of the format that is written, and the only one that is read."""

_ENCODING: Final = "latin-1"

_NUMBERS: Final = {name: number for number, name in enumerate(KINDS)}


@final
class TapeError(Exception):
    """A tape cannot be read.

    Attributes:
        line: Number of the line, from 1.
        reason: What is wrong with it.
    """

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(line, reason)
        self.line = line
        self.reason = reason

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


@final
class Recorded:
    """An input with what a tape says of it beside.

    Attributes:
        at_ms: Milliseconds since the start of the tape.
        entry: The input.
        keys: The whole line, with the keys that are none of the format's.
    """

    __slots__ = ("at_ms", "entry", "keys")

    def __init__(self, at_ms: int, entry: Input, keys: dict[str, object]) -> None:
        self.at_ms = at_ms
        self.entry = entry
        self.keys = keys


def encode_header(control: int, own: int | None = None) -> bytes:
    """The first line of a tape, with its newline.

    Args:
        control: The control domain.
        own: The domain that the daemon runs in, if that is another one.
    """
    fields = {"tape": VERSION, "control": control, "order": sys.byteorder}
    if own is not None and own != control:
        fields["own"] = own
    return json.dumps(fields).encode("ascii") + b"\n"


def encode(entry: Input, at_ms: int, more: dict[str, object] | None = None) -> bytes:
    """The line of an input, with its newline.

    Args:
        entry: The input.
        at_ms: Milliseconds since the start.
        more: Keys beside those of the format, which readers ignore.
    """
    fields: dict[str, object] = {"at": at_ms, "kind": KINDS[entry.kind]}
    if entry.connection:
        fields["connection"] = entry.connection
    fields["domid"] = entry.domid
    frame = entry.frame
    if frame is not None:
        fields["frame"] = frame.whole.decode(_ENCODING)
    if entry.name:
        fields["name"] = entry.name
    if entry.numbers:
        fields["numbers"] = entry.numbers
    if entry.answers:
        fields["answers"] = entry.answers
    if entry.generation != UNKNOWN:
        fields["generation"] = entry.generation
    if more is not None:
        fields.update(more)
    return json.dumps(fields).encode("ascii") + b"\n"


@final
class TapeReader:
    """Reads a tape, line by line.

    Attributes:
        control: The control domain.
        own: The domain that the daemon ran in.
        line: Number of the line that was read last, from 1.
    """

    __slots__ = ("_lines", "control", "line", "own")

    def __init__(self, lines: Iterable[bytes]) -> None:
        """Read the first line.

        Args:
            lines: Those of the file, each with its newline.

        Raises:
            TapeError: If it is no tape, or one of another version or byte order.
        """
        self._lines = iter(lines)
        self.line = 1
        fields = self._parse(next(self._lines, b""))
        version = fields.get("tape")
        if version is None:
            raise TapeError(1, "it is no tape")
        if version != VERSION:
            raise TapeError(1, f"version {version!r} is not known")
        order = fields.get("order", sys.byteorder)
        if order != sys.byteorder:
            raise TapeError(1, f"recorded on a machine of byte order {order!r}")
        self.control = self._number(fields, "control")
        self.own = self._number(fields, "own", self.control)

    def __iter__(self) -> Iterator[Recorded]:
        """The inputs, in order.

        Raises:
            TapeError: At a line that is none.
        """
        for line in self._lines:
            self.line += 1
            fields = self._parse(line)
            yield Recorded(self._number(fields, "at"), self._input(fields), fields)

    def _parse(self, line: bytes) -> dict[str, object]:
        if line[-1:] != b"\n":
            raise TapeError(self.line, "it ends early")
        try:
            fields = json.loads(line)
        except ValueError as error:
            raise TapeError(self.line, "it is no JSON") from error
        if not isinstance(fields, dict):
            raise TapeError(self.line, "it is no object")
        return fields

    def _input(self, fields: dict[str, object]) -> Input:
        name = fields.get("kind")
        kind = _NUMBERS.get(name) if isinstance(name, str) else None
        if kind is None:
            raise TapeError(self.line, f"kind {name!r} is not known")
        quota = fields.get("name", "")
        if not isinstance(quota, str):
            raise TapeError(self.line, f"name is {quota!r}")
        return Input(
            kind,
            self._number(fields, "generation", UNKNOWN),
            self._number(fields, "connection"),
            self._number(fields, "domid"),
            self._frame(fields) if kind == REQUEST else None,
            quota,
            self._many(fields, "numbers"),
            self._many(fields, "answers"),
        )

    def _frame(self, fields: dict[str, object]) -> Frame:
        text = fields.get("frame")
        frames: list[Frame] = []
        decoder = FrameDecoder()
        if isinstance(text, str):
            # What is no Latin-1 becomes no byte of a frame's.
            frames = decoder.feed(text.encode(_ENCODING, "ignore"))
        if len(frames) != 1 or frames[0].whole.decode(_ENCODING) != text:
            raise TapeError(self.line, "frame is not one frame")
        return frames[0]

    def _number(self, fields: dict[str, object], key: str, default: int = 0) -> int:
        value = fields.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise TapeError(self.line, f"{key} is {value!r}")
        return value

    def _many(self, fields: dict[str, object], key: str) -> tuple[int, ...]:
        value = fields.get(key, [])
        if not isinstance(value, list) or not all(type(each) is int for each in value):
            raise TapeError(self.line, f"{key} is {value!r}")
        return tuple(value)
