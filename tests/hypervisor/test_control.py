"""xsd.hypervisor.control: lines of JSON from clients that may send anything."""

import errno
import os
import select
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import final

import pytest

from tests.support.descriptors import few_descriptors_left, open_descriptors
from tests.support.turns import TurnTaker
from xsd.hypervisor.control import (
    ACCEPT_MAX,
    CLIENTS_MAX,
    LINE_MAX,
    Answer,
    ControlSocket,
)

NOT_JSON = {"error": "EINVAL", "reason": "a request is a JSON object on one line"}


@final
class Server:
    """A control socket that says what it was asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.epoll = select.epoll()
        self.control = ControlSocket(str(path), self.epoll, self.answer)

    def answer(self, request: dict[str, object]) -> Answer:
        """Echo; some requests are special."""
        if "fail" in request:
            raise OSError(errno.ENOENT, "it is not there")
        if "long" in request:
            return Answer({"text": "x" * 20_000})
        descriptors = (0, 1, 2) if "descriptors" in request else ()
        return Answer(request, descriptors)

    def turn(self) -> None:
        """Do what epoll says, once."""
        for descriptor, _ in self.epoll.poll(0):
            self.control.on_ready(descriptor)

    def is_idle(self) -> bool:
        """Tell whether nothing would wake us."""
        return not self.epoll.poll(0)


@pytest.fixture
def server(control_path: Path) -> Iterator[Server]:
    """The server of a test."""
    server = Server(control_path)
    yield server
    server.control.close()
    server.epoll.close()


@pytest.fixture
def client(server: Server) -> Iterator[TurnTaker]:
    """A client of it."""
    with TurnTaker(server.path, server.turn) as client:
        yield client


# Requests.


def test_each_line_is_answered_by_a_line(client: TurnTaker, server: Server) -> None:
    """In order, with duplicates of the descriptors that the server named.

    A piece of a line does not wake us again before the next one comes.
    """
    assert client.ask(b'{"a": 1}\n') == {"a": 1}
    assert client.ask(b' {"b":"\xc3\xa4"}\r\n') == {"b": "ä"}
    client.socket.sendall(b'{"a": 1}\n{"b": 2}\n{"c"')
    assert client.reply() == {"a": 1}
    assert client.reply() == {"b": 2}
    assert client.ask(b": 3}\n") == {"c": 3}

    for piece in (b'{"a', b'": ', b"1}"):
        client.socket.sendall(piece)
        server.turn()
        server.turn()
        assert server.is_idle()
    assert client.ask(b"\n") == {"a": 1}

    client.ask(b'{"descriptors": true}\n')
    found = [os.fstat(descriptor).st_ino for descriptor in client.descriptors]
    assert found == [os.fstat(descriptor).st_ino for descriptor in (0, 1, 2)]


MALFORMED = [
    *(b"\n", b"create\n", b"[]\n", b"1\n", b"null\n", b"\0\n"),
    *(b'{"a": 1\n', b'{"a": "\xff"}\n', b'{"a":' * 200 + b"\n"),
    *(b"[" * (LINE_MAX - 1) + b"\n", b"9" * (LINE_MAX - 1) + b"\n"),
]


@pytest.mark.parametrize("line", MALFORMED)
def test_what_is_no_json_object_is_einval(client: TurnTaker, line: bytes) -> None:
    """The client may go on: where a line ends is certain."""
    assert client.ask(line) == NOT_JSON
    assert client.ask(b"{}\n") == {}


def test_oserror_becomes_an_error_object(client: TurnTaker) -> None:
    """Its name is that of the errno. Who writes no more, as `echo | socat`, is told."""
    client.socket.sendall(b'{"fail": 1}\n{"a": 1}\n')
    client.socket.shutdown(socket.SHUT_WR)

    assert client.reply() == {"error": "ENOENT", "reason": "it is not there"}
    assert client.reply() == {"a": 1}
    assert client.is_cut_off()


def test_line_of_over_1024_bytes_is_emsgsize_and_the_end(
    client: TurnTaker, server: Server
) -> None:
    """The limit itself fits, its newline included; of a longer one nothing is kept."""
    text = "x" * (LINE_MAX - len('{"a":""}\n'))
    assert client.ask(f'{{"a":"{text}"}}\n'.encode()) == {"a": text}

    client.socket.sendall(b"x" * LINE_MAX)
    server.turn()
    server.turn()
    client.socket.sendall(b"x" * 50_000)
    reply = client.reply()
    assert reply == {"error": "EMSGSIZE", "reason": "a line has 1024 bytes at most"}
    assert client.is_cut_off()
    assert server.is_idle()


# Clients that come and go.


@pytest.mark.parametrize(
    ("data", "turns"),
    [(b'{"a": ', 2), (b'{"descriptors": 1}\n', 0), (b"{}\n", 2)],
    ids=["half a line", "no reply yet", "a reply unread, which makes it a reset"],
)
def test_client_that_ends_with_something_open_is_forgotten(
    server: Server, data: bytes, turns: int
) -> None:
    """What was asked for is done, a reply is nobody's, and the others are served on."""
    with TurnTaker(server.path, server.turn) as leaving:
        leaving.socket.sendall(data)
        for _ in range(turns):
            server.turn()
    with TurnTaker(server.path, server.turn) as staying:
        assert staying.ask(b'{"b": 1}\n') == {"b": 1}

    server.turn()
    server.turn()
    assert not server.control._clients
    assert server.is_idle()


def test_descriptor_without_news_is_no_matter(
    client: TurnTaker, server: Server
) -> None:
    """Nor is one that is not ours, or not any more."""
    client.ask(b"{}\n")
    for descriptor in (*server.control._clients, 0):
        server.control.on_ready(descriptor)

    assert client.ask(b"{}\n") == {}


def test_descriptors_from_a_client_are_not_kept(client: TurnTaker) -> None:
    """A client cannot use ours up."""
    client.ask(b"{}\n")
    before = open_descriptors()

    for _ in range(10):
        socket.send_fds(client.socket, [b"{}\n"], [0, 1, 2])
        assert client.reply() == {}

    assert open_descriptors() == before


def test_client_that_does_not_read_is_cut_off(
    client: TurnTaker, server: Server
) -> None:
    """Replies are not kept: when the kernel takes no more, that is the end."""
    for _ in range(1000):
        try:
            client.socket.sendall(b'{"long": 1}\n')
        except BrokenPipeError:
            break
        server.turn()

    assert not server.control._clients
    assert server.is_idle()


def test_one_turn_answers_one_request_of_a_client(server: Server) -> None:
    """A client with much to ask does not hold up the others."""
    with (
        TurnTaker(server.path, server.turn) as greedy,
        TurnTaker(server.path, server.turn) as modest,
    ):
        greedy.socket.sendall(b"{}\n" * 300)
        modest.socket.sendall(b'{"a": 1}\n')
        server.turn()
        server.turn()

        assert greedy.socket.recv(100) == b"{}\n"
        assert modest.socket.recv(100) == b'{"a": 1}\n'


def test_so_many_clients_are_accepted_in_a_turn_and_in_all(server: Server) -> None:
    """Those who are in are not held up; when one leaves there is room again."""
    clients = [TurnTaker(server.path, server.turn) for _ in range(CLIENTS_MAX)]
    for turns in (1, 2):
        server.turn()
        assert len(server.control._clients) == turns * ACCEPT_MAX
    for client in clients:
        assert client.ask(b"{}\n") == {}

    with TurnTaker(server.path, server.turn) as late:
        assert late.reply() == {"error": "EUSERS", "reason": "256 clients are enough"}
        assert late.is_cut_off()
    clients.pop().socket.close()
    server.turn()
    with TurnTaker(server.path, server.turn) as later:
        assert later.ask(b"{}\n") == {}
    for client in clients:
        client.socket.close()


def test_a_thousand_connections_leave_nothing(server: Server) -> None:
    """Whether they say something or not."""
    before = open_descriptors()
    for number in range(1000):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(server.path))
            if number % 2:
                client.sendall(b'{"descriptors"')
        server.turn()
    while not server.is_idle():
        server.turn()

    assert not server.control._clients
    assert open_descriptors() == before


def test_want_of_descriptors_does_not_keep_us_awake(server: Server) -> None:
    """Who waits at the door is served when it is said to listen again."""
    with TurnTaker(server.path, server.turn) as waiting:
        with few_descriptors_left():
            server.turn()
            assert server.is_idle()
            server.control.listen_again()
            server.turn()
            assert server.is_idle()

        server.control.listen_again()

        assert waiting.ask(b"{}\n") == {}


# The socket.


def test_socket_of_a_process_that_is_gone_is_replaced(control_path: Path) -> None:
    """A killed daemon leaves its socket behind."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(control_path))
    server = Server(control_path)

    with TurnTaker(control_path, server.turn) as client:
        assert client.ask(b"{}\n") == {}
    server.control.close()
    server.epoll.close()


def test_socket_of_somebody_else_stays(server: Server) -> None:
    """Two cannot serve one path. Only our own user may connect, whatever the umask."""
    assert server.path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(OSError, match="in use") as caught:
        Server(server.path)

    assert caught.value.errno == errno.EADDRINUSE
    with TurnTaker(server.path, server.turn) as client:
        assert client.ask(b"{}\n") == {}


def test_what_is_busy_or_no_socket_stays(control_path: Path) -> None:
    """One who does not accept just now is not gone; a wrong path destroys nothing."""
    path = control_path
    with (
        socket.socket(socket.AF_UNIX) as listener,
        socket.socket(socket.AF_UNIX) as first,
    ):
        listener.bind(str(path))
        listener.listen(0)
        first.connect(str(path))
        with pytest.raises(OSError, match="in use"):
            Server(path)
        assert path.is_socket()

    path.unlink()
    path.write_text("precious")
    with pytest.raises(OSError, match="in use"):
        Server(path)
    assert path.read_text() == "precious"


def test_close_takes_our_socket_away_only(server: Server, client: TurnTaker) -> None:
    """Clients see the end. A successor may have put its own there."""
    client.ask(b"{}\n")
    server.control.close()
    assert not server.path.exists()
    assert client.is_cut_off()

    second = Server(server.path)
    server.path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(server.path))
        second.control.close()
        second.epoll.close()
        assert server.path.exists()
