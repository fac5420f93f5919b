"""xsd.daemon.attempts: recoveries that follow each other too soon."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from xsd.daemon.attempts import CRASHES, CRASHES_S, Attempts
from xsd.persistence.directory import Directory


class World:
    """A directory, and a clock that goes on when it is told to."""

    def __init__(self, directory: Directory) -> None:
        self.now = 1000.0
        self.attempts = Attempts(directory, lambda: self.now)

    def crash(self, count: int) -> None:
        for _ in range(count):
            self.attempts.note()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    directory = Directory(tmp_path / "journal", make=True)
    yield World(directory)
    directory.close()


def test_some_in_a_short_time_are_vain(world: World) -> None:
    """One less is not."""
    assert not world.attempts.are_vain
    world.crash(CRASHES - 1)
    assert not world.attempts.are_vain
    world.crash(1)
    assert world.attempts.are_vain


def test_those_that_are_long_ago_do_not_count(world: World) -> None:
    """Nor do those that a clock which was set back has in the future."""
    world.crash(CRASHES)
    world.now += CRASHES_S
    assert not world.attempts.are_vain
    world.now -= 2 * CRASHES_S
    assert not world.attempts.are_vain


def test_they_are_forgotten_after_an_end_that_was_told(world: World) -> None:
    """As often as one likes."""
    world.crash(CRASHES)
    world.attempts.forget()
    assert not world.attempts.are_vain
    world.attempts.forget()


def test_what_is_noted_does_not_grow(world: World, tmp_path: Path) -> None:
    """And a file that nobody can read is as good as none."""
    world.crash(CRASHES + 1)
    file = tmp_path / "journal" / "attempts"
    size = file.stat().st_size
    world.crash(100)
    assert file.stat().st_size == size
    file.write_text("nonsense", encoding="ascii")
    assert not world.attempts.are_vain
