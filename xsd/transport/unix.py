"""Unix sockets: every client on one of them is the same domain, dom0 as a rule.

The sockets are our own, on the reactor. What was received and not answered, or
answered and not sent, is in the engine's connections and nowhere else.
"""

import errno
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final, final

from xsd.engine import HIGH_WATER, Connection, Notice
from xsd.engine.mark import BUSY, QUIET
from xsd.engine.schedule import FEW
from xsd.hypervisor.control import ACCEPT_MAX
from xsd.transport.listening import listen_at
from xsd.transport.reactor import Reactor, Wire

RECEIVE_FEW: Final = 479
"""Bytes asked for first of a client that says little at a time: a bytes object of so
many comes of Python's own store of small objects, of which it is cut without a copy."""

RECEIVE_FIRST: Final = 4 * 1024
"""Bytes asked for first of others: more than most have to say at a time."""

RECEIVE_MAX: Final = 16 * 1024
"""Bytes taken from one client in one pass, if they are a few long requests."""

WHOLE_MAX: Final = 16 * 1024
"""Bytes that a Unix socket takes as a whole or not at all; Linux: 32 KiB and more."""

_OUT_OF_ROOM: Final = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
)

_read: Final = os.read
_write: Final = os.write


@final
class UnixServer:
    """Listens on a path and serves whoever connects."""

    def __init__(
        self, reactor: Reactor, path: str, domid: int, *, mode: int = 0o600
    ) -> None:
        """Make a server that does nothing until `start`.

        Args:
            reactor: Looks after its sockets.
            path: Where to listen; at most 107 bytes.
            domid: The domain that everybody is who connects.
            mode: Permissions of the socket.
        """
        self._reactor = reactor
        self._path = Path(path)
        self._domid = domid
        self._mode = mode
        self._clients: set[SocketLink] = set()
        self._listener: socket.socket | None = None
        self._inode = 0

    def start(
        self,
        listener: socket.socket | None = None,
        *,
        contested: bool = True,
        is_own: bool = False,
    ) -> None:
        """Begin to listen, in the place of a daemon that is gone if need be.

        Args:
            listener: A socket that listens on the path already. It is somebody
                else's: `close` closes it here and leaves the path alone.
            contested: Another daemon may be about to take the path.
            is_own: The listener was made by another process of ours all the same.

        Raises:
            OSError: EADDRINUSE if somebody serves there already, EEXIST if there is
                something else than a socket, or as the system says.
        """
        self._inode = 0  # which no file has
        if listener is None:
            listener = listen_at(self._path, self._mode, contested=contested)
            is_own = True
        if is_own:
            with suppress(FileNotFoundError):
                self._inode = self._path.stat().st_ino
        listener.setblocking(False)
        self._reactor.listen(listener.fileno(), self.accept)
        self._listener = listener

    def adopt(self, sock: socket.socket) -> None:
        """Serve a socket that is connected already, until its other end closes.

        Raises:
            OSError: If it cannot be watched over; it is closed then.
            XenStoreError: If the domain it would belong to cannot be known.
        """
        connection: Connection | None = None
        try:
            sock.setblocking(False)
            connection = self._reactor.engine.connect(self._domid)
            SocketLink(self._reactor, self._clients, sock, connection)
        except BaseException:
            sock.close()
            if connection is not None:
                self._reactor.engine.disconnect(connection)
            raise
        # Its coming may be an input that others wait for.
        self._reactor.wake()

    def take_over(self, sock: socket.socket, connection: Connection) -> None:
        """Serve a socket on which a connection of another process goes on.

        Raises:
            OSError: If it cannot be watched over; it is closed then.
        """
        try:
            sock.setblocking(False)
            SocketLink(self._reactor, self._clients, sock, connection)
        except BaseException:
            sock.close()
            self._reactor.engine.disconnect(connection)
            raise
        self._reactor.engine.core.touch(connection)

    def clients(self) -> list[tuple[Connection, int]]:
        """The connections, and the descriptors of their sockets."""
        return [(client.connection, client.descriptor) for client in self._clients]

    @property
    def owns_path(self) -> bool:
        """Whether it is ours to take the socket away."""
        return self._inode != 0

    @property
    def listener(self) -> int:
        """Descriptor of the socket that listens, or -1."""
        return -1 if self._listener is None else self._listener.fileno()

    def close(self) -> None:
        """Stop listening, end all clients and take the socket away."""
        listener = self._listener
        if listener is None:
            return
        self._listener = None
        self._reactor.ignore(listener.fileno())
        # The path may be another daemon's by now; while we listen on it, it cannot
        # become one's between the two calls.
        with suppress(OSError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()
        listener.close()
        for client in list(self._clients):
            client.end()
        self._reactor.wake()

    def accept(self) -> None:
        """Accept some of those who wait."""
        listener = self._listener
        if listener is None:
            return
        for _ in range(ACCEPT_MAX):
            try:
                sock, _address = listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self._note_refusal(error)
                if error.errno in _OUT_OF_ROOM:
                    # The client stays in the queue: without a rest we would spin.
                    self._reactor.rest(listener.fileno())
                return
            try:
                self.adopt(sock)
            except Exception as error:  # noqa: BLE001  others wait to be accepted
                self._note_refusal(error)

    def _note_refusal(self, error: Exception) -> None:
        fields: dict[str, object] = {
            "reason": str(error),
            "connections": len(self._clients),
        }
        self._reactor.note(Notice("error", "connection.not_accepted", fields))


@final
class SocketLink(Wire):
    """One client's socket and the connection behind it.

    Attributes:
        descriptor: Of the socket.
        sock: The socket.
    """

    __slots__ = (
        "_asks",
        "_clients",
        "_ended",
        "_reactor",
        "_reading",
        "_writing",
        "descriptor",
        "sock",
    )

    def __init__(
        self,
        reactor: Reactor,
        clients: "set[SocketLink]",
        sock: socket.socket,
        connection: Connection,
    ) -> None:
        """Begin to read.

        Args:
            reactor: Tells when the socket is ready.
            clients: Holds the link as long as its socket is open.
            sock: Connected and non-blocking.
            connection: The engine's end.

        Raises:
            OSError: If the socket cannot be watched over.
        """
        super().__init__(connection)
        self._reactor = reactor
        self._clients = clients
        self.sock = sock
        self.descriptor = sock.fileno()
        self._ended = False
        # Bytes that it is asked for first, by how much it said last.
        self._asks = RECEIVE_FEW
        # Whether the reactor tells us of input, and of room for output.
        self._reading = True
        self._writing = False
        reactor.add(self.descriptor, self)
        clients.add(self)

    def update(self) -> None:
        """See `Link.update`."""
        if self._ended:
            return
        connection = self.connection
        if connection.outbox.size and not self._writing:
            self._send()
        if connection.lost or connection.closing or connection.paused:
            self._settle()

    def on_input(self) -> None:
        """See `Wire.on_input`."""
        if self._ended or not self._reading:
            return
        connection = self.connection
        if connection.backlog or connection.outbox.size > HIGH_WATER:
            # There is enough to do: what has come can wait in the kernel.
            connection.paused = True
            self._listen(reading=False, writing=self._writing)
            return
        descriptor = self.descriptor
        mark = connection.mark
        if mark is not None:
            mark.set(BUSY)
        asked = self._asks
        try:
            data: bytes = _read(descriptor, asked)
        except (BlockingIOError, InterruptedError):
            self._rest()
            return
        except OSError:
            data = b""
        if data:
            engine = self._reactor.engine
            engine.feed(connection, data)
            if len(data) == asked:
                self._asks = RECEIVE_FIRST
                if len(connection.backlog) <= FEW:
                    engine.feed(connection, _read_on(descriptor, asked))
            elif len(data) <= RECEIVE_FEW:
                self._asks = RECEIVE_FEW
        else:
            # A client may stop writing and still wait for replies. A socket at its
            # end is always ready to be read.
            self._listen(reading=False, writing=self._writing)
            self._reactor.engine.end_input(connection)
            self._settle()

    def on_output(self) -> None:
        """See `Wire.on_output`."""
        if self._writing:
            self._send()
            self._settle()

    def give_up(self) -> None:
        """See `Wire.give_up`."""
        self.end()

    def end(self) -> None:
        """Close the socket and have the engine forget the client."""
        if not self._ended:
            self._ended = True
            self._clients.discard(self)
            connection = self.connection
            try:
                self._reactor.engine.disconnect(connection)
            finally:
                self._reactor.remove(self.descriptor)
                if connection.mark is not None:
                    # Another process has it open, too.
                    with suppress(OSError):
                        self.sock.shutdown(socket.SHUT_RDWR)
                    connection.mark.end()
                self.sock.close()
                self.let_go()

    @property
    def is_quiet(self) -> bool:
        """Whether it is in the middle of nothing, neither in nor out."""
        connection = self.connection
        if (
            connection.backlog
            or connection.outbox.size
            or connection.decoder.is_within
            or connection.closing
        ):
            return False
        deferred = self._reactor.engine.core.deferred
        return not deferred or connection.id not in deferred

    def _send(self) -> None:
        """Send some; the rest waits for room, and until others have had their turn."""
        connection = self.connection
        outbox = connection.outbox
        if connection.lost or not outbox.size:
            return
        mark = connection.mark
        if mark is not None and outbox.size > WHOLE_MAX:
            mark.set(BUSY)
        try:
            count: int = _write(self.descriptor, outbox.peek())
            self._reactor.engine.sent(connection, count)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.end()
            return
        if mark is not None:
            self._rest()
        if self._writing or outbox.size:
            self._listen(reading=self._reading, writing=outbox.size > 0)

    def _rest(self) -> None:
        """Have it known that the connection is in the middle of nothing, if so."""
        mark = self.connection.mark
        if mark is not None and self.is_quiet:
            mark.set(QUIET)

    def _settle(self) -> None:
        """Decide whether to end, or to read again."""
        if self._ended:
            return
        connection = self.connection
        if connection.lost or (
            connection.closing and not connection.backlog and not connection.outbox.size
        ):
            self.end()
        elif connection.paused and connection.wants_input:
            connection.paused = False
            self._listen(reading=True, writing=self._writing)

    def _listen(self, *, reading: bool, writing: bool) -> None:
        if reading != self._reading or writing != self._writing:
            self._reading = reading
            self._writing = writing
            self._reactor.change(self.descriptor, self, reading, writing)


def _read_on(descriptor: int, taken: int) -> bytes:
    """Take what else a client has sent than so many bytes."""
    try:
        return _read(descriptor, RECEIVE_MAX - taken)
    except OSError:
        # We are told again, if it was more than that there is no more.
        return b""
