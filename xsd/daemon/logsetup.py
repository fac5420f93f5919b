"""Logs: one line per event with fields, for people on a terminal, else as JSON.

Paths, tokens and values come from guests. Whatever they contain, a line of the log
stays one line and moves no terminal: everything outside printable ASCII is escaped.
"""

import errno
import io
import os
import select
import socket
import sys
import syslog
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TextIO, final

import structlog
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import JSONRenderer, TimeStamper, add_log_level
from structlog.processors import format_exc_info as format_exception
from structlog.typing import EventDict, Processor, WrappedLogger

from xsd.daemon.settings import Config

FILE_MODE: Final = 0o600
"""Of each file that the daemon makes: what clients send may be secret."""

_NEEDS_QUOTES: Final = frozenset(" ='\"[]{},")
"""What else could be taken for the end of a text in a line for people."""


class Sink(ABC):
    """Where lines go. A sink that cannot write loses lines, it never raises."""

    @abstractmethod
    def write(self, level: str, line: str) -> None:
        """Take one line, without its newline, of a level such as `warning`."""

    def reopen(self) -> None:  # noqa: B027  only files can be reopened
        """Open the file anew, after it was renamed to be rotated.

        Raises:
            OSError: If that fails; the old file stays in use.
        """

    def close(self) -> None:  # noqa: B027
        """Give back what is open."""

    def is_terminal(self) -> bool:
        """Say whether a person reads along."""
        return False


@final
class StreamSink(Sink):
    """Lines to a stream that is open already, standard error as a rule."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._fd = -1
        self._room = select.poll()
        self._is_cut = False
        with suppress(OSError, ValueError):  # a stream in memory has no descriptor
            self._fd = stream.fileno()
            self._room.register(self._fd, select.POLLOUT)

    def write(self, level: str, line: str) -> None:
        """Write the line at once, or lose it."""
        # The log's reader may be gone or asleep; the clients are not.
        with suppress(OSError, ValueError):
            if self._fd < 0:
                self._stream.write(line + "\n")
            else:
                self._send(line.encode() + b"\n")

    def _send(self, data: bytes) -> None:
        if self._is_cut:
            data = b"\n" + data
        sent = 0
        # A pipe with any room at all takes PIPE_BUF bytes without waiting.
        while sent < len(data) and self._room.poll(0):
            sent += os.write(self._fd, data[sent : sent + select.PIPE_BUF])
        if sent:
            self._is_cut = sent < len(data)

    def is_terminal(self) -> bool:
        """Say whether the stream is a terminal."""
        return self._stream.isatty()


def _open_to_append(path: Path) -> int:
    # A pipe without a reader, or one that does not read, is not waited for.
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
    return os.open(path, flags, FILE_MODE)


def open_carefully(path: Path) -> int:
    """Open a file that was named while the daemon runs, to append to it.

    Nobody who can write to the directory can have it be another file by a symbolic
    link, or a file of theirs, or a pipe that keeps the daemon waiting for a reader.

    Returns:
        The descriptor.

    Raises:
        OSError: If the file cannot be opened or is not to be trusted.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
    descriptor = os.open(path, flags, FILE_MODE)
    if os.fstat(descriptor).st_uid not in {0, os.geteuid()}:
        os.close(descriptor)
        raise PermissionError(errno.EACCES, "the file is somebody else's", str(path))
    return descriptor


@final
class FileSink(Sink):
    """Lines to the end of a file of mode 0600.

    Args:
        path: The file.
        opened: How to open it for appending.

    Raises:
        OSError: If the file cannot be opened at first.
    """

    def __init__(
        self, path: Path, opened: Callable[[Path], int] = _open_to_append
    ) -> None:
        self._path = path
        self._opened = opened
        self._file = self._open()
        self._is_cut = False

    def _open(self) -> io.FileIO:
        return io.FileIO(self._opened(self._path), "a")

    def write(self, level: str, line: str) -> None:
        """Append the line, or lose it."""
        data = line.encode() + b"\n"
        if self._is_cut:
            data = b"\n" + data
        # A full disk must not end the daemon.
        with suppress(OSError, ValueError):
            # Nothing is told of a full pipe.
            sent = self._file.write(data)
            if sent:
                self._is_cut = sent < len(data)

    def reopen(self) -> None:
        """Go on in the file that has the name now, or in a new one."""
        file = self._open()
        self._file.close()
        self._file = file
        self._is_cut = False

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@final
class SyslogSink(Sink):
    """Lines to syslog's daemon facility, for a process without standard error.

    syslog(3) would wait for a syslog that does not read.
    """

    PATH: Final = "/dev/log"

    _PRIORITIES: Final = {
        "debug": syslog.LOG_DEBUG,
        "info": syslog.LOG_INFO,
        "warning": syslog.LOG_WARNING,
        "error": syslog.LOG_ERR,
        "critical": syslog.LOG_CRIT,
    }

    def __init__(self, path: str = PATH) -> None:
        self._path = path
        self._socket: socket.socket | None = None

    def write(self, level: str, line: str) -> None:
        """Send the line at once, or lose it."""
        priority = syslog.LOG_DAEMON | self._PRIORITIES[level]
        when = time.strftime("%b %e %H:%M:%S")
        data = f"<{priority}>{when} xenstored[{os.getpid()}]: {line}".encode()
        try:
            self._send(data)
        except BlockingIOError:
            return
        except OSError:
            # It may have been started anew since the last line.
            self.close()
            with suppress(OSError):
                self._send(data)

    def _send(self, data: bytes) -> None:
        if self._socket is None:
            sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            sender.setblocking(False)
            try:
                sender.connect(self._path)
            except OSError:
                sender.close()
                raise
            self._socket = sender
        self._socket.send(data)

    def close(self) -> None:
        """Disconnect."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def open_sink(config: Config) -> Sink:
    """Return where the log goes: the trace file, else the log file, else elsewhere.

    Raises:
        OSError: If the file cannot be opened.
    """
    path = config.trace_file or config.log_file
    if path is not None:
        return FileSink(path)
    # Elsewhere is a terminal or what reads standard error, in the background syslog.
    return StreamSink(sys.stderr) if config.foreground else SyslogSink()


def configure(sink: Sink, *, log_format: str = "auto", log_level: str = "info") -> None:
    """Let structlog write to a sink from now on.

    Args:
        sink: Where lines go.
        log_format: `console`, `json`, or `auto`, which is `console` for a terminal.
        log_level: The least severe level that is written.
    """
    structlog.configure(
        processors=[
            add_log_level,
            TimeStamper(fmt="iso", utc=True),
            format_exception,
            escape_values,
            _renderer(log_format, is_terminal=sink.is_terminal()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(log_level),
        logger_factory=lambda *_: _LevelledLines(sink),
    )


def _renderer(log_format: str, *, is_terminal: bool) -> Processor:
    if log_format == "json" or (log_format == "auto" and not is_terminal):
        return JSONRenderer()
    console = ConsoleRenderer(
        # By https://no-color.org an empty variable asks for nothing.
        colors=is_terminal and not os.environ.get("NO_COLOR"),
        exception_formatter=plain_traceback,
        sort_keys=False,
    )
    return lambda logger, name, event: console(logger, name, _shown(event))


@final
class _LevelledLines:
    """What structlog calls with the finished line, by the name of the level."""

    __slots__ = ("_sink",)

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def debug(self, line: str) -> None:
        self._sink.write("debug", line)

    def info(self, line: str) -> None:
        self._sink.write("info", line)

    def warning(self, line: str) -> None:
        self._sink.write("warning", line)

    def error(self, line: str) -> None:
        self._sink.write("error", line)

    def critical(self, line: str) -> None:
        self._sink.write("critical", line)


def escape_values(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Make every value printable: the structlog processor before the renderer."""
    for key, value in event.items():
        event[key] = _traceback(value) if key == "exception" else _escaped(value)
    return event


def printable(value: bytes | str) -> str:
    r"""Return text of printable ASCII, the rest as `\n`, `\x1b`, `\u202e`.

    Backslashes are doubled, so that no two values print alike.
    """
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return text.encode("unicode_escape").decode("ascii")


def _escaped(value: object) -> object:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (bytes, str)):
        return printable(value)
    if isinstance(value, dict):
        return {printable(str(key)): _escaped(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_escaped(item) for item in value]
    return printable(str(value))


@final
class _Shown:
    """A value of a line for people, which the renderer prints as it stands."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _shown(event: EventDict) -> EventDict:
    """Put texts between quotes where their end would not be seen.

    They are escaped already: once more, and nobody could copy a path out of the log.
    """
    plain = {"event", "level", "timestamp", "exception"}
    return {
        key: value if key in plain else _quoted(value) for key, value in event.items()
    }


def _quoted(value: object) -> object:
    if isinstance(value, str):
        if value and not _NEEDS_QUOTES.intersection(value):
            return _Shown(value)
        return _Shown("'{}'".format(value.replace("'", "\\'")))
    if isinstance(value, dict):
        return {_quoted(key): _quoted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_quoted(item) for item in value]
    return value


def _traceback(text: object) -> str:
    # Indented, since the text of an exception may contain what a guest sent: on a
    # terminal its second line must not look like a line of the log.
    return "\n".join(f"    {printable(line)}" for line in str(text).splitlines())
