"""How a client's bytes get to the daemon and back."""

import errno
import os
import struct
from abc import ABC, abstractmethod

from xsd.client.errors import DisconnectedError, NotListeningError
from xsd.protocol.lean import Final, final

try:
    # What `socket` is made of. To load that takes a third as long as the interpreter,
    # for the names of constants and for other things that are not needed here.
    import _socket as socket
except ImportError:  # not promised to be there
    import socket  # type: ignore[no-redef]

RECEIVE_SIZE: Final = 65536
"""Bytes that are asked of a socket at once."""


class Transport(ABC):
    """Carries bytes in both directions, in order."""

    __slots__ = ()

    @abstractmethod
    def send(self, data: bytes, timeout: float | None) -> None:
        """Send all of this.

        Args:
            data: Any bytes.
            timeout: Seconds to wait for room; None waits for ever.

        Raises:
            TimeoutError: If it could not all be sent in time.
            DisconnectedError: If the daemon has ended the connection.
        """

    def send_some(self, data: bytes) -> int:
        """Send as much of this as there is room for, without waiting.

        Who cannot tell sends nothing: then one request at a time is under way.

        Returns:
            How many bytes that were.

        Raises:
            DisconnectedError: If the daemon has ended the connection.
        """
        return 0

    @abstractmethod
    def receive(self, timeout: float | None) -> bytes:
        """Return what has come, at least one byte, waiting for it if need be.

        Args:
            timeout: Seconds to wait; 0 only looks, None waits for ever.

        Raises:
            TimeoutError: If nothing came in time.
            DisconnectedError: If the daemon has ended the connection.
        """

    @abstractmethod
    def close(self) -> None:
        """End the connection."""


@final
class SocketTransport(Transport):
    """A Unix socket.

    Args:
        path: Where the daemon listens.
        timeout: Seconds to wait for it to accept; None waits for ever.

    Raises:
        NotListeningError: If nobody accepts at `path`.
    """

    __slots__ = ("_socket",)

    def __init__(self, path: str, timeout: float | None) -> None:
        self._socket = _connect(path, timeout)

    def send(self, data: bytes, timeout: float | None) -> None:
        """See `Transport.send`."""
        self._socket.settimeout(timeout)
        try:
            self._socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            raise DisconnectedError("the daemon has closed the connection") from None

    def send_some(self, data: bytes) -> int:
        """See `Transport.send_some`."""
        self._socket.settimeout(0)
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except (BrokenPipeError, ConnectionResetError):
            raise DisconnectedError("the daemon has closed the connection") from None

    def receive(self, timeout: float | None) -> bytes:
        """See `Transport.receive`."""
        self._socket.settimeout(timeout)
        try:
            data = self._socket.recv(RECEIVE_SIZE)
        except BlockingIOError:
            # A limit of zero makes the socket non-blocking.
            raise TimeoutError("timed out") from None
        except ConnectionResetError:
            data = b""
        if not data:
            raise DisconnectedError("the daemon has closed the connection")
        return data

    def close(self) -> None:
        """See `Transport.close`."""
        self._socket.close()


def _connect(path: str, timeout: float | None) -> socket.socket:
    """Connect, blocking even with a time limit.

    A non-blocking connect to a Unix socket whose backlog is full fails at
    once, and xenstored's backlog is 1; the kernel's own limit waits.
    """
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if timeout is not None:
            seconds = int(timeout)
            limit = struct.pack("@ll", seconds, max(1, int((timeout - seconds) * 1e6)))
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        connected.connect(path)
        # A signal ends the wait as well, and Python then takes the socket for
        # connected, since it finds no error on it.
        if not _has_peer(connected):
            connected.connect(path)
            connected.getpeername()
    except BlockingIOError:
        connected.close()
        reason = "it did not accept in time"
        raise NotListeningError(path, reason, errno.EAGAIN) from None
    except OSError as error:
        connected.close()
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise NotListeningError(path, reason, error.errno or 0) from None
    return connected


def _has_peer(connected: socket.socket) -> bool:
    """Tell whether a connection was really made."""
    try:
        connected.getpeername()
    except OSError:
        return False
    return True
