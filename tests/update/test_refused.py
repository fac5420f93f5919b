"""An update that is not possible: the daemon goes on, and the answer says why."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from subprocess import Popen

import pytest

from tests.support.checks import children_of
from tests.support.processes import Place, wait_until
from tests.update.running import (
    TAKES_OVER,
    kinds,
    left_open,
    program,
    session,
    told,
    update,
)
from xsd.protocol.ops import Op
from xsd.testing import Session
from xsd.testing.session import OK, strings

pytestmark = pytest.mark.slow

BUSY = "live-update session already active."


@pytest.fixture
def place(directory: Path) -> Iterator[Place]:
    with Place(directory) as found:
        yield found


@pytest.fixture
def process(place: Place) -> "Popen[bytes]":
    return place.start("--pid-file", str(place.path / "pid"))


@pytest.fixture
def dom0(place: Place, process: "Popen[bytes]") -> Iterator[Session]:
    """Half a request of it is under way, and a transaction, until the end of a test."""
    with closing(session(place)) as found, closing(session(place)) as other:
        number = int(other.get(Op.TRANSACTION_START, b"\0")[:-1])
        other.ok(Op.WRITE, b"/kept\x001", number)
        other.watch(b"/kept", b"t")
        frame = other.frame(Op.TRANSACTION_END, b"T\0", number)
        other.send(frame[:9])
        # A request each, so that both are accepted.
        found.get(Op.DIRECTORY, b"/\0")
        before = kinds(process.pid)
        yield found
        assert process.poll() is None
        assert children_of(process.pid) == []
        wait_until(lambda: kinds(process.pid) == before, "descriptors leak")
        assert left_open(process.pid) == []
        assert not [*place.rundir.glob("state_*")]
        other.send(frame[9:])
        assert other.replies() == [(Op.TRANSACTION_END, OK)]
        assert other.events() == [(b"/kept", b"t")]


def test_a_file_that_is_no_program_is_refused(dom0: Session, directory: Path) -> None:
    """In the words of C xenstored, which tools show."""
    (directory / "text").write_text("#!/bin/sh\n")
    (directory / "text").chmod(0o644)

    assert told(dom0, "-f", directory / "absent") == "File not accessible."
    assert told(dom0, "-f", directory / "text") == "File not executable."
    assert told(dom0, "-f", directory) == "File not executable."


@pytest.mark.parametrize(
    ("before", "then", "reason"),
    [
        ("", "sys.exit('no such luck')", "does not load the state: no such luck"),
        ("", "print('0' * 64)", "does not load the state: 0000"),
        ("", "sys.exit(3)", "does not load the state: 3"),
        ("import xsd.absent", "", "No module named 'xsd.absent'"),
    ],
)
def test_a_program_that_cannot_prove_itself_is_not_started(
    dom0: Session, directory: Path, before: str, then: str, reason: str
) -> None:
    """Nothing is stopped for it; the log has what the answer has."""
    file = program(directory / "other", before=before, then=then)

    assert reason in update(dom0, file)


def test_options_that_the_new_program_refuses_are_found_before(
    dom0: Session, directory: Path
) -> None:
    """A number that is none would end the daemon when it starts."""
    told(dom0, "-f", program(directory / "ours"))
    told(dom0, "-c", "-N --quota nodes=many")

    assert "'many' is no decimal number" in told(dom0, "-s")


def test_a_program_that_is_of_another_domain_is_not_started(
    dom0: Session, directory: Path
) -> None:
    """All that is allowed to whom would be another's."""
    told(dom0, "-f", program(directory / "ours"))
    told(dom0, "-c", "-N --master-domid 7")

    assert "another domain" in told(dom0, "-s")


@pytest.mark.parametrize(
    "fault",
    [
        "import xsd.daemon.succession as m; m.Inheritance.__init__ = fails",
        "import xsd.daemon.succession as m; m.Inheritance.give_to = fails",
        "import xsd.daemon.parts as m; m.Parts.take_over = fails",
        "import xsd.hypervisor.emulated as m; m.EmulatedHypervisor._go_on = fails",
        "import xsd.transport.ring as m; m.RingServer.start = fails",
        "import xsd.daemon.pidfile as m; m.PidFile.acquire = fails",
        "import xsd.daemon.options as m; m.parse = fails",
        "sys.modules['xsd.daemon.main'] = None",
        "sys.argv.append('--quota=nodes=many')",
    ],
)
def test_a_program_that_cannot_take_over_leaves_it_to_the_one_before(
    place: Place, dom0: Session, process: "Popen[bytes]", directory: Path, fault: str
) -> None:
    """Whatever it fails at, as long as it is a daemon of ours."""
    before = (
        "def fails(*words, **more):\n    raise OSError(5, 'of its own making')\n"
        f"{TAKES_OVER}{fault}"
    )
    file = program(directory / "other", before=before)

    reason = update(dom0, file)

    assert reason.startswith("The new binary could not take over: ")
    assert [each["reason"] for each in place.lines("update.undone")] == [reason]
    assert update(dom0, program(directory / "ours")) == "OK"
    assert process.poll() is None


def test_a_program_that_cannot_be_started_any_more_is_not_waited_for(
    dom0: Session, directory: Path
) -> None:
    """It was there for the proof."""
    before = "os.chmod(sys.argv[0], 0o600)"
    file = program(directory / "other", before=before)

    assert update(dom0, file).startswith("Error activating new binary: ")


def test_a_program_without_its_interpreter_is_not_started(
    dom0: Session, directory: Path
) -> None:
    """The kernel says that there is no such file."""
    file = program(directory / "other")
    file.write_text("#!/absent/python3\n")

    assert update(dom0, file).startswith("The new binary could not be tried: ")


def test_a_state_that_cannot_be_written_is_told(
    dom0: Session, place: Place, directory: Path
) -> None:
    """There is something at its place."""
    (place.rundir / "state_dump").mkdir()

    reason = update(dom0, program(directory / "ours"))

    (place.rundir / "state_dump").rmdir()
    assert reason.startswith("Error activating new binary: ")


def waiting(directory: Path) -> Path:
    """A program that says in the file `begun` that it is tried, and waits."""
    begun = f"open({str(directory / 'begun')!r}, 'w').close()"
    return program(directory / "waiting", before=f"{begun}; time.sleep(1000)")


def test_one_update_is_under_way_at_a_time(
    place: Place, dom0: Session, directory: Path
) -> None:
    """Others are told so; who has asked may call it off and ask again."""
    assert told(dom0, "-f", waiting(directory)) == "OK"
    dom0.post(Op.CONTROL, strings(b"live-update", b"-s"))
    wait_until((directory / "begun").exists, "it is not tried")
    ours = program(directory / "ours")

    with closing(session(place)) as other:
        assert told(other, "-f", ours) == BUSY
        assert told(other, "-s") == BUSY
    for words in ((b"-s",), (b"-c", b"-N"), (b"-f", b"/bin/true"), (b"-a",)):
        dom0.post(Op.CONTROL, strings(b"live-update", *words))
    answers = [frame.payload for frame in dom0.frames(5)]

    busy = BUSY.encode() + b"\0"
    assert answers == [busy, busy, busy, b"Not in live-update session.\0", OK]
    with closing(session(place)) as other:
        assert update(other, ours) == "OK"


def test_who_goes_away_does_not_want_the_update_any_more(
    place: Place, dom0: Session, process: "Popen[bytes]", directory: Path
) -> None:
    """What was tried is ended, and others may ask at once."""
    with closing(session(place)) as other:
        assert told(other, "-f", waiting(directory)) == "OK"
        other.post(Op.CONTROL, strings(b"live-update", b"-s"))
        wait_until((directory / "begun").exists, "it is not tried")
    wait_until(lambda: not children_of(process.pid), "it is tried all the same")

    assert update(dom0, program(directory / "ours")) == "OK"
