"""The pid file: locked while the daemon runs, so that it never runs twice."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self, final

from xsd.daemon.logsetup import FILE_MODE


class PidFileHeldError(Exception):
    """Another process holds the pid file.

    Attributes:
        pid: That process, or 0 if the file does not tell.
    """

    def __init__(self, path: Path, pid: int) -> None:
        holder = f"process {pid}" if pid else "another process"
        super().__init__(f"{holder} already serves and holds {path}")
        self.pid = pid


@final
class PidFile:
    """A file with our process id, held by lockf as the C daemon does.

    The lock belongs to the process: a fork does not inherit it, and closing any other
    descriptor of the same file loses it.

    Args:
        path: The file, made with mode 0600; a stale one is taken over.
    """

    __slots__ = ("_fd", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def acquire(self) -> None:
        """Lock the file and write our process id and a newline into it.

        Raises:
            PidFileHeldError: If another process has locked it.
            OSError: If it cannot be opened or written.
        """
        while self._fd < 0:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
            try:
                self._lock(fd)
            except BaseException:
                os.close(fd)
                raise

    def _lock(self, fd: int) -> None:
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise PidFileHeldError(self._path, _read_pid(fd)) from None
        if not self._is_still(fd):
            # Its holder removed it between our open and our lock: the next process
            # would make a new one and lock that.
            os.close(fd)
            return
        try:
            os.ftruncate(fd, 0)
            os.write(fd, b"%d\n" % os.getpid())
        except OSError:
            self._path.unlink(missing_ok=True)
            raise
        self._fd = fd

    def release(self) -> None:
        """Remove the file and unlock it; nothing happens if it is not held."""
        if self._fd < 0:
            return
        if self._is_still(self._fd):
            self._path.unlink(missing_ok=True)
        os.close(self._fd)
        self._fd = -1

    def _is_still(self, fd: int) -> bool:
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(fd))


def _read_pid(fd: int) -> int:
    text = os.pread(fd, 32, 0).strip()
    return int(text) if text.isdigit() else 0
