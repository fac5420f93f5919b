"""What a journal has lost, and how much it may have.

Behind inputs that were lost, a segment is of use only when there is a checkpoint of the
state with which it was begun. Until one stands, each try to write one begins a segment,
and what came in those before is of no use: they are emptied, so that tries that fail
take no room.
"""

import errno
from collections.abc import Collection
from contextlib import suppress
from typing import Final, final

from xsd.persistence.directory import Directory
from xsd.persistence.segment import empty_segment

NOTHING: Final = -1


@final
class Losses:
    """What a journal has lost since the last checkpoint that stands.

    Attributes:
        at: Number of the last segment behind which inputs were lost; NOTHING if all are
            kept.
        is_apart: Whether inputs are missing before the next one.
    """

    __slots__ = ("_begin", "_directory", "_limit", "_useless", "at", "is_apart")

    def __init__(self, directory: Directory, limit: int, *, is_apart: bool) -> None:
        """Begin with a journal.

        Args:
            directory: Where it is.
            limit: Bytes of inputs that it may have behind a checkpoint, or behind a try
                to write one after a loss; 0 for any number.
            is_apart: Whether inputs are missing before the first one.
        """
        self._directory = directory
        self._limit = limit
        # The count of bytes from which these are counted.
        self._begin = 0
        self._useless: list[int] = []
        self.at = NOTHING
        self.is_apart = is_apart

    def note(self, sequence: int, count: int) -> None:
        """Take note that inputs behind a segment are lost.

        Args:
            sequence: Its number.
            count: Of the bytes of all inputs so far.
        """
        self.at = sequence
        self._begin = count

    def begin(self, sequence: int) -> None:
        """Take note of a segment that is taken into use."""
        self.is_apart = False
        if self.at != NOTHING:
            self._useless.append(sequence)

    def begin_checkpoint(self, count: int) -> None:
        """Take note that there is a try, with so many bytes of inputs before it."""
        if self.at != NOTHING:
            self._begin = count

    def end_checkpoint(self, sequence: int, count: int) -> bool:
        """Take note that a checkpoint stands.

        Args:
            sequence: Its number.
            count: Of the bytes of inputs before it.

        Returns:
            Whether all are kept again, which was not so before.
        """
        is_whole = self.at != NOTHING and self.at < sequence
        if is_whole:
            self.at = NOTHING
        if self.at == NOTHING:
            self._begin = count
        self._useless = [each for each in self._useless if NOTHING < self.at < each]
        return is_whole

    def leave_out(self, waiting: Collection[int]) -> None:
        """Empty the segments for which there is no checkpoint.

        Args:
            waiting: Numbers of those with which something is still to be done; they are
                emptied the next time.
        """
        for sequence in self._useless:
            if sequence not in waiting:
                with suppress(OSError):
                    empty_segment(self._directory, sequence)
        self._useless = [each for each in self._useless if each in waiting]
        self.is_apart = True

    def expect_room(self, count: int) -> None:
        """See that not too much is kept already.

        Args:
            count: Of the bytes of all inputs so far.

        Raises:
            OSError: EDQUOT, if it is.
        """
        if self._limit and count - self._begin > self._limit:
            reason = f"{self._limit} bytes are kept without a checkpoint"
            raise OSError(errno.EDQUOT, reason)
