"""The transaction that others wait for; the rules are in progress.py."""

from typing import final

from xsd.engine.connection import Connection
from xsd.protocol.path import Path
from xsd.store import Transaction
from xsd.store.footprint import Footprint
from xsd.store.node import Node


@final
class Protection:
    """One transaction that is protected.

    Attributes:
        number: Tells it from others.
        connection: Whose it is.
        transaction: It.
        before: What the last one that failed relied on.
        until_ms: When others wait no longer.
        waiting: Who waits for it to end, by number.
    """

    __slots__ = ("before", "connection", "number", "transaction", "until_ms", "waiting")

    def __init__(
        self,
        number: int,
        connection: Connection,
        transaction: Transaction,
        before: Footprint,
        until_ms: int,
    ) -> None:
        self.number = number
        self.connection = connection
        self.transaction = transaction
        self.before = before
        self.until_ms = until_ms
        self.waiting: dict[int, Connection] = {}

    def concerns(self, path: Path, now: Node) -> bool:
        """Tell whether a change at a path of the present store might make it fail."""
        footprint = self.transaction.footprint
        return self.before.concerns(path, now) or footprint.concerns(path, now)
