"""The directory of a journal: what has a name is whole, and is nobody else's."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from xsd.persistence.directory import (
    CHECKPOINT,
    SEGMENT,
    Directory,
    checkpoint_name,
    holds_state,
    segment_name,
    write_checkpoint,
)

LOCKED = """
import sys
from pathlib import Path
from xsd.persistence.directory import Directory
directory = Directory(Path(sys.argv[1]))
try:
    directory.lock()
except OSError as error:
    sys.exit(str(error))
"""

WITH_A_CHILD = """
import os, signal
if os.fork():
    print("locked", flush=True)
    signal.pause()
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where it is to be."""
    return tmp_path / "journal"


@pytest.fixture
def directory(path: Path) -> Iterator[Directory]:
    """An empty one."""
    opened = Directory(path, make=True)
    yield opened
    opened.close()


def names(directory: Directory) -> list[str]:
    """What there is."""
    return sorted(each.name for each in directory.path.iterdir())


def locks(path: Path) -> str:
    """What another process is told that wants to write, or nothing."""
    words = [sys.executable, "-c", LOCKED, str(path)]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    return done.stderr.strip()


def test_it_is_made_for_its_user_alone(path: Path) -> None:
    """Also if it was there for others."""
    Directory(path, make=True).close()
    assert path.stat().st_mode & 0o7777 == 0o700

    path.chmod(0o755)
    Directory(path, make=True).close()
    assert path.stat().st_mode & 0o7777 == 0o700


def test_it_is_not_made_for_reading(path: Path) -> None:
    """Nor changed."""
    with pytest.raises(FileNotFoundError):
        Directory(path)
    path.mkdir()
    path.chmod(0o755)
    Directory(path).close()

    assert path.stat().st_mode & 0o7777 == 0o755


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    """Nor is a file a directory."""
    (tmp_path / "other").mkdir()
    path.symlink_to("other")
    with pytest.raises(OSError, match=r"link|[Nn]ot a directory"):
        Directory(path, make=True)
    path.unlink()
    path.touch()
    with pytest.raises(NotADirectoryError):
        Directory(path, make=True)


def test_another_users_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That user could put anything into it."""
    path.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208  shorter

    with pytest.raises(PermissionError, match="another user's"):
        Directory(path)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_root_may_look_at_another_users(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And mend it, but not keep a journal there."""
    path.mkdir()
    if not os.geteuid():
        os.chown(path, 1, 1)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    Directory(path).close()

    with pytest.raises(PermissionError, match="another user's"):
        Directory(path, make=True)


def test_one_process_writes(path: Path, directory: Directory) -> None:
    """Until it lets go of it."""
    directory.lock()
    assert locks(path) == f"{path} is in use by another process"
    directory.close()
    directory.close()
    assert locks(path) == ""


def test_a_child_does_not_hold_the_lock(path: Path) -> None:
    """One that writes a checkpoint may outlive its parent, which is started anew."""
    path.mkdir()
    words = [sys.executable, "-c", LOCKED + WITH_A_CHILD, str(path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as held:
        assert held.stdout is not None
        assert held.stdout.readline() == b"locked\n"
        assert locks(path) == f"{path} is in use by another process"
        held.kill()
        held.wait()
        assert locks(path) == ""


def test_files_are_found_by_their_numbers(directory: Directory) -> None:
    """In order; what has another name is nobody's."""
    for name in (
        *map(segment_name, (12, 3, 10**11)),
        *map(checkpoint_name, (4,)),
        *("segment.7", "segment.00000000x8", "segment.", "new.segment.0000000009"),
        *("segment.0000000003.damaged", "lock"),
    ):
        (directory.path / name).touch()

    assert directory.numbers(SEGMENT) == [3, 12, 10**11]
    assert directory.numbers(CHECKPOINT) == [4]


@pytest.mark.parametrize("durable", [False, True])
def test_a_checkpoint_is_written_in_pieces(directory: Directory, durable: bool) -> None:
    """In the place of one that is there, with the mode of a secret."""
    for content in (b"before", b"0123456789" * 9999):
        pieces = [content[:7], b"", content[7:]]
        write_checkpoint(directory, 3, pieces, durable=durable)
        assert directory.read(checkpoint_name(3)) == content

    assert names(directory) == [checkpoint_name(3)]
    assert (directory.path / checkpoint_name(3)).stat().st_mode & 0o7777 == 0o600


def test_a_name_is_given_when_all_is_on_the_disk(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the name is there when that is done; without a disk nothing is waited for."""
    done: list[str] = []
    write, rename = os.write, os.rename

    def log_rename(source: str, target: str, **fds: int) -> None:
        done.append("rename")
        rename(source, target, **fds)

    def short_write(fd: int, data: bytes) -> int:
        done.append("write")
        return write(fd, data[:3])

    monkeypatch.setattr(os, "write", short_write)
    monkeypatch.setattr(os, "rename", log_rename)
    monkeypatch.setattr(os, "fsync", lambda _: done.append("fsync"))

    write_checkpoint(directory, 1, [b"12345"], durable=True)
    assert done == ["write", "write", "fsync", "rename", "fsync"]
    done.clear()
    write_checkpoint(directory, 1, [b"12345"], durable=False)
    assert done == ["write", "write", "rename"]


@pytest.mark.parametrize("call", ["open", "write", "fsync", "rename"])
def test_what_cannot_be_written_leaves_what_was_there(
    directory: Directory, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Whatever it is that fails."""
    write_checkpoint(directory, 3, [b"before"], durable=True)

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(OSError, match="No space"):
            write_checkpoint(directory, 3, [b"after"], durable=True)

    assert directory.read(checkpoint_name(3)) == b"before"
    assert names(directory) == [checkpoint_name(3)]


def test_what_was_begun_when_a_process_ended_is_tidied_up(directory: Directory) -> None:
    """Nothing else is."""
    os.close(directory.begin(segment_name(3)))
    os.close(directory.begin(segment_name(3)))
    (directory.path / "kept").touch()
    assert names(directory) == ["kept", "new.segment.0000000003"]
    directory.tidy()

    assert names(directory) == ["kept"]


def test_whether_there_is_a_state_is_found_out_from_outside(tmp_path: Path) -> None:
    """It is asked when the directory cannot be opened."""
    assert not holds_state(tmp_path / "no")
    assert not holds_state(tmp_path)
    (tmp_path / "lock").touch()
    assert not holds_state(tmp_path)
    assert holds_state(tmp_path / "lock")
    for name in (segment_name(1), checkpoint_name(3)):
        (tmp_path / name).touch()
        assert holds_state(tmp_path)
        (tmp_path / name).unlink()
