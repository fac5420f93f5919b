"""A file with everything that changes the daemon's state, for debugging.

What its lines are is told in `xsd/persistence/tape.py`. Requests that change nothing
are not in it, nor is what clients are sent.
"""

import os
import time
from pathlib import Path
from typing import final

import structlog

from xsd.daemon.logsetup import FILE_MODE
from xsd.engine.inputs import Input, Tape
from xsd.persistence.tape import encode, encode_header

log = structlog.get_logger(__name__)


@final
class FileTape(Tape):
    """Writes the file: the inputs of a turn at its end, before its replies leave.

    If that fails, the disk being full for instance, recording ends and serving goes on.

    Attributes:
        path: The file.
        begun: When it was begun, by the monotonic clock.
    """

    def __init__(
        self,
        path: Path,
        control: int,
        own: int | None = None,
        begun: float | None = None,
    ) -> None:
        """Make the file, in the place of one that is there; or go on with it.

        Args:
            path: The file.
            control: The control domain.
            own: The domain that the daemon runs in, if that is another one.
            begun: `begun` of the tape of another process that is gone on with.

        Raises:
            OSError: If it cannot be made.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        if begun is None:
            flags |= os.O_CREAT | os.O_TRUNC
        # Nobody waits for who is to read a pipe.
        flags |= os.O_NONBLOCK
        self._fd = os.open(path, flags, FILE_MODE)
        self.path = path
        self._lines: list[bytes] = []
        self.begun = time.monotonic() if begun is None else begun
        if begun is None:
            self._lines.append(encode_header(control, own))
            self.end_turn()

    @property
    def is_open(self) -> bool:
        """Whether recording has not ended."""
        return self._fd >= 0

    def take(self, entry: Input) -> None:
        """See `Tape.take`."""
        if self._fd >= 0:
            at_ms = int((time.monotonic() - self.begun) * 1000)
            self._lines.append(encode(entry, at_ms))

    def end_turn(self) -> None:
        """See `Tape.end_turn`."""
        if not self._lines:
            return
        data = b"".join(self._lines)
        self._lines.clear()
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            log.error("record.failed", reason=str(error))  # noqa: TRY400  no defect
            self._end()

    def close(self) -> None:
        """End the recording; a second time does nothing."""
        self.end_turn()
        self._end()

    def _end(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
