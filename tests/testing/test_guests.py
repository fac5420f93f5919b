"""xsd.testing.guests: pretended guests, and a daemon of a few lines for them."""

import errno
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.descriptors import few_descriptors_left, open_descriptors
from tests.support.hosts import Host, frames, wait_ignored
from xsd.client import DisconnectedError, Event, NotListeningError
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op
from xsd.protocol.ring import REQ_PROD
from xsd.testing import DomainReport, Guest, Handover, PretendedHost
from xsd.testing.session import header

ONE_PAGE = b'{"domid": 5, "unique_id": 1, "port": 1}\n'


@pytest.fixture
def server(directory: Path) -> Iterator[Host]:
    """A daemon in a thread, where `/t` is everybody's and may be of any size."""
    with Host(directory) as server:
        server.dom0.set_quota("node-size", 0)
        server.dom0.write("/t", b"")
        server.dom0.set_permissions("/t", ["b0"])
        yield server


@pytest.fixture
def host(server: Host) -> PretendedHost:
    """A control client of it."""
    return server.hypervisor


@pytest.fixture(params=[False, True], ids=["eager", "lazy"])
def guest(request: pytest.FixtureRequest, server: Host) -> Guest:
    """A guest that is served; it notifies often, or as rarely as Linux."""
    guest = server.create(5, lazy=request.param)
    server.dom0.introduce(5, 1, guest.port)
    return guest


# Clients on rings


def test_guest_is_a_client(guest: Guest) -> None:
    """Whatever a client can ask on a socket it can ask on a ring."""
    guest.write("/t/a", b"value")
    assert guest.read("/t/a") == b"value"
    assert guest.directory("/t") == [b"a"]
    with pytest.raises(XenStoreError) as caught:
        guest.read("/tool")
    assert caught.value.errno == Errno.EACCES
    assert guest.read("/t") == b""


def test_guest_gets_events(guest: Guest) -> None:
    """Those before a reply are kept; an end of waiting is none."""
    guest.watch("/t", "token")

    assert guest.next_event() == Event(b"/t", b"token")
    assert guest.next_event(0) is None


def test_guest_has_transactions(guest: Guest) -> None:
    """The requests in it carry its id."""
    with guest.transaction() as transaction:
        assert transaction.id == 1
        transaction.write("/t", b"inside")
        assert guest.read("/t") == b""
    assert guest.read("/t") == b"inside"


def test_longest_requests_and_replies_pass_the_ring(guest: Guest) -> None:
    """They are four times as long as it."""
    for fill in range(100):
        value = bytes([fill]) * (4096 - len(b"/t\0"))
        guest.write("/t", value)
        assert guest.read("/t") == value


def test_guest_that_asks_much_before_it_reads_is_served(guest: Guest) -> None:
    """The server reads nothing while replies wait; the guest takes them meanwhile."""
    payload = b"/t\0".ljust(4096, b"x")
    requests = [encode_frame(Op.WRITE, n, 0, payload) for n in range(50)]
    requests[1::2] = [encode_frame(Op.READ, n, 0, b"/t\0") for n in range(1, 50, 2)]

    guest.send_bytes(b"".join(requests))

    assert [frame.req_id for frame in frames(guest, 50)] == list(range(50))


def test_many_short_requests_get_their_replies(guest: Guest) -> None:
    """However the two sides meet on the ring."""
    for start in range(0, 600, 20):
        numbers = range(start, start + 20)
        for number in numbers:
            guest.send_bytes(encode_frame(Op.READ, number, 0, b"/t\0"))
        assert [frame.req_id for frame in frames(guest, 20)] == list(numbers)


def test_two_guests_do_not_meet(server: Host) -> None:
    """Each has its own ring."""
    one, two = server.guest(1), server.guest(2)
    one.send_bytes(encode_frame(Op.GET_DOMAIN_PATH, 7, 0, b"1\0"))

    assert two.get_domain_path(2) == b"/local/domain/2"
    assert frames(one, 1)[0].payload == b"/local/domain/1\0"


def test_guest_that_nobody_serves_waits_in_vain(host: PretendedHost) -> None:
    """Its connection is closed then, as that of any client."""
    with host.create(timeout=0.001) as guest:
        with pytest.raises(TimeoutError):
            guest.read("/a")
        with pytest.raises(DisconnectedError, match="the connection is closed"):
            guest.read("/a")


def test_request_before_the_introduction_is_forgotten(server: Host) -> None:
    """The daemon begins with an empty ring."""
    guest = server.create(1)
    guest.send_bytes(encode_frame(Op.GET_DOMAIN_PATH, 7, 0, b"0\0"))
    server.dom0.introduce(1, 1, guest.port)

    assert guest.get_domain_path(1) == b"/local/domain/1"


# Hostile guests


def test_impossible_indexes_are_noticed(guest: Guest) -> None:
    """The guest's fields can be spoilt, and it may notify without need."""
    guest.fields[REQ_PROD] = guest.fields[REQ_PROD] + 5000
    guest.notify()
    wait_ignored(guest, 2)

    with pytest.raises(DisconnectedError, match="error 2"):
        guest.receive_bytes()
    assert guest.ring.error == 2


def test_impossible_frame_is_noticed(guest: Guest) -> None:
    """Bytes need not be requests; the page can be looked at after the end."""
    guest.send_bytes(header(Op.READ, 4097))

    with pytest.raises(DisconnectedError, match="error 3"):
        guest.receive_bytes()
    with pytest.raises(DisconnectedError, match="error 3"):
        guest.read("/a")
    assert guest.ring.error == 3


# Domains


def test_host_tells_of_domains(host: PretendedHost) -> None:
    """Their ids in order, and what there is to know of each."""
    with host.create(7) as seven, host.create(0), host.create() as one:
        assert host.domains() == [0, 1, 7]
        assert (seven.domid, one.domid) == (7, 1)
        assert host.state(7) == DomainReport("running", seven.unique_id, seven.port)
        assert host.state(5) is None


def test_domain_stops_and_runs_again(host: PretendedHost) -> None:
    """Its guest notices nothing of it."""
    with host.create(5) as guest:
        host.shutdown(5)
        assert host.state(5) == DomainReport("shutdown", guest.unique_id, guest.port)
        host.resume(5)
        assert host.state(5) == DomainReport("running", guest.unique_id, guest.port)


def test_killed_domain_is_served_no_more(server: Host, guest: Guest) -> None:
    """The daemon lets its page go, then it is gone."""
    assert len(server.connections_of(guest.domid)) == 1
    server.end(guest.domid)

    assert server.connections_of(guest.domid) == []
    assert server.hypervisor.state(guest.domid) is None


def test_domid_can_be_used_again(server: Host, guest: Guest) -> None:
    """By a domain that is another one."""
    server.end(guest.domid)
    other = server.guest(guest.domid)

    assert other.unique_id != guest.unique_id
    assert other.read("/t") == b""


def test_guest_can_begin_anew_on_its_ring(host: PretendedHost, guest: Guest) -> None:
    """The domain is the same, the client is not."""
    assert guest.read("/t") == b""
    guest.close()
    with host.attach(5) as second:
        assert second.read("/t") == b""
        assert second.unique_id == guest.unique_id


def test_resumed_domain_has_another_port(
    server: Host, host: PretendedHost, guest: Guest
) -> None:
    """`attach` gets at it; the daemon hears of it by the next introduction."""
    host.shutdown(guest.domid)
    host.resume(guest.domid, new_port=True)

    with host.attach(guest.domid) as resumed:
        assert resumed.port != guest.port
        server.dom0.introduce(guest.domid, 1, resumed.port)
        assert resumed.read("/t") == b""


def test_refused_wish_has_the_errno(host: PretendedHost) -> None:
    """And the connection goes on."""
    with host.create(5), pytest.raises(FileExistsError):
        host.create(5)
    with pytest.raises(ProcessLookupError, match="no domain 6"):
        host.attach(6)
    with pytest.raises(OSError, match="domid is a number") as caught:
        host.kill(40_000)
    assert caught.value.errno == errno.EINVAL
    assert host.domains() == [5]


# Descriptors, and hypervisors that do not do what they should


def test_closed_guest_leaves_nothing(host: PretendedHost) -> None:
    """Closing it twice is allowed; the domain stays."""
    host.domains()
    host.create(5).close()
    before = open_descriptors()

    guest = host.attach(5)
    guest.close()
    guest.close()
    host.resume(5)

    assert open_descriptors() == before
    assert host.domains() == [5]


def test_guest_that_cannot_be_made_leaves_nothing() -> None:
    """It was given the descriptors, so it closes them."""
    before = open_descriptors()
    descriptors = [os.dup(0), os.eventfd(0), os.eventfd(0)]
    with few_descriptors_left(), pytest.raises(OSError, match="Too many open"):
        Guest(Handover(5, 1, 1, *descriptors))

    assert open_descriptors() == before


def test_nobody_at_the_control_socket_is_not_listening(directory: Path) -> None:
    """The message has the path and the system's reason."""
    with pytest.raises(NotListeningError, match=r"control: No such file"):
        PretendedHost(str(directory / "control"))
    with pytest.raises(NotListeningError, match="too long"):
        PretendedHost("/" + "x" * 300)


@pytest.fixture
def scripted(directory: Path) -> Iterator[tuple[PretendedHost, socket.socket]]:
    """A host whose hypervisor says what the test has it say."""
    path = str(directory / "scripted")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        host = PretendedHost(path, timeout=0.01)
        end, _ = listener.accept()
    with host, end:
        yield host, end


@pytest.mark.parametrize("answer", [b"\n", b"[]\n", b"{}\n", b'{"domains": 1}\n'])
def test_nonsense_is_a_connection_error(
    scripted: tuple[PretendedHost, socket.socket], answer: bytes
) -> None:
    """It may be some other program that listens there."""
    host, end = scripted
    end.sendall(answer)

    with pytest.raises(ConnectionError, match="nonsense"):
        host.domains()


@pytest.mark.parametrize(
    ("answer", "count"),
    [(ONE_PAGE, 0), (ONE_PAGE, 2), (ONE_PAGE.replace(b"5", b"null"), 3)],
)
def test_incomplete_handover_is_a_connection_error(
    scripted: tuple[PretendedHost, socket.socket], answer: bytes, count: int
) -> None:
    """The descriptors that did come are closed."""
    host, end = scripted
    socket.send_fds(end, [answer], [0] * count)
    before = open_descriptors()

    with pytest.raises(ConnectionError, match="nonsense"):
        host.create()

    assert open_descriptors() == before


@pytest.mark.parametrize(
    ("name", "number"), [("ENOSPC", errno.ENOSPC), ("EWHATEVER", errno.EIO)]
)
def test_errors_that_are_unknown_here_are_eio(
    scripted: tuple[PretendedHost, socket.socket], name: str, number: int
) -> None:
    """The reason is told anyway."""
    host, end = scripted
    end.sendall(f'{{"error": "{name}", "reason": "so it is"}}\n'.encode())

    with pytest.raises(OSError, match="so it is") as caught:
        host.shutdown(5)

    assert caught.value.errno == number


def test_answer_in_pieces_is_one_answer(
    scripted: tuple[PretendedHost, socket.socket],
) -> None:
    """Only the newline ends it; this one is more than can be received at once."""
    host, end = scripted
    end.sendall(b'{"domains": [5]' + b" " * 70_000 + b"}\n")

    assert host.domains() == [5]


def test_hypervisor_that_goes_is_a_connection_error(
    scripted: tuple[PretendedHost, socket.socket],
) -> None:
    """Before it has answered, or before it is asked."""
    host, end = scripted
    end.sendall(b'{"domains": ')
    end.shutdown(socket.SHUT_WR)

    with pytest.raises(ConnectionError, match="the hypervisor has gone"):
        host.domains()


@pytest.mark.parametrize(
    "wish",
    [
        lambda host: host.attach(5),
        lambda host: host.kill(5),
        lambda host: host.domains(),
    ],
    ids=["attach", "kill", "domains"],
)
def test_what_was_not_answered_closes_the_connection(
    scripted: tuple[PretendedHost, socket.socket],
    wish: Callable[[PretendedHost], object],
) -> None:
    """Its answer would be taken for the next one's."""
    host, _ = scripted

    with pytest.raises(TimeoutError):
        wish(host)

    with pytest.raises(OSError, match="Bad file descriptor"):
        host.domains()
