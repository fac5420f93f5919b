"""Real daemons for tests that talk to one through its socket.

By default that is ours. With XSD_TEST_DAEMON=c the same tests run against Xen's
C xenstored, which shows whether they ask for something it does not do.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, final

import pytest

import xsd
from tests.peers.programs import Program, c_xenstored, oxenstored
from xsd.client import Client, NotListeningError

PATIENCE_S: Final = 20.0
"""Most seconds until a daemon answers, or is gone."""

CHECKOUT: Final = Path(__file__).resolve().parents[2]


def daemon_name() -> str:
    """Return which daemon the tests are about: `xsd` or `c`."""
    return os.environ.get("XSD_TEST_DAEMON", "xsd")


def interpreter() -> list[str]:
    """Return what runs our daemon: with XSD_TEST_PYTHON=... that of a build elsewhere.

    Such a one finds the `xsd` that is installed there, and not this checkout's.
    """
    named = os.environ.get("XSD_TEST_PYTHON")
    return [named, "-I"] if named else [sys.executable]


def environment() -> dict[str, str]:
    """Return the environment for a child that shall find the `xsd` under test."""
    found = [str(Path(xsd.__file__).resolve().parents[1])]
    if "PYTHONPATH" in os.environ:
        found.append(os.environ["PYTHONPATH"])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(found)}


@final
class Daemon:
    """A running daemon; leaving it as a context manager ends it."""

    def __init__(self, socket: Path, pid: int) -> None:
        self.socket = socket
        self.pid = pid
        # Unlike a number, it cannot mean another process by the time of the end.
        self._handle = os.pidfd_open(pid)

    def __enter__(self) -> "Daemon":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End the daemon and wait until it has gone; a second time does nothing."""
        if self._handle < 0:
            return
        gone = self._signal(number)
        if not gone:
            self._signal(signal.SIGKILL)
        os.close(self._handle)
        self._handle = -1
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        if not gone:
            pytest.fail(f"signal {number} does not end {self.socket}", pytrace=False)

    def _signal(self, number: int) -> bool:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, number)
        return bool(select.select([self._handle], [], [], PATIENCE_S)[0])


def start_daemon(directory: Path) -> Daemon:
    """Start the daemon that the tests are about."""
    return start_c_peer(directory) if daemon_name() == "c" else start_xsd(directory)


def start_xsd(directory: Path, *options: str) -> Daemon:
    """Start our daemon, with more words for its command line."""
    return launch(directory, *options, XENSTORED_RUNDIR=str(directory))


def start_xenstored(directory: Path, *options: str) -> Daemon:
    """Start ours as a host does, by the name and with the defaults of Xen's own."""
    words = [*interpreter(), "-m", "xsd.daemon.xenstored", "-N", *options]
    places = {
        "XENSTORED_PATH": str(directory / "socket"),
        "XENSTORED_RUNDIR": str(directory),
    }
    return _start(directory, Program(words, places))


def start_c_peer(directory: Path) -> Daemon:
    """Start Xen's C xenstored on a pretended Xen, or skip the test."""
    return _start(directory, c_xenstored(directory))


def start_ocaml_peer(directory: Path) -> Daemon:
    """Start Xen's OCaml xenstored on a pretended Xen, or skip the test.

    One that has had domains may have to be stopped by SIGKILL.
    """
    return _start(directory, oxenstored(directory))


def launch(directory: Path, *options: str, **variables: str) -> Daemon:
    """Start our daemon with more words and variables, and wait until it answers."""
    socket = str(directory / "socket")
    words = [*interpreter(), "-m", "xsd", "serve", "--socket", socket, *options]
    return _start(directory, Program(words, variables))


def _start(directory: Path, program: Program) -> Daemon:
    path = directory / "socket"
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            program.words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**environment(), **program.variables},
        )
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        if answers(path):
            daemon = Daemon(path, process.pid)
            process.returncode = 0  # `Daemon.stop` waits for it
            return daemon
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.005)
    process.kill()
    process.wait()
    text = (directory / "log").read_text(encoding="utf-8", errors="replace")
    pytest.fail(f"the daemon does not start:\n{text}", pytrace=False)


def client_environment(socket: Path) -> Mapping[str, str]:
    return {**environment(), "XENSTORED_PATH": str(socket)}


def answers(path: Path) -> bool:
    """Tell whether somebody serves on a socket."""
    try:
        with Client(str(path), timeout=PATIENCE_S) as client:
            return client.get_domain_path(0) == b"/local/domain/0"
    except NotListeningError:
        return False


@pytest.fixture(scope="session")
def daemon_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The socket of a real daemon."""
    with start_daemon(tmp_path_factory.mktemp("xs")) as daemon:
        yield daemon.socket
