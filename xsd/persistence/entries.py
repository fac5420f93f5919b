"""Inputs as bytes: the entries of a journal.

An entry is, in the byte order of the machine::

    length     u32   bytes behind the checksum, padding included; a multiple of 8
    checksum   u32   CRC-32 of these, begun with the seed of the file
    number     u64   of the input, counted from 1 over the whole journal
    generation i64   of the store, after the input was carried out
    connection u64
    ordinal    u64   of a request, among those of its connection; else 0
    domid      i32
    kind       u8    see xsd/engine/inputs.py
    name       u8    bytes of the name of a quota
    numbers    u16   how many
    answers    u16   how many
    payload    u16   bytes
    header     12 bytes of the frame; of what is no request, zeros
    name, numbers, answers (16 bytes each, signed), payload, zeros up to a multiple of 8

The checksum is begun with a seed that only the file knows, so that a value which a
guest writes cannot look like an entry. Each entry is a multiple of 8 long, as what is
before the first is, so that a length never lies across the end of a sector.
"""

import struct
import sys
import zlib
from typing import Final, final

from xsd.engine.inputs import KINDS, REQUEST, Input
from xsd.protocol.frame import REPEATED, Frame, frame_of
from xsd.protocol.limits import PAYLOAD_MAX

Buffer = bytes | bytearray | memoryview

_PREFIX: Final = struct.Struct("=II")
_BODY: Final = struct.Struct("=QqQQiBBHHH12s")
_pack_prefix: Final = _PREFIX.pack
_pack_body: Final = _BODY.pack
_unpack_prefix: Final = _PREFIX.unpack_from
_unpack_body: Final = _BODY.unpack_from
_crc32: Final = zlib.crc32

PREFIX_BYTES: Final = 8
"""The length and the checksum."""

ALIGNMENT: Final = 8
"""An entry begins at a multiple of this, and is one long."""

_BODY_BYTES: Final = 56
_NUMBER_BYTES: Final = 16
"""A unique id of Xen's takes 64 bits, and an answer may be negative."""

_COUNT_MAX: Final = 0xFFFF
_NAME_MAX: Final = 0xFF

ENTRY_MIN: Final = PREFIX_BYTES + _BODY_BYTES
"""Bytes of an entry that has nothing behind its fixed part."""

LENGTH_MAX: Final = (
    _BODY_BYTES + _NAME_MAX + 1 + 2 * _COUNT_MAX * _NUMBER_BYTES + PAYLOAD_MAX
)
"""The largest length of an entry; 4,408 if it has neither numbers nor answers."""

_PADDING: Final = tuple(bytes(count) for count in range(ALIGNMENT))


@final
class EntryError(Exception):
    """There is no whole entry.

    Attributes:
        offset: Where it should begin, in bytes.
        reason: What is wrong with it.
    """

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(offset, reason)
        self.offset = offset
        self.reason = reason

    def __str__(self) -> str:
        return f"offset {self.offset}: {self.reason}"


def encode(entry: Input, number: int, seed: int) -> bytes:
    """The bytes of an input.

    Args:
        entry: The input.
        number: Its number.
        seed: With which checksums begin in this file, 32 bits.

    Raises:
        ValueError: If the input cannot be written: a name over 255 bytes, more than
            65,535 numbers or answers, a payload over 4,096 bytes, a number that does
            not fit, or a frame in what is no request.
    """
    header = entry.header
    payload = entry.payload
    kind = entry.kind
    rest = payload
    named = 0
    if entry.name or entry.numbers or entry.answers:
        name = entry.name.encode()
        named = len(name)
        rest = name + _packed(entry.numbers) + _packed(entry.answers) + payload
    if len(payload) > PAYLOAD_MAX or (len(header) == REPEATED) != (kind == REQUEST):
        raise ValueError(entry)
    padding = -len(rest) & (ALIGNMENT - 1)
    if padding:
        rest += _PADDING[padding]
    try:
        body = (
            _pack_body(
                number,
                entry.generation,
                entry.connection,
                entry.ordinal,
                entry.domid,
                kind,
                named,
                len(entry.numbers),
                len(entry.answers),
                len(payload),
                header,
            )
            + rest
        )
    except struct.error as error:
        raise ValueError(str(error)) from error
    return _pack_prefix(len(body), _crc32(body, seed)) + body


def is_whole(data: Buffer, at: int, seed: int) -> bool:
    """Tell whether bytes at an offset are an entry, by length and checksum."""
    if at + ENTRY_MIN > len(data):
        return False
    length, checksum = _unpack_prefix(data, at)
    end = at + PREFIX_BYTES + length
    if not _BODY_BYTES <= length <= LENGTH_MAX or end > len(data):
        return False
    return bool(_crc32(memoryview(data)[at + PREFIX_BYTES : end], seed) == checksum)


def length_at(data: Buffer, at: int) -> int:
    """Bytes of the entry that begins at an offset; 0 if that cannot be one's length."""
    if at + PREFIX_BYTES > len(data):
        return 0
    length: int = _unpack_prefix(data, at)[0]
    if length % ALIGNMENT or not _BODY_BYTES <= length <= LENGTH_MAX:
        return 0
    return PREFIX_BYTES + length


def number_at(data: Buffer, at: int) -> int:
    """The number of the whole entry at an offset."""
    number: int = _unpack_body(data, at + PREFIX_BYTES)[0]
    return number


def decode(data: bytes, at: int, seed: int) -> Input:
    """Read the entry at an offset.

    Raises:
        EntryError: If there is none, or one that says what no input is.
    """
    end = at + length_at(data, at)
    if end == at:
        raise EntryError(at, "its length is not one")
    if end > len(data):
        raise EntryError(at, f"it ends early, {end - len(data)} bytes are missing")
    if not is_whole(data, at, seed):
        raise EntryError(at, "its checksum is wrong")
    return parse(data, at)


def parse(data: bytes, at: int) -> Input:
    """Read the whole entry at an offset.

    Raises:
        EntryError: If it says what no input is.
    """
    end = at + length_at(data, at)
    fields = _unpack_body(data, at + PREFIX_BYTES)
    _, generation, connection, ordinal, domid, kind = fields[:6]
    named, numbers, answers, size, header = fields[6:]
    place = at + ENTRY_MIN
    after_name = place + named
    after_numbers = after_name + numbers * _NUMBER_BYTES
    after_answers = after_numbers + answers * _NUMBER_BYTES
    stop = after_answers + size
    if kind >= len(KINDS):
        raise EntryError(at, f"kind {kind} is not known")
    if size > PAYLOAD_MAX or (stop - at + ALIGNMENT - 1) // ALIGNMENT != (
        (end - at) // ALIGNMENT
    ):
        raise EntryError(at, "its parts are not as long as it is")
    if any(data[stop:end]):
        raise EntryError(at, "there is something in its padding")
    frame = _frame(at, kind, header, data[after_answers:stop])
    if after_answers == place:
        return Input(kind, generation, connection, domid, frame, ordinal=ordinal)
    return Input(
        kind,
        generation,
        connection,
        domid,
        frame,
        _name(at, data[place:after_name]),
        _unpacked(data, after_name, numbers),
        _unpacked(data, after_numbers, answers),
        ordinal,
    )


def _frame(at: int, kind: int, header: bytes, payload: bytes) -> Frame | None:
    if kind == REQUEST:
        return frame_of(header, payload)
    if payload or any(header):
        raise EntryError(at, "it has a frame and is no request")
    return None


def _name(at: int, data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise EntryError(at, "its name is no text") from error


def _packed(numbers: tuple[int, ...]) -> bytes:
    try:
        return b"".join(
            [
                each.to_bytes(_NUMBER_BYTES, sys.byteorder, signed=True)
                for each in numbers
            ]
        )
    except OverflowError as error:
        raise ValueError(str(error)) from error


def _unpacked(data: bytes, at: int, count: int) -> tuple[int, ...]:
    return tuple(
        int.from_bytes(data[place : place + _NUMBER_BYTES], sys.byteorder, signed=True)
        for place in range(at, at + count * _NUMBER_BYTES, _NUMBER_BYTES)
    )
