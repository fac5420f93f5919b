"""Entries: each input comes back, and bytes that are none are refused."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.persistence.inputs import frame_of, write_of
from tests.persistence.journals import EVERY_KIND, INPUTS, all_of, values_of
from xsd.engine.inputs import KINDS, LIMIT, REQUEST, WENT, Input
from xsd.persistence.entries import (
    ALIGNMENT,
    ENTRY_MIN,
    LENGTH_MAX,
    EntryError,
    decode,
    encode,
    is_whole,
    length_at,
    number_at,
)
from xsd.protocol.frame import Frame

SEED = 0x89ABCDEF
DETAILS = struct.pack("=HHHH", 1, 0, 1, 0)
"""Of a name of one byte and an answer, which follow."""


def sealed(numbers: tuple[int, ...], rest: bytes = b"", zeros: bytes = b"") -> bytes:
    """An entry of any numbers, with a right checksum.

    Args:
        numbers: All before the zeros but the checksum, length first.
        rest: What is behind the zeros.
        zeros: What is there in their place.
    """
    checksum = zlib.adler32(rest, (SEED + sum(numbers)) % (2**32 - 5))
    head = struct.pack("=IIQqQQiHHIIII", numbers[0], checksum, *numbers[1:])
    return head + (zeros or bytes(-len(rest) % 8)) + rest


def entry_of(rest: bytes = b"", *, zeros: bytes = b"", **fields: int) -> bytes:
    """An entry with some fields that are others."""
    of = {"kind": WENT, "details": 0, "op": 0, "size": 0, **fields}
    length = of.get("length", 56 + len(rest))
    whose = (1, 0, of["kind"], of["details"])
    numbers = (length, 7, 5, 0, *whose, of["op"], 0, 0, of["size"])
    return sealed(numbers, rest, zeros)


def refusal_of(data: bytes, at: int = 0) -> str:
    """Why bytes are no entry."""
    with pytest.raises(EntryError) as caught:
        decode(data, at, SEED)
    return str(caught.value)


def test_examples_are_of_every_kind() -> None:
    """Else nothing would be said of some."""
    assert {entry.kind for entry in EVERY_KIND} == set(range(len(KINDS)))


@pytest.mark.parametrize("entry", EVERY_KIND, ids=repr)
def test_each_input_comes_back(entry: Input) -> None:
    """With its number."""
    data = encode(entry, 2**63, SEED)

    assert all_of(decode(data, 0, SEED)) == [values_of(entry)]
    assert number_at(data, 0) == 2**63
    assert len(data) == length_at(data, 0)
    assert is_whole(data, 0, SEED)


@given(inputs=st.lists(INPUTS, max_size=4), number=st.integers(0, 2**64 - 1))
def test_inputs_behind_each_other_come_back(inputs: list[Input], number: int) -> None:
    """Whatever is in them, and each ends where the next may begin."""
    data = bytes(ALIGNMENT) + b"".join(encode(each, number, SEED) for each in inputs)

    at = ALIGNMENT
    for each in inputs:
        assert all_of(decode(data, at, SEED)) == [values_of(each)]
        assert number_at(data, at) == number
        at += length_at(data, at)
        assert at % ALIGNMENT == 0
    assert at == len(data)


def test_format_is_as_the_head_of_the_module_has_it() -> None:
    """What one version has written, the next one reads."""
    entry = Input(REQUEST, 9, 7, 5, frame_of(b"/a\0vw"), answers=(-1,), ordinal=12)

    data = encode(entry, 3, SEED)

    numbers = (56 + 24 + 5, 3, 9, 12, 7, 5, REQUEST, 1, 11, 2**32 - 1, 7, 5)
    details = struct.pack("=HHHH", 0, 0, 1, 0) + b"\xff" * 16
    assert data == sealed(numbers, details + b"/a\0vw")


@given(entry=INPUTS, flipped=st.data())
def test_an_entry_with_another_bit_is_none(
    entry: Input, flipped: st.DataObject
) -> None:
    """Wherever it is."""
    data = bytearray(encode(entry, 3, SEED))
    bit = flipped.draw(st.integers(0, 8 * len(data) - 1))
    data[bit // 8] ^= 1 << bit % 8

    with pytest.raises(EntryError):
        decode(bytes(data), 0, SEED)


@given(entry=INPUTS, left=st.data())
def test_an_entry_that_was_cut_off_is_none(entry: Input, left: st.DataObject) -> None:
    """Wherever, and whether zeros follow or not."""
    data = encode(entry, 3, SEED)
    size = left.draw(st.integers(0, len(data.rstrip(b"\0")) - 1))

    assert not is_whole(data[:size], 0, SEED)
    assert not is_whole(data[:size].ljust(len(data), b"\0"), 0, SEED)
    with pytest.raises(EntryError):
        decode(data[:size], 0, SEED)


def test_an_entry_of_another_file_is_none() -> None:
    """Nor what a guest has written that looks like one: it does not know the seed."""
    inner = encode(write_of(7), 2, SEED + 1)

    assert not is_whole(inner, 0, SEED)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "its length is not one"),
        (struct.pack("=II", 0, 0), "its length is not one"),
        (struct.pack("=II", 55, 0), "its length is not one"),
        (struct.pack("=II", LENGTH_MAX + 1, 0), "its length is not one"),
        (struct.pack("=II", 57, 0) + bytes(56), "it ends early, 8 bytes are missing"),
        (struct.pack("=II", 56, 0) + bytes(56), "its checksum is wrong"),
        (entry_of(kind=len(KINDS)), "kind 8 is not known"),
        (entry_of(details=2), "its details are not known"),
        (entry_of(b"abcd", details=1), "its details are longer than it is"),
        (entry_of(DETAILS, details=1), "its details are longer than it is"),
        (
            entry_of(DETAILS + b"\xff" + bytes(16), details=1),
            "its name is no text",
        ),
        (entry_of(b"a", zeros=b"\0\0\0\0\0\0b"), "there is something in its zeros"),
        (entry_of(op=1), "it has a request and is none"),
        (entry_of(b"a"), "it has a request and is none"),
        (entry_of(kind=REQUEST, size=1), "its request is longer than it is"),
        (
            entry_of(bytes(4097), kind=REQUEST, size=4097),
            "its request is longer than it is",
        ),
        (entry_of(b"ab", kind=REQUEST, size=1), "what follows its request is none"),
        (
            entry_of(struct.pack("=IIII", 0, 0, 0, 4097), kind=REQUEST),
            "what follows its request is none",
        ),
    ],
)
def test_what_is_no_entry_is_refused(data: bytes, reason: str) -> None:
    """With the offset, also where the checksum is right."""
    assert refusal_of(data) == f"offset 0: {reason}"
    assert refusal_of(bytes(16) + data, 16) == f"offset 16: {reason}"


@pytest.mark.parametrize(
    "entry",
    [
        Input(LIMIT, 1, name="n" * 256),
        Input(LIMIT, 1, name="n" * 70_000),
        Input(LIMIT, 1, name="\ud800"),
        Input(LIMIT, 1, numbers=(0,) * 65_536),
        Input(LIMIT, 1, answers=(2**127,)),
        Input(LIMIT, 2**63),
        Input(LIMIT, 1, connection=-1),
        Input(LIMIT, 1, domid=2**31),
        Input(300, 1),
        Input(WENT, 1, frame=frame_of(b"")),
        Input(REQUEST, 1),
        Input(REQUEST, 1, frame=Frame(b"x" * 12, 1, 1, bytes(4097))),
        Input(REQUEST, 1, frame=Frame(b"short", 1, 1, b"")),
    ],
)
def test_an_input_that_cannot_be_written_is_told(entry: Input) -> None:
    """Nothing is cut to fit."""
    with pytest.raises(ValueError):  # noqa: PT011  any
        encode(entry, 1, SEED)


def test_the_largest_input_comes_back() -> None:
    """And none is larger than is promised."""
    many = (2**64,) * 65_535
    frame = frame_of(bytes(4096))
    entry = Input(REQUEST, 1, 1, 1, frame, "n" * 255, many, many)
    data = encode(entry, 1, SEED)

    assert all_of(decode(data, 0, SEED)) == [values_of(entry)]
    assert length_at(data, 0) == len(data) <= LENGTH_MAX + 8


def test_a_write_of_20_bytes_takes_88() -> None:
    """What a journal grows by."""
    assert len(encode(write_of(0, 17), 1, SEED)) == 88
    assert len(encode(Input(WENT, 1), 1, SEED)) == ENTRY_MIN == 64
