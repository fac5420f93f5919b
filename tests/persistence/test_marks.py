"""xsd.persistence.marks: what a process finds that another one has said."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from xsd.engine.mark import BUSY, OWING, QUIET
from xsd.persistence.directory import Directory
from xsd.persistence.marks import NAME, PLACES, Marks


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Directory]:
    """An empty one."""
    found = Directory(tmp_path / "journal", make=True)
    yield found
    found.close()


def left(directory: Directory) -> dict[int, tuple[int, int]]:
    """What a new process finds: key and state by number."""
    return {n: (each.key, each.state) for n, each in Marks(directory).left.items()}


def test_what_was_said_is_found_without_a_word_at_the_end(directory: Directory) -> None:
    """Each state is in the file from the moment that it is set."""
    marks = Marks(directory)
    quiet = marks.take(5, 500, is_quiet=True)
    busy = marks.take(6, 600, is_quiet=False)
    assert quiet is not None
    assert busy is not None
    assert left(directory) == {5: (500, QUIET), 6: (600, BUSY)}

    quiet.owe()
    busy.set(QUIET)

    assert left(directory) == {5: (500, OWING), 6: (600, QUIET)}
    busy.end()
    assert marks.tidy() == [6]
    assert marks.tidy() == []
    assert left(directory) == {5: (500, OWING)}


def test_a_connection_that_goes_on_has_its_place(directory: Directory) -> None:
    """What nobody goes on with is forgotten; a place that is free is taken again."""
    first = Marks(directory)
    for number in (5, 6):
        first.take(number, number, is_quiet=True)

    second = Marks(directory)
    second.go_on(6, OWING).set(BUSY)
    second.free(5)
    second.free(99)
    assert second.numbers == [6]
    third = second.take(7, 7, is_quiet=True)

    assert third is not None
    assert left(directory) == {6: (6, BUSY), 7: (7, QUIET)}


def test_there_is_room_for_so_many(directory: Directory) -> None:
    """Then for one more when one has gone."""
    marks = Marks(directory)
    for number in range(1, PLACES + 1):
        assert marks.take(number, 0, is_quiet=True) is not None
    assert marks.take(PLACES + 1, 0, is_quiet=True) is None

    marks.free(17)

    assert marks.take(PLACES + 1, 0, is_quiet=True) is not None
    assert len(left(directory)) == PLACES


@pytest.mark.parametrize("damage", [b"", b"other", b"xsdmarks" + bytes(56)])
def test_another_file_says_nothing(directory: Directory, damage: bytes) -> None:
    """One of another format, or that is cut off, is replaced."""
    Marks(directory).take(5, 500, is_quiet=True)
    file = directory.path / NAME
    whole = file.read_bytes()
    file.write_bytes(damage or whole[:-1])

    assert left(directory) == {}
    assert file.stat().st_size == len(whole)


def test_the_blocks_are_there_from_the_start(directory: Directory) -> None:
    """No write into the mapping can meet a full file system, which would be the end."""
    Marks(directory)
    found = (directory.path / NAME).stat()

    assert found.st_blocks * 512 >= found.st_size


def test_a_file_that_cannot_be_made_leaves_nothing(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller goes without."""

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", fail)

    with pytest.raises(OSError, match="No space"):
        Marks(directory)
    assert list(directory.path.iterdir()) == []
