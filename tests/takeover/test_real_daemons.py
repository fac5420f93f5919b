"""A running host moves from Xen's daemons to ours, and from ours to the C daemon."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from signal import SIGKILL
from typing import Final

import pytest

from tests.conftest import find_program, skip_or_fail
from tests.peers.build import on_shim
from tests.peers.programs import PLACE
from tests.support.checks import ran
from tests.support.daemons import (
    Daemon,
    answers,
    environment,
    launch,
    start_c_peer,
    start_ocaml_peer,
)
from tests.support.processes import wait_until
from tests.takeover import moving
from xsd.protocol.ops import Op
from xsd.testing.session import strings

pytestmark = pytest.mark.slow

C: Final = str(PLACE / "xenstored")
DUMP: Final = Path("/run/xenstored/db")
"""Where oxenstored leaves its state, whatever it is told."""


@pytest.fixture
def daemon(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """C's, on a pretended Xen that ours finds, too."""
    variables = on_shim(directory)
    monkeypatch.setenv("LD_LIBRARY_PATH", variables["LD_LIBRARY_PATH"])
    with start_c_peer(directory) as found:
        yield found


@pytest.fixture
def oxenstored(directory: Path) -> Iterator[Daemon]:
    """The OCaml daemon, on a pretended Xen."""
    if not DUMP.parent.is_dir():
        if os.geteuid():
            skip_or_fail(f"{DUMP.parent} is missing, which root can make")
        DUMP.parent.mkdir(parents=True)
    on_shim(directory)
    with start_ocaml_peer(directory) as found:
        yield found


@pytest.fixture
def ours(directory: Path) -> Path:
    """Our daemon, as it is installed."""
    file = directory / "ours"
    path = environment()["PYTHONPATH"].split(os.pathsep)
    file.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path[:0] = {path!r}\n"
        "from xsd.daemon.xenstored import main\nsys.exit(main())\n",
        encoding="utf-8",
    )
    file.chmod(0o755)
    return file


def control(daemon: Daemon, *words: str) -> str:
    """What xenstore-control says: OK if it says nothing and is content."""
    # Not Debian's choice among those of several releases, which asks Xen.
    program = find_program(str(PLACE / "xenstore-control"), "xen-utils-4.17")
    done = ran(
        [program, *words],
        env={"XENSTORED_PATH": str(daemon.socket), "PATH": os.defpath},
        check=False,
    )
    said = done.stdout.strip() + done.stderr.strip()
    return said or ("OK" if done.returncode == 0 else "failed")


def has_lines(file: Path, count: int) -> bool:
    return file.read_bytes().count(b"\n") == count


def served_by(daemon: Daemon) -> str:
    """The program that the process runs now."""
    words = Path(f"/proc/{daemon.pid}/cmdline").read_bytes().split(b"\0")
    return Path(os.fsdecode(words[1] if b"python" in words[0] else words[0])).name


def test_from_c_to_ours_and_back_nobody_notices(
    daemon: Daemon, ours: Path, directory: Path
) -> None:
    """Guests on rings, tools that watch and dom0 go on, by one command each way."""
    seen = directory / "seen"
    watching = find_program("xenstore-watch", "xenstore-utils")
    with ExitStack() as held:
        dom0 = held.enter_context(closing(moving.client(daemon.socket)))
        output = held.enter_context(seen.open("wb"))
        guest = moving.guest(dom0, directory / "shim", 5)
        dom0.ok(Op.SET_TARGET, b"5\x000\0")
        guest.watch(b"mine", b"w")
        watcher = subprocess.Popen(
            [watching, "/turn"],
            stdout=output,
            env={"XENSTORED_PATH": str(daemon.socket)},
        )
        wait_until(partial(has_lines, seen, 1), "no first event")
        there, back = (str(ours), "ours"), (C, "xenstored")
        for turn, (file, name) in enumerate([there, back, there, back]):
            before = moving.listed(daemon.socket)
            half = guest.frame(Op.WRITE, b"mine\0%d" % turn)
            guest.send(half[:19])

            assert control(daemon, "live-update", file) == "OK"

            assert served_by(daemon) == name
            assert moving.listed(daemon.socket) == before
            guest.send(half[19:])
            assert guest.replies() == [(Op.WRITE, b"OK\0")]
            assert guest.next_event() == (b"mine", b"w")
            dom0.ok(Op.WRITE, b"/turn\0%d" % turn)
            wait_until(partial(has_lines, seen, turn + 2), "no event")
            late = moving.guest(dom0, directory / "shim", 10 + turn)
            late.get(Op.WRITE, b"data\0v")
            held.callback(late.close)
        dom0.watch(b"@releaseDomain", b"gone")
        dom0.get(Op.RELEASE, b"5\0")
        assert (b"@releaseDomain", b"gone") in dom0.events()
        watcher.terminate()
        watcher.wait()
        guest.close()


def test_a_guest_of_c_outlives_a_kill_of_ours(
    daemon: Daemon, ours: Path, directory: Path
) -> None:
    """C does not tell the guest's end of the event channel, to be bound anew then."""
    words = ["-N", "--journal"]
    with ExitStack() as held:
        dom0 = moving.client(daemon.socket)
        guest = moving.guest(dom0, directory / "shim", 5)
        held.callback(guest.close)
        guest.watch(b"mine", b"g")
        assert control(daemon, "live-update", "-c", " ".join(words), str(ours)) == "OK"
        guest.get(Op.WRITE, b"data\0v")
        environ = Path(f"/proc/{daemon.pid}/environ").read_bytes().split(b"\0")
        daemon.stop(SIGKILL)
        dom0.close()

        again = subprocess.Popen(
            [str(ours), *words],
            env=dict(os.fsdecode(each).split("=", 1) for each in environ if each),
        )
        held.callback(again.wait)
        held.callback(again.terminate)
        wait_until(partial(answers, daemon.socket), "it does not begin again")

        assert guest.get(Op.READ, b"data\0") == b"v"
        guest.get(Op.WRITE, b"mine\0v")
        assert guest.next_event() == (b"mine", b"g")


def test_what_was_kept_before_c_went_on_is_not_begun_with(
    daemon: Daemon, ours: Path, directory: Path
) -> None:
    """It would bring back what C has changed since."""
    words = "-N --journal"
    with closing(moving.client(daemon.socket)) as dom0:
        assert control(daemon, "live-update", "-c", words, str(ours)) == "OK"
        dom0.ok(Op.WRITE, b"/kept\0v")
        assert control(daemon, "live-update", "-c", "-N", C) == "OK"
    assert (directory / "journal" / "left").exists()
    daemon.stop()

    environ = {"LD_LIBRARY_PATH": os.environ["LD_LIBRARY_PATH"]}
    with launch(directory, "--journal", **environ) as again:
        assert "/kept" not in [row[0] for row in moving.listed(again.socket)]


def test_c_is_handed_no_open_transaction_unless_that_is_wanted(
    daemon: Daemon, ours: Path, directory: Path
) -> None:
    """It refuses, and with -F its client is told that there is none any more."""
    assert control(daemon, "live-update", str(ours)) == "OK"
    with closing(moving.client(daemon.socket)) as other:
        number = other.start()
        other.ok(Op.WRITE, b"/a\0v", number)

        said = control(daemon, "live-update", "-t", "1", C)
        assert "Domains with long running transactions:" in said
        assert served_by(daemon) == "ours"
        other.ok(Op.WRITE, b"/b\0v", number)
        assert control(daemon, "live-update", "-t", "1", "-F", C) == "OK"
        assert served_by(daemon) == "xenstored"
        payload = strings(b"T")
        assert other.call(Op.TRANSACTION_END, payload, number)[1] == b"ENOENT\0"
    assert not (directory / "state_dump").exists()


def test_from_oxenstored_to_ours_nobody_notices_and_on_to_c(
    oxenstored: Daemon, ours: Path, directory: Path
) -> None:
    """Guests on rings, clients that watch and dom0 go on, by one command each way."""
    daemon = oxenstored
    # With this oxenstored itself does not start.
    libraries = f"LD_LIBRARY_PATH={directory / 'lib'}"
    ours = moving.script(directory / "first", ["env", libraries, str(ours)])
    with ExitStack() as held:
        dom0 = held.enter_context(closing(moving.client(daemon.socket)))
        guest = moving.guest(dom0, directory / "shim", 5)
        held.callback(guest.close)
        dom0.watch(b"/turn", b"w")
        guest.watch(b"mine", b"g")
        before = [row for row in moving.listed(daemon.socket) if row[0][:2] != "/@"]
        there = str(ours), "ours", "-N --entry-nb=1234"
        for turn, (file, name, words) in enumerate([there, (C, "xenstored", "-N")]):
            assert control(daemon, "live-update", "-c", words, file) == "OK"

            wait_until(lambda: served_by(daemon) == name, f"{file} does not begin")  # noqa: B023
            assert not DUMP.exists()
            if file != C:
                assert "1234" in control(daemon, "quota")
            assert moving.listed(daemon.socket) == before
            guest.get(Op.WRITE, b"mine\0v")
            assert guest.next_event() == (b"mine", b"g")
            dom0.get(Op.WRITE, b"/turn\0v")
            assert dom0.next_event() == (b"/turn", b"w")
            late = moving.guest(dom0, directory / "shim", 10 + turn)
            late.get(Op.WRITE, b"data\0v")
            held.callback(late.close)
            before = moving.listed(daemon.socket)
        dom0.watch(b"@releaseDomain", b"gone")
        dom0.get(Op.RELEASE, b"5\0")
        assert (b"@releaseDomain", b"gone") in dom0.events()
