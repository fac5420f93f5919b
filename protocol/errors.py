"""Errors: those that travel as ERROR replies, and those that end a connection."""

import errno as system

from xsd.protocol.lean import Any, Final, IntEnum, Self, final


class Errno(IntEnum):
    """The error names of ``xs_wire.h``, in the order of its table.

    The values are the system's numbers: ``Errno.EAGAIN == errno.EAGAIN``.
    """

    EINVAL = system.EINVAL
    EACCES = system.EACCES
    EEXIST = system.EEXIST
    EISDIR = system.EISDIR
    ENOENT = system.ENOENT
    ENOMEM = system.ENOMEM
    ENOSPC = system.ENOSPC
    EIO = system.EIO
    ENOTEMPTY = system.ENOTEMPTY
    ENOSYS = system.ENOSYS
    EROFS = system.EROFS
    EBUSY = system.EBUSY
    EAGAIN = system.EAGAIN
    EISCONN = system.EISCONN
    E2BIG = system.E2BIG
    EPERM = system.EPERM


ERROR_NAMES: Final[list[str]] = [errno.name for errno in Errno]
"""The table of ``xs_wire.h``."""


class XenStoreError(OSError):
    """A request is refused.

    What is raised is also of the built-in class for its number, if there is one:
    ``except FileNotFoundError`` catches ENOENT, ``except PermissionError`` EACCES
    and EPERM. As in every OSError, `strerror` is the reason and `filename` the
    path, or None.

    Attributes:
        errno: What the client is told.
    """

    errno: Errno  # type: ignore[mutable-override]  # one of these, and always there

    # Not __init__: whoever calls XenStoreError gets another class, and OSError takes
    # its arguments in one of the two only.
    def __new__(cls, errno: Errno, reason: str, path: bytes = b"") -> Self:
        """Make one, of the class that there is for the number."""
        kind: type[Self] = _KINDS.get(errno, cls) if cls is XenStoreError else cls
        if path:
            return OSError.__new__(kind, errno, reason, path)
        return OSError.__new__(kind, errno, reason)

    @property
    def reason(self) -> str:
        """What the operator is told: a phrase without the path."""
        return self.strerror or ""

    @property
    def path(self) -> bytes:
        """The path it is about, as the client or the store spells it.

        Empty where none applies. It may hold any byte.
        """
        return self.filename or b""

    def __str__(self) -> str:
        text = f"{self.errno.name}: {self.reason}"
        if self.path:
            # Whatever a client put into it: one line of printable text.
            text += ": " + repr(self.path)[2:-1]
        return text


class MissingError(XenStoreError, FileNotFoundError):
    """ENOENT: there is no such node, watch, transaction or domain."""


class ForbiddenError(XenStoreError, PermissionError):
    """EACCES or EPERM: whoever asked may not do that."""


class ExistsError(XenStoreError, FileExistsError):
    """EEXIST: there is one already."""


class DirectoryError(XenStoreError, IsADirectoryError):
    """EISDIR: no daemon that we know of says so."""


class ConflictError(XenStoreError, BlockingIOError):
    """EAGAIN: something changed meanwhile; to be tried again."""


_KINDS: Final[dict[Errno, Any]] = {
    Errno.ENOENT: MissingError,
    Errno.EACCES: ForbiddenError,
    Errno.EPERM: ForbiddenError,
    Errno.EEXIST: ExistsError,
    Errno.EISDIR: DirectoryError,
    Errno.EAGAIN: ConflictError,
}


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
