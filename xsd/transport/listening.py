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
_LOCK_TRIES: Final = 5
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
    with _locked(path.parent) if contested else nullcontext():
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
    """Hold a directory's lock, so that two daemons do not clear each other's way.

    Whoever may look into the directory may hold it, too, and for ever. So it is
    waited for no longer than a daemon needs that starts at the same moment; without
    it nothing is lost but that protection.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptor = -1

    def __enter__(self) -> None:
        self._descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        for _ in range(_LOCK_TRIES):
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_LOCK_RETRY_S)
            except OSError:
                # A file system without locks is no reason not to serve.
                return
            else:
                return

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
