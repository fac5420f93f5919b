"""The transactional store: tree, transactions, watches, domains and quotas."""

from xsd.store.changes import Change
from xsd.store.events import Event
from xsd.store.store import Store
from xsd.store.transaction import Transaction
from xsd.store.watches import Watch

__all__ = ["Change", "Event", "Store", "Transaction", "Watch"]
