"""Going to the background, with word to the foreground of how the start went.

`launch-xenstore` reads the pid file as soon as `xenstored` has returned, so the
foreground process waits on a pipe until the daemon serves, and returns its exit code
if it does not.
"""

import errno
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final, final

EXIT_FAILED: Final = 1

_REASON_MAX: Final = 4000
"""Most bytes of a report: a pipe takes so much without waiting."""


class StartError(Exception):
    """The daemon cannot start.

    Attributes:
        code: What the foreground process is to return, 0 to 255. 0 is right if
            another daemon serves already: `launch-xenstore` expects that.
    """

    def __init__(self, reason: str, code: int = EXIT_FAILED) -> None:
        super().__init__(reason)
        self.code = code


def reason_of(error: OSError) -> str:
    """Return what the system says, of which file, and who may do it if we may not."""
    reason = error.strerror or str(error)
    if error.filename:
        reason = f"{error.filename}: {reason}"
    if error.errno in (errno.EACCES, errno.EPERM) and os.geteuid():
        reason += " (run as root, or with a socket elsewhere: --socket)"
    return reason


@final
class _Report:
    """The daemon's end of the pipe: one byte of exit code, then the reason."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def ready(self) -> None:
        """Let the foreground process return 0 and leave its terminal."""
        self._send(0, "")
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        os.close(null)

    def failed(self, code: int, reason: str) -> None:
        """Let the foreground process print a reason and return a code."""
        self._send(code, reason)

    def _send(self, code: int, reason: str) -> None:
        if self._fd < 0:
            return
        data = bytes([code]) + reason.encode(errors="backslashreplace")[:_REASON_MAX]
        try:
            os.write(self._fd, data)
        except BrokenPipeError:
            pass  # nobody waits any more, which is no reason not to serve
        finally:
            os.close(self._fd)
            self._fd = -1


def fill_standard_streams() -> None:
    """Open /dev/null for each standard stream that is closed.

    Its number would go to whatever is opened next, a socket perhaps, to be taken for
    standard error later.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # The lowest free number is the stream's own, as those before it are taken.
            null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
            setattr(sys, name, os.fdopen(null, mode, closefd=False))


def spawn(serve: Callable[[Callable[[], None]], int]) -> int:
    """Run a function in a background process of its own.

    That process leads a session without terminal, works in `/` and has the umask 077.
    It must be forked before there are threads or an event loop.

    Args:
        serve: Is called there with a function to call once clients are served; from
            then on standard input, output and error are /dev/null. It returns the
            process's exit code, and may raise `StartError` before.

    Returns:
        The foreground's exit code; in the foreground only, once it is known.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        os.close(writer)
        # Where our starter ignores SIGCHLD, so do we, and nothing is left of the child.
        with suppress(ChildProcessError):
            os.waitpid(child, 0)
        return _await_report(reader)
    os.close(reader)
    code = EXIT_FAILED
    try:
        code = _serve_detached(serve, _Report(writer))
    finally:
        # Nothing of the foreground's (exit handlers, buffers) may run twice.
        os._exit(code)


def _await_report(reader: int) -> int:
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    if not data:
        sys.stderr.write("xenstored: the daemon ended before it could serve\n")
        return EXIT_FAILED
    if data[1:]:
        sys.stderr.write(f"xenstored: {data[1:].decode(errors='replace')}\n")
    return data[0]


def _serve_detached(serve: Callable[[Callable[[], None]], int], report: _Report) -> int:
    os.setsid()
    # The leader of a session can still get a terminal by opening one, its child not.
    if os.fork():
        os._exit(0)
    os.chdir("/")
    os.umask(0o077)
    try:
        return serve(report.ready)
    except StartError as error:
        report.failed(error.code, str(error))
        return error.code
    except BaseException as error:
        report.failed(EXIT_FAILED, f"{type(error).__name__}: {error}")
        raise
