"""The pid file keeps a second daemon away."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.descriptors import files_of, open_descriptors
from xsd.daemon.pidfile import PidFile, PidFileHeldError

# A lock of lockf belongs to a process, so the rival must be another one.
RIVAL = """
import sys
from pathlib import Path
from xsd.daemon.pidfile import PidFile

with PidFile(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the pid file goes."""
    return tmp_path / "xenstored.pid"


@pytest.fixture
def rival(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the pid file until its input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", RIVAL, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.communicate()


def test_it_has_the_process_id_and_is_removed_at_the_end(path: Path) -> None:
    """`launch-xenstore` reads the one and does nothing if the file stays."""
    with PidFile(path):
        assert path.read_text() == f"{os.getpid()}\n"
        assert path.stat().st_mode & 0o777 == 0o600

    assert not path.exists()


def test_a_full_disk_is_an_error_that_leaves_nothing(path: Path) -> None:
    """Whoever starts it is told, and can try again."""
    before = open_descriptors()
    with files_of(0), pytest.raises(OSError, match="File too large"):
        PidFile(path).acquire()
    assert not path.exists()
    assert open_descriptors() == before
    with PidFile(path):
        assert path.exists()


def test_a_stale_file_is_taken_over(path: Path) -> None:
    """After a kill -9 the file is there and nobody holds it; nothing of it stays."""
    path.write_text("4194304999\n")

    with PidFile(path):
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_file_held_by_another_process_is_refused(
    path: Path, rival: subprocess.Popen[str]
) -> None:
    """The holder keeps it untouched; the lock counts, not the text.

    The kernel drops the lock, whatever ended the process.
    """
    with pytest.raises(PidFileHeldError) as refused:
        PidFile(path).acquire()

    assert refused.value.pid == rival.pid
    assert str(rival.pid) in str(refused.value)
    assert str(path) in str(refused.value)
    assert path.read_text() == f"{rival.pid}\n"

    path.write_text("nonsense")
    with pytest.raises(PidFileHeldError, match="another process") as refused:
        PidFile(path).acquire()
    assert refused.value.pid == 0
    assert rival.poll() is None

    rival.kill()
    rival.wait()
    with PidFile(path):
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_file_removed_before_the_lock_is_made_anew(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A holder that ends between our open and our lock takes the name along."""
    real_open = os.open
    opened: list[int] = []

    def open_and_lose(name: Path, flags: int, mode: int) -> int:
        fd = real_open(name, flags, mode)
        if not opened:
            path.unlink()
        opened.append(fd)
        return fd

    monkeypatch.setattr(os, "open", open_and_lose)
    with PidFile(path):
        assert len(opened) == 2
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_file_that_somebody_put_in_its_place_is_left_alone(path: Path) -> None:
    """Only our own is removed, and by a release without an acquire none."""
    with PidFile(path):
        path.unlink()
        path.write_text("theirs")
    PidFile(path).release()

    assert path.read_text() == "theirs"
