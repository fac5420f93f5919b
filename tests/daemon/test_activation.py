"""Sockets that were opened before the daemon: which is taken, and which is refused."""

import os
import socket
import stat
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.processes import PATIENCE_S, Place, end_background
from xsd.daemon import activation
from xsd.daemon.activation import ActivationError, Adopted, Passed, choose, take_passed


def listening(path: Path | str, mode: int = 0o600) -> int:
    """Return a descriptor that listens on a path, as a service manager passes it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        if isinstance(path, Path):
            path.chmod(mode)
        return listener.detach()


def is_open(fd: int) -> bool:
    """Tell whether a number is a descriptor."""
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


# What was passed.


@pytest.fixture
def first(monkeypatch: pytest.MonkeyPatch, held: ExitStack) -> int:
    """The first of two descriptors in a row that can be inherited."""
    pair = [os.open(os.devnull, os.O_RDONLY) for _ in range(2)]
    # High numbers, so that nobody else has those that follow.
    fds = [os.dup2(fd, 700 + index) for index, fd in enumerate(pair)]
    for fd in (*pair, *fds):
        held.callback(os.close, fd)
    monkeypatch.setattr(activation, "FIRST_FD", fds[0])
    return fds[0]


def test_descriptors_are_taken_with_their_names(first: int) -> None:
    """Nobody else gets them: they are closed on exec, and no variable is left."""
    environ = {"LISTEN_FDS": "2", "LISTEN_PID": "5", "LISTEN_FDNAMES": "a:b", "X": "1"}

    passed = take_passed(environ, 5)

    assert passed == [Passed(first, "a"), Passed(first + 1, "b")]
    assert not os.get_inheritable(first)
    assert not os.get_inheritable(first + 1)
    assert environ == {"X": "1"}


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        # Names, and descriptors that were only said to be there, are done without.
        ({"LISTEN_FDS": "2", "LISTEN_PID": "5"}, ["", ""]),
        ({"LISTEN_FDS": "9", "LISTEN_PID": "5", "LISTEN_FDNAMES": "a"}, ["a", ""]),
        # A parent's variables are inherited with everything else.
        ({}, []),
        ({"LISTEN_FDS": "1"}, []),
        ({"LISTEN_FDS": "1", "LISTEN_PID": "6"}, []),
        ({"LISTEN_FDS": "-1", "LISTEN_PID": "5"}, []),
        ({"LISTEN_FDS": "x", "LISTEN_PID": "5"}, []),
        ({"LISTEN_PID": "5"}, []),
    ],
)
def test_what_is_missing_or_another_process_was_passed_is_done_without(
    first: int, environ: dict[str, str], found: list[str]
) -> None:
    """It is left as it is."""
    assert take_passed(environ, 5) == [
        Passed(first + index, name) for index, name in enumerate(found)
    ]
    assert os.get_inheritable(first) == (not found)


# Which is taken.


def taken(adopted: Adopted) -> int:
    """Close the socket that was taken, and tell which it was."""
    assert adopted.listener is not None
    with adopted.listener:
        return adopted.listener.fileno()


@pytest.mark.parametrize("name", ["xenstored", "xenstored.socket"])
def test_a_socket_is_found_by_its_name(tmp_path: Path, name: str) -> None:
    """Wherever it listens."""
    fd = listening(tmp_path / "s")

    adopted = choose([Passed(fd, name)], tmp_path / "other")

    assert adopted.others == ()
    assert taken(adopted) == fd


def test_a_socket_is_found_by_its_address_whatever_its_name(tmp_path: Path) -> None:
    """Before one that has the name, which is closed; a link leads there, too."""
    (tmp_path / "run").mkdir()
    (tmp_path / "var").symlink_to(tmp_path / "run")
    named = listening(tmp_path / "named")
    there = listening(tmp_path / "run" / "s")

    adopted = choose(
        [Passed(named, "xenstored"), Passed(there, "x")], tmp_path / "var" / "s"
    )

    assert adopted.others == (f"'xenstored' at {tmp_path / 'named'}",)
    assert not is_open(named)
    assert taken(adopted) == there


def test_a_socket_of_our_own_is_found_again(tmp_path: Path) -> None:
    """At its path only, and after one that somebody else has made there."""
    path = tmp_path / "s"
    ours = listening(path)

    adopted = choose([Passed(ours, "listener")], path)
    assert adopted.is_own
    assert taken(adopted) == ours

    ours, theirs = listening(tmp_path / "t"), listening(tmp_path / "u")
    adopted = choose(
        [Passed(ours, "listener"), Passed(theirs, "xenstored")], tmp_path / "x"
    )
    assert not adopted.is_own
    assert taken(adopted) == theirs
    assert not is_open(ours)


def test_clients_that_were_stored_are_left_to_others(
    tmp_path: Path, held: ExitStack
) -> None:
    """They stay open."""
    pair = socket.socketpair()
    held.callback(pair[1].close)
    stored = Passed(pair[0].detach(), "client-17")
    held.callback(os.close, stored.fd)

    adopted = choose([stored], tmp_path / "s")

    assert (adopted.listener, adopted.others, adopted.stored) == (None, (), (stored,))
    assert is_open(stored.fd)


def test_nothing_is_taken_that_is_not_meant_for_clients(
    tmp_path: Path, held: ExitStack
) -> None:
    """Other listeners, connected sockets, datagrams, files: all are closed."""
    pair = socket.socketpair()
    held.callback(pair[1].close)
    datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    network = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    network.listen()
    other = listening(tmp_path / "s")
    fds = [each.detach() for each in (pair[0], datagrams, network)]
    fds.append(os.open(os.devnull, os.O_RDONLY))
    passed = [Passed(other, "metrics"), *(Passed(fd, "xenstored") for fd in fds)]

    adopted = choose(passed, tmp_path / "other")

    assert adopted.listener is None
    assert set(adopted.others) == {
        f"'metrics' at {tmp_path / 's'}",
        *(f"descriptor {fd} 'xenstored', no listening socket" for fd in fds),
    }
    assert not any(map(is_open, (other, *fds)))


@pytest.mark.parametrize("mode", [0o601, 0o610, 0o660, 0o604, 0o666])
def test_a_socket_that_others_can_open_is_refused(tmp_path: Path, mode: int) -> None:
    """They would be domain 0."""
    path = tmp_path / "s"
    fd = listening(path, mode)

    with pytest.raises(ActivationError) as refused:
        choose([Passed(fd, "xenstored")], path)

    assert str(refused.value) == (
        f"{path} has mode 0{mode:o}, and who opens it is domain 0:"
        " it has to be 0600 (SocketMode=0600)"
    )
    assert not is_open(fd)


def test_a_socket_without_a_file_is_refused(tmp_path: Path) -> None:
    """An abstract one has no permissions, and one that was removed no clients."""
    with pytest.raises(ActivationError, match=r"^@.* has no permissions"):
        choose([Passed(listening(f"\0{tmp_path}"), "xenstored")], tmp_path / "s")
    fd = listening(tmp_path / "s")
    (tmp_path / "s").unlink()
    with pytest.raises(ActivationError, match=r"/s: No such file or directory$"):
        choose([Passed(fd, "xenstored")], tmp_path / "s")


# In a process.


def start_with(place: Place, words: list[str], *fds: int) -> "subprocess.Popen[str]":
    """Start a daemon that finds descriptors from 3 on."""
    # The shell becomes the daemon, so its process id is the daemon's.
    moves = " ".join(f"{3 + index}<&{fd}" for index, fd in enumerate(fds))
    script = f'exec {moves}; export LISTEN_PID=$$ LISTEN_FDS={len(fds)}; exec "$@"'
    return subprocess.Popen(
        ["/bin/bash", "-c", script, "sh", *place.command(*words, "-T", str(place.log))],
        pass_fds=fds,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=place.environ(LISTEN_FDNAMES="xenstored:o"),
    )


@pytest.mark.slow
def test_a_daemon_serves_on_the_socket_that_it_was_passed(
    place: Place, held: ExitStack
) -> None:
    """Who has connected before it started is served, and its end leaves the socket."""
    path = place.path / "s"
    fd = listening(path)
    held.callback(os.close, fd)
    inode = path.stat().st_ino
    other = listening(place.path / "o")
    held.callback(os.close, other)
    for _ in range(2):
        with place.client(path) as early:
            process = start_with(place, ["-N"], fd, other)
            held.enter_context(process)
            held.callback(process.kill)
            early.write("/t", b"1")
            with place.client(path) as late:
                assert late.read("/t") == b"1"
            process.terminate()
            assert process.wait(PATIENCE_S) == 0

    assert path.stat().st_ino == inode
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not place.rundir.exists()
    assert [line["socket"] for line in place.lines("daemon.serving")] == [str(path)] * 2
    assert {line["what"] for line in place.lines("socket.not_used")} == {
        f"'o' at {place.path / 'o'}"
    }


@pytest.mark.slow
def test_a_daemon_takes_a_socket_with_it_into_the_background(
    place: Place, held: ExitStack
) -> None:
    """Although there it is another process than the one that was meant."""
    path = place.path / "s"
    fd = listening(path)
    held.callback(os.close, fd)

    with start_with(place, [], fd) as process:
        assert process.wait(PATIENCE_S) == 0

    assert place.answers(path)
    (pid,) = place.background()
    end_background(pid)
    assert path.is_socket()


@pytest.mark.slow
def test_a_daemon_does_not_serve_on_a_socket_that_is_open_to_all(place: Place) -> None:
    """It does not start, and says why."""
    path = place.path / "s"
    fd = listening(path, 0o666)

    with start_with(place, ["-N"], fd) as process:
        _, said = process.communicate(timeout=PATIENCE_S)
    os.close(fd)

    assert process.returncode == 1
    assert said == (
        f"xenstored: cannot use the socket that was passed: {path} has mode 0666,"
        " and who opens it is domain 0: it has to be 0600 (SocketMode=0600)\n"
    )
