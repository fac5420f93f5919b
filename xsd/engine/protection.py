"""The transaction that others wait for; the rules are in progress.py."""

from collections import deque
from typing import Final, final

from xsd.engine.connection import Connection
from xsd.engine.contest import IN_VAIN, WAIT_MS
from xsd.engine.schedule import Schedule
from xsd.protocol.path import Path
from xsd.store import Transaction
from xsd.store.footprint import Footprint
from xsd.store.node import Node

PROTECT_MS: Final = 250
"""How long others wait for dom0's protected transaction after its last request."""

PROTECT_MAX_MS: Final = 5000
"""How long they wait for it in all."""


@final
class Protection:
    """One transaction that is protected.

    Attributes:
        number: Tells it from others.
        connection: Whose it is.
        transaction: It; None until its client, whose turn it is, has begun it.
        before: What the last one that failed relied on, of a client of dom0's.
        since_ms: When it began.
        until_ms: When others wait no longer.
        awaited_ms: Since when they do, -1 if nobody does.
        waiting: Who waits for it to end, by number.
    """

    __slots__ = (
        "awaited_ms",
        "before",
        "connection",
        "number",
        "since_ms",
        "transaction",
        "until_ms",
        "waiting",
    )

    def __init__(
        self,
        number: int,
        connection: Connection,
        transaction: Transaction | None,
        before: Footprint | None,
        now_ms: int,
    ) -> None:
        self.number = number
        self.connection = connection
        self.transaction = transaction
        self.before = before
        self.since_ms = now_ms
        self.until_ms = now_ms
        self.awaited_ms = -1
        self.waiting: dict[int, Connection] = {}

    def concerns(self, path: Path, now: Node) -> bool:
        """Tell whether a change at a path of the present store might make it fail."""
        before = self.before
        if before is not None and before.concerns(path, now):
            return True
        transaction = self.transaction
        return transaction is not None and transaction.footprint.concerns(path, now)


@final
class Starved:
    """Clients whose next transaction is to be protected, when another one is not.

    Attributes:
        waiting: Their numbers.
    """

    __slots__ = ("_guests", "_privileged", "_schedule", "waiting")

    def __init__(self, schedule: Schedule) -> None:
        self.waiting: set[int] = set()
        self._schedule = schedule
        self._privileged: deque[Connection] = deque()
        self._guests: deque[tuple[Connection, int]] = deque()

    def add(self, connection: Connection, now_ms: int) -> None:
        """A client waits."""
        self.waiting.add(connection.id)
        if connection.caller.privileged:
            self._privileged.append(connection)
        else:
            self._guests.append((connection, now_ms))

    def next(self, now_ms: int) -> Connection | None:
        """Whose turn it is; guests that have waited for too long go on without."""
        guests = self._guests
        while guests and guests[0][1] + WAIT_MS <= now_ms:
            connection, _since_ms = guests.popleft()
            connection.waited_for = IN_VAIN
            self._go_on(connection)
        if self._privileged:
            return self._go_on(self._privileged.popleft())
        return self._go_on(guests.popleft()[0]) if guests else None

    def forget(self, connection: Connection) -> None:
        """Somebody has gone, or begins anew."""
        if connection.id in self.waiting:
            self.waiting.remove(connection.id)
            privileged, guests = self._privileged, self._guests
            self._privileged = deque([x for x in privileged if x is not connection])
            self._guests = deque([x for x in guests if x[0] is not connection])

    def _go_on(self, connection: Connection) -> Connection:
        self.waiting.remove(connection.id)
        self._schedule.queue(connection)
        return connection
