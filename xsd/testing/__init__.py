"""Daemons, hosts and guests for tests of what talks to a XenStore, or of a daemon."""

from xsd.testing.guests import DomainReport, Guest, Handover, PretendedHost
from xsd.testing.inprocess import InProcess
from xsd.testing.ring import RingTransport
from xsd.testing.session import Session

__all__ = [
    "DomainReport",
    "Guest",
    "Handover",
    "InProcess",
    "PretendedHost",
    "RingTransport",
    "Session",
]
