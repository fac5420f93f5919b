"""The foreground process waits for the daemon and tells how its start went.

Each test starts an interpreter that forks, as pytest's own process should not.
"""

import errno
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from xsd.daemon.daemonize import fill_standard_streams, reason_of

# Runs `serve` of the test's text in the background. A daemon that is still there when
# the test ends gets SIGTERM: it writes its process id to the file `pid`.
PROGRAM = """
import os, select, signal, sys
from pathlib import Path
from xsd.daemon.daemonize import StartError, spawn

FOREGROUND = os.getpid()
out = Path(sys.argv[1])

def note(name, text):
    (out / name).write_text(str(text))

def serve(ready):
    note("pid", os.getpid())
    {body}

if __name__ == "__main__":
    sys.exit(spawn(serve))
"""

Spawn = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Spawn]:
    """Run a body of `serve` in the background; return how the foreground ended."""

    def run(*body: str) -> "subprocess.CompletedProcess[str]":
        program = PROGRAM.format(body="\n    ".join(body))
        words = [sys.executable, "-c", program, str(tmp_path)]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    yield run
    with suppress(FileNotFoundError, ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGTERM)


def wait_for_end(pid: int) -> None:
    """Wait until a process that is not our child has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    with os.fdopen(descriptor) as process:
        assert select.select([process], [], [], 30)[0] == [process]


def test_the_daemon_has_no_terminal_directory_or_output(
    spawn: Spawn, tmp_path: Path
) -> None:
    """It is in a session that another process leads, in `/`, and private by umask."""
    done = spawn(
        "ready()",
        "note('session', os.getsid(0))",
        "note('cwd', os.getcwd())",
        "note('umask', os.umask(0))",
        "note('stdio', [os.readlink(f'/proc/self/fd/{fd}') for fd in (0, 1, 2)])",
        "print('to nobody', file=sys.stderr)",
        "return 0",
    )
    wait_for_end(int((tmp_path / "pid").read_text()))

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "session").read_text() not in {
        str(os.getsid(0)),
        (tmp_path / "pid").read_text(),
    }
    assert (tmp_path / "cwd").read_text() == "/"
    assert (tmp_path / "umask").read_text() == str(0o077)
    assert (tmp_path / "stdio").read_text() == str(["/dev/null"] * 3)


def test_a_closed_standard_stream_becomes_dev_null(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The interpreter leaves None in its place; one that is open stays as it is."""
    monkeypatch.setattr(sys, "stdout", None)
    before = sys.stderr

    fill_standard_streams()

    filled = sys.stdout.fileno()
    assert Path(f"/proc/self/fd/{filled}").readlink() == Path(os.devnull)
    assert sys.stderr is before
    os.close(filled)


EARLY = "xenstored: the daemon ended before it could serve\n"
STARTS: dict[str, tuple[str, int, str]] = {
    "a failed start is told with its exit code": (
        r"raise StartError('no socket\n for us', 7)",
        7,
        "xenstored: no socket\n for us\n",
    ),
    # `launch-xenstore` takes it for success if another daemon serves.
    "one that is not needed returns 0 with its reason": (
        "raise StartError('another serves', code=0)",
        0,
        "xenstored: another serves\n",
    ),
    "who ends before serving has failed": ("return 0", 1, EARLY),
    "even if it cannot tell any more": (
        "os.kill(os.getpid(), signal.SIGKILL)",
        1,
        EARLY,
    ),
    # Nobody has to guess why there is no daemon.
    "a defect at the start is told": (
        "{}['nothing']",
        1,
        "(?s).*xenstored: KeyError: 'nothing'\n.*",
    ),
    # What the pipe takes at once is told: the daemon never waits for a reader.
    "a long reason is cut": (
        "raise StartError('x' * 100_000)",
        1,
        "xenstored: x{1000,4900}\n",
    ),
    # The foreground has returned, and the report is made once.
    "a failure after the start does not reach the foreground": (
        "ready(); raise StartError('late')",
        0,
        "",
    ),
}


@pytest.mark.parametrize(("body", "code", "said"), STARTS.values(), ids=STARTS)
def test_the_foreground_tells_how_the_start_went(
    spawn: Spawn, body: str, code: int, said: str
) -> None:
    """With what the service manager looks at."""
    done = spawn(body)

    assert (done.returncode, done.stdout) == (code, "")
    assert re.fullmatch(said, done.stderr)


def test_a_daemon_serves_although_nobody_waits_for_it(
    spawn: Spawn, tmp_path: Path
) -> None:
    """The foreground may be killed meanwhile."""
    done = spawn(
        "gone = os.pidfd_open(FOREGROUND)",
        "os.kill(FOREGROUND, signal.SIGKILL)",
        "select.select([gone], [], [])",
        "ready()",
        "note('served', 1)",
        "return 0",
    )
    wait_for_end(int((tmp_path / "pid").read_text()))

    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "served").exists()


@pytest.mark.parametrize(
    ("number", "uid", "words"),
    [
        (errno.EACCES, 1, "/f: no (run as root, or with a socket elsewhere: --socket)"),
        (errno.EPERM, 1, "/f: no (run as root, or with a socket elsewhere: --socket)"),
        (errno.EACCES, 0, "/f: no"),
        (errno.ENOENT, 1, "/f: no"),
    ],
)
def test_who_may_do_it_is_told_to_who_may_not(
    monkeypatch: pytest.MonkeyPatch, number: int, uid: int, words: str
) -> None:
    """Beside what the system says."""
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert reason_of(OSError(number, "no", "/f")) == words
    assert reason_of(OSError("alone")) == "alone"
