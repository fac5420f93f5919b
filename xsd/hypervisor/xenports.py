"""Which port of a domain one of ours is bound to, as Xen tells it.

C xenstored knows, and does not hand it on; one of ours that was killed could not.
Nobody needs it as long as a port that is known stays bound.
"""

import ctypes
import struct
from collections.abc import Generator
from contextlib import closing, suppress
from typing import Final, final

from xsd.hypervisor.xendomains import control_sonames
from xsd.hypervisor.xenlibrary import Call, Library

_STATUS: Final = struct.Struct("=H2xIIIH2xI")
"""evtchn_status of Xen's event_channel.h: whose port, port, status, processor; then of
one that is bound to another domain, which and its port; of an interrupt, which."""

_SELF: Final = 0x7FF0
_INTERDOMAIN: Final = 2
_VIRQ: Final = 4

_PORTS_MAX: Final = 1 << 17
_GAP: Final = 256
"""After so many ports that there are not there are no more."""


@final
class Bound:
    """Ports of ours that are bound.

    Attributes:
        ports: By the other end: domain and port.
        virqs: By the virtual interrupt.
    """

    __slots__ = ("ports", "virqs")

    def __init__(self) -> None:
        self.ports: dict[tuple[int, int], int] = {}
        self.virqs: dict[int, int] = {}


def bound() -> Bound:
    """All ports of our own domain that are bound, whoever has bound them.

    Where Xen does not tell there are none.
    """
    found = Bound()
    with closing(_asking()) as libraries:
        for ask in libraries:
            _find(ask, found)
            if found.ports or found.virqs:
                break
    return found


def other_end(port: int) -> tuple[int, int]:
    """The other end of one of our own domain's event channels.

    Args:
        port: Our end.

    Returns:
        The other domain and its port; 0 and 0 if it is bound to none, or Xen does not
        tell.
    """
    with closing(_asking()) as libraries:
        for ask in libraries:
            with suppress(OSError):
                kind, domid, remote = _status(ask, port)
                return (domid, remote) if kind == _INTERDOMAIN else (0, 0)
    return 0, 0


def remote_port(port: int) -> int:
    """The port of `other_end`."""
    return other_end(port)[1]


def _asking() -> Generator[Call, None, None]:
    """Xen's function that tells, of each library that has it."""
    for soname in control_sonames():
        with suppress(OSError):
            library = Library(soname, "xc_interface", loggers=2)
            try:
                yield library.function("xc_evtchn_status", ctypes.c_void_p)
            finally:
                library.close()


def _find(ask: Call, found: Bound) -> None:
    """Find out what is bound."""
    missing = 0
    for port in range(1, _PORTS_MAX):
        try:
            kind, domid, remote = _status(ask, port)
        except OSError:
            missing += 1
            if missing == _GAP:
                return
            continue
        missing = 0
        if kind == _INTERDOMAIN:
            found.ports[domid, remote] = port
        elif kind == _VIRQ:
            found.virqs[domid] = port


def _status(ask: Call, port: int) -> tuple[int, int, int]:
    """What a port is; the domain or the interrupt; the domain's port.

    Raises:
        OSError: If there is no such port.
    """
    status = ctypes.create_string_buffer(_STATUS.pack(_SELF, port, 0, 0, 0, 0))
    ask(status)
    _, _, kind, _, domid, remote = _STATUS.unpack(status.raw[: _STATUS.size])
    return kind, domid, remote
