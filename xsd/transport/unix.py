"""The Unix socket: every client on it is the privileged domain.

The sockets are our own, on the loop's reader and writer callbacks, without
streams, transports or tasks. What was received and not answered, or answered and
not sent, is in the engine's connections and nowhere else.
"""

import asyncio
import errno
import fcntl
import os
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, final

from xsd.engine import HIGH_WATER, Connection, Engine, Notice

RECEIVE_MAX: Final = 16 * 1024
"""Bytes taken from one client before others have their turn."""

ACCEPT_MAX: Final = 64
"""Clients accepted before others have their turn."""

_BACKLOG: Final = 1024
_ACCEPT_RETRY_S: Final = 0.1
_OUT_OF_ROOM: Final = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
)


@final
class UnixServer:
    """Listens on a path and serves whoever connects."""

    def __init__(
        self,
        engine: Engine,
        path: str,
        *,
        mode: int = 0o600,
        on_notice: Callable[[Notice], None],
    ) -> None:
        """Make a server that does nothing until `start`.

        Args:
            engine: What answers.
            path: Where to listen; at most 107 bytes.
            mode: Permissions of the socket.
            on_notice: Is given what the log should say.
        """
        self._engine = engine
        self._path = Path(path)
        self._mode = mode
        self._on_notice = on_notice
        self._loop = asyncio.get_running_loop()
        self._clients: dict[int, _Client] = {}
        self._listener: socket.socket | None = None
        self._inode = 0

    def start(self) -> None:
        """Begin to listen, in the place of a daemon that is gone if need be.

        Raises:
            OSError: EADDRINUSE if somebody serves there already, EEXIST if there is
                something else than a socket, or as the system says.
        """
        with _locked(self._path.parent):
            _clear_way(self._path)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            # Nobody may connect between bind and chmod.
            mask = os.umask(0o777 & ~self._mode)
            try:
                listener.bind(str(self._path))
            except OSError:
                listener.close()
                raise
            finally:
                os.umask(mask)
            listener.listen(_BACKLOG)
        listener.setblocking(False)
        self._inode = self._path.stat().st_ino
        self._listener = listener
        self._loop.add_reader(listener, self._on_connection)

    def close(self) -> None:
        """Stop listening, end all clients and take the socket away."""
        listener = self._listener
        if listener is None:
            return
        self._listener = None
        self._loop.remove_reader(listener)
        # The path may be another daemon's by now; while we listen on it, it cannot
        # become one's between the two calls.
        with suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()
        listener.close()
        for client in list(self._clients.values()):
            self._end(client)

    def _on_connection(self) -> None:
        listener = self._listener
        if listener is None:
            return
        for _ in range(ACCEPT_MAX):
            try:
                sock, _address = listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._on_accept_failed(listener, error)
                return
            sock.setblocking(False)
            connection = self._engine.connect(self._engine.store.privileged.caller)
            client = _Client(sock, connection)
            self._clients[connection.id] = client
            self._loop.add_reader(sock, self._on_readable, client)

    def _on_accept_failed(self, listener: socket.socket, error: OSError) -> None:
        fields: dict[str, object] = {
            "reason": str(error),
            "connections": len(self._clients),
        }
        self._on_notice(Notice("error", "connection.not_accepted", fields))
        if error.errno in _OUT_OF_ROOM:
            # The client stays in the queue: without a rest we would spin.
            self._loop.remove_reader(listener)
            self._loop.call_later(_ACCEPT_RETRY_S, self._listen_again)

    def _listen_again(self) -> None:
        if self._listener is not None:
            self._loop.add_reader(self._listener, self._on_connection)

    def _on_readable(self, client: "_Client") -> None:
        """The way of every request: receive, answer, send."""
        try:
            data = client.sock.recv(RECEIVE_MAX)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._on_end_of_input(client)
            return
        connection = client.connection
        engine = self._engine
        engine.receive(connection, data, self._now_ms())
        self._send_dirty()
        if connection.backlog or connection.outbox.size or connection.closing:
            self._adjust(client)

    def _on_end_of_input(self, client: "_Client") -> None:
        """A client may stop writing and still wait for replies."""
        connection = client.connection
        connection.closing = True
        if connection.backlog or connection.outbox.size:
            self._adjust(client)
        else:
            self._end(client)

    def _on_writable(self, client: "_Client") -> None:
        self._send(client)
        if not client.connection.lost:
            self._adjust(client)

    def _go_on(self, client: "_Client") -> None:
        """Answer what a client's turn left over."""
        client.scheduled = False
        connection = client.connection
        if connection.lost:
            return
        self._engine.resume(connection, self._now_ms())
        self._send_dirty()
        self._adjust(client)

    def _adjust(self, client: "_Client") -> None:
        """Decide whether to read from a client, go on with it, or end it."""
        connection = client.connection
        if connection.lost:
            return
        if connection.backlog:
            if not client.scheduled and self._engine.is_ready(connection):
                client.scheduled = True
                self._loop.call_soon(self._go_on, client)
        elif connection.closing and not connection.outbox.size:
            self._end(client)
            return
        wanted = (
            not connection.backlog
            and not connection.closing
            and connection.outbox.size <= HIGH_WATER
        )
        if wanted != client.reading:
            client.reading = wanted
            if wanted:
                self._loop.add_reader(client.sock, self._on_readable, client)
            else:
                self._loop.remove_reader(client.sock)

    def _send_dirty(self) -> None:
        """Send what the last requests have queued, to whomever it is for."""
        for connection in self._engine.take_dirty():
            client = self._clients.get(connection.id)
            if client is not None and not client.writing:
                self._send(client)
            elif client is not None and connection.lost:
                self._end(client)
        self._tell()

    def _send(self, client: "_Client") -> None:
        """Send as much as the kernel takes; the rest waits until it takes more."""
        connection = client.connection
        outbox = connection.outbox
        if connection.lost:
            self._end(client)
            return
        try:
            while outbox.size:
                outbox.sent(client.sock.send(outbox.peek()))
        except (BlockingIOError, InterruptedError):
            if not client.writing:
                client.writing = True
                self._loop.add_writer(client.sock, self._on_writable, client)
            return
        except OSError:
            self._end(client)
            return
        if client.writing:
            client.writing = False
            self._loop.remove_writer(client.sock)

    def _end(self, client: "_Client") -> None:
        """Close a client's socket and have the engine forget it."""
        connection = client.connection
        if self._clients.pop(connection.id, None) is None:
            return
        self._loop.remove_reader(client.sock)
        self._loop.remove_writer(client.sock)
        client.sock.close()
        self._engine.disconnect(connection)
        self._tell()

    def _tell(self) -> None:
        for notice in self._engine.take_notices():
            self._on_notice(notice)

    def _now_ms(self) -> int:
        return int(self._loop.time() * 1000)


@final
class _Client:
    """A socket and the connection behind it.

    Attributes:
        reading: Whether the loop tells us of input.
        writing: Whether we wait until the kernel takes more.
        scheduled: Whether `_go_on` is about to be called.
    """

    __slots__ = ("connection", "reading", "scheduled", "sock", "writing")

    def __init__(self, sock: socket.socket, connection: Connection) -> None:
        self.sock = sock
        self.connection = connection
        self.reading = True
        self.writing = False
        self.scheduled = False


@final
class _locked:  # noqa: N801  used like a function
    """Hold a directory's lock, so that two daemons do not clear each other's way."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptor = -1

    def __enter__(self) -> None:
        self._descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        # A file system without locks is no reason not to serve.
        with suppress(OSError):
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def __exit__(self, *_exc: object) -> None:
        os.close(self._descriptor)


def _clear_way(path: Path) -> None:
    """Remove the socket of a daemon that is gone.

    Raises:
        OSError: EADDRINUSE or EEXIST if what is there must stay.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "there is something, and it is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError as error:
            reason = f"a xenstored may be serving there ({error.strerror})"
            raise OSError(errno.EADDRINUSE, reason) from error
    raise OSError(errno.EADDRINUSE, "another xenstored is serving there")
