"""A service manager of one's own: it holds descriptors, kills and starts anew."""

import contextlib
import fcntl
import os
import select
import signal
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self, final

from tests.support.daemons import environment, interpreter
from tests.support.processes import PATIENCE_S

_HIGH: Final = 500
"""From here on are the descriptors that it holds: the daemon gets them from 3 on."""

_MOST: Final = 4096


@final
class ServiceManager:
    """Starts `xsd serve` as systemd does, and is told by it what to hold.

    As systemd's, a descriptor whose other end is gone is held no longer.

    Attributes:
        socket: Where clients connect.
        pid: Of the daemon.
        heard: All that it has said.
        options: With which it is started.
    """

    def __init__(self, directory: Path, *options: str, **variables: str) -> None:
        self.directory = directory
        self.socket = directory / "socket"
        self.pid = 0
        self.heard: list[str] = []
        self.options = options
        self._held: list[tuple[str, int]] = []
        self._changed = threading.Condition()
        self._handle = -1
        path = directory / "notify"
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._sock.bind(str(path))
        self._variables = {**variables, "NOTIFY_SOCKET": str(path)}
        self._ends = os.eventfd(0)
        self._thread = threading.Thread(target=self._hear)
        self._thread.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end(signal.SIGKILL)
        os.eventfd_write(self._ends, 1)
        self._thread.join()
        self._sock.close()
        os.close(self._ends)
        for _name, fd in self._held:
            os.close(fd)

    # The daemon.

    def start(self) -> None:
        """Start the daemon with what is held, and wait until it is ready."""
        with self._changed:
            self.heard.clear()
            # Copies: who is gone is let go of at any time, by another thread.
            held = [
                (name, fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _HIGH))
                for name, fd in self._held
            ]
        words = [*interpreter(), "-m", "xsd", "serve", "--socket", str(self.socket)]
        script = 'LISTEN_PID=$$ exec "$@"'
        shell = ["/bin/sh", "-c", script, "sh", *words, *self.options]
        environ = {
            **environment(),
            **self._variables,
            "LISTEN_FDS": str(len(held)),
            "LISTEN_FDNAMES": ":".join(name for name, _fd in held),
        }
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        log = os.fspath(self.directory / "log")
        actions: list[tuple[int, int, object, int, int] | tuple[int, int, int]] = [
            (os.POSIX_SPAWN_OPEN, 2, log, flags, 0o600)
        ]
        for index, (_name, fd) in enumerate(held):
            actions.append((os.POSIX_SPAWN_DUP2, fd, 3 + index))
        self.pid = os.posix_spawn(shell[0], shell, environ, file_actions=actions)
        for _name, fd in held:
            os.close(fd)
        self._handle = os.pidfd_open(self.pid)
        self.wait_until(lambda: "READY=1" in self.heard, "it does not get ready")

    def end(self, number: int = signal.SIGTERM) -> int:
        """End the daemon and wait until it is gone; its status."""
        if self._handle < 0:
            return 0
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, number)
        assert select.select([self._handle], [], [], PATIENCE_S)[0], self.log
        os.close(self._handle)
        self._handle = -1
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def kill(self) -> None:
        """End it by SIGKILL, and start another one in its place."""
        self.end(signal.SIGKILL)
        # It is not to take this for a defect of what is recovered.
        (self.directory / "journal" / "attempts").unlink(missing_ok=True)
        self.start()

    @property
    def log(self) -> str:
        """What it has logged."""
        return (self.directory / "log").read_text()

    # What it says.

    @property
    def held(self) -> list[str]:
        """Names of what is held, in order."""
        return [name for name, _fd in self._held]

    def wait_until(self, happened: Callable[[], bool], what: str) -> None:
        """Wait until something is so that the daemon says."""
        with self._changed:
            assert self._changed.wait_for(happened, PATIENCE_S), (what, self.log)

    def _hear(self) -> None:
        while True:
            poll = select.poll()
            poll.register(self._sock, select.POLLIN)
            poll.register(self._ends, select.POLLIN)
            for _name, fd in self._held:
                poll.register(fd, 0)
            ready = dict(poll.poll())
            if self._ends in ready:
                return
            with self._changed:
                for name, fd in list(self._held):
                    if fd in ready:
                        self._held.remove((name, fd))
                        os.close(fd)
                if self._sock.fileno() in ready:
                    self._take()
                self._changed.notify_all()

    def _take(self) -> None:
        message, ancillary, _flags, _from = self._sock.recvmsg(_MOST, _MOST)
        fields = dict(
            line.split("=", 1) for line in message.decode().split("\n") if line
        )
        for _level, kind, data in ancillary:
            if kind == socket.SCM_RIGHTS:
                for (fd,) in struct.iter_unpack("i", data):
                    held = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _HIGH)
                    os.close(fd)
                    assert fields["FDSTORE"] == "1"
                    self._held.append((fields["FDNAME"], held))
        if "FDSTOREREMOVE" in fields:
            for name, fd in list(self._held):
                if name == fields["FDNAME"]:
                    self._held.remove((name, fd))
                    os.close(fd)
        self.heard.append(message.decode())
