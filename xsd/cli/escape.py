r"""Values on the command line, which may hold any byte.

The notation is that of the xenstore-* tools: printable ASCII stands for itself,
a backslash is doubled, tab, newline and return are `\t`, `\n` and `\r`, other
bytes up to 7 are octal, `\000`, and the rest hexadecimal, `\xff`. So what
`escape` returns, `unescape` turns back.
"""

from xsd.protocol.lean import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import re

_NAMED: Final = {0x09: b"\\t", 0x0A: b"\\n", 0x0D: b"\\r", 0x5C: b"\\\\"}
_LETTERS: Final = {b"t": b"\t", b"n": b"\n", b"r": b"\r"}
_SEQUENCE: Final = rb"(?s)\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)"


def _escaped_byte(byte: int) -> bytes:
    if byte in _NAMED:
        return _NAMED[byte]
    if byte < 0o10:
        return b"\\%03o" % byte
    if 0x20 <= byte <= 0x7E:
        return bytes([byte])
    return b"\\x%02x" % byte


_TABLE: Final = [_escaped_byte(byte) for byte in range(256)]


def escape(value: bytes) -> bytes:
    """Return a value in printable ASCII."""
    return b"".join([_TABLE[byte] for byte in value])


def unescape(text: bytes) -> bytes:
    r"""Return the value that a user means.

    A backslash before any other byte stands for that byte alone, `\q` for `q`,
    and octal numbers over 255 lose their high bits, as in xenstore-write. One at
    the very end stands for itself; xenstore-write makes it a NUL.
    """
    if b"\\" not in text:
        return text
    import re  # noqa: PLC0415  slow to load, and most values have no backslash

    return re.sub(_SEQUENCE, _unescaped, text)


def _unescaped(match: "re.Match[bytes]") -> bytes:
    body: bytes = match[1]
    if body.startswith(b"x") and len(body) > 1:
        return bytes([int(body[1:], 16)])
    if body[:1] in b"01234567":
        return bytes([int(body, 8) & 0xFF])
    return _LETTERS.get(body, body)
