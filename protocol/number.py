"""Numbers in payloads, read as Xen's C daemon reads them.

Domain ids are checked. Other numbers are taken with ``atoi``, which finds a
number in any string; clients may have come to depend on that.
"""

from typing import Final

from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.limits import DOMID_DIGITS, DOMID_MAX, UINT_MAX

_BLANKS: Final = b" \t\n\v\f\r"
_DIGITS: Final = b"0123456789"

_LONG_MAX: Final = 2**63 - 1
_LONG_MIN: Final = -(2**63)
_LONG_DIGITS: Final = 19


def parse_domid(text: bytes) -> int:
    """Read a domain id: decimal digits only, 0 to 65,535.

    Raises:
        XenStoreError: EINVAL for anything else.
    """
    digits = text.lstrip(b"0")
    if text.isdigit() and len(digits) <= DOMID_DIGITS:
        domid = int(digits or b"0")
        if domid <= DOMID_MAX:
            return domid
    raise XenStoreError(Errno.EINVAL, "not a domain id")


def c_long(text: bytes) -> int:
    """Number at the beginning of a string, as by ``strtol`` with base 10.

    Blanks and a sign may come first, what follows the digits is ignored,
    without digits it is 0. Beyond 64 bits it is the nearest number inside.
    """
    if len(text) < _LONG_DIGITS and text.isdigit():
        return int(text)
    text = text.lstrip(_BLANKS)
    negative = text.startswith(b"-")
    if negative or text.startswith(b"+"):
        text = text[1:]
    rest = text.lstrip(_DIGITS)
    digits = text[: len(text) - len(rest)].lstrip(b"0")
    if len(digits) > _LONG_DIGITS:
        return _LONG_MIN if negative else _LONG_MAX
    number = int(digits or b"0")
    return max(-number, _LONG_MIN) if negative else min(number, _LONG_MAX)


def c_unsigned(text: bytes) -> int:
    """Result of ``atoi`` in an unsigned variable of 32 bits: -1 is 2**32 - 1."""
    return c_long(text) & UINT_MAX


def c_int(text: bytes) -> int:
    """Result of ``atoi``: the lower 32 bits, the highest of them the sign."""
    number = c_unsigned(text)
    return number - 2**32 if number >= 2**31 else number
