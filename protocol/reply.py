"""Replies and watch events: what the server sends.

A reply repeats the type, request id and transaction id of its request, so its
header is cut from the request's. An ERROR reply has a type of its own; a watch
event belongs to no request and has zeros there.
"""

import struct
from typing import Final

from xsd.protocol.errors import ERROR_NAMES, Errno, XenStoreError
from xsd.protocol.frame import Frame
from xsd.protocol.limits import PAYLOAD_MAX
from xsd.protocol.ops import Op

OK: Final = b"OK\0"
"""Payload of a reply that has nothing to tell."""

LATER: Final = b"\0later"
"""In the place of a payload: the request is answered another time."""

_U32: Final = struct.Struct("=I")

# Taking a length from here is several times cheaper than packing it.
_LENGTHS: Final[list[bytes]] = [_U32.pack(size) for size in range(PAYLOAD_MAX + 1)]

OK_TAIL: Final = _LENGTHS[len(OK)] + OK
"""What a reply of OK consists of behind what it repeats of the request's header."""
_ERROR_TYPE: Final = _U32.pack(Op.ERROR)
_ERROR_TAILS: Final[dict[Errno, bytes]] = {
    Errno[name]: _LENGTHS[len(name) + 1] + name.encode() + b"\0" for name in ERROR_NAMES
}
_EVENT_TYPE: Final = _U32.pack(Op.WATCH_EVENT)
_EVENT_HEAD: Final = struct.pack("=III", Op.WATCH_EVENT, 0, 0)


def encode_reply(frame: Frame, payload: bytes) -> bytes:
    """Build the reply to a request that succeeded.

    Raises:
        XenStoreError: E2BIG for a payload over 4,096 bytes (XSA-72).
    """
    if payload is OK:
        return b"%b%b" % (frame.header, OK_TAIL)
    size = len(payload)
    if size > PAYLOAD_MAX:
        raise XenStoreError(Errno.E2BIG, f"reply of {size} bytes")
    return b"%b%b%b" % (frame.header, _LENGTHS[size], payload)


def encode_error(frame: Frame, errno: Errno) -> bytes:
    """Build the ERROR reply to a request that was refused."""
    return _ERROR_TYPE + frame.header[4:] + _ERROR_TAILS[errno]


def encode_event(path: bytes, token: bytes) -> bytes | None:
    """Build a watch event, or None if it is too long to be sent at all.

    The watching client chose the token and is not there to be told of an
    error: such an event is dropped (XSA-324).
    """
    size = len(path) + len(token) + 2
    if size > PAYLOAD_MAX:
        return None
    return _EVENT_HEAD + _LENGTHS[size] + path + b"\0" + token + b"\0"


def event_start(path: bytes, size: int) -> bytes:
    """Build what is before the token of a watch event with a payload of some size."""
    return _EVENT_HEAD + _LENGTHS[size] + path + b"\0"


def is_event(message: bytes) -> bool:
    """Tell whether a message of the server's is a watch event, and no reply."""
    return message.startswith(_EVENT_TYPE)


def names_payload(names: list[bytes]) -> bytes:
    """List of DIRECTORY: each name with a NUL behind; empty if there is none."""
    if not names:
        return b""
    return b"\0".join(names) + b"\0"


def directory_part_payload(generation: int, names: bytes, offset: int) -> bytes:
    """Piece of a list that may be longer than a payload, for DIRECTORY_PART.

    A client asks again with a greater offset until it has seen the end, and
    begins anew when the generation differs from the one before.

    Args:
        generation: Of the node: changes whenever the list does.
        names: The whole list, as `names_payload` makes it.
        offset: Bytes of the list to leave out, at least 0.

    Returns:
        The generation and a NUL, then as many whole names as fit. One more
        NUL marks the end of the list; room is kept for it in every piece, as
        Xen's C daemon does, so the pieces are the same.
    """
    head = b"%d\0" % generation
    room = PAYLOAD_MAX - len(head) - 1
    if len(names) - offset <= room:
        return head + names[offset:] + b"\0"
    end = names.rfind(b"\0", offset, offset + room) + 1
    return head + names[offset:end]


def number_payload(number: int) -> bytes:
    """Decimal number with its NUL: a transaction id, features, a quota."""
    return b"%d\0" % number


def text_payload(text: bytes) -> bytes:
    """One string with its NUL: a domain's path, what CONTROL tells."""
    return text + b"\0"
