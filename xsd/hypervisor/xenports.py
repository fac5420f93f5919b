"""Which port of a domain one of ours is bound to, as Xen tells it.

C xenstored knows, and does not hand it on. Nobody needs it as long as the port stays
bound; whoever has to bind it anew, after a crash, does.
"""

import ctypes
import struct
from contextlib import suppress
from typing import Final

from xsd.hypervisor.xendomains import control_sonames
from xsd.hypervisor.xenlibrary import Library

_STATUS: Final = struct.Struct("=H2xIIIH2xI")
"""evtchn_status of Xen's event_channel.h: whose port, port, status, processor; then of
one that is bound to another domain, which domain and its port."""

_SELF: Final = 0x7FF0
_INTERDOMAIN: Final = 2


def remote_port(port: int) -> int:
    """The other end of one of our own domain's event channels.

    Args:
        port: Our end.

    Returns:
        The other domain's; 0 if it is bound to none, or Xen does not tell.
    """
    status = ctypes.create_string_buffer(_STATUS.pack(_SELF, port, 0, 0, 0, 0))
    for soname in control_sonames():
        with suppress(OSError):
            library = Library(soname, "xc_interface", loggers=2)
            try:
                library.function("xc_evtchn_status", ctypes.c_void_p)(status)
            finally:
                library.close()
            _, _, kind, _, _, remote = _STATUS.unpack(status.raw[: _STATUS.size])
            return int(remote) if kind == _INTERDOMAIN else 0
    return 0
