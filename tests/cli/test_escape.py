r"""xsd.cli.escape: the notation of the xenstore-* tools."""

import pytest
from hypothesis import given
from hypothesis.strategies import binary

from xsd.cli.escape import escape, unescape


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"", b""),
        (b"plain \"'~", b"plain \"'~"),
        (b"back\\slash", rb"back\\slash"),
        (b"\t\n\r", rb"\t\n\r"),
        (b"\0\1\7", rb"\000\001\007"),
        (b"\x08\x0b\x1b\x1f\x7f\x80\xff", rb"\x08\x0b\x1b\x1f\x7f\x80\xff"),
        ("é".encode(), rb"\xc3\xa9"),
        (b"\0" + b"7f", rb"\0007f"),
    ],
)
def test_escape_shows_every_byte(value: bytes, text: bytes) -> None:
    """Bytes up to 7 are octal, others that do not print hexadecimal."""
    assert escape(value) == text
    assert unescape(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (rb"\x1", b"\x01"),
        (rb"\x1g", b"\x01g"),
        (rb"\x123", b"\x123"),
        (rb"\xaF", b"\xaf"),
        (rb"\0", b"\0"),
        (rb"\18", b"\x018"),
        (rb"\1234", b"S4"),
        (rb"\400", b"\0"),
        (rb"\777", b"\xff"),
        (rb"\x", b"x"),
        (rb"\xZZ", b"xZZ"),
        (rb"\q\8\"", b'q8"'),
        (rb"\\n", rb"\n"),
        (b"\\\n", b"\n"),
        (b"a\nb", b"a\nb"),
        (b"\xc3\xa9", b"\xc3\xa9"),
        (b"end\\", b"end\\"),
    ],
)
def test_unescape_is_lenient(text: bytes, value: bytes) -> None:
    """What is no number stands for itself, and numbers may be short."""
    assert unescape(text) == value


@given(binary())
def test_unescape_turns_escape_back(value: bytes) -> None:
    """`xsd write` takes what `xsd read` prints: a line that is safe on a terminal."""
    assert unescape(escape(value)) == value
    assert all(0x20 <= byte <= 0x7E for byte in escape(value))
