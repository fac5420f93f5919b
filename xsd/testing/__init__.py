"""Pretended guests, for tests of a daemon and of what talks to one."""

from xsd.testing.guests import DomainReport, Guest, Handover, PretendedHost
from xsd.testing.ring import RingTransport

__all__ = [
    "DomainReport",
    "Guest",
    "Handover",
    "PretendedHost",
    "RingTransport",
]
