"""xsd.testing.guests: pretended guests, and a daemon of a few lines for them."""

import errno
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.descriptors import few_descriptors_left, open_descriptors
from tests.support.hosts import Host
from xsd.client import DisconnectedError, Event, NotListeningError
from xsd.protocol.errors import Errno, XenStoreError
from xsd.testing import DomainReport, Guest, Handover, PretendedHost

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
    return server.hypervisor


@pytest.fixture(params=[False, True], ids=["eager", "lazy"])
def guest(request: pytest.FixtureRequest, server: Host) -> Guest:
    """A guest that is served; it notifies often, or as rarely as Linux."""
    guest = server.create(5, lazy=request.param)
    server.dom0.introduce(5, 1, guest.port)
    return guest


# Clients on rings


def test_guest_is_a_client(guest: Guest) -> None:
    """What a client can ask on a socket it can ask on a ring; events are kept."""
    guest.watch("/t", "token")
    assert guest.next_event() == Event(b"/t", b"token")
    assert guest.next_event(0) is None
    guest.write("/t/a", b"value")
    assert guest.read("/t/a") == b"value"
    assert guest.directory("/t") == [b"a"]
    with pytest.raises(XenStoreError) as caught:
        guest.read("/tool")
    assert caught.value.errno == Errno.EACCES
    with guest.transaction() as transaction:
        assert transaction.id == 1
        transaction.write("/t", b"inside")
        assert guest.read("/t") == b""
    assert guest.read("/t") == b"inside"
    assert guest.next_event(0) == Event(b"/t/a", b"token")


def test_longest_requests_and_replies_pass_the_ring(guest: Guest) -> None:
    """They are four times as long as it."""
    for fill in range(100):
        value = bytes([fill]) * (4096 - len(b"/t\0"))
        guest.write("/t", value)
        assert guest.read("/t") == value


def test_guest_that_nobody_serves_waits_in_vain(host: PretendedHost) -> None:
    """Its connection is closed then, as that of any client."""
    with host.create(timeout=0.001) as guest:
        with pytest.raises(TimeoutError):
            guest.read("/a")
        with pytest.raises(DisconnectedError, match="the connection is closed"):
            guest.read("/a")


# Domains


def test_host_tells_of_domains(host: PretendedHost) -> None:
    """Their ids in order, and what there is to know of each, also when it stops."""
    with host.create(7) as seven, host.create(0), host.create() as one:
        assert host.domains() == [0, 1, 7]
        assert (seven.domid, one.domid) == (7, 1)
        running = DomainReport("running", seven.unique_id, seven.port)
        assert host.state(7) == running
        host.shutdown(7)
        assert host.state(7) == running._replace(state="shutdown")
        host.resume(7)
        assert host.state(7) == running
        assert host.state(5) is None


def test_guest_can_begin_anew_on_its_ring(host: PretendedHost, guest: Guest) -> None:
    """The domain is the same, the client is not."""
    assert guest.read("/t") == b""
    guest.close()
    with host.attach(5) as second:
        assert second.read("/t") == b""
        assert second.unique_id == guest.unique_id


def test_resumed_domain_has_another_port(server: Host, guest: Guest) -> None:
    """`attach` gets at it; the daemon hears of it by the next introduction."""
    host = server.hypervisor
    host.shutdown(5)
    host.resume(5, new_port=True)
    with host.attach(5) as resumed:
        assert resumed.port != guest.port
        server.dom0.introduce(5, 1, resumed.port)
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


Scripted = tuple[PretendedHost, socket.socket]


@pytest.fixture
def scripted(directory: Path) -> Iterator[Scripted]:
    path = str(directory / "scripted")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        host = PretendedHost(path, timeout=0.01)
        end, _ = listener.accept()
    with host, end:
        yield host, end


@pytest.mark.parametrize(
    ("wish", "answer", "count", "reason"),
    [
        *(
            (PretendedHost.domains, answer, 0, "nonsense")
            for answer in (b"\n", b"[]\n", b"{}\n", b'{"domains": 1}\n')
        ),
        (PretendedHost.create, ONE_PAGE, 0, "nonsense"),
        (PretendedHost.create, ONE_PAGE, 2, "nonsense"),
        (PretendedHost.create, ONE_PAGE.replace(b"5", b"null"), 3, "nonsense"),
        (PretendedHost.domains, b'{"domains": ', 0, "the hypervisor has gone"),
    ],
)
def test_nonsense_and_the_end_are_connection_errors(
    scripted: Scripted,
    wish: Callable[[PretendedHost], object],
    answer: bytes,
    count: int,
    reason: str,
) -> None:
    """Another program may listen there; the descriptors that did come are closed."""
    host, end = scripted
    socket.send_fds(end, [answer], [0] * count)
    end.shutdown(socket.SHUT_WR)
    before = len(open_descriptors())
    with pytest.raises(ConnectionError, match=reason):
        wish(host)
    assert len(open_descriptors()) <= before


@pytest.mark.parametrize(
    ("name", "number"), [("ENOSPC", errno.ENOSPC), ("EWHATEVER", errno.EIO)]
)
def test_errors_that_are_unknown_here_are_eio(
    scripted: Scripted, name: str, number: int
) -> None:
    """The reason is told anyway."""
    host, end = scripted
    end.sendall(f'{{"error": "{name}", "reason": "so it is"}}\n'.encode())
    with pytest.raises(OSError, match="so it is") as caught:
        host.shutdown(5)
    assert caught.value.errno == number


def test_answer_in_pieces_is_one_answer(scripted: Scripted) -> None:
    """Only the newline ends it; this one is more than can be received at once."""
    host, end = scripted
    end.sendall(b'{"domains": [5]' + b" " * 70_000 + b"}\n")
    assert host.domains() == [5]


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (PretendedHost.attach, (5,)),
        (PretendedHost.kill, (5,)),
        (PretendedHost.domains, ()),
    ],
)
def test_what_was_not_answered_closes_the_connection(
    scripted: Scripted, wish: Callable[..., object], words: tuple[int, ...]
) -> None:
    """Its answer would be taken for the next one's."""
    host, _ = scripted
    with pytest.raises(TimeoutError):
        wish(host, *words)
    with pytest.raises(OSError, match="Bad file descriptor"):
        host.domains()
