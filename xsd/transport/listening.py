"""Getting a socket's path: from a daemon that is gone, but not from one that serves."""

import errno
import fcntl
import os
import socket
import stat
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Final, final

_BACKLOG: Final = 1024
_LOCK_TRIES: Final = 50
_LOCK_RETRY_S: Final = 0.01


def listen_at(path: Path, mode: int, *, contested: bool = True) -> socket.socket:
    """Listen on a path, in the place of a daemon that is gone if need be.

    Args:
        path: Where; at most 107 bytes.
        mode: Permissions of the socket.
        contested: Another daemon may be about to do the same.

    Raises:
        OSError: EADDRINUSE if somebody serves there already, EEXIST if there is
            something else than a socket, or as the system says.
    """
    with _locked(path) if contested else nullcontext():
        _clear_way(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Nobody may connect between bind and chmod.
        mask = os.umask(0o777 & ~mode)
        try:
            listener.bind(str(path))
        except OSError:
            listener.close()
            raise
        finally:
            os.umask(mask)
        listener.listen(_BACKLOG)
    return listener


def take_away(path: str) -> None:
    """Remove a socket, even if somebody listens on it.

    For those named after dom0's socket, by whoever has got that one: a daemon that
    still has them has lost its own.
    """
    with suppress(OSError):
        if stat.S_ISSOCK(Path(path).lstat().st_mode):
            Path(path).unlink()


@final
class _locked:  # noqa: N801  used like a function
    """Hold the lock of a socket's path, so that two daemons do not clear its way.

    It is a file of our own beside the socket. Anybody may open the directory, and hold
    a lock on that for ever.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + ".lock")
        self._descriptor = -1

    def __enter__(self) -> None:
        for _ in range(_LOCK_TRIES):
            if self._has_locked():
                return
            time.sleep(_LOCK_RETRY_S)
        reason = f"another xenstored is starting there and holds {self._path}"
        raise OSError(errno.EADDRINUSE, reason)

    def __exit__(self, *_exc: object) -> None:
        # Before it is let go: who waits for it sees that it is gone.
        with suppress(OSError):
            self._path.unlink()
        os.close(self._descriptor)

    def _has_locked(self) -> bool:
        """Lock the file, if that can be done at once."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(self._path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except OSError:
            # A file system without locks is no reason not to serve.
            pass
        try:
            is_there = os.path.samestat(self._path.stat(), os.fstat(descriptor))
        except OSError:
            is_there = False
        if not is_there:
            # Its holder has removed it since we opened it.
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True


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
