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
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server in a directory whose path is short enough for a socket."""
    server = Server(tmp_path_factory.mktemp("xs") / "control")
    yield server
    server.control.close()
    server.epoll.close()


@pytest.fixture
def client(server: Server) -> Iterator[TurnTaker]:
    """A client of it."""
    with TurnTaker(server.path, server.turn) as client:
        yield client


def test_only_our_own_user_may_connect(server: Server) -> None:
    """The mode is that from the first moment, whatever the umask."""
    assert server.path.stat().st_mode & 0o777 == 0o600


def test_each_line_is_answered_by_a_line(client: TurnTaker) -> None:
    """One client may ask as often as it likes."""
    assert client.ask(b'{"a": 1}\n') == {"a": 1}
    assert client.ask(b' {"b":"\xc3\xa4"}\r\n') == {"b": "ä"}


def test_two_lines_at_once_are_answered_in_order(client: TurnTaker) -> None:
    """What follows a line waits for its turn."""
    client.socket.sendall(b'{"a": 1}\n{"b": 2}\n{"c"')

    assert client.reply() == {"a": 1}
    assert client.reply() == {"b": 2}
    assert client.ask(b": 3}\n") == {"c": 3}


def test_line_in_pieces_is_one_line(client: TurnTaker, server: Server) -> None:
    """A piece does not wake us again before the next one comes."""
    for piece in (b'{"a', b'": ', b"1}"):
        client.socket.sendall(piece)
        server.turn()
        server.turn()
        assert server.is_idle()

    assert client.ask(b"\n") == {"a": 1}


def test_descriptors_come_with_the_reply(client: TurnTaker) -> None:
    """They are duplicates of what the server named, in its order."""
    client.ask(b'{"descriptors": true}\n')

    found = [os.fstat(descriptor).st_ino for descriptor in client.descriptors]
    assert found == [os.fstat(descriptor).st_ino for descriptor in (0, 1, 2)]


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"create\n",
        b"[]\n",
        b"1\n",
        b"null\n",
        b'{"a": 1\n',
        b'{"a": "\xff"}\n',
        b"\0\n",
        b"[" * (LINE_MAX - 1) + b"\n",
        b'{"a":' * 200 + b"\n",
        b"9" * (LINE_MAX - 1) + b"\n",
    ],
)
def test_what_is_no_json_object_is_einval(client: TurnTaker, line: bytes) -> None:
    """The client may go on: where a line ends is certain."""
    assert client.ask(line) == NOT_JSON
    assert client.ask(b"{}\n") == {}


def test_oserror_becomes_an_error_object(client: TurnTaker) -> None:
    """Its name is that of the errno."""
    reply = client.ask(b'{"fail": 1}\n')

    assert reply == {"error": "ENOENT", "reason": "it is not there"}
    assert client.ask(b"{}\n") == {}


def test_line_of_1024_bytes_is_answered(client: TurnTaker) -> None:
    """The limit itself fits, its newline included."""
    text = "x" * (LINE_MAX - len('{"a":""}\n'))

    assert client.ask(f'{{"a":"{text}"}}\n'.encode()) == {"a": text}


def test_longer_line_is_emsgsize_and_the_end(client: TurnTaker, server: Server) -> None:
    """Nothing is kept of it."""
    client.socket.sendall(b"x" * LINE_MAX)
    server.turn()
    server.turn()

    reply = client.ask(b"x\n")

    assert reply == {"error": "EMSGSIZE", "reason": "a line has 1024 bytes at most"}
    assert client.is_cut_off()


def test_endless_line_costs_one_line(client: TurnTaker, server: Server) -> None:
    """The rest is not even received."""
    client.socket.sendall(b"x" * 50_000)

    assert client.reply()["error"] == "EMSGSIZE"
    assert client.is_cut_off()
    assert server.is_idle()


def test_end_in_the_middle_of_a_line_is_forgotten(server: Server) -> None:
    """Others do not notice."""
    with TurnTaker(server.path, server.turn) as leaving:
        leaving.socket.sendall(b'{"a": ')
        server.turn()
        server.turn()
    with TurnTaker(server.path, server.turn) as staying:
        assert staying.ask(b'{"b": 1}\n') == {"b": 1}

    server.turn()
    assert not server.control._clients
    assert server.is_idle()


def test_end_before_the_reply_is_forgotten(server: Server) -> None:
    """What was asked for is done, the reply is nobody's."""
    with TurnTaker(server.path, server.turn) as leaving:
        leaving.socket.sendall(b'{"descriptors": 1}\n')

    server.turn()
    server.turn()

    assert not server.control._clients


def test_end_with_a_reply_unread_is_forgotten(server: Server) -> None:
    """The kernel reports it as a reset."""
    with TurnTaker(server.path, server.turn) as leaving:
        leaving.socket.sendall(b"{}\n")
        leaving.wait()

    server.turn()

    assert not server.control._clients


def test_descriptor_without_news_is_no_matter(
    client: TurnTaker, server: Server
) -> None:
    """Nor is one that is not ours, or not any more."""
    client.ask(b"{}\n")
    (descriptor,) = server.control._clients

    server.control.on_ready(descriptor)
    server.control.on_ready(0)

    assert client.ask(b"{}\n") == {}


def test_client_that_writes_no_more_is_answered(client: TurnTaker) -> None:
    """As with `echo '{...}' | socat`."""
    client.socket.sendall(b'{"a": 1}\n')
    client.socket.shutdown(socket.SHUT_WR)

    assert client.reply() == {"a": 1}
    assert client.is_cut_off()


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


def test_one_turn_accepts_a_few_clients(server: Server) -> None:
    """A crowd at the door does not hold up those who are in."""
    clients = [TurnTaker(server.path, server.turn) for _ in range(ACCEPT_MAX + 1)]

    server.turn()
    assert len(server.control._clients) == ACCEPT_MAX
    server.turn()
    assert len(server.control._clients) == ACCEPT_MAX + 1
    for client in clients:
        client.socket.close()


def test_one_client_too_many_is_told_so(server: Server) -> None:
    """When another one leaves there is room again."""
    clients = [TurnTaker(server.path, server.turn) for _ in range(CLIENTS_MAX)]
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


def test_socket_of_a_process_that_is_gone_is_replaced(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A killed daemon leaves its socket behind."""
    path = tmp_path_factory.mktemp("xs") / "control"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))

    server = Server(path)

    with TurnTaker(path, server.turn) as client:
        assert client.ask(b"{}\n") == {}
    server.control.close()
    server.epoll.close()


def test_socket_of_somebody_else_stays(server: Server) -> None:
    """Two cannot serve one path."""
    with pytest.raises(OSError, match="in use") as caught:
        Server(server.path)

    assert caught.value.errno == errno.EADDRINUSE
    with TurnTaker(server.path, server.turn) as client:
        assert client.ask(b"{}\n") == {}


def test_socket_of_somebody_busy_stays(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """One who does not accept just now is not gone."""
    path = tmp_path_factory.mktemp("xs") / "control"
    with (
        socket.socket(socket.AF_UNIX) as listener,
        socket.socket(socket.AF_UNIX) as first,
    ):
        listener.bind(str(path))
        listener.listen(0)
        first.connect(str(path))

        with pytest.raises(OSError, match="in use"):
            Server(path)

        assert path.exists()


def test_file_in_the_place_of_the_socket_stays(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A wrong path destroys nothing."""
    path = tmp_path_factory.mktemp("xs") / "control"
    path.write_text("precious")

    with pytest.raises(OSError, match="in use"):
        Server(path)

    assert path.read_text() == "precious"


def test_close_takes_the_socket_away(server: Server, client: TurnTaker) -> None:
    """Clients see the end."""
    client.ask(b"{}\n")

    server.control.close()

    assert not server.path.exists()
    assert client.is_cut_off()


def test_close_leaves_the_socket_of_another(server: Server) -> None:
    """A successor may have put its own there."""
    server.path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(server.path))

        server.control.close()

        assert server.path.exists()
