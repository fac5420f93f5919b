"""The numbers of the wire protocol, from Xen's public header ``xs_wire.h``."""

from xsd.protocol.lean import Final

HEADER_SIZE: Final = 16
"""Bytes of ``xsd_sockmsg``: type, request id, transaction id, length."""

PAYLOAD_MAX: Final = 4096
"""Most bytes after a header, in either direction (XENSTORE_PAYLOAD_MAX)."""

ABS_PATH_MAX: Final = 3072
"""Most bytes of an absolute path that a client should send."""

REL_PATH_MAX: Final = 2048
"""Most bytes of a relative path that a client should send."""

RING_SIZE: Final = 1024
"""Bytes of each of the two rings in a domain's page; a power of two."""

DOMID_FIRST_RESERVED: Final = 0x7FF0
"""Domain ids from here on never name a domain of their own."""

DOMID_SELF: Final = 0x7FF0
DOMID_INVALID: Final = 0x7FF4

DOMID_ANY: Final = 0x7FF5
"""In a permission: every domain."""

DOMID_MAX: Final = 0xFFFF
"""Domain ids are 16 bits wide on the wire."""

DOMID_DIGITS: Final = 5
"""Most decimal digits of a domain id, without zeros before it."""

UINT_MAX: Final = 0xFFFFFFFF
"""Greatest number of 32 bits, as a header's fields and a ring's indexes have."""
