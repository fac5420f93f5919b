"""Daemons of ours as processes, for tests of how they start, behave and end."""

import contextlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self, final

from tests.support.checks import ran
from tests.support.daemons import answers, environment
from xsd.client import Client

PATIENCE_S: Final = 30.0
"""Most seconds until something happens that should."""


def wait_until(happened: Callable[[], bool], what: str) -> None:
    """Wait for something that leaves no descriptor to wait on."""
    deadline = time.monotonic() + PATIENCE_S
    pause = 0.001
    while not happened():
        assert time.monotonic() < deadline, what
        time.sleep(pause)
        pause = min(2 * pause, 0.05)


def memory(pid: int, what: str = "VmRSS") -> int:
    """Return bytes of memory of a process, VmRSS now or VmHWM at most so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1]) * 1024
    raise AssertionError(what)


def prefer(pid: int) -> None:
    """Have a process run before others, if we may: 0 is this one.

    As the daemon's unit has it: with a processor for two of us each, the kernel would
    stop it for milliseconds in the middle of what is measured.
    """
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, pid, -20)


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def connect(path: Path) -> socket.socket:
    """Connect a socket that does only what the test says."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # With a time limit it would fail at once where many wait to be accepted.
    client.connect(str(path))
    client.settimeout(PATIENCE_S)
    return client


def listener_of(path: Path) -> int:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.connect(str(path))
        found = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    pid: int = struct.unpack("=iII", found)[0]
    return pid


@final
class Place:
    """A directory where the daemons of one test live; they end with it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rundir = path / "run"
        self.socket = self.rundir / "socket"
        self.log = path / "log"
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._started:
            process.kill()
            process.wait()
        for pid in self.background():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def environ(self, **changes: str) -> dict[str, str]:
        """Return an environment in which nothing of the test's caller matters."""
        environ = environment()
        for name in ("XENSTORED_PATH", "XSD_CONFIG", "NOTIFY_SOCKET"):
            environ.pop(name, None)
        return {**environ, "XENSTORED_RUNDIR": str(self.rundir), **changes}

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "xsd.daemon.xenstored", *words]

    def client(self, path: Path | None = None) -> Client:
        return Client(str(path or self.socket), timeout=PATIENCE_S)

    def answers(self, path: Path | None = None) -> bool:
        return answers(path or self.socket)

    def start(
        self,
        *words: str,
        listens: Path | None = None,
        stderr: int | None = None,
        **environ: str,
    ) -> "subprocess.Popen[bytes]":
        """Start a daemon in the foreground and wait until it answers."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                self.command("-N", *words),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log if stderr is None else stderr,
                env=self.environ(**environ),
            )
        self._started.append(process)

        def ready() -> bool:
            assert process.poll() is None, self.text()
            return self.answers(listens)

        wait_until(ready, "the daemon does not answer")
        return process

    def run(self, *words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        """Run `xenstored` until it returns, be it to leave a daemon behind."""
        command, environment = self.command(*words), self.environ(**environ)
        return ran(command, check=False, env=environment, timeout=PATIENCE_S)

    def text(self) -> str:
        return self.log.read_text(encoding="ascii") if self.log.exists() else ""

    def lines(self, event: str = "") -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.text().splitlines()]
        return [line for line in lines if event in ("", line["event"])]

    def background(self) -> list[int]:
        """Return the processes that have logged that they serve and still run."""
        serving = {line["pid"] for line in self.lines("daemon.serving")}
        return [pid for pid in serving if self._is_daemon(pid)]

    def _is_daemon(self, pid: int) -> bool:
        # By its command line: the number may be another process's by now.
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            return False
        return b"xsd.daemon.xenstored" in words


def end(process: "subprocess.Popen[bytes]", number: int = signal.SIGTERM) -> int:
    process.send_signal(number)
    return process.wait(PATIENCE_S)


def end_background(pid: int, number: int = signal.SIGTERM) -> None:
    """End a process that is not our child and wait until it has gone."""
    with os.fdopen(os.pidfd_open(pid)) as process:
        os.kill(pid, number)
        assert select.select([process], [], [], PATIENCE_S)[0] == [process]
