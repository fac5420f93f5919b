"""xsd.cli.update: one command, and the daemon is another one."""

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from subprocess import Popen

import pytest

from tests.support.checks import Done, ran
from tests.support.processes import Place
from tests.update.running import program, session
from xsd.cli.common import CommandError
from xsd.cli.update import RefusedError, own_daemon, replace_daemon
from xsd.client import Client


@pytest.fixture
def place(directory: Path) -> Iterator[Place]:
    with Place(directory) as found:
        yield found


@pytest.fixture
def process(place: Place) -> "Popen[bytes]":
    return place.start()


def updated(place: Place, *words: str | Path) -> Done:
    """What `xsd update` does."""
    environ = place.environ(XENSTORED_PATH=str(place.socket))
    line = [sys.executable, "-m", "xsd", "update", *map(str, words)]
    return ran(line, check=False, env=environ)


@pytest.mark.slow
def test_the_daemon_is_another_one(
    place: Place, process: "Popen[bytes]", directory: Path
) -> None:
    """It is said when that one serves; with the arguments that it is given."""
    ours = program(directory / "ours")

    done = updated(place, ours, "--arguments", "-N --quota nodes=77")

    assert (done.stdout, done.stderr) == (f"{ours} serves now\n", "")
    assert process.poll() is None
    with place.client() as client:
        assert b"77" in client.control(b"quota")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["xenstored", "xsd"])
def test_the_new_daemon_is_the_one_that_the_command_is_part_of(
    place: Place, process: "Popen[bytes]", directory: Path, name: str
) -> None:
    """`xenstored` beside it, or itself: `xsd serve` is a daemon, too."""
    assert process.poll() is None
    command = "from xsd.cli.main import main\nsys.exit(main())\n"
    xsd = program(directory / "xsd", then=command)
    if name == "xenstored":
        program(directory / "xenstored")
    environ = place.environ(XENSTORED_PATH=str(place.socket))

    done = ran([str(xsd), "update"], check=False, env=environ)

    assert (done.stdout, done.stderr) == (f"{directory / name} serves now\n", "")


@pytest.mark.slow
def test_why_the_old_one_goes_on_is_said(
    place: Place, process: "Popen[bytes]", directory: Path
) -> None:
    """With the status of a failure."""
    bad = program(directory / "bad", then="sys.exit('no such luck')")

    for file, reason in (
        (directory / "absent", "File not accessible."),
        (bad, "The new binary does not load the state: no such luck"),
    ):
        done = updated(place, file)
        line = f"xsd update: {file}: {reason}: the old one goes on\n"
        assert (done.stdout, done.stderr, done.returncode) == ("", line, 1)
    assert process.poll() is None
    with closing(session(place)) as dom0:
        assert dom0.look() == 0


def test_a_program_that_is_none_is_not_asked_for(tmp_path: Path) -> None:
    """As where the command was run as a module."""
    (tmp_path / "__main__.py").write_text("")

    with pytest.raises(CommandError, match="xsd update FILE"):
        own_daemon(str(tmp_path / "__main__.py"))


class Asked(Client):
    """Answers what it is told to."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[bytes | str, ...]] = []

    def control(self, *words: bytes | str) -> bytes:
        self.asked.append(words[1:])
        return self.answers.pop(0)


def test_a_daemon_that_is_busy_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As xenstore-control does; and told that it is over if that takes too long."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    client = Asked(b"OK", b"BUSY", b"BUSY", b"OK")
    replace_daemon(client, b"/x", force=True, timeout_s=60)
    assert client.asked == [(b"-f", b"/x"), *[(b"-s", b"-t", b"60", b"-F")] * 3]

    client = Asked(b"OK", b"BUSY", b"OK")
    with pytest.raises(RefusedError, match="BUSY"):
        replace_daemon(client, b"/x", timeout_s=0)
    assert client.asked[-1] == ("-a",)
