"""The directory of a journal: which files there are, and how one comes into being.

::

    segment.0000000007      inputs, see segment.py
    checkpoint.0000000007   the state before the first input of that segment
    lock                    locked by who writes the journal
    new.NAME                what is to become NAME, and is not yet

A file has its name only when it is whole: it is made under another one and renamed. All
are found from the directory's descriptor and none is followed if it is a link, so that
nobody can put another in the place of one. The mode of the directory is 0700, that of
the files 0600: values may be secret.
"""

import fcntl
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final, final

SEGMENT: Final = "segment."
CHECKPOINT: Final = "checkpoint."
_NEW: Final = "new."
_LOCK: Final = "lock"
_DIGITS: Final = 10

_DIRECTORY_MODE: Final = 0o700
_MODE: Final = 0o600
_READ_BYTES: Final = 1 << 20
_SAFELY: Final = os.O_CLOEXEC | os.O_NOFOLLOW


def segment_name(sequence: int) -> str:
    """Name of the segment with a sequence number."""
    return f"{SEGMENT}{sequence:0{_DIGITS}}"


def checkpoint_name(sequence: int) -> str:
    """Name of the checkpoint behind which the segments from this number on follow."""
    return f"{CHECKPOINT}{sequence:0{_DIGITS}}"


@final
class Directory:
    """An open directory.

    Attributes:
        path: Where it is, for people.
    """

    __slots__ = ("_fd", "_lock_fd", "path")

    def __init__(self, path: Path, *, make: bool = False) -> None:
        """Open it.

        Args:
            path: The directory, which may not be a link.
            make: Whether it is to be made if it is not there. Its parent has to be.

        Raises:
            OSError: If there is none, or it is a link, or another user's; root may
                open that if it is not to make it.
        """
        self.path = path
        self._lock_fd = -1
        if make and not path.exists():
            path.mkdir(_DIRECTORY_MODE, exist_ok=True)
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | _SAFELY)
        try:
            status = os.fstat(self._fd)
            # Root may look at anybody's, and mend it.
            if status.st_uid != os.geteuid() and (make or os.geteuid()):
                raise PermissionError(f"{path} is another user's")  # noqa: TRY301
            if make and status.st_mode & 0o777 != _DIRECTORY_MODE:
                os.fchmod(self._fd, _DIRECTORY_MODE)
        except BaseException:
            os.close(self._fd)
            raise

    def lock(self) -> None:
        """Be the only process that writes here, until `close` or the process ends.

        A child of the process does not hold the lock.

        Raises:
            OSError: If another process is.
        """
        fd = os.open(_LOCK, os.O_RDWR | os.O_CREAT | _SAFELY, _MODE, dir_fd=self._fd)
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(fd)
            raise type(error)(f"{self.path} is in use by another process") from error
        self._lock_fd = fd

    def close(self) -> None:
        """Unlock and close it; a second time does nothing."""
        for fd in (self._lock_fd, self._fd):
            if fd >= 0:
                os.close(fd)
        self._lock_fd = self._fd = -1

    def fileno(self) -> int:
        """Descriptor of it, by which it is found wherever it is."""
        return self._fd

    def numbers(self, kind: str) -> list[int]:
        """Sequence numbers of the files of a kind, SEGMENT or CHECKPOINT, in order."""
        found = []
        for name in os.listdir(self._fd):  # noqa: PTH208  a path has no descriptor
            digits = name[len(kind) :]
            if name.startswith(kind) and len(digits) >= _DIGITS and digits.isdecimal():
                found.append(int(digits))
        return sorted(found)

    def has(self, name: str) -> bool:
        """Tell whether there is anything of a name."""
        return name in os.listdir(self._fd)  # noqa: PTH208  as above

    def read(self, name: str) -> bytes:
        """All bytes of a file."""
        fd = self.open(name, os.O_RDONLY)
        try:
            pieces = []
            while piece := os.read(fd, _READ_BYTES):
                pieces.append(piece)
            return b"".join(pieces)
        finally:
            os.close(fd)

    def open(self, name: str, flags: int) -> int:
        """Open a file that is there; its descriptor is the caller's."""
        # Nobody waits for the other end of a pipe that somebody has put here.
        return os.open(name, flags | _SAFELY | os.O_NONBLOCK, dir_fd=self._fd)

    def begin(self, name: str) -> int:
        """Make a file that does not have its name yet.

        Returns:
            Its descriptor, which is the caller's.
        """
        self.remove(_NEW + name)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _SAFELY
        return os.open(_NEW + name, flags, _MODE, dir_fd=self._fd)

    def finish(self, name: str, *, durable: bool) -> None:
        """Give a file its name, in the place of one that has it.

        Args:
            name: Its name.
            durable: Whether the name has to be on the disk after this.
        """
        os.rename(_NEW + name, name, src_dir_fd=self._fd, dst_dir_fd=self._fd)
        if durable:
            os.fsync(self._fd)

    def give_up(self, name: str) -> None:
        """Leave nothing of a file that did not become one."""
        for each in (_NEW + name, name):
            try:
                self.remove(each)
            except OSError:
                # Something is wrong with the disk, which is being told.
                continue

    def write(self, name: str, chunks: Iterable[bytes], *, durable: bool) -> None:
        """Write a whole file, or none.

        Args:
            name: Its name; one that has it is replaced.
            chunks: What is to be in it.
            durable: Whether it has to be on the disk after this.

        Raises:
            OSError: If that is not possible; what had the name still has it.
        """
        fd = self.begin(name)
        try:
            try:
                for chunk in chunks:
                    rest = chunk
                    while rest:
                        rest = rest[os.write(fd, rest) :]
                if durable:
                    os.fsync(fd)
            finally:
                os.close(fd)
            self.finish(name, durable=durable)
        except BaseException:
            self.remove(_NEW + name)
            raise

    def rename(self, name: str, other: str) -> None:
        """Give a file another name."""
        os.rename(name, other, src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._fd)

    def remove_before(self, sequence: int) -> None:
        """Remove the segments and checkpoints with smaller numbers, oldest first."""
        for kind in (CHECKPOINT, SEGMENT):
            for number in self.numbers(kind):
                if number < sequence:
                    self.remove(f"{kind}{number:0{_DIGITS}}")

    def remove_all(self, beginning: str) -> None:
        """Remove the files whose names begin so."""
        for name in os.listdir(self._fd):  # noqa: PTH208  as above
            if name.startswith(beginning):
                self.remove(name)

    def tidy(self) -> None:
        """Remove what a process that ended early was about to make."""
        self.remove_all(_NEW)


def holds_state(path: Path) -> bool:
    """Tell whether there may be a journal in a directory, which cannot be opened.

    Returns:
        False if there is surely none.
    """
    try:
        names = [each.name for each in path.iterdir()]
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return any(each.startswith((SEGMENT, CHECKPOINT)) for each in names)


def write_checkpoint(
    directory: Directory, sequence: int, chunks: Iterable[bytes], *, durable: bool
) -> None:
    """Write the state before the first input of a segment; see `Directory.write`.

    A child of the process that writes the journal may do it.
    """
    directory.write(checkpoint_name(sequence), chunks, durable=durable)
