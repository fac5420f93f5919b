"""XSA-38: a guest writes impossible or changing indexes into its ring."""

import random
from typing import Final

import pytest

from tests.support.hosts import Host, frames, wait_ignored
from tests.support.processes import wait_until
from tests.xsa.support import busily
from xsd.protocol.frame import encode_frame
from xsd.protocol.limits import RING_SIZE
from xsd.protocol.ops import Op
from xsd.protocol.ring import (
    CONNECTION,
    ERROR,
    ERROR_RING_INDEX,
    EVTCHN_PORT,
    PAGE_SIZE,
    REQ_CONS,
    REQ_PROD,
    RSP_CONS,
    RSP_PROD,
    SERVER_FEATURES,
    Ring,
)

MASK: Final = 0xFFFFFFFF

IMPOSSIBLE: Final = [1025, 1026, 4096, 0x7FFFFFFF, 0x80000000, MASK - 1024, MASK]
"""Differences of a producer and a consumer index that say more than fits."""

BEGINNINGS: Final = [0, 1, 1023, 1024, 0x7FFFFFF0, 0x80000000, MASK - 511, MASK]
"""Places where index arithmetic goes wrong, if it does."""

REQUEST: Final = encode_frame(Op.READ, 1, 0, b"/no/such/path/x\0")
assert RING_SIZE % len(REQUEST) == 0


@pytest.mark.parametrize("beginning", [0, 1024, MASK - 511])
@pytest.mark.parametrize("difference", IMPOSSIBLE)
def test_impossible_request_indexes_end_that_guests_service_alone(
    host: Host, difference: int, beginning: int
) -> None:
    """The guest is told so in its ring; nothing is read from it."""
    guest = host.guest(1)
    guest.fields[REQ_CONS] = beginning
    guest.fields[REQ_PROD] = (beginning + difference) & MASK
    guest.notify()

    wait_ignored(guest, ERROR_RING_INDEX)
    assert guest.fields[REQ_CONS] == beginning
    assert host.is_served()
    assert host.dom0.is_domain_introduced(1)


@pytest.mark.parametrize("difference", IMPOSSIBLE)
def test_impossible_response_indexes_end_that_guests_service_alone(
    host: Host, difference: int
) -> None:
    """It is found out when there is something to answer; nothing is written."""
    guest = host.guest(1)
    guest.fields[RSP_CONS] = 100
    guest.fields[RSP_PROD] = (100 + difference) & MASK
    guest.send_bytes(REQUEST)

    wait_ignored(guest, ERROR_RING_INDEX)
    assert guest.fields[RSP_PROD] == (100 + difference) & MASK


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_a_full_ring_is_a_possible_one(host: Host, beginning: int) -> None:
    """1,024 bytes wait: all are taken, wherever the indexes begin."""
    guest = host.guest(1)
    for index in (REQ_CONS, REQ_PROD, RSP_CONS, RSP_PROD):
        guest.fields[index] = beginning

    with host.frozen():
        guest.send_bytes(REQUEST * (RING_SIZE // len(REQUEST)))
        assert guest.fields[REQ_PROD] == (beginning + RING_SIZE) & MASK

    replies = frames(guest, RING_SIZE // len(REQUEST))
    assert {reply.payload for reply in replies} == {b"EACCES\0"}


def test_a_full_response_ring_holds_only_its_guest_up(host: Host) -> None:
    """When the guest reads on, it is served on, with nothing lost or doubled."""
    guest = host.guest(1)
    guest.write("data", b"x" * 1500)
    with host.frozen():
        for number in range(4):
            guest.send_bytes(encode_frame(Op.READ, number, 0, b"data\0"))
    wait_until(
        lambda: guest.fields[RSP_PROD] - guest.fields[RSP_CONS] == RING_SIZE,
        "the ring does not get full",
    )

    assert host.is_served()
    assert [frame.req_id for frame in frames(guest, 4)] == [0, 1, 2, 3]
    assert guest.read("data") == b"x" * 1500


def test_a_guest_that_was_given_up_stays_so_whatever_it_writes(host: Host) -> None:
    """Sound indexes and no error in its page do not bring the service back."""
    guest = host.guest(1)
    guest.fields[REQ_PROD] = RING_SIZE + 1
    guest.notify()
    wait_ignored(guest, ERROR_RING_INDEX)

    for index in range(EVTCHN_PORT + 1):
        guest.fields[index] = 0
    for connection in (0, 1, 2, MASK):
        guest.fields[CONNECTION] = connection
        guest.send_bytes(REQUEST)
        assert host.is_served()
    assert guest.fields[REQ_CONS] == 0
    assert guest.fields[RSP_PROD] == 0


class Changing:
    """The fields of a page whose guest changes each index after it was read."""

    def __init__(self, first: dict[int, int]) -> None:
        self._values = first
        self.read: list[int] = []
        self.written: dict[int, int] = {}

    def __getitem__(self, index: int) -> int:
        self.read.append(index)
        value = self._values[index]
        self._values[index] = MASK // 3
        return value

    def __setitem__(self, index: int, value: int) -> None:
        self.written[index] = value


@pytest.mark.pure_only
@pytest.mark.parametrize("size", [0, 1, 700, RING_SIZE])
def test_each_index_is_read_once(size: int) -> None:
    """The index that is used is the one that was checked."""
    ring = Ring(memoryview(bytearray(PAGE_SIZE)))
    fields = Changing({REQ_CONS: 500, REQ_PROD: 500 + size})
    ring._fields.release()
    ring._fields = fields  # type: ignore[assignment]

    assert len(ring.read_requests(RING_SIZE)) == size
    assert sorted(fields.read) == [REQ_CONS, REQ_PROD]
    assert fields.written == ({REQ_CONS: 500 + size} if size else {})


def test_indexes_that_change_all_the_time_harm_nobody(host: Host) -> None:
    """Guests write into their pages from another thread, without rest."""
    guests = [host.guest(domid) for domid in range(10, 14)]
    chance = random.Random(38)  # noqa: S311

    def scribble() -> None:
        for guest in guests:
            # Most of the time something that is possible: zeros are requests.
            guest.fields[REQ_PROD] = guest.fields[REQ_CONS] + chance.randrange(1024)
            guest.fields[RSP_CONS] = guest.fields[RSP_PROD]
            guest.fields[chance.randrange(8)] = chance.choice([0, 1, 2, 5, 1000])
            guest.notify()

    with busily(scribble):
        assert [host.is_served() for _ in range(50)] == [True] * 50
    for guest in guests:
        assert host.dom0.is_domain_introduced(guest.domid)


def test_the_daemons_own_fields_are_not_believed(host: Host) -> None:
    """What a guest writes over them has no effect on it or on others."""
    guest = host.guest(1)
    for field in (SERVER_FEATURES, ERROR, EVTCHN_PORT):
        guest.fields[field] = MASK
        guest.send_bytes(REQUEST) if field != ERROR else guest.notify()
        guest.fields[ERROR] = 0

    assert [reply.payload for reply in frames(guest, 2)] == [b"EACCES\0"] * 2
    assert guest.get_feature() == host.bystander.get_feature()
