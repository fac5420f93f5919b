"""Replies, errors and watch events as bytes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.frame import Frame, FrameDecoder
from xsd.protocol.reply import (
    FALSE,
    OK,
    TRUE,
    directory_part_payload,
    encode_error,
    encode_event,
    encode_reply,
    names_payload,
    number_payload,
    text_payload,
)

READ_A = b"\x02\0\0\0\x07\0\0\0\x09\0\0\0\x03\0\0\0/a\0"


@pytest.fixture
def request_frame() -> Frame:
    return FrameDecoder().feed(READ_A)[0]


def test_reply_repeats_type_and_ids(request_frame: Frame) -> None:
    """The client finds its request by type, request id and transaction id."""
    reply = encode_reply(request_frame, b"value")

    assert reply == b"\x02\0\0\0\x07\0\0\0\x09\0\0\0\x05\0\0\0value"


def test_reply_without_data_says_ok(request_frame: Frame) -> None:
    """Success without data is OK and a NUL."""
    reply = b"\x02\0\0\0\x07\0\0\0\x09\0\0\0\x03\0\0\0OK\0"

    assert encode_reply(request_frame, OK) == reply
    assert encode_reply(request_frame, bytes(bytearray(OK))) == reply


def test_reply_may_be_empty(request_frame: Frame) -> None:
    """An empty value or list is a reply without payload."""
    reply = encode_reply(request_frame, b"")

    assert reply == b"\x02\0\0\0\x07\0\0\0\x09\0\0\0\0\0\0\0"


def test_reply_over_4096_is_e2big(request_frame: Frame) -> None:
    """A reply never has more than 4,096 bytes of payload (XSA-72)."""
    assert encode_reply(request_frame, b"x" * 4096)[12:17] == b"\0\x10\0\0x"

    with pytest.raises(XenStoreError) as caught:
        encode_reply(request_frame, b"x" * 4097)

    assert caught.value.errno is Errno.E2BIG


def test_error_has_a_type_of_its_own_and_the_ids(request_frame: Frame) -> None:
    """An ERROR reply repeats the ids, not the type."""
    reply = encode_error(request_frame, Errno.ENOENT)

    assert reply == b"\x10\0\0\0\x07\0\0\0\x09\0\0\0\x07\0\0\0ENOENT\0"


@pytest.mark.parametrize("errno", Errno)
def test_every_errno_is_sent_by_its_name(request_frame: Frame, errno: Errno) -> None:
    """The payload of ERROR is the name of the errno and a NUL."""
    (reply,) = FrameDecoder().feed(encode_error(request_frame, errno))

    assert reply.payload == errno.name.encode() + b"\0"


def test_event_has_no_ids() -> None:
    """A watch event belongs to no request."""
    event = encode_event(b"/a", b"t")

    assert event == b"\x0f\0\0\0\0\0\0\0\0\0\0\0\x05\0\0\0/a\0t\0"


def test_event_over_4096_is_not_sent() -> None:
    """Path and token with their NULs fit, or there is no event (XSA-324)."""
    longest = encode_event(b"/" + b"a" * 4090, b"tok")

    assert longest is not None
    assert len(longest) == 16 + 4096
    assert encode_event(b"/" + b"a" * 4091, b"tok") is None


@settings(deadline=None)
@given(path=st.binary(max_size=5000), token=st.binary(max_size=5000))
def test_an_event_is_a_frame_or_none(path: bytes, token: bytes) -> None:
    """Any path and token give None or one frame that holds both."""
    event = encode_event(path, token)

    if event is None:
        assert len(path) + len(token) + 2 > 4096
    else:
        (frame,) = FrameDecoder().feed(event)
        assert (frame.op, frame.req_id, frame.tx_id) == (15, 0, 0)
        assert frame.payload == path + b"\0" + token + b"\0"


def test_names_have_a_nul_each() -> None:
    """A list is all names with a NUL behind each, or nothing at all."""
    assert names_payload([]) == b""
    assert names_payload([b"a"]) == b"a\0"
    assert names_payload([b"a", b"bc", b"d"]) == b"a\0bc\0d\0"


def test_directory_part_with_the_end_has_a_nul_more() -> None:
    """The generation, the names from the offset on, and a NUL at the end."""
    assert directory_part_payload(20, b"ab\0c\0", 0) == b"20\0ab\0c\0\0"
    assert directory_part_payload(20, b"ab\0c\0", 3) == b"20\0c\0\0"
    assert directory_part_payload(20, b"ab\0c\0", 1) == b"20\0b\0c\0\0"


@pytest.mark.parametrize("offset", [5, 6, 2**32 - 1])
def test_directory_part_behind_the_list_is_empty(offset: int) -> None:
    """From the end on there is the generation and the NUL of the end."""
    assert directory_part_payload(20, b"ab\0c\0", offset) == b"20\0\0"
    assert directory_part_payload(20, b"", offset) == b"20\0\0"


def test_directory_part_of_no_children_is_empty() -> None:
    """A node without children has a list of no bytes."""
    assert directory_part_payload(7, b"", 0) == b"7\0\0"


def test_directory_part_keeps_room_for_the_nul_of_the_end() -> None:
    """With a generation of 5 digits, 4,089 bytes of names fit, as in C."""
    fits = b"a" * 4000 + b"\0" + b"b" * 87 + b"\0"
    too_long = b"a" * 4000 + b"\0" + b"b" * 88 + b"\0"

    assert len(fits) == 4089
    assert directory_part_payload(12345, fits, 0) == b"12345\0" + fits + b"\0"
    assert directory_part_payload(12345, too_long, 0) == (
        b"12345\0" + b"a" * 4000 + b"\0"
    )


def test_directory_part_of_one_endless_name_has_no_name() -> None:
    """Names are never cut, not even one that fits no payload."""
    assert directory_part_payload(1, b"a" * 5000 + b"\0", 0) == b"1\0"


NAMES = st.lists(
    st.integers(1, 300).map(lambda size: b"n" * size), min_size=1, max_size=60
)


@settings(deadline=None)
@given(names=NAMES, generation=st.integers(0, 2**64 - 1))
def test_parts_put_together_are_the_list(names: list[bytes], generation: int) -> None:
    """A client that asks on until the NUL of the end has seen all names once."""
    whole = names_payload(names)
    seen = b""
    end = False
    while not end:
        part = directory_part_payload(generation, whole, len(seen))
        head, _, piece = part.partition(b"\0")
        assert head == b"%d" % generation
        assert len(part) <= 4096
        end = piece.endswith(b"\0\0") or piece == b"\0"
        seen += piece[:-1] if end else piece

    assert seen == whole


def test_small_payloads_end_with_a_nul() -> None:
    """Numbers, texts and answers are strings on the wire."""
    assert number_payload(0) == b"0\0"
    assert number_payload(2**64 - 1) == b"18446744073709551615\0"
    assert text_payload(b"/local/domain/5") == b"/local/domain/5\0"
    assert (TRUE, FALSE) == (b"T\0", b"F\0")
