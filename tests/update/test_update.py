"""A daemon of ours becomes another one: nobody notices more than a pause."""

import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from subprocess import Popen

import pytest

from tests.support.checks import ran
from tests.support.daemons import environment, start_xsd
from tests.support.processes import PATIENCE_S, Place, end, end_background, wait_until
from tests.takeover.moving import client
from tests.update.loaded import update_under_load
from tests.update.running import kinds, left_open, program, session, told, update
from xsd.client.transport import SocketTransport
from xsd.daemon.settings import SOCKET_PATH_MAX
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.testing import PretendedHost, Session
from xsd.testing.session import OK, strings

pytestmark = pytest.mark.slow


@pytest.fixture
def place(directory: Path) -> Iterator[Place]:
    with Place(directory) as found:
        yield found


@pytest.fixture
def process(place: Place) -> "Popen[bytes]":
    return place.start()


@pytest.fixture
def dom0(place: Place, process: "Popen[bytes]") -> Iterator[Session]:
    assert process.poll() is None
    with closing(session(place)) as found:
        yield found


@pytest.fixture
def ours(directory: Path) -> Path:
    return program(directory / "xenstored")


def errors(place: Place) -> list[str]:
    """What the log complains of."""
    lines = place.lines()
    return [line["event"] for line in lines if line["level"] not in {"info", "debug"}]


def test_not_a_byte_is_lost_or_doubled_in_several_updates(
    place: Place, process: "Popen[bytes]", dom0: Session, ours: Path
) -> None:
    """Requests cut anywhere, replies that nobody has read, and more behind them."""
    dom0.get(Op.DIRECTORY, b"/\0")
    before = kinds(process.pid)

    update_under_load(place, dom0, ours, clients=20, updates=3)

    wait_until(lambda: kinds(process.pid) == before, "descriptors leak")
    assert left_open(process.pid) == []
    assert errors(place) == []
    assert [line["pid"] for line in place.lines("daemon.serving")] == [process.pid] * 4
    assert {each.name for each in place.rundir.iterdir()} == {
        "journal",
        "socket",
        "socket.hypervisor",
    }
    assert end(process) == 0


def test_transactions_and_watches_go_on(
    place: Place, dom0: Session, ours: Path
) -> None:
    """One is committed, one meets a conflict; no watch has a second first event."""
    with closing(session(place)) as other:
        assert dom0.get(Op.WATCH, strings(b"/a", b"t")) == OK
        assert dom0.next_event() == (b"/a", b"t")
        good, bad = (int(other.get(Op.TRANSACTION_START, b"\0")[:-1]) for _ in "ab")
        other.ok(Op.WRITE, b"/a/good\x001", good)
        other.get(Op.DIRECTORY, b"/\0", bad)
        other.ok(Op.WRITE, b"/b/bad\x001", bad)

        assert update(dom0, ours) == "OK"

        assert dom0.events() == []
        other.ok(Op.TRANSACTION_END, b"T\0", good)
        assert other.errno(Op.TRANSACTION_END, b"T\0", bad) == Errno.EAGAIN
    assert dom0.events() == [(b"/a/good", b"t")]
    assert dom0.errno(Op.READ, b"/b\0") == Errno.ENOENT


def test_guests_on_rings_and_sockets_go_on(
    place: Place, process: "Popen[bytes]", dom0: Session, ours: Path
) -> None:
    """A request is half in the ring; whoever controls the domains goes on, too."""
    with PretendedHost(f"{place.socket}.hypervisor", timeout=PATIENCE_S) as host:
        with host.create(1) as guest:
            dom0.ok(Op.INTRODUCE, b"1\x001\0%d\0" % guest.port)
            dom0.make(b"/local/domain/1", b"n1")
            ring = Session(guest.transport, 1, timeout=PATIENCE_S)
            by_name = SocketTransport(f"{place.socket}.dom1", PATIENCE_S)
            ring.watch(b"own", b"w")
            with closing(Session(by_name, 1, timeout=PATIENCE_S)) as named:
                for turn in range(3):
                    value = b"%d" % turn
                    frames = [each.frame(Op.WRITE, b"own\0" + value)
                              for each in (ring, named)]  # fmt: skip
                    ring.send(frames[0][:21])
                    named.send(frames[1][:7])

                    assert update(dom0, ours) == "OK"

                    ring.send(frames[0][21:])
                    assert ring.replies() == [(Op.WRITE, OK)]
                    named.send(frames[1][7:])
                    assert named.replies() == [(Op.WRITE, OK)]
                    told_of = ring.events()
                    assert set(told_of) == {(b"own", b"w")}
                    assert named.get(Op.READ, b"own\0") == value
        dom0.watch(b"@releaseDomain", b"gone")
        host.kill(1)
        assert dom0.next_event() == (b"@releaseDomain", b"gone")
        with host.create(2) as next_guest:
            dom0.ok(Op.INTRODUCE, b"2\x001\0%d\0" % next_guest.port)
            assert next_guest.get_domain_path(2) == b"/local/domain/2"
            host.kill(2)
    assert left_open(process.pid) == []
    assert errors(place) == []


def test_limits_that_were_set_stay_unless_the_new_settings_say_otherwise(
    place: Place, dom0: Session, ours: Path
) -> None:
    """A limit of the arguments counts; one that they do not name is as it was."""

    def limit(name: str) -> str:
        text = dom0.get(Op.CONTROL, b"quota\0").decode()
        (line,) = [each for each in text.splitlines() if each.split()[0] == name]
        return line.split(":")[1].split()[0]

    dom0.get(Op.CONTROL, strings(b"quota", b"set", b"nodes", b"1234"))
    dom0.get(Op.CONTROL, strings(b"quota", b"set", b"watches", b"77"))

    told(dom0, "-f", ours)
    assert told(dom0, "-c", "-N --quota watches=99") == "OK"
    assert told(dom0, "-s") == "OK"

    assert (limit("nodes"), limit("watches")) == ("1234", "99")
    assert update(dom0, ours) == "OK"
    assert (limit("nodes"), limit("watches")) == ("1234", "99")
    assert errors(place) == []


def test_a_daemon_in_the_background_stays_there(place: Place, ours: Path) -> None:
    """With its pid file and log, where relative paths mean what they did."""
    log = place.path / "daemon.log"
    options = ("--pid-file", str(place.path / "pid"), "--log-file", str(log))
    assert place.run(*options).returncode == 0
    pid = int((place.path / "pid").read_text())
    place.log = log
    with closing(session(place)) as dom0:
        assert update(dom0, ours) == "OK"
        assert dom0.get(Op.GET_DOMAIN_PATH, b"0\0") == b"/local/domain/0\0"
    assert (place.path / "pid").read_text() == f"{pid}\n"
    assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")
    assert place.run(*options).returncode == 0  # it holds the lock
    assert len(place.lines("daemon.serving")) == 2
    end_background(pid)
    assert not (place.path / "pid").exists()


def test_a_daemon_without_domains_goes_on_at_once(place: Place, ours: Path) -> None:
    """Whoever waits for something need not wait for somebody else to ask."""
    size = SOCKET_PATH_MAX - len(str(place.path)) - 1
    place.socket = place.path / ("s" * size)
    process = place.start("--socket", str(place.socket))
    with closing(session(place)) as dom0:
        assert update(dom0, ours) == "OK"
    assert end(process) == 0


def test_a_recording_goes_on_in_its_file(place: Place, ours: Path) -> None:
    """It can be replayed as if it was one daemon's."""
    tape = place.path / "tape"
    process = place.start("--record", str(tape))
    with closing(session(place)) as dom0:
        for turn in range(3):
            dom0.ok(Op.WRITE, b"/a/%d\0v" % turn)
            number = int(dom0.get(Op.TRANSACTION_START, b"\0")[:-1])
            dom0.ok(Op.WRITE, b"/t/%d\0v" % turn, number)
            assert update(dom0, ours) == "OK"
            dom0.ok(Op.TRANSACTION_END, b"T\0", number)
    assert end(process) == 0
    ran([sys.executable, "-m", "xsd", "tape", "replay", str(tape)], env=environment())
    text = tape.read_text(encoding="latin-1")
    assert [text.count(f"/t/{turn}") for turn in range(3)] == [1, 1, 1]
    assert text.count('"tape"') == 1
    assert errors(place) == ["traffic.recorded"] * 4


def test_a_service_manager_is_told_of_each_start(place: Place, ours: Path) -> None:
    """It is the process that it has started, and says that it is ready once more."""
    address = place.path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        manager.settimeout(PATIENCE_S)
        place.start(NOTIFY_SOCKET=str(address))
        assert manager.recv(100) == b"READY=1"
        with closing(session(place)) as dom0:
            assert update(dom0, ours) == "OK"
        # It may have been sent sockets to hold before.
        while manager.recv(100) != b"READY=1":
            pass


def test_a_daemon_in_the_foreground_goes_on_with_its_log(
    directory: Path, ours: Path
) -> None:
    """Whoever looks at it there sees that another one serves."""
    with start_xsd(directory) as daemon, closing(client(daemon.socket)) as dom0:
        assert update(dom0, ours) == "OK"

        assert "daemon.took_over" in (directory / "log").read_text()


def test_a_limit_that_was_set_stays_where_the_state_is_kept(
    directory: Path, ours: Path
) -> None:
    """The journal begins anew with what was taken over, and not with the settings."""
    with (
        start_xsd(directory, "--journal") as daemon,
        closing(client(daemon.socket)) as dom0,
    ):
        dom0.ok(Op.SET_QUOTA, b"nodes\x00777\0")
        assert update(dom0, ours) == "OK"

        assert dom0.get(Op.GET_QUOTA, b"nodes\0").rstrip(b"\0") == b"777"
