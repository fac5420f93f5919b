"""Inputs as bytes: the entries of a journal.

An entry is an input, or a run (run.py): requests of one connection that follow each
other, each with a number, an ordinal and a generation that are one more than those of
the request before it. It begins at a multiple of 8, and is, in the byte order of the
machine::

    length     u32   bytes behind the checksum, without the zeros
    checksum   u32   see below
    number     u64   of the (first) input, counted from 1 over the whole journal
    generation i64   of the store, after that was carried out
    ordinal    u64   of a request, among those of its connection; else 0
    connection u64
    domid      i32
    kind       u16   see xsd/engine/inputs.py
    details    u16   1 if there are any
    header     u32 type, request id, transaction id and length, as they came; of what
               is no request, zeros
    zeros      up to a multiple of 8
    details    u16 bytes of a name, u16 numbers, u16 answers, u16 0; the name, numbers
               and answers (16 bytes each, signed)
    payload    of the request
    requests   that follow it in a run: header and payload, as they came

The checksum is the Adler-32 of what is behind the zeros, begun with the seed of the
file plus all numbers before them but the checksum, modulo 4,294,967,291. Only the file
knows the seed, so that a value which a guest writes cannot look like an entry. It is
made of them like this because each step would be felt: most entries are of one request
of a few bytes, of which a CRC takes three times as long.
"""

import mmap
import struct
import sys
import zlib
from collections.abc import Callable
from typing import Final, final

from xsd.engine.inputs import KINDS, REQUEST, Input
from xsd.protocol.frame import REPEATED, FrameDecoder, frame_of
from xsd.protocol.limits import HEADER_SIZE, PAYLOAD_MAX

Buffer = bytes | bytearray | memoryview
Memory = bytearray | mmap.mmap

PREFIX_BYTES: Final = 8
"""The length and the checksum."""

ALIGNMENT: Final = 8
"""An entry begins at a multiple of this."""

_WHOLE: Final = tuple(
    struct.Struct(f"=4sIQqQ16s12s4s{-size % ALIGNMENT}x{size}s").pack_into
    for size in range(128)
)
"""An entry, by the bytes behind its zeros; most have no more."""

_FIXED: Final = struct.Struct("=IIQqQQiHHIIII")
_WHOSE: Final = struct.Struct("=QiHH")
_DETAILS: Final = struct.Struct("=HHHH")
_NUMBER: Final = struct.Struct("=Q")
_LENGTH: Final = struct.Struct("=I")
_pack_length: Final = _LENGTH.pack
_LENGTHS: Final = tuple(_pack_length(size) for size in range(256))
"""Most sizes and lengths: to copy four bytes takes a third of packing a number."""

_unpack_fixed: Final = _FIXED.unpack_from
_adler32: Final[Callable[[Buffer, int], object]] = zlib.adler32

_MODULUS: Final = 4_294_967_291
"""A prime, so that each bit of the numbers makes a difference; below 2**32."""

_FIXED_BYTES: Final = 56
"""Length of an entry that has nothing behind its header."""

_DETAILS_BYTES: Final = 8
_NUMBER_BYTES: Final = 16
"""A unique id of Xen's takes 64 bits, and an answer may be negative."""

_COUNT_MAX: Final = 0xFFFF
_NAME_MAX: Final = 0xFF

ENTRY_MIN: Final = PREFIX_BYTES + _FIXED_BYTES
"""Bytes of an entry that has nothing behind its header."""

RUN_MAX: Final = 16 * 1024
"""Bytes of the requests of a run, headers included."""

LENGTH_MAX: Final = (
    _FIXED_BYTES
    + _DETAILS_BYTES
    + (_NAME_MAX + 1 + 2 * _COUNT_MAX * _NUMBER_BYTES)
    + RUN_MAX
)
"""No length of an entry is larger; without details none is larger than 16,424."""


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
    """The entry of an input.

    Args:
        entry: The input.
        number: Its number.
        seed: With which checksums begin in this file, 32 bits.

    Raises:
        ValueError: If the input cannot be written: a kind that there is not, a name
            over 255 bytes, more than 65,535 numbers or answers, a payload over 4,096
            bytes, a number that does not fit, or a frame in what is no request.
    """
    kind, header, payload = entry.kind, entry.header, entry.payload
    if kind >= len(KINDS):
        raise ValueError(entry)
    if len(payload) > PAYLOAD_MAX or (len(header) == REPEATED) != (kind == REQUEST):
        raise ValueError(entry)
    details = b""
    if entry.name or entry.numbers or entry.answers:
        details = _details(entry)
    connection, domid, has_details = entry.connection, entry.domid, int(details != b"")
    begin = seed + connection + domid + kind + has_details
    frame = entry.frame
    if frame is not None:
        begin += frame.op + frame.req_id + frame.tx_id
    rest = details + payload
    data = bytearray(aligned(ENTRY_MIN + len(rest)))
    write_entry(
        data,
        0,
        begin,
        number,
        entry.generation,
        entry.ordinal,
        whose_of(connection, domid, kind, has_details),
        header,
        len(payload),
        rest,
    )
    return bytes(data)


def whose_of(connection: int, domid: int, kind: int, details: int) -> bytes:
    """What stands between the ordinal and the header.

    Raises:
        ValueError: If a number does not fit.
    """
    try:
        return _WHOSE.pack(connection, domid, kind, details)
    except struct.error as error:
        raise ValueError(str(error)) from error


def write_entry(
    into: Memory,
    at: int,
    begin: int,
    number: int,
    generation: int,
    ordinal: int,
    whose: bytes,
    header: bytes,
    size: int,
    rest: bytes,
) -> None:
    """Write an entry.

    Args:
        into: Where.
        at: Offset there.
        begin: The seed plus the numbers of `whose` and `header`.
        number: See the head, as for the others.
        generation: Of the first input.
        ordinal: Of the first request.
        whose: What stands between that and the header.
        header: The first 12 bytes of the header, or none.
        size: Bytes of the payload.
        rest: What is behind the zeros.

    Raises:
        ValueError: If a number does not fit.
    """
    count = len(rest)
    length = _FIXED_BYTES + count
    begin = (begin + length + number + generation + ordinal + size) % _MODULUS
    checksum = _adler32(rest, begin)
    part = rest if count < len(_WHOLE) else rest[: count % ALIGNMENT]
    write = _WHOLE[len(part)]
    try:
        # In one go, which takes least: most entries are of one short request.
        write(
            into,
            at,
            packed_size(length),
            checksum,
            number,
            generation,
            ordinal,
            whose,
            header,
            packed_size(size),
            part,
        )
    except struct.error as error:
        raise ValueError(str(error)) from error
    if count > len(part):
        end = at + aligned(PREFIX_BYTES + length)
        into[end - count + len(part) : end] = rest[len(part) :]


def packed_size(size: int) -> bytes:
    """A size or length, as a header and an entry have it."""
    return _LENGTHS[size] if size < len(_LENGTHS) else _pack_length(size)


def aligned(size: int) -> int:
    """So many bytes, up to a multiple of 8."""
    return size + (-size & (ALIGNMENT - 1))


def is_whole(data: Buffer, at: int, seed: int) -> bool:
    """Tell whether bytes at an offset are an entry, by length and checksum."""
    if at + ENTRY_MIN > len(data):
        return False
    length, checksum, *others = _unpack_fixed(data, at)
    end = at + aligned(PREFIX_BYTES + length)
    if not _FIXED_BYTES <= length <= LENGTH_MAX or end > len(data):
        return False
    begin = (seed + length + sum(others)) % _MODULUS
    rest = memoryview(data)[end + _FIXED_BYTES - length : end]
    return bool(_adler32(rest, begin) == checksum)


def length_at(data: Buffer, at: int) -> int:
    """Bytes of the entry that begins at an offset; 0 if that cannot be one's length."""
    if at + PREFIX_BYTES > len(data):
        return 0
    length: int = _LENGTH.unpack_from(data, at)[0]
    if not _FIXED_BYTES <= length <= LENGTH_MAX:
        return 0
    return aligned(PREFIX_BYTES + length)


def number_at(data: Buffer, at: int) -> int:
    """The number of the first input of the whole entry at an offset."""
    number: int = _NUMBER.unpack_from(data, at + PREFIX_BYTES)[0]
    return number


def decode(data: bytes, at: int, seed: int) -> list[Input]:
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


def parse(data: bytes, at: int) -> list[Input]:
    """Read the whole entry at an offset.

    Returns:
        Its inputs, one or more.

    Raises:
        EntryError: If it says what no input is.
    """
    end = at + length_at(data, at)
    fields = _unpack_fixed(data, at)
    _, _, _, generation, ordinal, connection, domid, kind, has_details = fields[:9]
    length, size = fields[0], fields[12]
    if kind >= len(KINDS):
        raise EntryError(at, f"kind {kind} is not known")
    place = end + _FIXED_BYTES - length
    if any(data[at + ENTRY_MIN : place]):
        raise EntryError(at, "there is something in its zeros")
    name = ""
    numbers: tuple[int, ...] = ()
    answers: tuple[int, ...] = ()
    if has_details > 1:
        raise EntryError(at, "its details are not known")
    if has_details:
        place, name, numbers, answers = _read_details(data, at, place, end)
    header = data[at + ENTRY_MIN - HEADER_SIZE : at + ENTRY_MIN]
    if kind != REQUEST:
        if any(header) or place != end:
            raise EntryError(at, "it has a request and is none")
        return [
            Input(
                kind,
                generation,
                connection,
                domid,
                None,
                name,
                numbers,
                answers,
                ordinal,
            )
        ]
    if size > PAYLOAD_MAX or place + size > end:
        raise EntryError(at, "its request is longer than it is")
    frame = frame_of(header[:REPEATED], data[place : place + size])
    inputs = [
        Input(
            kind, generation, connection, domid, frame, name, numbers, answers, ordinal
        )
    ]
    if place + size < end:
        inputs += _following(inputs[0], at, data[place + size : end])
    return inputs


def _following(first: Input, at: int, data: bytes) -> list[Input]:
    """The requests of a run that follow its first one."""
    decoder = FrameDecoder()
    inputs = [
        Input(
            REQUEST,
            first.generation + place,
            first.connection,
            first.domid,
            frame,
            ordinal=first.ordinal + place,
        )
        for place, frame in enumerate(decoder.feed(data), 1)
    ]
    if decoder.pending or decoder.error is not None:
        raise EntryError(at, "what follows its request is none")
    return inputs


def _read_details(
    data: bytes, at: int, place: int, end: int
) -> tuple[int, str, tuple[int, ...], tuple[int, ...]]:
    """The end of the details at an offset, a name, numbers and answers."""
    after_name = place + _DETAILS_BYTES
    if after_name > end:
        raise EntryError(at, "its details are longer than it is")
    named, numbers, answers, _ = _DETAILS.unpack_from(data, place)
    after_name += named
    after_numbers = after_name + numbers * _NUMBER_BYTES
    after_answers = after_numbers + answers * _NUMBER_BYTES
    if after_answers > end:
        raise EntryError(at, "its details are longer than it is")
    return (
        after_answers,
        _name(at, data[place + _DETAILS_BYTES : after_name]),
        _unpacked(data, after_name, numbers),
        _unpacked(data, after_numbers, answers),
    )


def _details(entry: Input) -> bytes:
    name = entry.name.encode()
    numbers, answers = entry.numbers, entry.answers
    if len(name) > _NAME_MAX or max(len(numbers), len(answers)) > _COUNT_MAX:
        raise ValueError(entry)
    counts = _DETAILS.pack(len(name), len(numbers), len(answers), 0)
    return counts + name + _packed(numbers) + _packed(answers)


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
