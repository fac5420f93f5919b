"""Message types and server features, numbered as in ``xs_wire.h``."""

from xsd.protocol.lean import Final, IntEnum


class Op(IntEnum):
    """Type of a message; 20 was RESTRICT and is not valid any more.

    WATCH_EVENT and ERROR are sent by the server only.
    """

    CONTROL = 0
    DIRECTORY = 1
    READ = 2
    GET_PERMS = 3
    WATCH = 4
    UNWATCH = 5
    TRANSACTION_START = 6
    TRANSACTION_END = 7
    INTRODUCE = 8
    RELEASE = 9
    GET_DOMAIN_PATH = 10
    WRITE = 11
    MKDIR = 12
    RM = 13
    SET_PERMS = 14
    WATCH_EVENT = 15
    ERROR = 16
    IS_DOMAIN_INTRODUCED = 17
    RESUME = 18
    SET_TARGET = 19
    RESET_WATCHES = 21
    DIRECTORY_PART = 22
    GET_FEATURE = 23
    SET_FEATURE = 24
    GET_QUOTA = 25
    SET_QUOTA = 26


OP_LIMIT: Final = 27
"""One more than the highest message type."""

TRUE: Final = b"T\0"
FALSE: Final = b"F\0"
"""Replies to IS_DOMAIN_INTRODUCED; of TRANSACTION_END whether to commit."""

FEATURE_RECONNECTION: Final = 1
FEATURE_ERROR: Final = 2
FEATURE_WATCH_DEPTH: Final = 4
FEATURE_DOMID_ANY: Final = 8

FEATURES: Final = (
    FEATURE_RECONNECTION | FEATURE_ERROR | FEATURE_WATCH_DEPTH | FEATURE_DOMID_ANY
)
"""What this server offers: all there are. Xen's C daemon has no reconnection."""
