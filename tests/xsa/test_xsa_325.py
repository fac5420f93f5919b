"""XSA-325: a guest that breaks the protocol, to be forgotten before it ends."""

from collections.abc import Callable

import pytest

from tests.support.hosts import PATIENCE_S, Host, wait_ignored
from tests.xsa.support import home, message_of, refusal_of
from xsd.client import Client, DisconnectedError, Event
from xsd.protocol.errors import Errno
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op
from xsd.protocol.ring import ERROR_PROTOCOL, ERROR_RING_INDEX, REQ_PROD
from xsd.testing import Guest

DOMID = 5

GONE = Event(b"@releaseDomain", b"gone")

Violation = Callable[[Guest], int]
"""Breaks the protocol; returns the error that the guest is told."""


def announce_too_much(guest: Guest) -> int:
    """A message longer than any may be, with a sound one before it."""
    guest.send_bytes(encode_frame(Op.READ, 1, 0, b"data\0") + message_of(5000))
    return ERROR_PROTOCOL


def spoil_indexes(guest: Guest) -> int:
    """An index that says more than fits into the ring."""
    guest.fields[REQ_PROD] += 2000
    guest.notify()
    return ERROR_RING_INDEX


@pytest.fixture(params=[announce_too_much, spoil_indexes])
def violation(request: pytest.FixtureRequest) -> Violation:
    """The ways to break the protocol."""
    found: Violation = request.param
    return found


@pytest.fixture
def watcher(host: Host) -> Client:
    """A client that waits for domains to end."""
    watcher = host.client()
    watcher.watch("@releaseDomain", "gone")
    assert watcher.next_event(PATIENCE_S) == GONE
    return watcher


def offend(host: Host, violation: Violation) -> Guest:
    """A guest that is not served any more, and has left something behind."""
    guest = host.guest(DOMID)
    guest.write("data", b"1")
    guest.watch("data", "t")
    guest.transaction()
    wait_ignored(guest, violation(guest))
    return guest


def test_an_offender_stays_a_domain_until_it_ends(
    host: Host, watcher: Client, violation: Violation
) -> None:
    """`@releaseDomain` does not come before, and comes then."""
    offend(host, violation)
    assert host.is_served()
    assert host.dom0.is_domain_introduced(DOMID)
    assert host.dom0.read(home(DOMID) + b"/data") == b"1"
    assert host.dom0.get_permissions(home(DOMID)) == [b"n5"]
    assert watcher.next_event(0) is None

    host.end(DOMID)
    assert watcher.next_event(PATIENCE_S) == GONE
    assert not host.dom0.is_domain_introduced(DOMID)
    assert not host.dom0.exists(home(DOMID))


def test_an_offenders_shutdown_is_told(
    host: Host, watcher: Client, violation: Violation
) -> None:
    """The toolstack waits for that, whatever the guest has done."""
    offend(host, violation)
    host.hypervisor.shutdown(DOMID)
    assert watcher.next_event(PATIENCE_S) == GONE
    host.end(DOMID)

    assert watcher.next_event(PATIENCE_S) == GONE


def test_an_offender_is_released(
    host: Host, watcher: Client, violation: Violation
) -> None:
    """By the toolstack, which can introduce the next domain of the same id."""
    offend(host, violation)
    host.dom0.release(DOMID)
    assert watcher.next_event(PATIENCE_S) == GONE
    assert refusal_of(host.dom0.release, DOMID) == Errno.ENOENT

    host.end(DOMID)
    host.guest(DOMID).write("data", b"2")


def test_an_offenders_watches_and_transactions_end_at_once(
    host: Host, violation: Violation
) -> None:
    """Nobody reads their events any more."""
    before = host.watches()
    offend(host, violation)

    assert host.connections_of(DOMID) == []
    assert host.watches() == before
    assert host.transactions() == {}


def test_an_offender_is_not_listened_to_again(host: Host, violation: Violation) -> None:
    """It may notify as often as it likes; it is told why it gets no answer."""
    guest = offend(host, violation)
    with pytest.raises(DisconnectedError):
        guest.read("data")
    for _ in range(20):
        guest.notify()
        assert host.is_served()
    assert host.connections_of(DOMID) == []
    told = [each.event for each in host.notices if each.level == "warning"]
    assert told.count("domain.ignored") == 1


def test_introducing_an_offender_again_is_no_error(
    host: Host, violation: Violation
) -> None:
    """As libxl does; it is not served by it, and ends as it should."""
    guest = offend(host, violation)
    host.dom0.introduce(DOMID, 1, guest.port)
    assert host.is_served()
    host.end(DOMID)

    host.guest(DOMID).write("data", b"2")
