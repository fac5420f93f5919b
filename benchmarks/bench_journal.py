"""What the journal costs a request that changes something, and how it grows.

    python benchmarks/bench_journal.py [DIRECTORY]

Prints nanoseconds of one core for each request that is taken, a WRITE of 20 bytes, by
how many of them there are in a turn, the best of many short rounds; and what reading
it again takes. DIRECTORY is to be on the
file system in question; without it, /dev/shm is taken.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from xsd.engine.inputs import MemoryTape, Tape
from xsd.persistence.directory import Directory
from xsd.persistence.journal import EVERYSEC, NEVER, Journal
from xsd.persistence.reading import Reading, read_journal
from xsd.protocol.frame import Frame, FrameDecoder, encode_frame
from xsd.protocol.ops import Op

ROUNDS = 40
INPUTS = 6_400
TURNS = (1, 16, 64)
"""Requests of a turn."""


def frame() -> Frame:
    """A WRITE of 20 bytes of payload."""
    (found,) = FrameDecoder().feed(
        encode_frame(Op.WRITE, 1, 0, b"/local/domain/5/a\0v1")
    )
    return found


def best_of(work: Callable[[], None]) -> float:
    """Nanoseconds that one of INPUTS takes, in the best round."""
    best = float("inf")
    for _ in range(ROUNDS):
        begin = time.process_time()
        work()
        best = min(best, (time.process_time() - begin) / INPUTS)
    return best * 1e9


def take_all(tape: Tape, known: Frame, turn: int) -> None:
    """Take a request again and again, in turns."""
    ordinal = 0
    for _ in range(INPUTS // turn):
        for _ in range(turn):
            ordinal += 1
            tape.take_request(1, 0, ordinal, ordinal, known)
        tape.end_turn()


def opened(path: Path) -> tuple[Directory, Reading]:
    """An empty directory."""
    directory = Directory(path, make=True)
    reading = read_journal(directory, lambda _: True)
    for _ in reading:
        pass
    return directory, reading


def main() -> None:
    """Measure one thing after the other."""
    known = frame()
    memory = MemoryTape()

    def remember() -> None:
        take_all(memory, known, 1)
        memory.inputs.clear()

    print(f"taking it in memory   {best_of(remember):8.0f} ns")
    place = sys.argv[1] if len(sys.argv) > 1 else "/dev/shm"  # noqa: S108  read of
    with tempfile.TemporaryDirectory(dir=place) as name:
        for sync, what in ((NEVER, "never"), (EVERYSEC, "everysec")):
            directory, reading = opened(Path(name) / what)
            journal = Journal(directory, reading, print, sync=sync)
            for turn in TURNS:

                def write(journal: Journal = journal, turn: int = turn) -> None:
                    take_all(journal, known, turn)
                    if journal.size > 1 << 25:
                        journal.drop_before(journal.rotate())

                print(f"{what:8}, {turn:2} at once {best_of(write):8.0f} ns")
                journal.drop_before(journal.rotate())
                take_all(journal, known, turn)
                print(f"1,000 of them take    {journal.size * 1000 // INPUTS:8} bytes")
            journal.close()

        directory, reading = opened(Path(name) / "read")
        journal = Journal(directory, reading, print)
        take_all(journal, known, 1)
        journal.close()

        def read() -> None:
            opened(Path(name) / "read")

        print(f"reading it            {best_of(read):8.0f} ns")


if __name__ == "__main__":
    main()
