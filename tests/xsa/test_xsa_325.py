"""XSA-325: a guest that breaks the protocol, to be forgotten before it ends."""

from collections.abc import Callable
from typing import Final

import pytest

from tests.support.hosts import Host, wait_ignored
from tests.xsa.support import message_of
from xsd.client import DisconnectedError
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op
from xsd.protocol.ring import ERROR_PROTOCOL, ERROR_RING_INDEX, REQ_PROD
from xsd.testing import Guest

DOMID = 5

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


def offend(host: Host, violation: Violation) -> Guest:
    """A guest that is not served any more, and has left something behind."""
    guest = host.guest(DOMID)
    guest.write("data", b"1")
    guest.watch("data", "t")
    guest.transaction()
    wait_ignored(guest, violation(guest))
    return guest


RULES: Final[dict[str, str]] = {
    "it stays a domain until it ends": """
        served -> True
        0 is-introduced 5 -> T; 0 read ~5/data -> 1; 0 get ~5 -> n5; 0 hear -> -
        end 5; 0 wait -> @releaseDomain:gone; 0 is-introduced 5 -> F
        0 read ~5 -> ENOENT
    """,
    "its shutdown is told: the toolstack waits for that": """
        shutdown; 0 wait -> @releaseDomain:gone
        end 5; 0 wait -> @releaseDomain:gone
    """,
    "the toolstack releases it, and can introduce the next of its id": """
        0 release 5; 0 wait -> @releaseDomain:gone; 0 release 5 -> ENOENT
        end 5; 5 write data 2
    """,
    # As libxl does; it is not served by it, and ends as it should.
    "introducing it again is no error": """
        again; served -> True; end 5; 0 wait -> @releaseDomain:gone; 5 write data 2
    """,
}
"""Of one that broke the protocol."""


@pytest.mark.parametrize("rule", RULES)
def test_an_offender_is_a_domain_as_before(
    host: Host, violation: Violation, rule: str
) -> None:
    """`@releaseDomain` does not come before it ends, and comes then."""
    guests: list[Guest] = []
    acts: dict[str, Callable[..., object]] = {
        "offend": lambda: guests.append(offend(host, violation)),
        "shutdown": lambda: host.hypervisor.shutdown(DOMID),
        "again": lambda: host.dom0.introduce(DOMID, 1, guests[0].port),
    }
    host.play(f"0 watch @releaseDomain gone; offend; {RULES[rule]}", acts=acts)


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
