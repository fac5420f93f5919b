"""Mending a damaged journal by hand: what is good stays, and nothing is thrown away."""

from typing import Final

from xsd.persistence.directory import SEGMENT, Directory, segment_name
from xsd.persistence.segment import START, cut_segment

_KEPT: Final = ".damaged"


def cut_off(directory: Directory, name: str, offset: int) -> list[str]:
    """Let a journal end at a place.

    What was there stays in files beside it, of which no reader takes notice.

    Args:
        directory: Where it is; locked by this process.
        name: Of the segment in which it is to end. It need not be there.
        offset: In it, in bytes; less than START takes the whole segment away.

    Returns:
        Names of the files in which it stays.

    Raises:
        OSError: If that is not possible. It can be tried again.
    """
    kept = []
    # From the end: whatever comes between, the journal can be cut at the same place.
    for sequence in reversed(directory.numbers(SEGMENT)):
        each = segment_name(sequence)
        if sequence < int(name.removeprefix(SEGMENT)):
            break
        copy = _free_name(directory, each)
        kept.append(copy)
        if each == name and offset >= START:
            directory.write(copy, [directory.read(each)], durable=True)
            cut_segment(directory, sequence, offset)
        else:
            directory.rename(each, copy)
    return kept


def _free_name(directory: Directory, name: str) -> str:
    """A name that no file has."""
    copy = name + _KEPT
    count = 1
    while directory.has(copy):
        count += 1
        copy = f"{name}{_KEPT}.{count}"
    return copy
