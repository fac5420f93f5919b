"""The log, as operators send it elsewhere while the daemon runs: CONTROL logfile."""

import os
import resource
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, final

import structlog

from xsd import __version__
from xsd.daemon.logsetup import FileSink, Sink, configure, open_carefully
from xsd.daemon.settings import TRACE_DIRECTORY
from xsd.engine.logbook import Logbook
from xsd.engine.loglimit import LogLimit
from xsd.engine.notice import Notice
from xsd.protocol.errors import Errno, XenStoreError

_STATM: Final = Path("/proc/self/statm")
_RESIDENT: Final = 1  # the second number: pages
_KIB: Final = 1024

log = structlog.get_logger(__name__)


@final
class Log(Logbook):
    """Where structlog writes to.

    Args:
        sink: Where lines go at first.
        log_format: See `configure`.
        log_level: See `configure`.
    """

    def __init__(
        self, sink: Sink, *, log_format: str = "auto", log_level: str = "info"
    ) -> None:
        self._sink = sink
        self._format = log_format
        self._level = log_level
        self._limit = LogLimit()
        self._configure()

    @property
    def is_file(self) -> bool:
        """Whether the log goes to a file."""
        return isinstance(self._sink, FileSink)

    @property
    def tells_all(self) -> bool:
        """Whether lines of the level debug are written."""
        return self._level == "debug"

    def reopen(self) -> None:
        """Open the file anew, after it was renamed to be rotated.

        Raises:
            OSError: If that fails; the old file stays in use.
        """
        self._sink.reopen()

    def close(self) -> None:
        """Give back what is open."""
        self._sink.close()

    def change(self, log_format: str, log_level: str) -> None:
        """Write in another format or of other levels from now on; see `configure`."""
        self._format = log_format
        self._level = log_level
        self._configure()

    def redirect(self, name: bytes) -> None:
        """Send the log to another file; what it was so far says where it goes.

        Raises:
            XenStoreError: If the file cannot be opened; the log stays where it is.
        """
        path = _path(name)
        try:
            sink = FileSink(path, open_carefully)
        except OSError as error:
            raise _refusal(error, name) from error
        fields: dict[str, object] = {"file": os.fsencode(path)}
        # Whoever may ask for it may do so again and again.
        now_ms = time.monotonic_ns() // 1_000_000
        if self._limit.admits(Notice("info", "log.redirected", fields), now_ms):
            log.info("log.redirected", **fields)
        self._sink.close()
        self._sink = sink
        self._configure()

    def append(self, name: bytes, text: str) -> None:
        """Add text to a file, below a line that says when and of which process.

        Raises:
            XenStoreError: EINVAL if the file cannot be opened, as by C; another errno
                if it does not take the text, of which a part may be there then.
        """
        path = _path(name)
        try:
            descriptor = open_carefully(path)
        except OSError as error:
            raise XenStoreError(Errno.EINVAL, _reason(error), name) from error
        now = datetime.now(UTC).isoformat(timespec="seconds")
        heading = f"xenstored {__version__}, process {os.getpid()}, {now}\n"
        data = memoryview((heading + text + "\n").encode())
        try:
            while data:
                data = data[os.write(descriptor, data) :]
        except OSError as error:
            raise _refusal(error, name) from error
        finally:
            os.close(descriptor)

    def process_bytes(self) -> dict[str, int]:
        """What is in memory now, and the most that ever was."""
        pages = int(_STATM.read_text(encoding="ascii").split()[_RESIDENT])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {
            "resident_bytes": pages * resource.getpagesize(),
            "peak_bytes": peak * _KIB,
        }

    def _configure(self) -> None:
        configure(self._sink, log_format=self._format, log_level=self._level)


def _path(name: bytes) -> Path:
    """The file that a name means: a relative one as that of `--trace-file`.

    Raises:
        XenStoreError: EINVAL for no name.
    """
    if not name:
        raise XenStoreError(Errno.EINVAL, "no file is named")
    return TRACE_DIRECTORY / os.fsdecode(name)


def _refusal(error: OSError, name: bytes) -> XenStoreError:
    """What a client is told of a file that cannot be had."""
    told = next((each for each in Errno if each == error.errno), Errno.EINVAL)
    return XenStoreError(told, _reason(error), name)


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
