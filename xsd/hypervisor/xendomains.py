"""Which domains there are and how they are, as Xen's libraries tell it.

libxenmanage, since Xen 4.21, has an interface that does not change. libxenctrl is
another library with each release of Xen, and works with no other release.
"""

import contextlib
import ctypes
import errno
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol, final

from xsd.hypervisor.base import DYING, RUNNING, SHUT_DOWN, DomainState
from xsd.hypervisor.xenlibrary import Library
from xsd.protocol.limits import DOMID_FIRST_RESERVED

MANAGE_SONAME: Final = "libxenmanage.so.1"
_RELEASES: Final = range(40, 13, -1)
"""Xen 4.40 to 4.14: whose libxenctrl is tried where Xen does not say which it is."""

_VERSION: Final = Path("/sys/hypervisor/version")


class Domains(Protocol):
    """A library that knows the domains. The methods raise OSError on failure."""

    def state(self, domid: int) -> DomainState | None:
        """State of a domain, or None if there is no such domain.

        Args:
            domid: Less than DOMID_FIRST_RESERVED.
        """

    def ids(self) -> list[int]:
        """Ids of all domains, ascending."""

    def close(self) -> None:
        """Close the library."""


@final
class ManagedDomains:
    """The domains by libxenmanage (xenmanage.h)."""

    _EXISTS: Final = 1
    _SHUT_DOWN: Final = 2
    # Bit 4 is set while Xen destroys a domain and bit 8, in its place, when nothing
    # is left but the id. Only the latter is what libxenctrl calls dying, and it is
    # what @releaseDomain has always waited for.
    _DEAD: Final = 8

    __slots__ = ("_changed", "_ids", "_info", "_library")

    def __init__(self) -> None:
        """Open the library.

        Raises:
            FileNotFoundError: If there is none.
            OSError: If the running Xen does not answer, as one older than it.
        """
        self._library = Library(MANAGE_SONAME, "xenmanage")
        self._ids: set[int] = set()
        uint = ctypes.POINTER(ctypes.c_uint)
        unique = ctypes.POINTER(ctypes.c_uint64)
        try:
            self._info = self._library.function(
                "xenmanage_get_domain_info", ctypes.c_uint, uint, uint, unique
            )
            self._changed = self._library.function(
                "xenmanage_poll_changed_domain", uint, uint, uint, unique
            )
            self.state(0)
        except OSError:
            self.close()
            raise

    def state(self, domid: int) -> DomainState | None:
        """State of a domain; see `Domains`."""
        bits = ctypes.c_uint()
        unique = ctypes.c_uint64()
        try:
            self._info(domid, ctypes.byref(bits), None, ctypes.byref(unique))
        except ProcessLookupError:
            return None
        if bits.value & self._DEAD:
            state = DYING
        else:
            state = SHUT_DOWN if bits.value & self._SHUT_DOWN else RUNNING
        return DomainState(state, unique.value)

    def ids(self) -> list[int]:
        """Ids of all domains, ascending.

        Xen answers only whoever has bound VIRQ_DOM_EXC.
        """
        # Xen cannot list domains here, but tells which have changed, once each; to
        # whoever has just bound the interrupt, that is all of them.
        domid = ctypes.c_uint()
        bits = ctypes.c_uint()
        with contextlib.suppress(FileNotFoundError):
            while True:
                self._changed(ctypes.byref(domid), ctypes.byref(bits), None, None)
                if bits.value & self._EXISTS:
                    self._ids.add(domid.value)
                else:
                    self._ids.discard(domid.value)
        return sorted(self._ids)

    def close(self) -> None:
        """Close the library."""
        self._library.close()


@final
class ListedDomains:
    """The domains by a libxenctrl (xenctrl.h, domctl.h); unique ids are unknown."""

    _RECORD: Final = struct.Struct("=HHI")  # domid, padding, flags; the rest differs
    _RECORD_SIZE_MAX: Final = 1024  # it has 112 bytes in Xen 4.17
    _DYING: Final = 1
    _SHUT_DOWN: Final = 4

    __slots__ = ("_library", "_list", "_record")

    def __init__(self, soname: str) -> None:
        """Open the library.

        Raises:
            FileNotFoundError: If there is none of this name.
            OSError: If the running Xen does not answer, as one of another release.
        """
        self._library = Library(soname, "xc_interface", loggers=2)
        self._record = ctypes.create_string_buffer(self._RECORD_SIZE_MAX)
        try:
            self._list = self._library.function(
                "xc_domain_getinfolist", ctypes.c_uint32, ctypes.c_uint, ctypes.c_void_p
            )
            self._first(0)
        except OSError:
            self.close()
            raise

    def _first(self, domid: int) -> tuple[int, int] | None:
        """Id and flags of the first domain from an id on."""
        if domid >= DOMID_FIRST_RESERVED or not self._list(domid, 1, self._record):
            return None
        found, _, flags = self._RECORD.unpack_from(self._record)
        return found, flags

    def state(self, domid: int) -> DomainState | None:
        """State of a domain; see `Domains`."""
        found = self._first(domid)
        if found is None or found[0] != domid:
            return None
        if found[1] & self._DYING:
            return DomainState(DYING, 0)
        return DomainState(SHUT_DOWN if found[1] & self._SHUT_DOWN else RUNNING, 0)

    def ids(self) -> list[int]:
        """Ids of all domains, ascending."""
        ids: list[int] = []
        found = self._first(0)
        while found is not None:
            ids.append(found[0])
            found = self._first(found[0] + 1)
        return ids

    def close(self) -> None:
        """Close the library."""
        self._library.close()


def control_sonames() -> Iterator[str]:
    """Names that libxenctrl may have, beginning with the likeliest."""
    with contextlib.suppress(OSError):
        major = (_VERSION / "major").read_text("ascii").strip()
        minor = (_VERSION / "minor").read_text("ascii").strip()
        yield f"libxenctrl.so.{major}.{minor}"
    for release in _RELEASES:
        yield f"libxenctrl.so.4.{release}"


def open_domains() -> Domains:
    """Open the best library that the running Xen answers.

    Raises:
        FileNotFoundError: If none is installed.
        OSError: If Xen answers none: why not the likeliest one.
    """
    reason: OSError | None = None
    try:
        return ManagedDomains()
    except FileNotFoundError:
        pass
    except OSError as error:
        reason = error
    for soname in control_sonames():
        try:
            return ListedDomains(soname)
        except FileNotFoundError:
            pass
        except OSError as error:
            reason = reason or error
    missing = f"neither {MANAGE_SONAME} nor libxenctrl is installed"
    raise reason or FileNotFoundError(errno.ENOENT, missing)
