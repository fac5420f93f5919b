"""Sockets that outlive the process: systemd's descriptor store.

The service manager holds copies of what it is sent (FDSTORE=1), and passes them to
the next process if this one is killed (`FileDescriptorStoreMax=` of the unit). Which
clients can go on is said by their marks, see `xsd/engine/mark.py`: one that was in the
middle of something is closed, so that it does not wait for ever; one for whom an event
may have waited is told each of its watches.

A client is stored when it is a second old. Those that ask something and go, as
`xenstore-read` does, are no work for process 1.

What a manager holds, too, is not at its end when it is closed here: so it is shut down.
"""

import errno
import os
import socket
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, final

import structlog

from xsd.daemon.activation import CHANNELS, CLIENT, LISTENER, Passed
from xsd.daemon.notify import manager, notify
from xsd.engine import Connection, Engine
from xsd.engine.delivery import retell
from xsd.engine.mark import BUSY, OWING
from xsd.persistence.directory import Directory
from xsd.persistence.marks import PLACES, Marks
from xsd.transport.loop import Loop, Timer
from xsd.transport.unix import SocketLink, UnixServer

log = structlog.get_logger(__name__)

LOOK_S: Final = 1.0
"""How often it is looked who has come to stay, and who has gone."""

STORED_AT_ONCE: Final = 100
"""Descriptors that are sent to the manager at a time, at most."""


@final
class DescriptorStore:
    """What the service manager holds for us.

    Attributes:
        has_listener: Whether the socket on which we listen is among it.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        passed: Sequence[Passed] = (),
        *,
        has_listener: bool = False,
    ) -> None:
        """Nothing is done before `open`.

        Args:
            environ: The environment with NOTIFY_SOCKET, if there is a manager.
            passed: Clients and event channels that it has held for a process before.
            has_listener: Whether the socket on which we listen was held, too.
        """
        self.has_listener = has_listener
        self._passed_channels = -1
        self._channels = -1
        self._has_channels = False
        self._environ = environ
        self._passed: dict[int, socket.socket] = {}
        self._unwanted: deque[str] = deque()
        self._marks: Marks | None = None
        self._engine: Engine | None = None
        self._server: UnixServer | None = None
        self._new: deque[int] = deque()
        self._seen = 0
        self._loop: Loop | None = None
        self._timer: Timer | None = None
        self._is_refused = False
        for each in passed:
            self._take(each)

    def _take(self, passed: Passed) -> None:
        """Take one of those that were passed, which are ours to close."""
        if passed.name == CHANNELS and self._passed_channels < 0:
            self._passed_channels = passed.fd
            return
        digits = passed.name.removeprefix(CLIENT)
        with suppress(OSError):
            sock = socket.socket(fileno=passed.fd)
            if digits.isdecimal() and int(digits) not in self._passed:
                self._passed[int(digits)] = sock
            else:
                _end(sock)
                self._unwanted.append(passed.name)

    def open(self, directory: Directory) -> None:
        """Have it be known from now on where clients are that are stored.

        Without a service manager, or a file for that, nothing is stored.

        Args:
            directory: That of the journal.
        """
        if not self._environ.get("NOTIFY_SOCKET"):
            return
        try:
            self._marks = Marks(directory)
        except OSError as error:
            log.warning("clients.not_kept", reason=str(error))

    # Those of a process that was killed.

    def give(self, engine: Engine, connection: Connection, server: UnixServer) -> bool:
        """Have a connection that was recovered go on, if it can.

        Args:
            engine: Whose it is; it has been told the time.
            connection: It, to which nothing has happened yet.
            server: Whose client it is.
        """
        marks = self._marks
        number = connection.id
        if marks is None or number not in self._passed or number not in marks.left:
            return False
        left = marks.left[number]
        sock = self._passed[number]
        if left.state >= BUSY or os.fstat(sock.fileno()).st_ino != left.key:
            return False
        connection.mark = marks.go_on(number, left.state)
        try:
            server.take_over(sock, connection)
        except OSError:
            connection.mark = None
            return False
        del self._passed[number]
        if left.state == OWING:
            retell(engine.core, connection)
        return True

    def take_channels(self) -> dict[str, object] | None:
        """What `XenHypervisor` can go on with, whose it is then; or None."""
        descriptor, self._passed_channels = self._passed_channels, -1
        self._has_channels = descriptor >= 0
        return {"evtchn": descriptor, "held": True} if descriptor >= 0 else None

    def close_rest(self) -> int:
        """Close what nobody goes on with; how many clients that were."""
        if self._passed_channels >= 0:
            os.close(self._passed_channels)
            self.take_channels()
        count = len(self._passed)
        for number, sock in self._passed.items():
            _end(sock)
            self._unwanted.append(f"{CLIENT}{number}")
        self._passed.clear()
        return count

    # While it serves.

    def begin(
        self, engine: Engine, server: UnixServer, loop: Loop, channels: int = -1
    ) -> None:
        """Store the clients of a server, and its socket, from now on.

        Args:
            engine: Serves them.
            server: The server.
            loop: Wakes us.
            channels: The open device of event channels, or -1: it is stored, too.
        """
        marks = self._marks
        if marks is None:
            # There may be some of a process that had a journal.
            if self._has_channels:
                self._unwanted.append(CHANNELS)
            with suppress(OSError):
                self._remove(len(self._unwanted))
            return
        self._channels = channels
        self._engine = engine
        self._server = server
        kept = marks.left
        for connection in engine.connections:
            link = connection.link
            left = kept.get(connection.id)
            if not isinstance(link, SocketLink):
                continue
            if connection.mark is None and left is not None and left.key == _key(link):
                # Of the program that was here before, in this process.
                state = left.state if link.is_quiet else BUSY
                connection.mark = marks.go_on(connection.id, state)
        for number in marks.numbers:
            found = engine.core.connections.get(number)
            if found is None or found.mark is None:
                marks.free(number)
        self._new.extend(engine.core.connections)
        self._seen = engine.core.last
        self._loop = loop
        self._timer = loop.call_later(LOOK_S, self.look)

    def look(self) -> None:
        """Store who has come to stay, and have forgotten who has gone."""
        marks = self._marks
        engine = self._engine
        if marks is None or engine is None or self._loop is None:
            return
        self._timer = self._loop.call_later(LOOK_S, self.look)
        self._unwanted.extend(f"{CLIENT}{number}" for number in marks.tidy())
        try:
            self._remove(STORED_AT_ONCE)
            self._store_some(marks, engine)
            self._is_refused = False
        except BlockingIOError:
            # It has much else to do. There is another second.
            pass
        except OSError as error:
            if not self._is_refused:
                log.warning("clients.not_kept", reason=str(error))
            self._is_refused = True
        last = engine.core.last
        connections = engine.core.connections
        come = range(self._seen + 1, last + 1)
        self._new.extend(number for number in come if number in connections)
        self._seen = last

    def _store_some(self, marks: Marks, engine: Engine) -> None:
        """Store some of those that were there a second ago."""
        self._store_shared()
        if not self._new:
            return
        with manager(self._environ, wait=False) as sender:
            for _ in range(min(len(self._new), STORED_AT_ONCE)):
                connection = engine.core.connections.get(self._new[0])
                if connection is not None:
                    self._store(marks, connection, sender)
                self._new.popleft()

    def _store(
        self, marks: Marks, connection: Connection, sender: socket.socket
    ) -> None:
        link = connection.link
        if not isinstance(link, SocketLink) or connection.mark is not None:
            return
        # One end of a pair has no name: that one is ours, for the watchdog.
        if not link.sock.getsockname() or not self._serves(connection):
            return
        number = connection.id
        mark = marks.take(number, _key(link), is_quiet=link.is_quiet)
        if mark is None:
            raise OSError(errno.ENOSPC, f"there are {PLACES} already")
        try:
            _send(sender, f"{CLIENT}{number}", link.descriptor)
        except BaseException:
            marks.free(number)
            raise
        connection.mark = mark

    def _serves(self, connection: Connection) -> bool:
        engine = self._engine
        return engine is not None and (
            connection.caller.domid == engine.store.own.domid
        )

    def _store_shared(self) -> None:
        """Have clients that come meanwhile wait for the next process, and rings."""
        server = self._server
        if not self._has_channels and self._channels >= 0:
            self._replace(CHANNELS, self._channels)
            self._has_channels = True
        if not self.has_listener and server is not None and server.owns_path:
            self._replace(LISTENER, server.listener)
            self.has_listener = True

    def _replace(self, name: str, descriptor: int) -> None:
        """Store a descriptor, and no other one of that name."""
        notify(_removal(name), self._environ, wait=False)
        with manager(self._environ, wait=False) as sender:
            # Nor does any trouble that it has mean that it is at its end.
            _send(sender, f"{name}\nFDPOLL=0", descriptor)

    def _remove(self, count: int, *, wait: bool = False) -> None:
        """Tell the manager of what is to be stored no longer."""
        for _ in range(min(len(self._unwanted), count)):
            notify(_removal(self._unwanted[0]), self._environ, wait=wait)
            self._unwanted.popleft()

    # The end.

    def empty(self) -> None:
        """Have nothing stored any more, until `look`; what is open here stays so."""
        marks = self._marks
        engine = self._engine
        if marks is None or engine is None:
            return
        if self.has_listener:
            self._unwanted.append(LISTENER)
            self.has_listener = False
        if self._has_channels:
            self._unwanted.append(CHANNELS)
            self._has_channels = False
        for connection in engine.connections:
            connection.mark = None
        marks.ended.clear()
        for number in marks.numbers:
            self._unwanted.append(f"{CLIENT}{number}")
            marks.free(number)
        self._new = deque(engine.core.connections)
        with suppress(OSError):
            self._remove(len(self._unwanted), wait=True)

    def close(self) -> None:
        """The daemon ends as it was told to, and all clients have been closed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.empty()
        self._marks = None


def _key(link: SocketLink) -> int:
    """What tells a socket from any other of this machine."""
    return os.fstat(link.descriptor).st_ino


def _send(sender: socket.socket, name: str, descriptor: int) -> None:
    state = f"FDSTORE=1\nFDNAME={name}".encode()
    socket.send_fds(sender, [state], [descriptor])


def _removal(name: str) -> str:
    return f"FDSTOREREMOVE=1\nFDNAME={name}"


def _end(sock: socket.socket) -> None:
    """Close a socket wherever it is open."""
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()
