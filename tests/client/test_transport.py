"""xsd.client.transport: the socket, and what may stand in its place."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.scripted import Prepared
from xsd.client import Client, DisconnectedError, Event, NotListeningError
from xsd.client.transport import SocketTransport
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op


@pytest.fixture
def full_backlog(directory: Path) -> Iterator[str]:
    """A socket at which nobody accepts any more."""
    path = str(directory / "socket")
    with (
        socket.socket(socket.AF_UNIX) as listener,
        socket.socket(socket.AF_UNIX) as first,
    ):
        listener.bind(path)
        listener.listen(0)
        first.connect(path)
        yield path


def test_a_path_that_nobody_listens_at_is_told_with_the_reason(directory: Path) -> None:
    """No file, one that a killed daemon left behind, none that a socket can have."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(directory / "left"))

    for path, reason in (
        (directory / "none", "No such file or directory"),
        (directory / "left", "Connection refused"),
        ("/" + "x" * 300, "AF_UNIX path too long"),
    ):
        with pytest.raises(NotListeningError) as caught:
            Client(str(path))
        assert (caught.value.path, caught.value.reason) == (str(path), reason)
        assert os.strerror(caught.value.number) == reason or not caught.value.number
        assert str(caught.value) == f"no XenStore daemon listens at {path}: {reason}"


def test_daemon_that_does_not_accept_is_not_listening(full_backlog: str) -> None:
    """The time limit holds for the connection too."""
    with pytest.raises(NotListeningError, match="did not accept in time"):
        Client(full_backlog, timeout=0.01)


def test_a_signal_does_not_make_a_connection(full_backlog: str) -> None:
    """It ends the wait in connect, and the socket looks as if it had none."""
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    try:
        with pytest.raises(NotListeningError):
            Client(full_backlog, timeout=0.2)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_socket_carries_bytes_both_ways(directory: Path) -> None:
    """What has come is handed out at once, however little it is."""
    path = str(directory / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        transport = SocketTransport(path, 10.0)
        end, _ = listener.accept()

    transport.send(b"there", 10.0)
    assert end.recv(100) == b"there"
    with pytest.raises(TimeoutError):
        transport.receive(0)
    end.sendall(b"b")
    assert transport.receive(10.0) == b"b"
    end.close()
    with pytest.raises(DisconnectedError, match="the daemon has closed"):
        transport.receive(None)
    with pytest.raises(DisconnectedError, match="the daemon has closed"):
        transport.send(b"there", None)
    transport.close()


def test_as_much_is_sent_as_there_is_room_for(directory: Path) -> None:
    """Without waiting for more; then nothing."""
    path = str(directory / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        transport = SocketTransport(path, 10.0)
        end, _ = listener.accept()
    data = b"x" * 4_000_000

    taken = transport.send_some(data)
    while more := transport.send_some(data):
        taken += more

    assert 0 < taken < len(data)
    received = b""
    while len(received) < taken:
        received += end.recv(1_000_000)
    assert transport.send_some(b"there") == 5
    end.close()
    with pytest.raises(DisconnectedError, match="the daemon has closed"):
        transport.send_some(b"there")
    transport.close()


def test_who_cannot_tell_has_one_request_under_way() -> None:
    """Each is answered before the next is sent."""
    replies = [encode_frame(Op.READ, number, 0, b"v") for number in (1, 2)]
    way = Prepared(*replies)

    with Client(transport=way) as client:
        calls = [client.start(Op.READ, b"/a\0") for _ in replies]
        assert way.sent == b""
        assert [client.finish(call) for call in calls] == [b"v", b"v"]

    assert way.limits == [None, None]
    assert way.received == []


def test_client_works_over_any_transport() -> None:
    """Requests, replies and events do not depend on it."""
    event = encode_frame(Op.WATCH_EVENT, 0, 0, b"/a\0t\0")
    reply = encode_frame(Op.READ, 1, 0, b"value")
    way = Prepared(event + reply[:3], reply[3:])

    with Client(transport=way, timeout=7.0) as client:
        assert client.read("/a") == b"value"
        assert client.next_event(0) == Event(b"/a", b"t")

    assert way.sent == encode_frame(Op.READ, 1, 0, b"/a\0")
    assert way.limits == [7.0]
    assert way.closed == 1


def test_transport_that_is_disconnected_ends_the_connection() -> None:
    """Its own reason is told, once."""
    way = Prepared()
    client = Client(transport=way)

    with pytest.raises(DisconnectedError, match="no more"):
        client.next_event()
    with pytest.raises(DisconnectedError, match="the connection is closed"):
        client.next_event()
    assert way.closed == 1
