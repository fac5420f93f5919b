"""Open transactions, and how much of the store's past they may keep.

A transaction sees the store as it was when it began, so every node that was replaced
or removed since stays in memory as long as it is open. A guest with many transactions
that rewrites its nodes in between would keep as many versions of them. What a snapshot
keeps is at most what was displaced since it was taken (see `Tree.displaced`); so it is
enough that no guest's snapshot is older than a certain amount.
"""

from typing import Final, final

from xsd.store.transaction import Transaction

DISPLACED_MAX: Final = 1024 * 1024
"""Bytes of former versions of the store that guests' open transactions may keep."""


@final
class OpenTransactions:
    """The open transactions, in the order in which they were opened."""

    __slots__ = ("_open", "expel_at")

    def __init__(self) -> None:
        self._open: dict[Transaction, None] = {}
        # No snapshot is too old before so much was displaced.
        self.expel_at = DISPLACED_MAX

    def all(self) -> list[Transaction]:
        """Every open transaction."""
        return list(self._open)

    def add(self, transaction: Transaction) -> None:
        """A transaction was opened."""
        self._open[transaction] = None

    def remove(self, transaction: Transaction) -> None:
        """A transaction has ended."""
        del self._open[transaction]

    def expel_old(self, displaced: int) -> None:
        """Take the snapshots away that are too old.

        Args:
            displaced: `Tree.displaced` of the store.
        """
        if displaced < self.expel_at:
            return
        oldest = displaced
        for transaction in self._open:
            if transaction.caller.privileged or transaction.snapshot is None:
                continue
            if transaction.mark + DISPLACED_MAX <= displaced:
                transaction.expel()
            else:
                oldest = min(oldest, transaction.mark)
        self.expel_at = oldest + DISPLACED_MAX

    def described(self) -> int:
        """What is kept beside the transactions: when to look for old snapshots."""
        return self.expel_at
