"""Whose turn it is, who waits for what, and when the next time is due.

Nobody is looked for. Who has to wait is registered where the event will come that
ends the waiting, and that puts it back into the queue:

    a rest, or the time-out of an event     the heap of times
    ``outstanding``                         its tally, when it falls; at the latest when
                                            who does not read is found out
    unread output                           its outbox, when some of it is sent
    a protected transaction                 the protection, when it is over
    its turn at a contested node            the node, when the turn before is over

An event may come though the reason to wait is another one by now. So whoever is put
back is asked once more when its turn comes.
"""

from collections import deque
from heapq import heappop, heappush
from typing import Final, final

from xsd.engine.connection import Connection
from xsd.engine.outbox import Tally

FEW: Final = 8
"""Requests of a client of dom0's that come before those of clients with more."""

GO_ON: Final = 0
"""Due: a connection's rest is over."""

EXPIRE: Final = 1
"""Due: events of a guest's may have waited too long."""

PROTECTION: Final = 2
"""Due: a protection is over; the number is the protection's."""

REMARK: Final = 3
"""Due: a look at what domains use of their memory; without a number."""


DEAF: Final = 4
"""Due: a look whether a connection reads, for which too much waits or others do."""

TURNS: Final = 5
"""Due: a look at contested nodes; without a number."""

HELD: Final = 6
"""Due: a look whether a guest is still held up with the same request."""


@final
class Schedule:
    """The queues of connections and the heap of times.

    Attributes:
        privileged: Connections of dom0 with a few requests that can be carried out.
        with_many: Those that had more of them when they were queued.
        guests: The same of guests.
        fallen: Tallies that have fallen and were waited for.
        times: What is due when, as a heap; see `at`.
        rested: Guests that have asked for much work in this turn, and for how many
            milliseconds each rests: from the next turn on, when the work has ended.
        resting: Number of rests that have not ended.
    """

    __slots__ = (
        "fallen",
        "guests",
        "privileged",
        "rested",
        "resting",
        "times",
        "with_many",
    )

    def __init__(self) -> None:
        self.privileged: list[Connection] = []
        self.with_many: list[Connection] = []
        self.guests: deque[Connection] = deque()
        self.fallen: list[Tally] = []
        self.rested: list[tuple[Connection, int]] = []
        self.resting = 0
        self.times: list[tuple[int, int, int]] = []

    @property
    def busy(self) -> bool:
        """Whether there is something to do at once."""
        return bool(
            self.privileged
            or self.with_many
            or self.guests
            or self.fallen
            or self.rested
        )

    def queue(self, connection: Connection) -> None:
        """It is a connection's turn, or will be after those that are queued."""
        if connection.queued:
            return
        connection.queued = True
        if not connection.caller.privileged:
            self.guests.append(connection)
        elif len(connection.backlog) > FEW:
            self.with_many.append(connection)
        else:
            self.privileged.append(connection)

    def at(self, time_ms: int, what: int, number: int) -> None:
        """Have something done at a time.

        Args:
            time_ms: Of the clock of turns.
            what: GO_ON, EXPIRE, PROTECTION, REMARK, DEAF, TURNS or HELD.
            number: What of: a connection's number, or a protection's.
        """
        heappush(self.times, (time_ms, what, number))

    def due(self, now_ms: int) -> tuple[int, int, int] | None:
        """Take out what is due the longest; None if nothing is."""
        times = self.times
        if not times or times[0][0] > now_ms:
            return None
        return heappop(times)

    @property
    def next_ms(self) -> int:
        """When something is due next; 0 for never."""
        return self.times[0][0] if self.times else 0
