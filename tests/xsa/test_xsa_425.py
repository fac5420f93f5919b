"""XSA-425: connections that end while the daemon goes through its connections."""

import pytest

from tests.support.hosts import PATIENCE_S, Host, frames
from tests.xsa.support import home, message_of
from xsd.client import Event
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op


def release(*domids: int) -> bytes:
    """The toolstack's requests to end domains."""
    return b"".join(
        [encode_frame(Op.RELEASE, domid, 0, b"%d\0" % domid) for domid in domids]
    )


def request(number: int) -> bytes:
    """A request of a guest, to which it gets a reply."""
    return encode_frame(Op.GET_DOMAIN_PATH, number, 0, b"0\0")


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("victims", [[10], [12], [10, 11, 12], [12, 11, 10]])
def test_a_domain_is_released_while_others_requests_wait(
    host: Host, victims: list[int], place: int
) -> None:
    """Those before it in the row, those behind it, and its own."""
    before = host.counts()
    guests = [host.guest(domid) for domid in (10, 11, 12)]
    toolstack = host.session()
    with host.frozen():
        for number, guest in enumerate(guests):
            if number == place:
                toolstack.send(release(*victims))
            guest.send_bytes(request(1) * 20)
        if place == len(guests):
            toolstack.send(release(*victims))
        host.bystander.send_bytes(request(1) * 20)

    assert len(frames(host.bystander, 20)) == 20
    assert host.is_served()
    for guest in guests:
        if guest.domid not in victims:
            assert len(frames(guest, 20)) == 20
            host.dom0.release(guest.domid)
        assert not host.dom0.is_domain_introduced(guest.domid)
        assert host.connections_of(guest.domid) == []
    assert host.counts() == before


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("victims", [[10], [12], [10, 11, 12]])
def test_domain_0s_ring_ends_others_in_the_same_round(
    host: Host, victims: list[int], place: int
) -> None:
    """Rings are gone through together; those that are gone are left out."""
    guests = [host.guest(domid) for domid in (10, 11, 12)]
    rings = [*guests[:place], host.kernel(), *guests[place:]]
    with host.frozen():
        for ring in rings:
            ring.send_bytes(request(1) if ring.domid else release(*victims))

    assert {each.payload for each in frames(rings[place], len(victims))} == {b"OK\0"}
    assert host.is_served()
    for guest in guests:
        left = guest.domid not in victims
        assert host.dom0.is_domain_introduced(guest.domid) == left
        if left:
            assert len(frames(guest, 1)) == 1


def test_a_domain_is_released_by_the_events_that_it_waits_for(host: Host) -> None:
    """Its nodes go, which is told to itself among others: it is not there to hear."""
    sessions = [host.session(host.guest(10)), host.session(host.guest(11))]
    sessions.append(host.session())
    host.dom0.set_permissions(home(10), ["n10", "r11"])
    for session in sessions:
        session.watch(home(10))
        session.watch(b"@releaseDomain", b"gone")
    host.dom0.release(10)

    for session in sessions[1:]:
        assert session.events() == [(home(10), b"t"), (b"@releaseDomain", b"gone")]
    assert sessions[0].take() == []


def test_a_soft_reset_works_again_and_again(host: Host) -> None:
    """RELEASE and INTRODUCE of the same living domain, with requests in its ring."""
    guest = host.guest(10)
    for round_ in range(10):
        guest.watch("data", "t")
        assert guest.next_event(PATIENCE_S) == Event(b"data", b"t")
        guest.transaction()
        with host.frozen():
            guest.send_bytes(request(1) * 5)
        host.dom0.release(10)
        host.dom0.introduce(10, 1, guest.port)
        host.dom0.mkdir(home(10))
        host.dom0.set_permissions(home(10), ["n10"])
        guest.ring.read_responses(1 << 16)  # a guest that was reset begins anew
        guest.write("data", b"%d" % round_)
        assert guest.read("data") == b"%d" % round_
        assert guest.next_event(0) is None


def test_a_domain_ends_while_its_replies_wait_for_room(host: Host) -> None:
    """And while another one waits until it has read its events."""
    guest = host.guest(10)
    other = host.guest(11)
    guest.set_permissions(home(10), ["b10"])
    other.watch(home(10), "t" * 1000)
    with host.frozen():
        for number in range(25):
            path = home(10) + b"/%d\0" % number
            guest.send_bytes(encode_frame(Op.MKDIR, number, 0, path))
    assert host.is_served()
    host.end(11)
    assert len(frames(guest, 25)) == 25
    host.end(10)


def test_offenders_and_the_dead_in_one_round(host: Host) -> None:
    """One breaks the protocol, one is killed, one is released, all at once."""
    before = host.counts()
    guests = [host.guest(domid) for domid in (10, 11, 12)]
    toolstack = host.session()
    killer = host.control()
    killer.domains()
    with host.frozen():
        guests[0].send_bytes(request(1) + message_of(5000))
        killer._socket.sendall(b'{"do": "kill", "domid": 10}\n')
        toolstack.send(release(11, 10, 12))
        guests[1].send_bytes(request(1))
        guests[2].send_bytes(message_of(5000))
    assert host.is_served()
    host.end(11, 12)

    assert host.counts() == before
