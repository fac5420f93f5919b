"""Frames on the wire: cutting a byte stream apart and building messages."""

import struct
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.frame import Frame, FrameDecoder, encode_frame

READ_A = b"\x02\0\0\0\x07\0\0\0\x09\0\0\0\x03\0\0\0/a\0"
EMPTY = b"\x15\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0"
TOO_LONG = b"\x0b\0\0\0\x01\0\0\0\0\0\0\0\x01\x10\0\0"

U32 = st.integers(0, 2**32 - 1)
FRAMES = st.lists(
    st.builds(encode_frame, U32, U32, U32, st.binary(max_size=80)), max_size=6
)
CUTS = st.lists(st.integers(0, 600), max_size=12)


def in_pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    """The stream, cut at these offsets; some pieces may be empty."""
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    return [stream[a:b] for a, b in pairwise(edges)]


def feed_all(decoder: FrameDecoder, pieces: list[bytes]) -> list[Frame]:
    return [frame for piece in pieces for frame in decoder.feed(piece)]


def test_a_frame_has_its_header_numbers_and_payload() -> None:
    """What is kept of the header is what a reply repeats: all but the length."""
    (frame,) = FrameDecoder().feed(READ_A)

    assert (frame.header, frame.whole) == (READ_A[:12], READ_A)
    assert (frame.op, frame.req_id, frame.tx_id) == (2, 7, 9)
    assert frame.payload == b"/a\0"


def test_header_numbers_are_unsigned() -> None:
    """All four numbers have 32 bits and no sign."""
    (frame,) = FrameDecoder().feed(b"\xff" * 12 + b"\0\0\0\0")

    assert (frame.op, frame.req_id, frame.tx_id) == (2**32 - 1,) * 3


LONGEST = encode_frame(11, 1, 0, b"/a\0" + b"v" * 4093)


def test_the_longest_frame_may_come_byte_by_byte() -> None:
    """It is there with its last byte; all that came before it was pending."""
    decoder = FrameDecoder()

    assert feed_all(decoder, [bytes([byte]) for byte in LONGEST[:-1]]) == []
    assert decoder.pending == LONGEST[:-1]
    (frame,) = decoder.feed(LONGEST[-1:])
    assert (frame.whole, decoder.pending) == (LONGEST, b"")


@settings(deadline=None)
@given(frames=FRAMES, cuts=CUTS, missing=st.integers(0, 95))
@example(frames=[READ_A, EMPTY, READ_A], cuts=[], missing=0)
@example(frames=[READ_A, READ_A, EMPTY, READ_A], cuts=[36], missing=16)
def test_where_the_stream_is_cut_changes_nothing(
    frames: list[bytes], cuts: list[int], missing: int
) -> None:
    """Any split gives the same frames, and what makes no frame yet is pending."""
    stream = b"".join(frames)
    stream = stream[: max(0, len(stream) - missing)]
    decoder = FrameDecoder()
    decoded = feed_all(decoder, in_pieces(stream, cuts))

    assert decoded == FrameDecoder().feed(stream)
    done = [frame.whole for frame in decoded]
    assert done == frames[: len(done)]
    assert b"".join(done) + decoder.pending == stream
    assert FrameDecoder().feed(decoder.pending) == []


@pytest.mark.parametrize("length", [4097, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_a_payload_over_4096_ends_the_stream(length: int) -> None:
    """Frames before it count, nothing after; the length is unsigned (XSA-420)."""
    decoder = FrameDecoder()
    frames = decoder.feed(READ_A + struct.pack("=IIII", 2, 0, 0, length) + READ_A)

    assert [frame.op for frame in frames] == [2]
    assert decoder.error is not None
    assert decoder.error.offset == len(READ_A)
    assert str(length) in decoder.error.reason
    assert decoder.pending == b""
    assert decoder.feed(READ_A) == []
    assert decoder.pending == b""


@settings(deadline=None)
@given(frames=FRAMES, cuts=CUTS, after=st.binary(max_size=20))
def test_where_the_stream_is_cut_does_not_change_an_error(
    frames: list[bytes], cuts: list[int], after: bytes
) -> None:
    """The error tells the offset of the bad header in the whole stream."""
    good = b"".join(frames)
    decoder = FrameDecoder()
    decoded = feed_all(decoder, in_pieces(good + TOO_LONG + after, cuts))

    assert [frame.whole for frame in decoded] == frames
    assert decoder.error is not None
    assert decoder.error.offset == len(good)
    assert decoder.pending == b""


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=20))
def test_no_bytes_make_the_decoder_raise(pieces: list[bytes]) -> None:
    """Whatever a client sends, feed returns, and keeps less than a frame."""
    decoder = FrameDecoder()
    feed_all(decoder, pieces)

    assert len(decoder.pending) < 16 + 4096


def test_frames_are_equal_if_their_bytes_are() -> None:
    """A frame is compared by header and payload."""
    one, same = FrameDecoder().feed(READ_A + READ_A)

    assert one == same
    assert hash(one) == hash(same)
    assert one != Frame(one.header, 2, 9, b"/b\0")
    assert one != Frame(EMPTY, 21, 0, one.payload)
    assert one != READ_A


def test_repr_shows_numbers_and_payload_in_75_characters() -> None:
    """A frame in a failed test or a log is readable; 4 KiB do not flood it."""
    (frame,) = FrameDecoder().feed(READ_A)
    long = Frame(b"\xff" * 12, 2**32 - 1, 2**32 - 1, b"\0" * 4096)

    assert repr(frame) == r"Frame(2, 7, 9, b'/a\x00')"
    assert len(repr(long)) == 75
    assert repr(long).endswith("...)")


def test_encode_frame_writes_header_and_payload() -> None:
    """What the decoder reads; a message that nobody accepts is not built."""
    assert encode_frame(2, 7, 9, b"/a\0") == READ_A
    assert encode_frame(21, 1, 0, b"") == EMPTY
    assert len(encode_frame(11, 0, 0, b"x" * 4096)) == 4112
    with pytest.raises(XenStoreError) as caught:
        encode_frame(11, 0, 0, b"x" * 4097)
    assert caught.value.errno is Errno.E2BIG
