"""Unix sockets: every client on one of them is the same domain, dom0 as a rule.

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

from xsd.engine import HIGH_WATER, Notice
from xsd.protocol.perms import Caller
from xsd.transport.pump import Link, Pump

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
        pump: Pump,
        path: str,
        identify: Callable[[], Caller],
        *,
        mode: int = 0o600,
    ) -> None:
        """Make a server that does nothing until `start`.

        Args:
            pump: Where its clients' requests go.
            path: Where to listen; at most 107 bytes.
            identify: Says who everybody is that connects.
            mode: Permissions of the socket.
        """
        self._pump = pump
        self._path = Path(path)
        self._identify = identify
        self._mode = mode
        self._loop = asyncio.get_running_loop()
        self._clients: set[SocketLink] = set()
        self._listener: socket.socket | None = None
        self._inode = 0

    def start(self, listener: socket.socket | None = None) -> None:
        """Begin to listen, in the place of a daemon that is gone if need be.

        Args:
            listener: A socket that listens on the path already. It is somebody
                else's: `close` closes it here and leaves the path alone.

        Raises:
            OSError: EADDRINUSE if somebody serves there already, EEXIST if there is
                something else than a socket, or as the system says.
        """
        self._inode = 0  # which no file has
        if listener is None:
            listener = self._listen()
            self._inode = self._path.stat().st_ino
        listener.setblocking(False)
        self._listener = listener
        self._loop.add_reader(listener, self._on_connection)

    def serve(self, sock: socket.socket) -> None:
        """Serve a socket that is connected already, until its other end closes."""
        sock.setblocking(False)
        SocketLink(self._pump, self._loop, self._clients, sock, self._identify())

    def _listen(self) -> socket.socket:
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
        return listener

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
        for client in list(self._clients):
            client.end()

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
            self.serve(sock)

    def _on_accept_failed(self, listener: socket.socket, error: OSError) -> None:
        fields: dict[str, object] = {
            "reason": str(error),
            "connections": len(self._clients),
        }
        self._pump.on_notice(Notice("error", "connection.not_accepted", fields))
        if error.errno in _OUT_OF_ROOM:
            # The client stays in the queue: without a rest we would spin.
            self._loop.remove_reader(listener)
            self._loop.call_later(_ACCEPT_RETRY_S, self._listen_again)

    def _listen_again(self) -> None:
        if self._listener is not None:
            self._loop.add_reader(self._listener, self._on_connection)


@final
class SocketLink(Link):
    """One client's socket and the connection behind it.

    Attributes:
        connection: The engine's side.
    """

    __slots__ = (
        "_clients",
        "_loop",
        "_pump",
        "_reading",
        "_scheduled",
        "_sock",
        "_writing",
        "connection",
    )

    def __init__(
        self,
        pump: Pump,
        loop: asyncio.AbstractEventLoop,
        clients: "set[SocketLink]",
        sock: socket.socket,
        caller: Caller,
    ) -> None:
        """Begin to read.

        Args:
            pump: Where requests go.
            loop: Tells when the socket is ready.
            clients: Holds the link as long as its socket is open.
            sock: Connected and non-blocking.
            caller: Who the client is.
        """
        self.connection = pump.engine.connect(caller)
        self._pump = pump
        self._loop = loop
        self._clients = clients
        self._sock = sock
        # Whether the loop tells us of input.
        self._reading = True
        # Whether we wait until the kernel takes more.
        self._writing = False
        # Whether `_go_on` is about to be called.
        self._scheduled = False
        clients.add(self)
        pump.add(self.connection, self)
        loop.add_reader(sock, self._on_readable)

    def send(self) -> None:
        """See `Link.send`."""
        if self.connection.lost:
            self.end()
        elif not self._writing:
            self._send()

    def wake(self) -> None:
        """See `Link.wake`."""
        self._adjust()

    def end(self) -> None:
        """Close the socket and have the engine forget the client."""
        if self._pump.drop(self.connection):
            self._clients.discard(self)
            self._loop.remove_reader(self._sock)
            self._loop.remove_writer(self._sock)
            self._sock.close()

    def _on_readable(self) -> None:
        """The way of every request: receive, answer, send."""
        try:
            data = self._sock.recv(RECEIVE_MAX)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._on_end_of_input()
            return
        connection = self.connection
        self._pump.receive(connection, data, self._now_ms())
        self._pump.flush()
        if connection.backlog or connection.outbox.size or connection.closing:
            self._adjust()

    def _on_end_of_input(self) -> None:
        """A client may stop writing and still wait for replies."""
        connection = self.connection
        connection.closing = True
        if connection.backlog or connection.outbox.size:
            self._adjust()
        else:
            self.end()

    def _on_writable(self) -> None:
        self._send()
        self._adjust()
        # Guests may wait for what this client has just read.
        self._pump.flush()

    def _go_on(self) -> None:
        """Answer what the client's turn left over."""
        self._scheduled = False
        if not self.connection.lost:
            self._pump.engine.resume(self.connection, self._now_ms())
            self._pump.flush()
            self._adjust()

    def _adjust(self) -> None:
        """Decide whether to read from the client, go on with it, or end it."""
        connection = self.connection
        if connection.lost:
            return
        if connection.backlog:
            if not self._scheduled and self._pump.engine.is_ready(connection):
                self._scheduled = True
                self._loop.call_soon(self._go_on)
        elif connection.closing and not connection.outbox.size:
            self.end()
            return
        wanted = (
            not connection.backlog
            and not connection.closing
            and connection.outbox.size <= HIGH_WATER
        )
        if wanted != self._reading:
            self._reading = wanted
            if wanted:
                self._loop.add_reader(self._sock, self._on_readable)
            else:
                self._loop.remove_reader(self._sock)

    def _send(self) -> None:
        """Send as much as the kernel takes; the rest waits until it takes more."""
        outbox = self.connection.outbox
        if self.connection.lost:
            self.end()
            return
        try:
            while outbox.size:
                outbox.sent(self._sock.send(outbox.peek()))
        except (BlockingIOError, InterruptedError):
            if not self._writing:
                self._writing = True
                self._loop.add_writer(self._sock, self._on_writable)
            return
        except OSError:
            self.end()
            return
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._sock)

    def _now_ms(self) -> int:
        return int(self._loop.time() * 1000)


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


def take_away(path: str) -> None:
    """Remove a socket, even if somebody listens on it.

    For those named after dom0's socket, by whoever has got that one: a daemon that
    still has them has lost its own.
    """
    with suppress(OSError):
        if stat.S_ISSOCK(Path(path).lstat().st_mode):
            Path(path).unlink()


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
