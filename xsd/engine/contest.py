"""Contested nodes, and whose turn it is at each; the rules are in turns.py."""

from collections import deque
from typing import Final, final

from xsd.engine.connection import Connection
from xsd.engine.schedule import TURNS, Schedule
from xsd.protocol.path import Path
from xsd.store import Transaction

TURN_MS: Final = 50
"""Longest time that others wait for a transaction's turn to end."""

WAIT_MS: Final = 1000
"""Longest time that a guest's transaction waits for its turn."""

CONTESTED_MS: Final = 1000
"""How long a node stays contested after the last conflict or wait."""

TURN_FREE_MS: Final = 20
"""How long a guest may keep others waiting without having to pay for it."""

TURN_PRICE: Final = 50
"""How many times what is longer it owes: it can take 2 % of the time."""

TURN_OWED_MS: Final = 3000
"""How much it may owe without coming last, so that a busy host is no guest's fault."""

LAST: Final = 2
"""The `place` of a guest that owes too much."""

IN_VAIN: Final = -1
"""What `Connection.waited_for` is if a request has waited for a turn for too long."""

Waiter = tuple[Connection, Transaction, int]
"""Who waits, with which transaction, and since when."""


@final
class Contest:
    """A contested node.

    Attributes:
        path: Its path.
        domid: Whose transaction has failed there.
        holder: Whose turn it is, None if it is nobody's.
        transaction: The one that has the turn.
        awaited_ms: Since when others wait for that, -1 if nobody does.
        used_ms: When there was a conflict or somebody waited, the last time.
        queues: Who waits, in order: clients of dom0, guests, guests that come last.
    """

    __slots__ = (
        "awaited_ms",
        "domid",
        "holder",
        "path",
        "queues",
        "transaction",
        "used_ms",
    )

    def __init__(self, path: Path, domid: int, now_ms: int) -> None:
        self.path = path
        self.domid = domid
        self.holder: Connection | None = None
        self.transaction: Transaction | None = None
        self.awaited_ms = -1
        self.used_ms = now_ms
        self.queues: tuple[deque[Waiter], deque[Waiter], deque[Waiter]] = (
            deque(),
            deque(),
            deque(),
        )

    @property
    def queue(self) -> deque[Waiter] | None:
        """That of those whose turn is next, None if nobody waits."""
        for queue in self.queues:
            if queue:
                return queue
        return None

    @property
    def due_ms(self) -> int:
        """When something has to be done, if nothing happens before."""
        if self.awaited_ms >= 0:
            return self.awaited_ms + TURN_MS
        return self.used_ms + CONTESTED_MS


@final
class Contests:
    """All contested nodes.

    Attributes:
        nodes: By path, in the order in which they came to be contested.
        turns: By the transactions that have a turn; none has two.
        waiting: By the numbers of the connections that wait for one.
    """

    __slots__ = ("_due_ms", "_schedule", "nodes", "turns", "waiting")

    def __init__(self, schedule: Schedule) -> None:
        self.nodes: dict[Path, Contest] = {}
        self.turns: dict[Transaction, Contest] = {}
        self.waiting: dict[int, Contest] = {}
        self._schedule = schedule
        # The time that is set; one is enough for all of them.
        self._due_ms = 0

    def add(self, path: Path, domid: int, now_ms: int) -> None:
        """A node is contested from now on, or still is."""
        contest = self.nodes.get(path)
        if contest is None:
            contest = self.nodes[path] = Contest(path, domid, now_ms)
        contest.used_ms = now_ms
        self._look_by(contest.due_ms)

    def drop(self, contest: Contest) -> None:
        """A node is not contested any longer; who waits goes on."""
        del self.nodes[contest.path]
        if contest.transaction is not None:
            del self.turns[contest.transaction]
        for queue in contest.queues:
            for connection, _transaction, _since_ms in queue:
                self._go_on(connection)

    def take(
        self,
        contest: Contest,
        connection: Connection,
        transaction: Transaction,
        now_ms: int,
    ) -> None:
        """It is a transaction's turn, whosoever it was."""
        self._end(contest, now_ms)
        contest.holder = connection
        contest.transaction = transaction
        self.turns[transaction] = contest
        if contest.queue is not None:
            contest.awaited_ms = now_ms
            self._look_by(contest.due_ms)

    def wait(
        self,
        contest: Contest,
        connection: Connection,
        transaction: Transaction,
        now_ms: int,
    ) -> None:
        """A transaction waits for its turn."""
        queue = contest.queues[place(connection, now_ms)]
        queue.append((connection, transaction, now_ms))
        self.waiting[connection.id] = contest
        contest.used_ms = now_ms
        if contest.awaited_ms < 0:
            # A turn that nobody waits for takes nothing from anybody.
            contest.awaited_ms = now_ms
            self._look_by(contest.due_ms)

    def leave(self, transaction: Transaction, now_ms: int) -> None:
        """A transaction is over, and its turn with it if it had one."""
        contest = self.turns.get(transaction)
        if contest is not None:
            self._next(contest, now_ms)

    def forget(self, connection: Connection) -> None:
        """Somebody has gone, or begins anew."""
        contest = self.waiting.pop(connection.id, None)
        if contest is not None:
            for queue in contest.queues:
                left = [each for each in queue if each[0] is not connection]
                queue.clear()
                queue.extend(left)
            if contest.queue is None:
                contest.awaited_ms = -1

    def look(self, due_ms: int, now_ms: int) -> None:
        """End turns that others have waited for too long, and forget old contests.

        Args:
            due_ms: For when this was set; another time may hold by now.
            now_ms: The time.
        """
        if due_ms != self._due_ms:
            return
        self._due_ms = 0
        for contest in list(self.nodes.values()):
            if contest.due_ms <= now_ms:
                if contest.awaited_ms >= 0:
                    self._next(contest, now_ms)
                else:
                    self.drop(contest)
        if self.nodes:
            self._look_by(min([each.due_ms for each in self.nodes.values()]))

    def _next(self, contest: Contest, now_ms: int) -> None:
        """A turn is over: it is the next one's, if somebody waits."""
        self._end(contest, now_ms)
        for guests in contest.queues[1:]:
            while guests and guests[0][2] + WAIT_MS <= now_ms:
                connection, _transaction, _since_ms = guests.popleft()
                connection.waited_for = IN_VAIN
                self._go_on(connection)
        queue = contest.queue
        if queue is not None:
            connection, transaction, _since_ms = queue.popleft()
            self._go_on(connection)
            contest.used_ms = now_ms
            self.take(contest, connection, transaction, now_ms)

    def _go_on(self, connection: Connection) -> None:
        """Somebody does not wait any longer."""
        del self.waiting[connection.id]
        self._schedule.queue(connection)

    def _end(self, contest: Contest, now_ms: int) -> None:
        """Whoever's turn it was, it is nobody's now."""
        holder = contest.holder
        if holder is not None and contest.transaction is not None:
            del self.turns[contest.transaction]
            charge(holder, contest.awaited_ms, now_ms)
            contest.holder = None
            contest.transaction = None
            contest.awaited_ms = -1

    def _look_by(self, due_ms: int) -> None:
        """Have `look` called at a time, or before."""
        if not self._due_ms or due_ms < self._due_ms:
            self._due_ms = due_ms
            self._schedule.at(due_ms, TURNS, 0)


def place(connection: Connection, now_ms: int) -> int:
    """Which queue a client waits in; nobody waits for those of a later one."""
    if connection.caller.privileged:
        return 0
    return 1 if connection.pays_until_ms - now_ms <= TURN_OWED_MS else LAST


def charge(connection: Connection, since_ms: int, now_ms: int) -> None:
    """Have a guest pay for others' waiting: it comes last while it owes too much.

    Args:
        connection: For whom others have waited.
        since_ms: Since when they have; -1 if nobody has.
        now_ms: The time.
    """
    if since_ms >= 0 and not connection.caller.privileged:
        too_long_ms = now_ms - since_ms - TURN_FREE_MS
        if too_long_ms > 0:
            until_ms = max(connection.pays_until_ms, now_ms) + TURN_PRICE * too_long_ms
            connection.pays_until_ms = min(until_ms, now_ms + 2 * TURN_OWED_MS)
