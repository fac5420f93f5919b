"""The daemon as a process: how it starts, what it leaves behind, how it ends."""

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import NeedProgram
from tests.support.processes import (
    PATIENCE_S,
    Place,
    end,
    end_background,
    listener_of,
    wait_until,
)
from xsd.client import Client
from xsd.protocol.errors import XenStoreError
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op

pytestmark = pytest.mark.slow

HOSTILE: Final = b'/a b\n{"event": "forged"}\r\x1b[2J\x7f\x9b\xff\\'


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A directory without a daemon yet."""
    with Place(tmp_path_factory.mktemp("xs")) as found:
        yield found


def raw_client(path: Path) -> socket.socket:
    """Connect a socket that does only what the test says."""
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(PATIENCE_S)
    client.connect(str(path))
    return client


def refused(client: Client, op: Op, payload: bytes) -> str:
    """Make a request that is refused; return the errno's name."""
    with pytest.raises(XenStoreError) as caught:
        client.request(op, payload)
    return caught.value.errno.name


# The end.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_no_client_holds_up_the_end(place: Place, number: int) -> None:
    """Neither an idle one, nor half a request, nor one that does not read."""
    process = place.start()
    with ExitStack() as held:
        idle, half, deaf = (
            held.enter_context(raw_client(place.socket)) for _ in range(3)
        )
        half.sendall(b"\x02\0\0")
        deaf.setblocking(False)
        request = encode_frame(Op.DIRECTORY, 1, 0, b"/\0") * 100
        with suppress(BlockingIOError):
            while True:
                deaf.send(request)
        assert place.answers()

        assert end(process, number) == 0

        assert idle.recv(1) == b""
    assert not place.socket.exists()
    assert place.lines()[-1]["event"] == "daemon.stopped"


def test_the_end_does_not_need_the_socket_any_more(place: Place) -> None:
    """Somebody has removed it; the exit code is 0 all the same."""
    process = place.start()
    shutil.rmtree(place.rundir)

    assert end(process) == 0


def test_the_socket_of_a_later_daemon_is_left_alone(place: Place) -> None:
    """The first one's was taken away while it served; its end must not repeat that."""
    first = place.start()
    place.socket.unlink()
    place.start()

    assert end(first) == 0

    assert place.answers()


# Two daemons, one socket.


@pytest.mark.parametrize("fork", [[], ["-N"]])
def test_a_second_daemon_on_a_socket_is_refused(place: Place, fork: list[str]) -> None:
    """With code 1 and the reason; the first one's clients notice nothing."""
    place.start()
    with place.client() as client:
        transaction = client.transaction()
        transaction.write("/t", b"1")

        done = place.run(*fork)

        transaction.commit()
        assert client.read("/t") == b"1"
    assert done.returncode == 1
    assert done.stderr == (
        f"xenstored: cannot listen on {place.socket}:"
        " another xenstored is serving there\n"
    )
    assert place.answers()


def test_a_stopped_daemon_still_has_its_socket(place: Place) -> None:
    """It does not answer, but it is there: taking its socket would split the store."""
    first = place.start()
    first.send_signal(signal.SIGSTOP)

    done = place.run("-N")

    first.send_signal(signal.SIGCONT)
    assert done.returncode == 1
    assert "another xenstored is serving there" in done.stderr
    assert place.answers()


def test_the_socket_of_a_killed_daemon_is_replaced(place: Place) -> None:
    """After kill -9 there is a socket that nobody listens on."""
    first = place.start()
    assert end(first, signal.SIGKILL) == -signal.SIGKILL
    assert place.socket.is_socket()

    second = place.start()

    assert listener_of(place.socket) == second.pid


def test_of_many_daemons_at_once_one_serves(place: Place) -> None:
    """They find a dead one's socket, and each wants to clear it away."""
    assert end(place.start(), signal.SIGKILL) == -signal.SIGKILL
    rivals = [
        subprocess.Popen(
            place.command("-N"), stderr=subprocess.DEVNULL, env=place.environ()
        )
        for _ in range(4)
    ]
    try:

        def beaten() -> int:
            return sum(rival.poll() is not None for rival in rivals)

        wait_until(lambda: beaten() == 3, "not all but one have given way")
        winner = listener_of(place.socket)

        assert sorted(rival.poll() or 0 for rival in rivals) == [0, 1, 1, 1]
        assert winner in [rival.pid for rival in rivals if rival.poll() is None]
        assert place.answers()
    finally:
        for rival in rivals:
            rival.kill()
            rival.wait()


# Where it listens.


def test_the_environment_says_where_daemon_and_programs_meet(
    place: Place, need_program: NeedProgram
) -> None:
    """XENSTORED_RUNDIR names the directory, XENSTORED_PATH before it the socket."""
    exists = need_program("xenstore-exists", "xenstore-utils")
    other = place.path / "other"
    place.start()
    place.start(listens=other, XENSTORED_PATH=str(other))
    with place.client() as client:
        client.write("/first", b"")

    def found(words: list[str], **environ: str) -> bool:
        changed = place.environ(**environ)
        done = subprocess.run(words, check=False, capture_output=True, env=changed)
        return done.returncode == 0

    for words in ([exists], [sys.executable, "-m", "xsd", "exists"]):
        assert found([*words, "/first"])
        assert found([*words, "/tool"], XENSTORED_PATH=str(other))
        assert not found([*words, "/first"], XENSTORED_PATH=str(other))
        assert not found([*words, "/tool"], XENSTORED_RUNDIR=str(place.path))


def test_the_command_line_wins_over_the_environment(place: Place) -> None:
    """--socket."""
    other = place.path / "other"

    place.start("--socket", str(other), listens=other, XENSTORED_PATH="/nowhere/s")

    assert place.answers(other)
    assert not place.socket.exists()


def test_paths_are_relative_to_where_the_command_was_given(place: Place) -> None:
    """Although the daemon in the background works in `/`."""
    words = ["-F", "pid", "--socket", "here/s", "-T", str(place.log)]
    done = subprocess.run(
        place.command(*words),
        check=False,
        cwd=place.path,
        env=place.environ(),
        timeout=PATIENCE_S,
    )

    assert done.returncode == 0
    assert place.answers(place.path / "here" / "s")
    assert (place.path / "pid").read_text() == f"{place.background()[0]}\n"


# The background.


def test_the_command_returns_when_clients_are_served(place: Place) -> None:
    """0, without a word; the service manager was told, and the pid file is right."""
    pid_file = place.path / "pid"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(place.path / "notify"))
        done = place.run(
            "-F",
            str(pid_file),
            "-T",
            str(place.log),
            NOTIFY_SOCKET=str(place.path / "notify"),
        )
        with place.client() as client:
            assert client.directory("/") == [b"tool"]
        assert manager.recv(100, socket.MSG_DONTWAIT) == b"READY=1"
        pid = listener_of(place.socket)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert pid_file.read_text() == f"{pid}\n"
        assert place.socket.stat().st_mode & 0o777 == 0o600

        end_background(pid)

        manager.settimeout(PATIENCE_S)
        assert manager.recv(100) == b"STOPPING=1"
    assert not pid_file.exists()
    assert not place.socket.exists()


def test_the_pid_file_is_locked_while_the_daemon_runs(place: Place) -> None:
    """A second command returns 0 and starts nothing; after a kill -9 one starts."""
    pid_file = place.path / "pid"
    words = ["-F", str(pid_file), "-T", str(place.log)]
    assert place.run(*words).returncode == 0
    first = listener_of(place.socket)
    with pid_file.open("r+b") as file, pytest.raises(BlockingIOError):
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    second = place.run(*words, "--socket", str(place.path / "other"))

    assert second.returncode == 0
    assert second.stderr == (
        f"xenstored: process {first} already serves and holds {pid_file}\n"
    )
    assert not (place.path / "other").exists()
    assert pid_file.read_text() == f"{first}\n"
    assert place.answers()

    end_background(first, signal.SIGKILL)
    assert place.run(*words).returncode == 0
    assert listener_of(place.socket) == int(pid_file.read_text()) != first


@pytest.mark.parametrize(
    "words",
    [["-F", "{}/file/pid"], ["--socket", "{}/file/s"]],
)
@pytest.mark.parametrize("fork", [[], ["-N"]])
def test_a_start_that_fails_is_told_by_the_command(
    place: Place, fork: list[str], words: list[str]
) -> None:
    """Code 1 and one line with the path and the reason; nothing is left behind."""
    (place.path / "file").touch()

    done = place.run(*fork, *(word.format(place.path) for word in words))

    assert done.returncode == 1
    assert done.stderr.startswith("xenstored: cannot ")
    assert str(place.path / "file") in done.stderr
    assert done.stderr.count("\n") == 1
    assert not place.answers()
    assert not (place.path / "pid").exists()


def test_it_starts_with_all_standard_streams_closed(place: Place) -> None:
    """Sockets must not get their numbers: in the background those are replaced."""
    words = place.command("-F", str(place.path / "pid"), "-T", str(place.log))
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *words],
        check=False,
        env=place.environ(),
        timeout=PATIENCE_S,
    )

    assert done.returncode == 0
    with place.client() as first, place.client() as second:
        first.write("/t", b"1")
        assert second.read("/t") == b"1"
    end_background(listener_of(place.socket))
    assert place.lines()[-1]["event"] == "daemon.stopped"


def test_it_starts_although_its_starter_ignores_the_end_of_children(
    place: Place,
) -> None:
    """SIGCHLD stays ignored in what it starts, and then there is none to wait for."""
    words = place.command("-T", str(place.log))
    ignoring = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN);"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            ignoring + "os.execv(sys.argv[1], sys.argv[1:])",
            *words,
        ],
        check=False,
        capture_output=True,
        env=place.environ(),
        timeout=PATIENCE_S,
    )

    assert (done.returncode, done.stderr) == (0, b"")
    assert place.answers()


@pytest.mark.parametrize("program", ["xsd.daemon.xenstored", "xsd"])
def test_it_stays_in_the_foreground_with_all_standard_streams_closed(
    place: Place, program: str
) -> None:
    """Nobody reads its log, which is no reason not to serve, or to end otherwise."""
    command = [sys.executable, "-m", program, "serve" if program == "xsd" else "-N"]
    with subprocess.Popen(
        ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command],
        env=place.environ(),
    ) as process:

        def ready() -> bool:
            assert process.poll() is None
            return place.answers()

        wait_until(ready, "the daemon does not answer")

        assert end(process) == 0


# The command line of the C daemon.


def test_the_command_line_of_the_c_daemon_is_understood(place: Place) -> None:
    """Every option of its, of older versions' and of none: it warns, and serves."""
    limits = "-E 11 -S 12 -W 13 -t 14 -A 15 -M 16 -Q outstanding=17 -q memory=18"
    others = "-w watch-event=19 -K --event 20 --master-domid 0 --priv-domid 0"
    gone = "-D -P -R -V -I off -L --no-domain-init --internal-db=off"
    unknown = "--new-option --other=1 -z 5 -Zx --unheard of"
    words = f"{limits} {others} {gone} {unknown} -T {place.log} --trace-control=+io"

    done = place.run("--pid-file", str(place.path / "pid"), *words.split())

    assert done.returncode == 0
    for word in ("--new-option", "--other=1", "-z", "-Zx", "--unheard", "--verbose"):
        assert word in done.stderr
    with place.client() as client:
        values = {
            name: client.request(Op.GET_QUOTA, name.encode() + b"\0")
            for name in client.request(Op.GET_QUOTA, b"")[:-1].decode().split()
        }
    assert {name: int(value[:-1]) for name, value in values.items()} == {
        "nodes": 11,
        "node-size": 12,
        "watches": 13,
        "transactions": 14,
        "node-permissions": 15,
        "path-max": 16,
        "outstanding": 17,
        "soft-memory": 18,
        "memory": 2621440,
        "transaction-nodes": 1024,
    }
    ignored = {line["setting"] for line in place.lines("setting.without_effect")}
    assert ignored == {"control_event_channel"}


# The log.


def test_refused_requests_are_logged_with_the_reason(place: Place) -> None:
    """Who, what, and why; the 20 first of a connection."""
    process = place.start()
    with place.client() as client:
        assert refused(client, Op.RM, b"/\0") == "EINVAL"
        assert refused(client, Op.SET_PERMS, b"/\0x0\0") == "EINVAL"
        for _ in range(30):
            assert refused(client, Op.WRITE, b"/a b\0") == "EINVAL"
    with place.client() as client:
        assert refused(client, Op.READ, b"/none\0") == "ENOENT"
    assert end(process) == 0

    lines = place.lines("request.refused")
    assert len(lines) == 20
    assert lines[-1]["further"] == "not logged"
    assert [line["request"] for line in lines[:3]] == ["RM", "SET_PERMS", "WRITE"]
    assert lines[0]["reason"] == "the root cannot be removed"
    assert lines[2]["path"] == "/a b"
    assert {(line["domid"], line["errno"]) for line in lines} == {(0, "EINVAL")}
    assert len({line["connection"] for line in lines}) == 1
    assert place.lines("request.refusals_not_logged")[0]["what"] == 12


def test_nothing_a_client_sends_forges_a_line_or_moves_a_terminal(place: Place) -> None:
    """Each line is JSON of printable ASCII with an event that the daemon has."""
    process = place.start("--log-level", "debug")
    with place.client() as client:
        for op, payload in (
            (Op.WRITE, HOSTILE + b"\0value"),
            (Op.READ, HOSTILE + b"\0"),
            (Op.WATCH, HOSTILE + b"\0token\n\0"),
            (Op.SET_PERMS, b"/\0" + HOSTILE + b"\0"),
            (Op.CONTROL, HOSTILE + b"\0"),
            (Op.CONTROL, b"quota\0set\0" + HOSTILE + b"\x001\0"),
            (Op.GET_QUOTA, HOSTILE + b"\0"),
            (Op.INTRODUCE, HOSTILE + b"\x001\x001\0"),
            (Op.TRANSACTION_END, HOSTILE),
        ):
            assert refused(client, op, payload) == "EINVAL"
        client.request(Op.CONTROL, b"print\0" + HOSTILE + b"\0")
    assert end(process) == 0

    assert all(byte == 0x0A or 0x20 <= byte < 0x7F for byte in place.log.read_bytes())
    events = {line["event"] for line in place.lines()}
    assert events == {
        "daemon.serving",
        "request.refused",
        "control.print",
        "daemon.stopped",
    }
    assert len(place.lines("request.refused")) == 9


def test_a_log_whose_reader_is_gone_is_no_reason_to_end(place: Place) -> None:
    """The pipe at standard error is closed; clients are served, the end is clean."""
    reader, writer = os.pipe()
    process = place.start(stderr=writer)
    os.close(writer)
    os.close(reader)
    with place.client() as client:
        assert refused(client, Op.WRITE, b"/a b\0") == "EINVAL"
        client.write("/t", b"1")

    assert place.answers()
    assert end(process) == 0


def test_a_log_whose_reader_sleeps_holds_nobody_up(place: Place) -> None:
    """What finds the pipe full is lost; who wakes up reads on with what comes then."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as log:
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        process = place.start(stderr=writer)
        os.close(writer)
        for _ in range(5):
            with place.client() as client:
                for _ in range(20):
                    assert refused(client, Op.WRITE, b"/a b\0") == "EINVAL"
        # An answer to a new client comes after what is said of the ones before.
        assert place.answers()
        lines = os.read(log.fileno(), 65536).splitlines()
        assert end(process) == 0
        lines += log.read().splitlines()

    assert json.loads(lines[0])["event"] == "daemon.serving"
    assert json.loads(lines[-1])["event"] == "daemon.stopped"
