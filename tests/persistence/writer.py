"""Writes a journal as fast as it can, and says which inputs are in it.

    python writer.py DIRECTORY SYNC SIZE

It goes on with a journal that is there. Each input is told by its number; after a turn
that number is written to standard output, 4 bytes. A checkpoint is the number of the
last input before it.
"""

import os
import sys
from pathlib import Path
from typing import Final

from tests.persistence.inputs import END, is_whole, write_of
from xsd.persistence.directory import Directory, write_checkpoint
from xsd.persistence.journal import Journal
from xsd.persistence.reading import read_journal

CHECKPOINT_EVERY: Final = 97
TURN: Final = 3
"""Inputs of a turn."""

TAKEN_ALONE: Final = 7
"""One of so many is taken as another input than a request."""

SIZES: Final = 50
"""Sizes that the values have, one after the other."""


def main(path: str, sync: int, size: int) -> None:
    """Write until somebody ends it."""
    directory = Directory(Path(path), make=True)
    directory.lock()
    reading = read_journal(directory, is_whole)
    for _ in reading:
        pass
    journal = Journal(directory, reading, print, sync=sync, size=size)
    while True:
        for _ in range(TURN):
            number = journal.number + 1
            entry = write_of(number, 20 + number % SIZES)
            if number % TAKEN_ALONE:
                assert entry.frame is not None
                journal.take_request(1, 0, number, number, entry.frame)
            else:
                journal.take(entry)
        journal.end_turn()
        os.write(1, number.to_bytes(4, "little"))
        if number % CHECKPOINT_EVERY == 0:
            sequence = journal.rotate()
            content = [b"%d " % number, END]
            write_checkpoint(directory, sequence, content, durable=bool(sync))
            journal.drop_before(sequence)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
