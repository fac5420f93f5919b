"""A socket on which clients ask for things in lines of JSON.

Each request is one JSON object on a line of its own, each reply as well; a reply
may carry descriptors (SCM_RIGHTS) with its first byte. Clients are answered in the
order in which they ask, one request each at a time. A request that cannot be
granted gets ``{"error": "ENOENT", "reason": "..."}``.

Nothing here waits, and a client can make us keep one unfinished line only: replies
are not kept. They are short, so that only a client that asks and does not read
finds its socket full, and it is cut off.
"""

import errno
import json
import os
import select
import socket
import stat
from array import array
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, final

LINE_MAX: Final = 1024
"""Bytes of a request, its newline included."""

CLIENTS_MAX: Final = 256
"""Clients at a time; one more is told so and cut off."""

ACCEPT_MAX: Final = 16
"""Clients accepted before others have their turn."""

_BACKLOG: Final = 1024


class Answer(NamedTuple):
    """What a client gets for a request.

    Attributes:
        fields: The reply; at most 64 KiB as JSON, or it may not be sent.
        descriptors: Go with it as duplicates, in this order.
    """

    fields: dict[str, object]
    descriptors: tuple[int, ...] = ()


@final
class ControlSocket:
    """Listens on a path that only our own user may connect to.

    Attributes:
        deaf: It does not listen, for there were no descriptors: see `listen_again`.
    """

    __slots__ = (
        "_answer",
        "_clients",
        "_epoll",
        "_inode",
        "_listener",
        "_path",
        "deaf",
    )

    def __init__(
        self,
        path: str,
        epoll: select.epoll,
        answer: Callable[[dict[str, object]], Answer],
        kept: list[Any] | None = None,
    ) -> None:
        """Begin to listen.

        Args:
            path: Where; at most 107 bytes. The socket of a process that is gone
                is replaced.
            epoll: Is to watch over our descriptors.
            answer: Does what a request asks for, or raises OSError.
            kept: What `keep` told of the process that we go on for.

        Raises:
            OSError: EADDRINUSE if there is something else at the path.
        """
        self._path = Path(path)
        self._epoll = epoll
        self._answer = answer
        self._clients: dict[int, _Client] = {}
        self.deaf = False
        if kept is None:
            self._listener = _listen(path)
        else:
            listener, clients = kept
            self._listener = socket.socket(fileno=listener)
            for descriptor, line in clients:
                client = _Client(socket.socket(fileno=descriptor))
                client.line = line.encode("latin-1")
                self._clients[descriptor] = client
                epoll.register(client.socket, select.EPOLLIN)
        self._inode = self._path.stat().st_ino
        epoll.register(self._listener, select.EPOLLIN)

    def keep(self) -> tuple[list[object], list[int]]:
        """What another process needs to go on; see `Hypervisor.keep`."""
        clients = [
            [descriptor, client.line.decode("latin-1")]
            for descriptor, client in self._clients.items()
        ]
        listener = self._listener.fileno()
        return [listener, clients], [listener, *self._clients]

    def close(self) -> None:
        """Cut all clients off and take the socket away."""
        # The path may be somebody else's by now.
        with suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()
        self._listener.close()
        for client in self._clients.values():
            client.socket.close()
        self._clients.clear()

    def on_ready(self, descriptor: int) -> None:
        """Do what waits at a descriptor that epoll has named, if it is ours.

        Accepts at most `ACCEPT_MAX` clients, or answers one request.
        """
        client = self._clients.get(descriptor)
        if client is not None:
            self._receive(client)
        elif descriptor == self._listener.fileno():
            self._accept()

    def listen_again(self) -> None:
        """Take up listening if it was given up for want of descriptors."""
        if self.deaf:
            self._epoll.register(self._listener, select.EPOLLIN)
            self.deaf = False

    def _accept(self) -> None:
        for _ in range(ACCEPT_MAX):
            try:
                connected, _address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError:
                # The client stays in the queue and would wake us again and again.
                self._epoll.unregister(self._listener)
                self.deaf = True
                return
            connected.setblocking(False)
            client = _Client(connected)
            if len(self._clients) == CLIENTS_MAX:
                _send(client, _error(errno.EUSERS, f"{CLIENTS_MAX} clients are enough"))
                connected.close()
                continue
            self._clients[connected.fileno()] = client
            self._epoll.register(connected, select.EPOLLIN)

    def _receive(self, client: "_Client") -> None:
        """Take in a line, or what there is of it, and leave what follows it."""
        connected = client.socket
        try:
            seen = connected.recv(LINE_MAX, socket.MSG_PEEK)
            end = seen.find(b"\n") + 1
            data = connected.recv(end or len(seen))
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end(client)
            return
        line = client.line + data
        if len(line) > LINE_MAX:
            _send(
                client, _error(errno.EMSGSIZE, f"a line has {LINE_MAX} bytes at most")
            )
            self._end(client)
        elif not end:
            client.line = line
        else:
            client.line = b""
            if not _send(client, self._answer_line(line)):
                self._end(client)

    def _answer_line(self, line: bytes) -> Answer:
        try:
            request = json.loads(line.decode())
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict):
            return _error(errno.EINVAL, "a request is a JSON object on one line")
        try:
            return self._answer(request)
        except OSError as error:
            return _error(error.errno or errno.EIO, error.strerror or str(error))

    def _end(self, client: "_Client") -> None:
        del self._clients[client.socket.fileno()]
        self._epoll.unregister(client.socket)
        client.socket.close()


@final
class _Client:
    """A client and the line it has not finished yet."""

    __slots__ = ("line", "socket")

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.line = b""


def _error(number: int, reason: str) -> Answer:
    name = errno.errorcode.get(number, "EIO")
    return Answer({"error": name, "reason": reason})


def _send(client: _Client, answer: Answer) -> bool:
    """Send a reply; False if it could not be sent, or not all of it."""
    data = json.dumps(answer.fields).encode() + b"\n"
    rights: list[tuple[int, int, bytes]] = []
    if answer.descriptors:
        packed = array("i", answer.descriptors).tobytes()
        rights.append((socket.SOL_SOCKET, socket.SCM_RIGHTS, packed))
    try:
        return client.socket.sendmsg([data], rights) == len(data)
    except OSError:
        return False


def _listen(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)
        # Before it has a name: nobody may connect between bind and a later chmod.
        os.fchmod(listener.fileno(), 0o600)
        try:
            listener.bind(path)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not _is_left_behind(path):
                raise
            Path(path).unlink()
            listener.bind(path)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _is_left_behind(path: str) -> bool:
    """Tell whether there is a socket on which nobody listens."""
    if not stat.S_ISSOCK(Path(path).stat().st_mode):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False
