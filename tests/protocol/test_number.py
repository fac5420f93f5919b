"""Numbers in payloads: strict domain ids, and C's lenient ``atoi``."""

import ctypes

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.number import c_int, c_long, c_unsigned, parse_domid


@pytest.mark.parametrize(
    ("text", "domid"),
    [(b"0", 0), (b"5", 5), (b"005", 5), (b"32752", 32752), (b"65535", 65535)],
)
def test_a_domain_id_is_decimal(text: bytes, domid: int) -> None:
    """Domain ids go from 0 to 65,535."""
    assert parse_domid(text) == domid


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"65536", b"100000", b"4294967296", b"-1", b"+5", b" 5", b"5 ", b"5x"),
        *(b"x", b"0x5", b"1_0", b"\xb2", b"9" * 4000),
    ],
)
def test_anything_else_is_no_domain_id(text: bytes) -> None:
    """A sign, a blank or a letter makes it EINVAL, not domain 0."""
    with pytest.raises(XenStoreError) as caught:
        parse_domid(text)

    assert caught.value.errno is Errno.EINVAL


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *((b"7", 7), (b"", 0), (b"x", 0), (b"7x", 7), (b" 7", 7), (b"\t\n\v\f\r 7", 7)),
        *((b"\xa07", 0), (b"+7", 7), (b"-7", -7), (b"- 7", 0), (b"+-7", 0)),
        (b"0x7", 0),
        *((b"007", 7), (b"1_0", 1)),
    ],
)
def test_atoi_takes_the_number_at_the_beginning(text: bytes, number: int) -> None:
    """Blanks and a sign may come first; without digits it is 0."""
    assert c_int(text) == number


@pytest.mark.parametrize(
    ("text", "signed", "unsigned"),
    [
        (b"2147483647", 2147483647, 2147483647),
        (b"2147483648", -2147483648, 2147483648),
        (b"-1", -1, 4294967295),
        (b"4294967295", -1, 4294967295),
        (b"4294967303", 7, 7),
        (b"-4294967289", 7, 7),
        (b"9223372036854775807", -1, 4294967295),
        (b"9223372036854775808", -1, 4294967295),
        (b"99999999999999999999", -1, 4294967295),
        (b"-99999999999999999999", 0, 0),
    ],
)
def test_atoi_keeps_the_lower_32_bits(text: bytes, signed: int, unsigned: int) -> None:
    """Large numbers are cut as xenstored on x86 and ARM cuts them."""
    assert c_int(text) == signed
    assert c_unsigned(text) == unsigned


NUMBERS = st.one_of(
    st.binary(max_size=30),
    st.from_regex(rb"[ \t\n\v\f\r]{0,3}[+-]?[0-9]{0,25}[a-z -]{0,3}", fullmatch=True),
    st.integers().map(lambda number: b"%d" % number),
)


@settings(deadline=None)
@given(NUMBERS)
@example(b"-9223372036854775808")
@example(b"-9223372036854775809")
@example(b"0" * 4000 + b"5")
def test_c_long_agrees_with_the_c_library(text: bytes) -> None:
    """The C library's own strtol is the oracle; it saturates at 64 bits."""
    strtol = ctypes.CDLL(None).strtol
    strtol.restype = ctypes.c_int64
    strtol.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int]

    assert c_long(text) == strtol(text, None, 10)
