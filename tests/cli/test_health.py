"""xsd.cli.health: it says in time whether the daemon works, and leaves nothing."""

import contextlib
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Final, final

import pytest

from tests.cli.conftest import Run
from tests.support.daemons import client_environment
from xsd.client import Client
from xsd.protocol.frame import Frame, FrameDecoder, encode_frame
from xsd.protocol.ops import Op

COMMAND: Final = [sys.executable, "-m", "xsd", "health"]
OK: Final = re.compile(rb"ok \([0-9]+\.[0-9] ms\)\n")
SHORT: Final = ("--timeout", "0.2")

Play = dict[Op, Callable[[Frame], Iterable[bytes]] | None]


@final
class ActedDaemon:
    """A daemon for one client, which plays its part in a health check.

    Attributes:
        path: Where it listens.
        play: Answers in the place of the usual ones, by the type of request: pieces to
            send until the client has gone, or None to send nothing.
        asked: Types of requests that have come, in order.
        nodes: What the store holds.
        silent: Is set when it has kept an answer back.
    """

    def __init__(self, directory: Path) -> None:
        self.path = str(directory / "socket")
        self.play: Play = {}
        self.asked: list[Op] = []
        self.nodes: dict[bytes, bytes] = {b"/tool": b""}
        self.silent = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen(1)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def end(self) -> None:
        """Wait until the client has gone."""
        self._thread.join(10)
        assert not self._thread.is_alive()
        self._listener.close()

    def _serve(self) -> None:
        decoder = FrameDecoder()
        self._listener.settimeout(10)
        end, _ = self._listener.accept()
        # A client that goes without having read everything resets the connection, but
        # what it has sent can still be read.
        with end, contextlib.suppress(ConnectionResetError):
            end.settimeout(10)
            while data := end.recv(65536):
                for frame in decoder.feed(data):
                    self._answer(end, frame)

    def _answer(self, end: socket.socket, frame: Frame) -> None:
        op = Op(frame.op)
        self.asked.append(op)
        pieces: Iterable[bytes] = [self._usual(op, frame)]
        if op in self.play:
            played = self.play[op]
            if played is None:
                self.silent.set()
                return
            pieces = played(frame)
        with contextlib.suppress(BrokenPipeError):
            for piece in pieces:
                end.sendall(piece)

    def _usual(self, op: Op, frame: Frame) -> bytes:
        path, _, rest = frame.payload.partition(b"\0")
        if op == Op.CONTROL:
            return encode_frame(Op.ERROR, frame.req_id, 0, b"EINVAL\0")
        if op == Op.READ:
            return answer(frame, self.nodes[path])
        if op == Op.WATCH:
            self._token = rest.rstrip(b"\0")
        elif op == Op.WRITE:
            self.nodes[path] = rest
        elif op == Op.RM:
            self.nodes.pop(path, None)
        return answer(frame, b"OK\0") + event(path, self._token)


def event(path: bytes, token: bytes) -> bytes:
    """Return a watch event as it travels."""
    return encode_frame(Op.WATCH_EVENT, 0, 0, path + b"\0" + token + b"\0")


def answer(frame: Frame, payload: bytes) -> bytes:
    """Return a reply as it travels."""
    return encode_frame(frame.op, frame.req_id, 0, payload)


@pytest.fixture
def acted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ActedDaemon]:
    """A daemon whose answers the test decides."""
    daemon = ActedDaemon(tmp_path_factory.mktemp("xs"))
    yield daemon
    daemon.end()


def test_daemon_that_works_is_ok(xsd: Run, client: Client) -> None:
    """In one line; the store is then as before, and so is its process."""
    handler = signal.getsignal(signal.SIGTERM)
    client.watch("/", "all")
    client.next_event(10)
    before = (client.directory("/"), client.directory("/tool"))

    result = xsd("health")

    assert (result.status, result.err) == (0, b"")
    assert OK.fullmatch(result.out)
    assert signal.getsignal(signal.SIGTERM) is handler
    assert (client.directory("/"), client.directory("/tool")) == before
    written, removed = client.next_event(10), client.next_event(10)
    assert written == removed
    assert written is not None
    assert re.fullmatch(rb"/tool/xsd-health-[0-9a-f]{16}", written.path)


@pytest.mark.parametrize(
    ("told", "shown", "status"),
    [
        ("off", "", 1),
        ("ok", ", journal ok", 0),
        ("short: [Errno 28] no room", ", journal short: [Errno 28] no room", 0),
        ("broken: [Errno 5] a disk", ", journal broken: [Errno 5] a disk", 1),
        ("waiting: no room", ", journal waiting: no room", 1),
    ],
)
def test_how_the_journal_is_is_said(
    xsd: Run, acted: ActedDaemon, told: str, shown: str, status: int
) -> None:
    """It makes nobody start the daemon anew: the status says so only if it is to."""
    acted.play[Op.CONTROL] = lambda frame: [answer(frame, f"{told}\n\0".encode())]

    result = xsd("--socket", acted.path, "health", "--journal")

    assert (result.status, result.err) == (status, b"")
    assert result.out.endswith(f" ms){shown}\n".encode())


def test_a_journal_that_is_broken_does_not_make_a_daemon_ill(
    xsd: Run, acted: ActedDaemon
) -> None:
    """Who starts it anew for that loses what is not kept."""
    acted.play[Op.CONTROL] = lambda frame: [answer(frame, b"broken: no room\n\0")]

    assert xsd("--socket", acted.path, "health").status == 0


def test_store_without_tool_stays_so(xsd: Run, client: Client) -> None:
    """A parent made for the check would be left behind."""
    kept = [
        (b"/tool/" + name, client.read(b"/tool/" + name))
        for name in client.directory("/tool")
    ]
    client.rm("/tool")
    before = client.directory("/")
    try:
        result = xsd("health")

        assert (result.status, client.directory("/")) == (0, before)
    finally:
        client.mkdir("/tool")
        for path, value in kept:
            client.write(path, value)


@pytest.mark.slow
def test_checks_at_the_same_time_do_not_meet(
    client: Client, daemon_socket: Path
) -> None:
    """Each has a node of its own."""
    before = client.directory("/tool")
    environment = client_environment(daemon_socket)
    running = [
        subprocess.Popen(
            COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
        )
        for _ in range(8)
    ]

    results = [
        (*process.communicate(timeout=60), process.returncode) for process in running
    ]

    assert [(err, status) for _, err, status in results] == [(b"", 0)] * 8
    assert all(OK.fullmatch(out) for out, _, _ in results)
    assert client.directory("/tool") == before


def test_played_daemon_passes(xsd: Run, acted: ActedDaemon) -> None:
    """So that what follows fails for what it changes, and for nothing else."""
    assert xsd("--socket", acted.path, "health").status == 0
    acted.end()

    life = [Op.READ, Op.WATCH, Op.WRITE, Op.READ, Op.RM]
    assert acted.asked == [*life, Op.CONTROL]
    assert acted.nodes == {b"/tool": b""}


def only_answers(frame: Frame) -> Iterable[bytes]:
    """A daemon that fires no watches is sick as well."""
    return [answer(frame, b"OK\0")]


# Whatever the daemon is silent about. The limit is for everything together, not for
# each thing that comes.
LATE: Final[dict[str, tuple[Play, str]]] = {
    "no answer to WATCH": ({Op.WATCH: None}, "no answer within 0.2 s"),
    "no answer to WRITE": ({Op.WRITE: None}, "no answer within 0.2 s"),
    "no answer to RM": ({Op.RM: None}, "no answer within 0.2 s"),
    "a trickle of events": (
        {Op.WRITE: lambda _: repeat(event(b"/other", b"other"))},
        "no answer within 0.2 s",
    ),
    "no first event": ({Op.WATCH: only_answers}, "no event of the new watch in time"),
    "no event of WRITE": ({Op.WRITE: only_answers}, "no event of the write in time"),
    "no event of RM": ({Op.RM: only_answers}, "no event of the removal in time"),
}
WRONG: Final[dict[str, tuple[Play, str]]] = {
    "an event of another node": (
        {Op.WRITE: lambda frame: [answer(frame, b"OK\0"), event(b"/b", b"")]},
        "the event of the write names '/b'",
    ),
    "what is written is lost": (
        {Op.READ: lambda frame: [answer(frame, b"x")]},
        "wrote '[0-9a-f]{16}' and read 'x'",
    ),
    # As by a socket that is a guest's.
    "a refusal": (
        {
            Op.WRITE: lambda frame: [
                encode_frame(Op.ERROR, frame.req_id, 0, b"EACCES\0")
            ]
        },
        "/tool/xsd-health-[0-9a-f]{16}: no right to do that .*",
    ),
}


@pytest.mark.parametrize(
    ("words", "play", "told"),
    [
        *((SHORT, *row) for row in LATE.values()),
        *(((), *row) for row in WRONG.values()),
    ],
    ids=[*LATE, *WRONG],
)
def test_what_is_wrong_is_told_in_time(
    xsd: Run, acted: ActedDaemon, words: tuple[str, ...], play: Play, told: str
) -> None:
    """In one line; the node does not outlive the check."""
    acted.play = play

    result = xsd("--socket", acted.path, "health", *words)
    acted.end()

    assert (result.out, result.status) == (b"", 1)
    assert re.fullmatch(f"xsd health: {told}\n".encode(), result.err)
    assert acted.nodes == {b"/tool": b""}
    assert acted.asked[-1] == (Op.WATCH if Op.WATCH in play else Op.RM)


def test_daemon_that_hangs_is_sent_nothing_that_would_stay(
    xsd: Run, acted: ActedDaemon
) -> None:
    """When it goes on it finds a request to read, and a client that has gone."""
    acted.play = {Op.READ: None}

    assert xsd("--socket", acted.path, "health", *SHORT).status == 1
    acted.end()

    assert acted.asked == [Op.READ]


def test_terminated_check_removes_its_node(acted: ActedDaemon) -> None:
    """Who stops it stops it in any place."""
    acted.play = {Op.WRITE: None}
    with subprocess.Popen(
        [*COMMAND, "--timeout", "60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=client_environment(Path(acted.path)),
    ) as process:
        assert acted.silent.wait(30)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    acted.end()

    assert (out, err, process.returncode) == (b"", b"", 128 + signal.SIGTERM)
    assert acted.asked[-1] == Op.RM
    assert acted.nodes == {b"/tool": b""}
