"""Whose store outlives its process if nobody says anything about it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.processes import PATIENCE_S, Place, end, wait_until
from xsd.client import Client
from xsd.persistence.segment import SIZE


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system in memory with room for a few segments."""
    directory = tmp_path / "small"
    directory.mkdir()
    size = f"size={6 * SIZE},mode=700"
    words = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(directory)]
    try:
        done = subprocess.run(words, check=False, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"no mount here: {error}")
    if done.returncode:
        pytest.skip(f"a file system cannot be mounted: {done.stderr.strip()}")
    yield directory
    subprocess.run(["umount", "-l", str(directory)], check=True)  # noqa: S607


def killed(place: Place, *words: str) -> None:
    """A daemon that has a node, and is killed."""
    process = place.start(*words)
    with place.client() as client:
        client.write("/a", b"1")
    end(process, 9)


def test_xenstored_keeps_its_store(place: Place) -> None:
    """Beside its socket, where nobody else can read it."""
    killed(place)
    process = place.start()
    with place.client() as client:
        assert client.read("/a") == b"1"
        assert client.control("journal") == b"ok\n"
    assert (place.rundir / "journal").stat().st_mode & 0o777 == 0o700
    assert end(process) == 0


@pytest.mark.parametrize("way", ["option", "file"])
def test_it_does_not_if_that_is_not_wanted(place: Place, way: str) -> None:
    """The next one begins with an empty store, and leaves nothing."""
    file = place.path / "xsd.toml"
    file.write_text("[journal]\nkeep = false\n", encoding="ascii")
    words = ["--no-journal"] if way == "option" else ["--config", str(file)]
    killed(place, *words)
    process = place.start(*words)
    with place.client() as client:
        assert not client.exists("/a")
        assert client.control("journal") == b"off\n"
    assert not (place.rundir / "journal").exists()
    assert end(process) == 0


def test_the_last_word_counts(place: Place) -> None:
    """As with all options."""
    process = place.start("--no-journal", "--journal")
    with place.client() as client:
        assert client.control("journal") == b"ok\n"
    assert end(process) == 0


def test_xsd_serve_keeps_nothing(place: Place) -> None:
    """It is for trying things out."""
    socket = place.path / "served"
    command = [sys.executable, "-m", "xsd", "serve", "--socket", str(socket)]
    with subprocess.Popen(
        command, stderr=subprocess.DEVNULL, env=place.environ()
    ) as process:
        wait_until(lambda: place.answers(socket), "the daemon does not answer")
        with place.client(socket) as client:
            assert client.control("journal") == b"off\n"
        assert end(process) == 0
    assert not (place.path / "journal").exists()


def test_a_recording_is_no_reason_not_to_start(place: Place) -> None:
    """It begins with an empty store, and nothing is kept beside it."""
    process = place.start("--record", str(place.path / "tape"))
    with place.client() as client:
        assert client.control("journal") == b"off\n"
    assert end(process) == 0


def test_two_daemons_have_no_journal_in_common(place: Place) -> None:
    """The second one does not start."""
    process = place.start()
    words = ["-N", "--socket", str(place.path / "other"), "--journal-directory"]
    done = subprocess.run(
        place.command(*words, str(place.rundir / "journal")),
        check=False,
        capture_output=True,
        text=True,
        env=place.environ(),
        timeout=PATIENCE_S,
    )

    assert done.returncode == 1
    assert "is in use by another process" in done.stderr
    with place.client() as client:
        client.write("/a", b"1")
    assert end(process) == 0


def test_a_full_directory_is_no_reason_not_to_start(place: Place, small: Path) -> None:
    """What was kept is brought back; it is kept again as soon as there is room."""
    directory = ["--journal-directory", str(small / "journal")]
    killed(place, *directory)
    filler = small / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    process = place.start(*directory)
    with place.client() as client:
        assert client.read("/a") == b"1"
        assert client.control("journal").startswith(b"broken: [Errno 28]")
        client.write("/b", b"2")
        filler.unlink()
        wait_until(lambda: is_kept(client), "it does not recover")
    end(process, 9)
    process = place.start(*directory)
    with place.client() as client:
        assert (client.read("/a"), client.read("/b")) == (b"1", b"2")
    assert end(process) == 0


def is_kept(client: Client) -> bool:
    """Whether all is as it should be again."""
    return client.control("journal") == b"ok\n"
