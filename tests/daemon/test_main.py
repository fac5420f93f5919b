"""A whole daemon: it starts, says so, serves, obeys signals and cleans up."""

import asyncio
import dataclasses
import io
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import structlog

from xsd.client import Client
from xsd.daemon import main
from xsd.daemon.logsetup import StreamSink, configure
from xsd.daemon.main import _log_loop_error, raise_descriptor_limit
from xsd.daemon.service import log_notice, make_store
from xsd.daemon.settings import Config
from xsd.engine import Notice

WAIT_S = 30.0
"""Seconds after which something that should happen counts as not happening."""

# TRANSACTION_START and the beginning of its reply: any daemon that serves answers it.
REQUEST = b"\x06\0\0\0" + b"\x01\0\0\0" + b"\0\0\0\0" + b"\x01\0\0\0" + b"\0"


@dataclasses.dataclass
class Place:
    """Where one test's daemons live, and how to start them."""

    path: Path
    manager: socket.socket
    started: list[subprocess.Popen[str]]

    @property
    def socket(self) -> Path:
        """Where clients connect."""
        return self.path / "run" / "socket"

    def command(self, *words: str) -> tuple[list[str], dict[str, str]]:
        """Return the words and the environment that start `xenstored`."""
        environ = {
            **os.environ,
            "XENSTORED_RUNDIR": str(self.path / "run"),
            "NOTIFY_SOCKET": str(self.path / "notify"),
        }
        environ.pop("XENSTORED_PATH", None)
        return [sys.executable, "-m", "xsd.daemon.xenstored", *words], environ

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a daemon in the foreground and wait until it serves."""
        command, environ = self.command("-N", *words)
        process = subprocess.Popen(
            command, env=environ, stderr=subprocess.PIPE, text=True
        )
        self.started.append(process)
        assert self.heard() == b"READY=1"
        return process

    def try_to_start(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Start a daemon that is not expected to stay in the foreground."""
        command, environ = self.command(*words)
        return subprocess.run(
            command, env=environ, check=False, capture_output=True, text=True
        )

    def heard(self) -> bytes:
        """Return what the daemon told the service manager next."""
        return self.manager.recv(100)

    def answer(self) -> bytes:
        """Return the first bytes that a new client gets for a request."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(WAIT_S)
            client.connect(str(self.socket))
            client.sendall(REQUEST)
            return client.recv(8, socket.MSG_WAITALL)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A directory with a service manager and nothing else in it yet."""
    with ExitStack() as held:
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        held.enter_context(manager)
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(WAIT_S)
        found = Place(tmp_path, manager, [])
        yield found
        for process in found.started:
            process.kill()
            process.communicate()


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What this process logs."""
    stream = io.StringIO()
    configure(StreamSink(stream))
    yield stream
    structlog.reset_defaults()


def end(process: subprocess.Popen[str], signum: int = signal.SIGTERM) -> list[Any]:
    """End a daemon by a signal; return the lines of its log."""
    process.send_signal(signum)
    _, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0
    return [json.loads(line) for line in err.splitlines()]


def wait_until(true: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for something that a daemon does, as long as it is there."""
    descriptor = os.pidfd_open(process.pid)
    with os.fdopen(descriptor) as alive:
        while not true():
            assert select.select([alive], [], [], 0.01)[0] == []


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_daemon_serves_until_it_is_told_to_stop(place: Place, signum: int) -> None:
    """A clean end is exit code 0; socket and pid file are gone then."""
    pid_file = place.path / "pid"
    process = place.start("-F", str(pid_file))

    assert place.answer() == REQUEST[:8]
    assert pid_file.read_text() == f"{process.pid}\n"
    assert place.socket.stat().st_mode & 0o777 == 0o600

    lines = end(process, signum)
    assert place.heard() == b"STOPPING=1"
    assert [line["event"] for line in lines][-1] == "daemon.stopped"
    assert lines[0]["socket"] == str(place.socket)
    assert not place.socket.exists()
    assert not pid_file.exists()


@pytest.mark.slow
def test_xenstored_returns_when_its_daemon_serves(place: Place) -> None:
    """The pid file is there at once for `launch-xenstore`, the socket for clients."""
    pid_file = place.path / "pid"
    done = place.try_to_start("--pid-file", str(pid_file))
    pid = int(pid_file.read_text())
    with os.fdopen(os.pidfd_open(pid)) as process:
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert place.answer() == REQUEST[:8]

        os.kill(pid, signal.SIGTERM)
        assert select.select([process], [], [], WAIT_S)[0] == [process]

    assert not pid_file.exists()


@pytest.mark.slow
@pytest.mark.parametrize("fork", [(), ("-N",)])
def test_a_second_daemon_with_the_same_pid_file_gives_way(
    place: Place, fork: tuple[str, ...]
) -> None:
    """It returns 0, as if it had started; the first one serves on."""
    pid_file = place.path / "pid"
    first = place.start("-F", str(pid_file))

    second = place.try_to_start("-F", str(pid_file), *fork)

    assert second.returncode == 0
    assert f"process {first.pid} already serves and holds {pid_file}" in second.stderr
    assert place.answer() == REQUEST[:8]


@pytest.mark.slow
def test_a_trace_file_that_cannot_be_opened_is_done_without(place: Place) -> None:
    """A host can do without that file, but not without a XenStore."""
    place.start("-T", str(place.path / "no-such-directory" / "trace"))

    assert place.answer() == REQUEST[:8]


@pytest.mark.slow
@pytest.mark.parametrize("fork", [(), ("-N",)])
def test_a_socket_that_cannot_be_made_is_told(
    place: Place, fork: tuple[str, ...]
) -> None:
    """A directory in its place is not removed."""
    (place.socket / "inside").mkdir(parents=True)

    done = place.try_to_start(*fork)

    assert done.returncode == 1
    assert str(place.socket) in done.stderr
    assert (place.socket / "inside").is_dir()


@pytest.mark.slow
def test_the_log_file_is_opened_anew_on_sighup(place: Place) -> None:
    """After logrotate has renamed it; the daemon serves on."""
    trace = place.path / "trace"
    process = place.start("-T", str(trace))
    trace.rename(place.path / "trace.1")

    process.send_signal(signal.SIGHUP)
    wait_until(trace.exists, process)

    assert place.answer() == REQUEST[:8]
    end(process)
    old = [json.loads(s) for s in (place.path / "trace.1").read_text().splitlines()]
    new = [json.loads(s) for s in trace.read_text().splitlines()]
    assert old[0]["event"] == "daemon.serving"
    assert new[0]["event"] == "log.reopened"


@pytest.mark.slow
def test_a_log_file_that_cannot_be_opened_anew_stays_in_use(place: Place) -> None:
    """The daemon says so there and serves on."""
    trace = place.path / "trace"
    process = place.start("-T", str(trace))
    kept = trace.rename(place.path / "trace.1")
    trace.mkdir()

    process.send_signal(signal.SIGHUP)
    wait_until(lambda: "log.not_reopened" in kept.read_text(), process)

    assert place.answer() == REQUEST[:8]


@pytest.mark.slow
def test_a_log_that_was_sent_elsewhere_is_opened_anew_there(place: Place) -> None:
    """CONTROL logfile, then a rotation; what it was at the start is left alone."""
    first, second = place.path / "first", place.path / "second"
    process = place.start("-T", str(first))
    with Client(str(place.socket), timeout=WAIT_S) as dom0:
        dom0.control("logfile", str(second))
        first.unlink()
        second.rename(place.path / "second.1")

        process.send_signal(signal.SIGHUP)
        wait_until(second.exists, process)
        dom0.write("/after", b"")
        end(process)

    assert not first.exists()
    lines = [json.loads(s) for s in second.read_text().splitlines()]
    assert lines[0]["event"] == "log.reopened"
    assert [s["message"] for s in lines if s["event"] == "io.request"] == ["WRITE"]


@pytest.mark.slow
def test_settings_that_do_nothing_yet_are_named(place: Place) -> None:
    """Nobody is to believe that they hold."""
    words = ("--priv-domid", "3", "-E", "5", "--keep-orphans", "--trace-control=+acc")
    process = place.start(*words)

    named = {
        line["setting"]: line["value"]
        for line in end(process)
        if line["event"] == "setting.without_effect"
    }
    assert named == {"privileged_domid": 3}


@pytest.mark.slow
def test_a_service_manager_that_is_gone_is_only_remarked_on(place: Place) -> None:
    """Clients can be served all the same."""
    place.manager.close()
    command, environ = place.command("-N", "--log-format", "json")
    process = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True)
    place.started.append(process)
    assert process.stderr is not None

    events = [json.loads(process.stderr.readline())["event"] for _ in range(2)]

    assert events == ["daemon.serving", "systemd.not_told"]
    assert place.answer() == REQUEST[:8]


def test_what_the_engine_says_is_logged(log: io.StringIO) -> None:
    """With its level and its fields, made printable."""
    log_notice(Notice("warning", "request.refused", {"path": b"/a\n", "domid": 5}))

    line = json.loads(log.getvalue())
    assert (line["level"], line["event"]) == ("warning", "request.refused")
    assert (line["path"], line["domid"]) == (r"/a\n", 5)
    assert "exception" not in line


def test_a_defect_that_the_engine_met_is_logged_with_its_traceback(
    log: io.StringIO,
) -> None:
    """So that it can be found."""
    log_notice(Notice("error", "request.failed", {}, error=KeyError("nothing")))

    assert "KeyError: 'nothing'" in json.loads(log.getvalue())["exception"]


def test_a_defect_in_a_callback_of_the_loop_is_logged(log: io.StringIO) -> None:
    """The daemon goes on: the other clients have done nothing."""
    loop = asyncio.new_event_loop()
    context = {"message": "callback failed", "exception": KeyError("nothing")}

    _log_loop_error(loop, context)
    loop.close()

    line = json.loads(log.getvalue())
    assert (line["event"], line["reason"]) == ("loop.failed", "callback failed")
    assert "KeyError: 'nothing'" in line["exception"]


def test_a_daemon_that_fails_leaves_its_traceback_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    """A defect of ours ends it with code 1, and the pid file does not stay."""

    def fail(*_: object) -> None:
        raise KeyError("nothing")

    monkeypatch.setattr(main, "Service", fail)
    config = Config(
        socket=tmp_path / "socket",
        trace_file=tmp_path / "trace",
        pid_file=tmp_path / "pid",
    )

    assert main.run(config) == 1
    assert log.getvalue() == ""
    line = json.loads((tmp_path / "trace").read_text())
    assert line["event"] == "daemon.failed"
    assert "KeyError: 'nothing'" in line["exception"]
    assert not (tmp_path / "pid").exists()


def test_quotas_of_the_command_line_are_those_of_the_store() -> None:
    """Others keep their defaults."""
    config = Config(quota_nodes=7, soft_memory=8, control_domid=3)

    store = make_store(config)

    assert store.quotas.get(-1, "nodes") == 7
    assert store.quotas.get(-1, "soft-memory") == 8
    assert store.quotas.get(-1, "watches") == make_store(Config()).quotas.get(
        -1, "watches"
    )
    assert store.privileged.caller.domid == 3


def test_as_many_files_may_be_open_as_the_system_allows() -> None:
    """Each client needs a descriptor."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))

        raise_descriptor_limit()

        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
