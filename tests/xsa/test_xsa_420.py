"""XSA-420: a length so large that it is negative in 32 bits."""

from contextlib import closing
from typing import Final

import pytest

from tests.support.hosts import PATIENCE_S, Host, Processor, wait_ignored
from tests.support.processes import Place, wait_until
from tests.xsa.support import message_of
from xsd.client import Client
from xsd.client.transport import SocketTransport
from xsd.protocol.ops import Op
from xsd.protocol.ring import ERROR_PROTOCOL, REQ_CONS
from xsd.testing import PretendedHost, Session

LENGTHS: Final = [4097, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFF0, 0xFFFFFFFF]

lengths = pytest.mark.parametrize("length", LENGTHS)


@lengths
@pytest.mark.parametrize("op", [Op.READ, Op.WRITE, 99, 0xFFFFFFFF])
def test_a_guest_that_announces_too_much_is_not_served(
    host: Host, length: int, op: int
) -> None:
    """Whatever it says that it wants; it is looked at no more."""
    guest = host.guest(1)
    guest.send_bytes(message_of(length, op))
    wait_ignored(guest, ERROR_PROTOCOL)
    taken = guest.fields[REQ_CONS]
    for _ in range(3):
        guest.ring.write_requests(message_of(length, op))
        guest.notify()
        assert host.is_served()

    assert guest.fields[REQ_CONS] == taken
    assert host.connections_of(1) == []


@lengths
def test_a_socket_that_announces_too_much_is_closed(host: Host, length: int) -> None:
    """After the requests before it have been answered."""
    client = host.session()
    client.send(client.frame(Op.GET_DOMAIN_PATH, b"0\0") + message_of(length))

    (reply,) = client.rest()
    assert reply.payload == b"/local/domain/0\0"


@lengths
def test_a_length_that_comes_in_pieces_is_no_better(host: Host, length: int) -> None:
    """The header is checked when its last byte has come."""
    guest = host.guest(1)
    for byte in message_of(length)[:15]:
        guest.send_bytes(bytes([byte]))
    assert host.is_served()
    assert guest.ring.error == 0
    guest.send_bytes(message_of(length)[15:])

    wait_ignored(guest, ERROR_PROTOCOL)


@pytest.mark.slow
def test_a_daemon_rests_beside_offenders(place: Place) -> None:
    """It uses no processor time when nobody else wants something."""
    process = place.start("--hypervisor", "emulated")
    with (
        place.client() as dom0,
        PretendedHost(f"{place.socket}.hypervisor") as hypervisor,
        hypervisor.create(1) as guest,
        closing(Session(SocketTransport(str(place.socket), PATIENCE_S))) as offender,
    ):
        dom0.introduce(1, 1, guest.port)
        guest.send_bytes(message_of(0x80000000))
        offender.send(message_of(0xFFFFFFFF))
        wait_ignored(guest, ERROR_PROTOCOL)
        check_answers(dom0)

        processor = Processor(process.pid)
        used: list[float] = []

        def rests() -> bool:
            used.append(processor.used())
            return len(used) > 5 and used[-1] == used[-5]

        wait_until(rests, "the daemon does not come to rest")
        check_answers(dom0)


def check_answers(client: Client) -> None:
    """Check that a client is served."""
    client.write("/data", b"1")
    assert client.read("/data") == b"1"
