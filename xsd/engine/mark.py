"""Where a connection is in its conversation, for a process that follows a killed one.

A connection that goes on in another process must not be in the middle of anything: a
request that was read and not answered would never be, and the rest of a message would
be taken for the beginning of one. So there is a byte for each in memory that outlives
the process. It is written before what it says begins, and after that has ended.
"""

from typing import Final, final

QUIET: Final = 0
"""All that was read is answered, and all that is due is sent."""

OWING: Final = 1
"""Events wait, or were sent as a whole; nothing else is under way."""

BUSY: Final = 2
"""Something is read, or answered, or sent, or is about to be."""

ENDED: Final = 3
"""The connection is no more."""


@final
class Mark:
    """What is said of one connection.

    Attributes:
        number: Of the connection.
        state: QUIET, OWING, BUSY or ENDED.
    """

    __slots__ = ("_byte", "_ended", "number", "state")

    def __init__(
        self,
        number: int,
        state: int,
        memory: memoryview,
        place: int,
        ended: "list[Mark]",
    ) -> None:
        """Begin to say something.

        Args:
            number: Of the connection.
            state: Where it is now.
            memory: Bytes that outlive the process.
            place: Which of them is ours.
            ended: Is given the mark when the connection ends.
        """
        self.number = number
        self.state = state
        self._byte = memory[place : place + 1]
        self._ended = ended
        self._byte[0] = state

    def set(self, state: int) -> None:
        """Say where the connection is from now on."""
        if state != self.state:
            self._byte[0] = state
            self.state = state

    def owe(self) -> None:
        """Say that an event waits, before what has caused it is on the tape."""
        if self.state == QUIET:
            self.set(OWING)

    def end(self) -> None:
        """The connection is no more, and its place is free."""
        self.set(ENDED)
        self._ended.append(self)
