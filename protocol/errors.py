"""Errors: those that travel as ERROR replies, and those that end a connection."""

from enum import IntEnum
from typing import Final, final


class Errno(IntEnum):
    """The error names of ``xs_wire.h``; the value is the place in its table."""

    EINVAL = 0
    EACCES = 1
    EEXIST = 2
    EISDIR = 3
    ENOENT = 4
    ENOMEM = 5
    ENOSPC = 6
    EIO = 7
    ENOTEMPTY = 8
    ENOSYS = 9
    EROFS = 10
    EBUSY = 11
    EAGAIN = 12
    EISCONN = 13
    E2BIG = 14
    EPERM = 15


ERROR_NAMES: Final[list[str]] = [errno.name for errno in Errno]
"""Names by value: taking one from here is cheaper than ``Errno(...).name``."""


class XenStoreError(Exception):
    """A request is refused.

    Attributes:
        errno: What the client is told.
        reason: What the operator is told: a phrase without the path.
        path: The path it is about, as the client or the store spells it;
            empty where none applies. It may hold any byte.
    """

    def __init__(self, errno: Errno, reason: str, path: bytes = b"") -> None:
        super().__init__(errno, reason, path)
        self.errno = errno
        self.reason = reason
        self.path = path

    def __str__(self) -> str:
        text = f"{self.errno.name}: {self.reason}"
        if self.path:
            # Whatever a client put into it: one line of printable text.
            text += ": " + repr(self.path)[2:-1]
        return text


@final
class FramingError(Exception):
    """The byte stream of a connection cannot be understood any further.

    Attributes:
        reason: What was wrong.
        offset: Bytes of the stream before the header at fault.
    """

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(reason, offset)
        self.reason = reason
        self.offset = offset

    def __str__(self) -> str:
        return f"{self.reason} (header at byte {self.offset} of the stream)"
