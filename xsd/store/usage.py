"""What each domain uses, counted exactly, and the most that it ever used.

Memory is counted in bytes. What is in the store counts as in C's records, so that a
limit which suits a guest there suits it here; what is kept beside that for a client
(watches, transactions, unread messages) counts with what Python needs for it.
"""

from typing import Final, final

from xsd.protocol.perms import Permissions, names_a_domain
from xsd.store.clock import Clock
from xsd.store.node import Node, empty_size
from xsd.store.quota import (
    MEMORY,
    NODE_PERMISSIONS,
    NODE_SIZE,
    NODES,
    OUTSTANDING,
    PATH_MAX,
    TRANSACTION_NODES,
    TRANSACTIONS,
    WATCHES,
)

NODE_BYTES: Final = 450
"""A transaction's own copy of a node, beside the value."""

WATCH_BYTES: Final = 360
"""A watch, beside its token, its path and the levels of that."""

LEVEL_BYTES: Final = 130
"""Each level of the path of a watch, whether or not others need it too: what one may
have does not depend on what others do."""

MESSAGE_BYTES: Final = 200
"""A message that waits, beside what is sent of it."""

LEVELS_PER_WORK: Final = 12
"""Levels of a path that are as much work to go along as one node is to change."""


@final
class Account:
    """Counters of one kind of thing by domain; what is at zero takes no room.

    Attributes:
        used: How many each domain has.
        most: The most that each ever had.
    """

    __slots__ = ("_clock", "_past", "most", "used")

    def __init__(self, clock: Clock | None = None) -> None:
        """Begin at nothing.

        Args:
            clock: Where each change beats; None for what is no state of the store.
        """
        self._clock = clock
        self.used: dict[int, int] = {}
        self.most: dict[int, int] = {}
        # The most that a domain had which is gone.
        self._past = 0

    def of(self, domid: int) -> int:
        """How many the domain has."""
        return self.used.get(domid, 0)

    def add(self, domid: int, count: int) -> None:
        """Count some more for a domain, or fewer with a negative number."""
        if not count:
            return
        self._beat()
        total = self.used.get(domid, 0) + count
        if total:
            self.used[domid] = total
            if count > 0 and total > self.most.get(domid, 0):
                self.most[domid] = total
        else:
            self.used.pop(domid, None)

    def saw(self, domid: int, count: int) -> None:
        """Note that a domain had so many, of what is not counted from day to day."""
        if count > self.most.get(domid, 0):
            self._beat()
            self.most[domid] = count

    def merge(self, delta: "Account") -> None:
        """Add another account's counters to this one's."""
        for domid, count in delta.used.items():
            self.add(domid, count)

    def forget(self, domid: int) -> None:
        """A domain is gone; what it still has is counted off as it is given back."""
        self._beat()
        self._past = max(self._past, self.most.pop(domid, 0))

    def peak(self, privileged: int) -> int:
        """The most that any domain but the privileged one ever had."""
        found = self._past
        for domid, count in self.most.items():
            if domid != privileged:
                found = max(found, count)
        return found

    def reset_peak(self) -> None:
        """Begin anew with the present numbers as the most there ever was."""
        self._beat()
        self._past = 0
        self.most = self.used.copy()

    def described(self) -> tuple[dict[int, int], dict[int, int], int]:
        """All of it as plain values: used, most, and the most of those gone."""
        return dict(self.used), dict(self.most), self._past

    def restore(self, used: dict[int, int], most: dict[int, int], past: int) -> None:
        """Become what `described` told of another account."""
        self.used, self.most, self._past = used, most, past

    def _beat(self) -> None:
        if self._clock is not None:
            self._clock.beats += 1


@final
class Mentions:
    """How many permissions of nodes name each domain beside their owner.

    Attributes:
        used: By domain, of those that there can be.
    """

    __slots__ = ("used",)

    def __init__(self) -> None:
        self.used: dict[int, int] = {}

    def of(self, domid: int) -> int:
        """How many name the domain."""
        return self.used.get(domid, 0)

    def add(self, perms: Permissions, nodes: int) -> None:
        """Count those of some nodes, or fewer with a negative number."""
        entries = perms.entries
        for index in range(1, len(entries)):
            self._add(entries[index].domid, nodes)

    def merge(self, delta: "Mentions") -> None:
        """Add others' counts to these."""
        for domid, count in delta.used.items():
            self._add(domid, count)

    def _add(self, domid: int, count: int) -> None:
        if names_a_domain(domid):
            total = self.used.get(domid, 0) + count
            if total:
                self.used[domid] = total
            else:
                self.used.pop(domid, None)


@final
class Growth:
    """By how much something changes what is counted of nodes."""

    __slots__ = ("memory", "mentions", "nodes")

    def __init__(self) -> None:
        self.nodes = Account()
        self.memory = Account()
        self.mentions = Mentions()

    def add(self, domid: int, nodes: int, size: int) -> None:
        """Count nodes and their bytes for their owner."""
        if nodes:
            self.nodes.add(domid, nodes)
        if size:
            self.memory.add(domid, size)

    def take_off(self, gone: "Holdings") -> None:
        """Count a subtree no longer."""
        for domid, count in gone.nodes.items():
            self.add(domid, -count, -gone.sizes[domid])
        for perms, count in gone.lists:
            self.mentions.add(perms, -count)


@final
class Usage:
    """All counters, one account for each quota.

    Attributes:
        nodes: Nodes by owner.
        watches: Watches.
        transactions: Open ones.
        memory: Bytes of the store's state: records of nodes by owner, watches; of
            guests also transactions. Refusals for the quota look at this alone.
        unsent: Bytes of unsent output beside these, which is no state of the store.
        mentions: Permissions that name a domain.
        work: Nodes and events that requests have been concerned with, ever.
        displaced: `Tree.displaced` of the store.
        snapshots: What that was when a guest's transactions began, by domain and by
            the transaction's number, of those that have a snapshot.
        outstanding, transaction_nodes, node_permissions, path_max, node_size: The most
            that was asked for at a time; nothing is counted from day to day.
    """

    __slots__ = (
        "displaced",
        "memory",
        "mentions",
        "node_permissions",
        "node_size",
        "nodes",
        "outstanding",
        "path_max",
        "snapshots",
        "transaction_nodes",
        "transactions",
        "unsent",
        "watches",
        "work",
    )

    def __init__(self, clock: Clock | None = None) -> None:
        self.nodes = Account(clock)
        self.watches = Account(clock)
        self.transactions = Account(clock)
        self.memory = Account(clock)
        self.unsent = Account()
        self.mentions = Mentions()
        self.work = 0
        self.displaced = 0
        self.snapshots: dict[int, dict[int, int]] = {}
        self.outstanding = Account()
        self.transaction_nodes = Account(clock)
        self.node_permissions = Account(clock)
        self.path_max = Account(clock)
        self.node_size = Account(clock)

    def memory_of(self, domid: int) -> int:
        """Bytes that a domain takes: unsent output and the past included."""
        return self.memory.of(domid) + self.unsent.of(domid) + self.past_of(domid)

    def past_of(self, domid: int) -> int:
        """Bytes of the store's past that a guest's open transactions keep."""
        marks = self.snapshots.get(domid)
        return 0 if marks is None else self.displaced - min(marks.values())

    def all_memory(self) -> dict[int, int]:
        """What `memory_of` tells of each domain."""
        domids = {*self.memory.used, *self.unsent.used, *self.snapshots}
        return {domid: self.memory_of(domid) for domid in sorted(domids)}

    def keep_past(self, domid: int, number: int, mark: int) -> None:
        """A guest's transaction has a snapshot, in the place of any before."""
        marks = self.snapshots.get(domid)
        if marks is None:
            marks = self.snapshots[domid] = {}
        marks[number] = mark

    def drop_past(self, domid: int, number: int) -> None:
        """A transaction has no snapshot any more, if it had one."""
        marks = self.snapshots.get(domid)
        if marks is not None:
            marks.pop(number, None)
            if not marks:
                del self.snapshots[domid]

    def reset_peaks(self) -> None:
        """Begin anew with the present numbers as the most there ever was."""
        for _name, account in self.by_quota():
            account.reset_peak()

    def by_quota(self) -> list[tuple[str, Account]]:
        """The accounts by the names of their quotas, in the order of `DEFAULTS`."""
        return [
            (NODES, self.nodes),
            (WATCHES, self.watches),
            (OUTSTANDING, self.outstanding),
            (MEMORY, self.memory),
            (TRANSACTIONS, self.transactions),
            (TRANSACTION_NODES, self.transaction_nodes),
            (NODE_PERMISSIONS, self.node_permissions),
            (PATH_MAX, self.path_max),
            (NODE_SIZE, self.node_size),
        ]

    def by_state(self) -> list[tuple[str, Account]]:
        """Those of `by_quota` that are state of the store."""
        return [each for each in self.by_quota() if each[0] != OUTSTANDING]

    def forget(self, domid: int) -> None:
        """A domain is gone; a later one of its id begins anew (XSA-483)."""
        for _name, account in self.by_quota():
            account.forget(domid)
        self.unsent.forget(domid)


@final
class Holdings:
    """What a subtree consists of.

    Attributes:
        nodes: Nodes by owner.
        sizes: Bytes of their records by owner.
        lists: Permissions with several entries, each with a number of nodes.
        kept: Bytes that Python needs for what may be in a snapshot, roughly.
        own: The same of the nodes with a certain token.
    """

    __slots__ = ("kept", "lists", "nodes", "own", "sizes")

    def __init__(self, node: Node, token: int, kept_below: int) -> None:
        """Walk from a node down. Any depth, no recursion.

        Args:
            node: The topmost one.
            token: Of the nodes that are told as `own`.
            kept_below: See `Tree.kept_below`.
        """
        self.nodes: dict[int, int] = {}
        self.sizes: dict[int, int] = {}
        self.lists: list[tuple[Permissions, int]] = []
        kept = 0
        own = 0
        # Permissions are inherited: neighbours share them as a rule.
        last = node.perms
        alike = 0
        size = 0
        rest = [node]
        while rest:
            each = rest.pop()
            perms = each.perms
            if perms is not last:
                self._add(last, alike, size)
                last = perms
                alike = size = 0
            length = len(each.value)
            alike += 1
            size += length
            if each.token < kept_below:
                kept += NODE_BYTES + length
            if each.token == token:
                own += NODE_BYTES + length
            if each.narrow or each.wide is not None:
                size += each.names_size
                rest.extend(each.nodes())
        self._add(last, alike, size)
        self.kept = kept
        self.own = own

    def _add(self, perms: Permissions, count: int, size: int) -> None:
        """Count nodes that share permissions, with bytes beside those of empty ones."""
        owner = perms.owner
        size += count * empty_size(perms)
        self.nodes[owner] = self.nodes.get(owner, 0) + count
        self.sizes[owner] = self.sizes.get(owner, 0) + size
        if len(perms.entries) > 1:
            self.lists.append((perms, count))
