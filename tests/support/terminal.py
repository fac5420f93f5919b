"""Running a program on a terminal of a given width."""

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence

from tests.conftest import skip_or_fail


def run_on_terminal(
    words: Sequence[str], columns: int, environment: Mapping[str, str]
) -> bytes:
    """Return what a program prints, with plain newlines."""
    try:
        ours, its = pty.openpty()
    except OSError as error:
        skip_or_fail(f"no terminals here, mount /dev/pts: {error}")
    with os.fdopen(ours, "rb", buffering=0) as reader:
        try:
            size = struct.pack("=HHHH", 24, columns, 0, 0)
            fcntl.ioctl(its, termios.TIOCSWINSZ, size)
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=its, stderr=its, env=environment
            )
        finally:
            os.close(its)
        printed = b""
        # A terminal whose other end is closed reads as an error, not as an end.
        with contextlib.suppress(OSError):
            while data := reader.read(65536):
                printed += data
    process.wait()
    return printed.replace(b"\r\n", b"\n")
