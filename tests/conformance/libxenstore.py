"""Xen's client library, libxenstore.so.4, through ctypes."""

import ctypes
import ctypes.util
import os
import select
from ctypes import POINTER, byref, c_bool, c_char_p, c_int, c_uint, c_ulong, c_void_p
from typing import Final, NamedTuple, Self, final

from tests.conftest import skip_or_fail
from tests.support.daemons import PATIENCE_S

NAME: Final = "libxenstore.so.4"

NONE: Final = 0
"""The transaction that is none."""


class Perm(NamedTuple):
    """One permission: a domain and its rights, READ = 1, WRITE = 2 or both."""

    domid: int
    rights: int


_free: Final = ctypes.CDLL(None).free
_free.argtypes = [c_void_p]
_free.restype = None


@final
class _Perm(ctypes.Structure):
    """`struct xs_permissions` of xenstore_lib.h."""

    _fields_ = [("domid", c_uint), ("rights", c_int)]  # type: ignore[mutable-override]


def load() -> ctypes.CDLL:
    """Load the library and say what its functions take and return.

    Raises:
        Skipped: If it is missing.
        Failed: If it is missing in CI.
    """
    try:
        library = ctypes.CDLL(NAME, use_errno=True)
    except OSError:
        skip_or_fail(f"{NAME} is missing: apt-get install libxenstore4")
    words = POINTER(c_char_p)
    handle, path = c_void_p, c_char_p
    number, count = c_uint, POINTER(c_uint)
    for name, returns, *takes in (
        ("xs_open", handle, c_ulong),
        ("xs_close", None, handle),
        ("xs_fileno", c_int, handle),
        ("xs_read", c_void_p, handle, number, path, count),
        ("xs_write", c_bool, handle, number, path, c_char_p, number),
        ("xs_mkdir", c_bool, handle, number, path),
        ("xs_rm", c_bool, handle, number, path),
        ("xs_directory", words, handle, number, path, count),
        ("xs_get_permissions", POINTER(_Perm), handle, number, path, count),
        ("xs_set_permissions", c_bool, handle, number, path, POINTER(_Perm), number),
        ("xs_watch", c_bool, handle, path, c_char_p),
        ("xs_unwatch", c_bool, handle, path, c_char_p),
        ("xs_read_watch", words, handle, count),
        ("xs_check_watch", words, handle),
        ("xs_transaction_start", number, handle),
        ("xs_transaction_end", c_bool, handle, number, c_bool),
        ("xs_introduce_domain", c_bool, handle, number, c_ulong, number),
        ("xs_release_domain", c_bool, handle, number),
        ("xs_resume_domain", c_bool, handle, number),
        ("xs_set_target", c_bool, handle, number, number),
        ("xs_is_domain_introduced", c_bool, handle, number),
        ("xs_get_domain_path", c_void_p, handle, number),
        ("xs_control_command", c_void_p, handle, c_char_p, c_char_p, number),
    ):
        function = getattr(library, name)
        function.restype = returns
        function.argtypes = takes
    return library


@final
class Handle:
    """A connection of the library; its methods raise OSError with the library's errno.

    Args:
        library: What `load` returns; XENSTORED_PATH says where the daemon is.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._xs = library
        self._handle = self._checked(library.xs_open(0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._xs.xs_close(self._handle)

    def read(self, path: bytes, tx: int = NONE) -> bytes:
        """Return a value."""
        size = c_uint()
        return self._taken(self._do("xs_read", tx, path, byref(size)), size.value)

    def write(self, path: bytes, value: bytes, tx: int = NONE) -> None:
        """Set a value."""
        self._do("xs_write", tx, path, value, len(value))

    def mkdir(self, path: bytes, tx: int = NONE) -> None:
        """Make a node."""
        self._do("xs_mkdir", tx, path)

    def rm(self, path: bytes, tx: int = NONE) -> None:
        """Remove a node."""
        self._do("xs_rm", tx, path)

    def directory(self, path: bytes, tx: int = NONE) -> list[bytes]:
        """Return the names of the children."""
        number = c_uint()
        found = self._xs.xs_directory(self._handle, tx, path, byref(number))
        return self._words(found, number.value)

    def permissions(self, path: bytes, tx: int = NONE) -> list[Perm]:
        """Return the permissions of a node."""
        number = c_uint()
        found = self._xs.xs_get_permissions(self._handle, tx, path, byref(number))
        self._checked(bool(found))
        perms = [Perm(each.domid, each.rights) for each in found[: number.value]]
        _free(found)
        return perms

    def set_permissions(self, path: bytes, perms: list[Perm], tx: int = NONE) -> None:
        """Set the permissions of a node."""
        array = (_Perm * len(perms))(*(_Perm(*perm) for perm in perms))
        self._do("xs_set_permissions", tx, path, array, len(perms))

    def watch(self, path: bytes, token: bytes) -> None:
        """Ask for events."""
        self._do("xs_watch", path, token)

    def unwatch(self, path: bytes, token: bytes) -> None:
        """Ask for no more events."""
        self._do("xs_unwatch", path, token)

    def read_watch(self) -> tuple[bytes, bytes]:
        """Wait for an event and return its path and token."""
        fd = self._xs.xs_fileno(self._handle)
        assert select.select([fd], [], [], PATIENCE_S)[0] == [fd]
        found = self._xs.xs_read_watch(self._handle, byref(c_uint()))
        path, token = self._words(found, 2)
        return path, token

    def check_watch(self) -> tuple[bytes, bytes] | None:
        """Return the path and token of an event if there is one."""
        found = self._xs.xs_check_watch(self._handle)
        if not found:
            return None
        path, token = self._words(found, 2)
        return path, token

    def start(self) -> int:
        """Begin a transaction."""
        return self._do("xs_transaction_start")

    def end(self, tx: int, *, commit: bool = True) -> None:
        """End a transaction."""
        self._do("xs_transaction_end", tx, not commit)

    def introduce(self, domid: int, gfn: int, port: int) -> None:
        """Introduce a domain."""
        self._do("xs_introduce_domain", domid, gfn, port)

    def release(self, domid: int) -> None:
        """Release a domain."""
        self._do("xs_release_domain", domid)

    def resume(self, domid: int) -> None:
        """Resume a domain."""
        self._do("xs_resume_domain", domid)

    def set_target(self, domid: int, target: int) -> None:
        """Give a domain the rights of another one."""
        self._do("xs_set_target", domid, target)

    def is_introduced(self, domid: int) -> bool:
        """Tell whether a domain is introduced."""
        introduced: bool = self._xs.xs_is_domain_introduced(self._handle, domid)
        return introduced

    def domain_path(self, domid: int) -> bytes:
        """Return a domain's home."""
        return self._taken(self._do("xs_get_domain_path", domid))

    def control(self, command: bytes, arguments: bytes = b"") -> bytes:
        """Run a command of an operator."""
        found = self._do("xs_control_command", command, arguments, len(arguments))
        return self._taken(found)

    def _do(self, function: str, *arguments: object) -> int:
        return self._checked(getattr(self._xs, function)(self._handle, *arguments))

    def _checked(self, result: int | bool | None) -> int:
        if not result:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return int(result)

    def _taken(self, address: int, size: int = -1) -> bytes:
        data = ctypes.string_at(address, size)
        _free(address)
        return data

    def _words(self, found: "ctypes._Pointer[c_char_p]", number: int) -> list[bytes]:
        self._checked(bool(found))
        words = [word or b"" for word in found[:number]]
        _free(found)
        return words
