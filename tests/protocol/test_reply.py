"""Replies, errors and watch events as bytes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.frame import FrameDecoder
from xsd.protocol.reply import (
    OK,
    directory_part_payload,
    encode_error,
    encode_event,
    encode_reply,
    names_payload,
    number_payload,
    text_payload,
)

READ_A = b"\x02\0\0\0\x07\0\0\0\x09\0\0\0\x03\0\0\0/a\0"


IDS = b"\x07\0\0\0\x09\0\0\0"
REQUEST = FrameDecoder().feed(READ_A)[0]


REPLIES = {
    "data": (b"value", b"\x05\0\0\0value"),
    "success without data": (OK, b"\x03\0\0\0OK\0"),
    "or what equals it": (bytes(bytearray(OK)), b"\x03\0\0\0OK\0"),
    "nothing": (b"", b"\0\0\0\0"),
    "all that fits": (b"x" * 4096, b"\0\x10\0\0" + b"x" * 4096),
}


@pytest.mark.parametrize(("data", "told"), REPLIES.values(), ids=REPLIES)
def test_a_reply_repeats_type_and_ids(data: bytes, told: bytes) -> None:
    """The client finds its request by type, request id and transaction id."""
    assert encode_reply(REQUEST, data) == b"\x02\0\0\0" + IDS + told


def test_a_reply_over_4096_is_e2big() -> None:
    """A reply never has more than 4,096 bytes of payload (XSA-72)."""
    with pytest.raises(XenStoreError) as caught:
        encode_reply(REQUEST, b"x" * 4097)

    assert caught.value.errno is Errno.E2BIG


@pytest.mark.parametrize("errno", Errno)
def test_an_error_has_a_type_of_its_own_and_the_ids(errno: Errno) -> None:
    """Its payload is the name of the errno and a NUL."""
    name = errno.name.encode() + b"\0"
    length = bytes([len(name), 0, 0, 0])

    assert encode_error(REQUEST, errno) == b"\x10\0\0\0" + IDS + length + name


def test_an_event_has_no_ids() -> None:
    """Path and token with their NULs fit in 4,096, or there is no event (XSA-324)."""
    event = encode_event(b"/a", b"t")
    longest = encode_event(b"/" + b"a" * 4090, b"tok")

    assert event == b"\x0f\0\0\0\0\0\0\0\0\0\0\0\x05\0\0\0/a\0t\0"
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


FITS = b"a" * 4000 + b"\0" + b"b" * 87 + b"\0"


@pytest.mark.parametrize(
    ("generation", "names", "offset", "part"),
    [
        # The generation, the names from the offset on, and a NUL at the end.
        (20, b"ab\0c\0", 0, b"20\0ab\0c\0\0"),
        (20, b"ab\0c\0", 3, b"20\0c\0\0"),
        (20, b"ab\0c\0", 1, b"20\0b\0c\0\0"),
        # Behind the list there is no name.
        *[(20, b"ab\0c\0", offset, b"20\0\0") for offset in (5, 6, 2**32 - 1)],
        *[(20, b"", offset, b"20\0\0") for offset in (0, 5, 6, 2**32 - 1)],
        # 4,089 bytes of names fit beside 5 digits, as in C, and the NUL of the end.
        (12345, FITS, 0, b"12345\0" + FITS + b"\0"),
        (12345, FITS[:-1] + b"b\0", 0, b"12345\0" + b"a" * 4000 + b"\0"),
        # Names are never cut, not even one that fits no payload.
        (1, b"a" * 5000 + b"\0", 0, b"1\0"),
    ],
)
def test_a_directory_part_is_a_generation_and_names(
    generation: int, names: bytes, offset: int, part: bytes
) -> None:
    """As many whole names as fit; with the last one there is a NUL more."""
    assert len(FITS) == 4089
    assert directory_part_payload(generation, names, offset) == part


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
