"""A journal whose process is killed: what was answered is there."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import final

import pytest

from tests.persistence.inputs import END, is_whole, write_of
from tests.persistence.journals import Files, all_of, mark
from tests.persistence.writer import SIZES
from tests.support.generated import ROOT
from xsd.engine.inputs import Input
from xsd.persistence.directory import Directory, write_checkpoint
from xsd.persistence.journal import ALWAYS, NEVER, SYNCS, Journal
from xsd.persistence.reading import read_journal

CALLS = (
    *("open", "write", "pwrite", "posix_fallocate", "fsync", "fdatasync"),
    *("rename", "unlink", "ftruncate"),
)
VALUES = [write_of(number, 32) for number in range(1, 201)]


@final
class Killed(BaseException):
    """The process is no more."""


@final
class System:
    """What the system is asked for, until the process is killed.

    Attributes:
        left: Calls until then.
        is_dead: Whether that was.
    """

    def __init__(self, patch: pytest.MonkeyPatch, left: int) -> None:
        self.left = left
        self.is_dead = False
        for name in CALLS:
            patch.setattr(os, name, partial(self._call, getattr(os, name)))

    def _call(
        self, call: Callable[..., object], *words: object, **named: int
    ) -> object:
        self.left -= 1
        if self.left < 0:
            # A process that is dead tidies nothing up.
            self.is_dead = True
            raise Killed
        # Nothing here depends on what the disk has.
        return None if "sync" in call.__name__ else call(*words, **named)


def work(files: Files, sync: int, taken: list[Input]) -> None:
    """Go on with a journal: some segments, a checkpoint, and a segment behind it."""
    directory = Directory(files.path, make=True)
    reading = read_journal(directory, is_whole)
    for _ in reading:
        pass
    journal = Journal(directory, reading, files.notices.append, sync=sync, size=4096)

    def take(count: int) -> None:
        for _ in range(count):
            entry = VALUES[len(taken)]
            journal.take(entry)
            taken.append(entry)
            if not len(taken) % 10:
                journal.end_turn()

    take(50)
    journal.sync()
    sequence = journal.rotate()
    content = [b"%d " % len(taken), END]
    take(3)
    write_checkpoint(directory, sequence, content, durable=sync != NEVER)
    journal.drop_before(sequence)
    take(20)


def state_of(files: Files) -> list[tuple[object, ...]]:
    """All inputs that a recovery has, by its checkpoint and behind it."""
    kept, reading = files.read()
    assert not reading.lost
    begun = int((reading.checkpoint or b"0 ").split()[0])
    return all_of([*VALUES[:begun], *(each.entry for each in kept)])


@pytest.mark.parametrize("sync", range(len(SYNCS)))
def test_a_kill_before_any_call_of_the_system_loses_nothing(
    tmp_path: Path, sync: int
) -> None:
    """Whatever it was at: a segment, a checkpoint, removing, or cutting a tail."""
    count = 0
    is_over = False
    while not is_over:
        files = Files(tmp_path / str(count))
        taken: list[Input] = []
        # The process before this one was killed in the middle of an entry.
        files.write(VALUES[:2], sync)
        files.edit(1, lambda data: data.__setitem__(slice(168, 170), b"\0\1"))
        mark(files, 168)
        taken.append(VALUES[0])
        with pytest.MonkeyPatch.context() as patch:
            system = System(patch, count)
            with suppress(Killed):
                work(files, sync, taken)
            is_over = not system.is_dead
        found = state_of(files)
        # The one that was being taken may be there.
        assert found in (all_of(taken), all_of(VALUES[: len(taken) + 1]))
        if count % 10 == 0:
            taken = VALUES[: len(found)]
            work(files, sync, taken)
            assert state_of(files) == all_of(taken)
        assert files.told == []
        count += 1
    assert count > 20


Start = Callable[[int], "subprocess.Popen[bytes]"]


@pytest.fixture
def writer(files: Files) -> Iterator[Start]:
    """Starts a process that writes the journal as fast as it can."""
    started: list[subprocess.Popen[bytes]] = []

    def start(sync: int) -> subprocess.Popen[bytes]:
        module = ["-m", "tests.persistence.writer", str(files.path), str(sync)]
        process = subprocess.Popen(
            [sys.executable, *module, str(1 << 13)], cwd=ROOT, stdout=subprocess.PIPE
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_what_was_answered_outlives_a_kill(files: Files, writer: Start) -> None:
    """At twenty moments, in copies, new segments and checkpoints: it is all there."""
    chance = random.Random()  # noqa: S311  whatever the moment
    known = 0
    for round_ in range(20):
        process = writer(ALWAYS if round_ % 5 == 4 else NEVER)
        assert process.stdout is not None
        for _ in range(chance.randrange(1, 400)):
            answered = int.from_bytes(process.stdout.read(4), "little")
            assert answered > known
            known = answered
        process.send_signal(signal.SIGKILL)
        # What it answered until then counts, too.
        rest, _ = process.communicate()
        if len(rest) >= 4:
            whole = len(rest) // 4 * 4
            known = int.from_bytes(rest[whole - 4 : whole], "little")

        kept, reading = files.read()
        begun = int((reading.checkpoint or b"0 ").split()[0])
        expected = range(begun + 1, begun + 1 + len(kept))
        assert [each.number for each in kept] == [*expected]
        assert all_of(each.entry for each in kept) == all_of(
            write_of(number, 20 + number % SIZES) for number in expected
        )
        assert begun + len(kept) >= known
        assert not reading.lost
