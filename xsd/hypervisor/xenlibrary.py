"""Calling Xen's libraries, which are looked for when they are needed.

Loading is by the names that programs of C are linked to, so no package of Xen is
needed to install or import this one.
"""

import ctypes
import errno
import os
from collections.abc import Callable
from typing import Any, Final, final

HANDLE: Final = ctypes.c_void_p
"""Type of what the libraries open, and of every address that they return."""

Call = Callable[..., Any]


def load(soname: str) -> ctypes.CDLL:
    """Load a library.

    Raises:
        FileNotFoundError: If the dynamic loader does not find or refuses it.
    """
    try:
        return ctypes.CDLL(soname, use_errno=True)
    except OSError as error:  # it has no errno
        raise FileNotFoundError(errno.ENOENT, str(error)) from None


def _checked(result: int | None, function: Any, arguments: tuple[Any, ...]) -> int:
    """Raise OSError if a function of Xen's says with -1 or NULL that it failed."""
    if result is not None and result >= 0:
        return result
    number = ctypes.get_errno() or errno.EIO
    # The first argument is the handle, which tells a reader nothing.
    said = ", ".join(str(x) for x in arguments[1:] if isinstance(x, int))
    raise OSError(number, f"{function.__name__}({said}): {os.strerror(number)}")


@final
class Library:
    """A library of Xen's, and the handle that all its functions begin with."""

    __slots__ = ("_close", "_handle", "_library")

    def __init__(
        self, soname: str, family: str, loggers: int = 1, inherited: int = -1
    ) -> None:
        """Load a library and open a handle.

        Args:
            soname: File name, for the dynamic loader to find.
            family: What the names of the functions that open and close begin with.
            loggers: How many loggers the former wants. None is given, so the library
                writes its complaints to the standard error.
            inherited: Descriptor of a handle of a former process, to go on with.

        Raises:
            FileNotFoundError: If the library is missing.
            OSError: If it cannot open what it needs, which is root's only.
        """
        self._library = load(soname)
        self._close = self._prototype(f"{family}_close", [HANDLE], ctypes.c_int)
        descriptors = [] if inherited < 0 else [inherited]
        name = f"{family}_fdopen" if descriptors else f"{family}_open"
        types = [HANDLE] * loggers + [ctypes.c_int] * len(descriptors)
        opener = self._prototype(name, [*types, ctypes.c_uint], HANDLE)
        self._handle = int(opener(*[None] * loggers, *descriptors, 0))

    def _prototype(self, name: str, types: list[Any], result: Any) -> Any:
        try:
            # Unlike an attribute, an item is a new object, with types of its own.
            function: Any = self._library[name]
        except AttributeError as error:
            raise OSError(errno.ENOSYS, str(error)) from None
        function.argtypes = types
        function.restype = result
        function.errcheck = _checked
        return function

    def function(self, name: str, *types: Any, result: Any = ctypes.c_int) -> Call:
        """Return a function of the library, its first argument, the handle, given.

        Args:
            name: As in the library's header.
            types: ctypes of the arguments behind the handle. Integers are cut to
                fit, as in C.
            result: ctype of the result, which says with -1 or NULL that it failed.

        Returns:
            To be called with the other arguments. It raises OSError, with the errno
            that the library left, if the call fails; with EBADF after `close`, when
            the library would use memory that was freed.

        Raises:
            OSError: ENOSYS if the library has no such function.
        """
        function = self._prototype(name, [HANDLE, *types], result)

        def call(*arguments: Any) -> Any:
            if not self._handle:
                raise OSError(errno.EBADF, f"{name}: the library was closed")
            return function(self._handle, *arguments)

        return call

    def close(self) -> None:
        """Close the handle; a second time does nothing."""
        handle, self._handle = self._handle, 0
        if handle:
            self._close(handle)
