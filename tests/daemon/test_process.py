"""The daemon as a process: how it starts, what it leaves behind, how it ends."""

import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import NeedProgram
from tests.daemon.conftest import Manager
from tests.support.processes import (
    PATIENCE_S,
    Place,
    connect,
    end,
    end_background,
    listener_of,
    wait_until,
)
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op

pytestmark = pytest.mark.slow


# The start.

LATE = {"difflib", "tomllib"}
"""What takes a start longer that has no need of it."""


def test_a_start_loads_little(place: Place) -> None:
    """Each module takes half a millisecond and more before clients are answered."""
    told = place.path / "imports"
    with told.open("wb") as stderr:
        place.start(stderr=stderr.fileno(), PYTHONPROFILEIMPORTTIME="1")

    start, served, _ = told.read_text().partition("daemon.serving")
    assert served
    loaded = set(re.findall(r"\| +([\w.]+)$", start, re.MULTILINE))
    assert "xsd.daemon.main" in loaded
    assert loaded & LATE == set()


# The end.


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_no_client_holds_up_the_end(
    place: Place, manager: Manager, number: int
) -> None:
    """Neither an idle one, nor half a request, nor one that does not read.

    Nothing is left behind, and the service manager was told.
    """
    pid_file = place.path / "pid"
    process = place.start("-F", str(pid_file), NOTIFY_SOCKET=manager.address)
    assert manager.hear() == "READY=1"
    assert pid_file.read_text() == f"{process.pid}\n"
    assert place.socket.stat().st_mode & 0o777 == 0o600
    with ExitStack() as held:
        idle, half, deaf = (held.enter_context(connect(place.socket)) for _ in range(3))
        half.sendall(b"\x02\0\0")
        deaf.setblocking(False)
        request = encode_frame(Op.DIRECTORY, 1, 0, b"/\0") * 100
        with suppress(BlockingIOError):
            while True:
                deaf.send(request)
        assert place.answers()

        assert end(process, number) == 0

        assert idle.recv(1) == b""
    # It may have been sent sockets to hold before.
    assert manager.hear_until("STOPPING=1")
    assert not place.socket.exists()
    assert not pid_file.exists()
    first, *_, last = place.lines()
    assert (first["event"], first["socket"]) == ("daemon.serving", str(place.socket))
    assert last["event"] == "daemon.stopped"


def test_a_service_manager_that_is_gone_is_only_remarked_on(
    place: Place, manager: Manager
) -> None:
    """Clients can be served all the same."""
    manager.close()

    place.start(NOTIFY_SOCKET=manager.address)

    events = [line["event"] for line in place.lines()]
    # A second later the clients would be told of, too.
    assert events[:2] == ["daemon.serving", "systemd.not_told"]


def test_the_end_does_not_need_the_socket_any_more(place: Place) -> None:
    """Somebody has removed it; the exit code is 0 all the same."""
    process = place.start()
    shutil.rmtree(place.rundir)

    assert end(process) == 0


# Two daemons, one socket.


@pytest.mark.parametrize("fork", [[], ["-N"]])
def test_a_second_daemon_on_a_socket_is_refused(place: Place, fork: list[str]) -> None:
    """With code 1 and the reason; the first one's clients notice nothing.

    Even if it is stopped: taking its socket would split the store.
    """
    first = place.start()
    with place.client() as client:
        transaction = client.transaction()
        transaction.write("/t", b"1")
        first.send_signal(signal.SIGSTOP)

        done = place.run(*fork)

        first.send_signal(signal.SIGCONT)
        transaction.commit()
        assert client.read("/t") == b"1"
    assert done.returncode == 1
    assert done.stderr == (
        f"xenstored: cannot listen on {place.socket}:"
        " another xenstored is serving there\n"
    )
    assert place.answers()


def test_a_lock_on_the_directory_holds_up_nobody(place: Place) -> None:
    """Anybody may open it, and lock it for ever."""
    place.rundir.mkdir()
    with ExitStack() as held:
        directory = os.open(place.rundir, os.O_RDONLY)
        held.callback(os.close, directory)
        fcntl.flock(directory, fcntl.LOCK_EX)
        process = place.start("--hypervisor", "emulated")

        assert end(process) == 0
        assert sorted(place.rundir.iterdir()) == [place.rundir / "journal"]


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
    """--socket; a path is relative to where the command was given.

    Although the daemon in the background works in `/`.
    """
    words = ["-F", "pid", "--socket", "here/s", "-T", str(place.log)]
    done = subprocess.run(
        place.command(*words),
        check=False,
        cwd=place.path,
        env=place.environ(XENSTORED_PATH="/nowhere/s"),
        timeout=PATIENCE_S,
    )

    assert done.returncode == 0
    assert place.answers(place.path / "here" / "s")
    assert not place.socket.exists()
    assert (place.path / "pid").read_text() == f"{place.background()[0]}\n"


# The background.


def test_the_command_returns_when_clients_are_served(
    place: Place, manager: Manager
) -> None:
    """0, without a word; the service manager was told, and the pid file is right."""
    pid_file = place.path / "pid"
    words = ["--pid-file", str(pid_file), "-T", str(place.log)]

    done = place.run(*words, NOTIFY_SOCKET=manager.address)

    with place.client() as client:
        assert client.directory("/") == [b"tool"]
    assert manager.hear() == "READY=1"
    pid = listener_of(place.socket)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert pid_file.read_text() == f"{pid}\n"
    assert place.socket.stat().st_mode & 0o777 == 0o600

    end_background(pid)

    assert manager.hear_until("STOPPING=1")
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

    for fork in ([], ["-N"]):
        second = place.run(*words, *fork, "--socket", str(place.path / "other"))

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
    ("words", "named"),
    [
        ("-F {}/file/pid", "file"),
        ("--socket {}/file/s", "file"),
        ("--socket {}/full -F {}/pid", "full"),
    ],
    ids=["the pid file", "the directory of the socket", "a directory in its place"],
)
@pytest.mark.parametrize("fork", [[], ["-N"]], ids=["background", "foreground"])
def test_a_start_that_fails_is_told_by_the_command(
    place: Place, fork: list[str], words: str, named: str
) -> None:
    """Code 1 and one line with the path and the reason; nothing is left behind."""
    (place.path / "file").touch()
    (place.path / "full" / "inside").mkdir(parents=True)

    done = place.run(*fork, *words.replace("{}", str(place.path)).split())

    assert done.returncode == 1
    assert done.stderr.startswith("xenstored: cannot ")
    assert str(place.path / named) in done.stderr
    assert done.stderr.count("\n") == 1
    assert not place.answers()
    assert not (place.path / "pid").exists()
    assert (place.path / "full" / "inside").is_dir()


CLOSED: Final = ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]
"""Starts a command with all standard streams closed."""

IGNORE: Final = """
import os, signal, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Starts a command that ignores the end of children."""


@pytest.mark.parametrize(
    "starter", [CLOSED, [sys.executable, "-c", IGNORE]], ids=["streams", "children"]
)
def test_it_starts_in_the_background_however_its_starter_left_things(
    place: Place, starter: list[str]
) -> None:
    """Sockets must not get the numbers of closed streams: those are replaced.

    SIGCHLD stays ignored in what is started, and then there is none to wait for.
    """
    words = place.command("-F", str(place.path / "pid"), "-T", str(place.log))
    done = subprocess.run(
        [*starter, *words],
        check=False,
        capture_output=True,
        env=place.environ(),
        timeout=PATIENCE_S,
    )

    assert (done.returncode, done.stderr) == (0, b"")
    with place.client() as first, place.client() as second:
        first.write("/t", b"1")
        assert second.read("/t") == b"1"
    end_background(listener_of(place.socket))
    assert place.lines()[-1]["event"] == "daemon.stopped"


@pytest.mark.parametrize("program", ["xsd.daemon.xenstored -N", "xsd serve"])
def test_it_stays_in_the_foreground_with_all_standard_streams_closed(
    place: Place, program: str
) -> None:
    """Nobody reads its log, which is no reason not to serve, or to end otherwise."""
    command = [*CLOSED, sys.executable, "-m", *program.split()]
    with subprocess.Popen(command, env=place.environ()) as process:

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
        found = {
            name.decode(): client.get_quota(name.decode())
            for name in client.quota_names()
        }
    given = "nodes node-size watches transactions node-permissions path-max outstanding"
    assert found == {
        **dict(zip([*given.split(), "soft-memory"], range(11, 19), strict=True)),
        "memory": 2621440,
        "transaction-nodes": 1024,
    }
    # Nobody is to believe that they hold.
    idle = {
        line["setting"]: line["value"] for line in place.lines("setting.without_effect")
    }
    assert idle == {"control_event_channel": 20}
    end_background(*place.background())


def test_the_event_loop_is_uvloop(place: Place) -> None:
    """It is what the process has loaded, and waits in."""
    process = place.start()

    assert "/uvloop/" in Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8")
