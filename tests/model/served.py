"""A store alone, as though clients had done what was done to it."""

from xsd.engine import Connection, Engine
from xsd.store import Store


def as_served(store: Store) -> Engine:
    """An engine of the store, with a connection for each that its watches name.

    Each transaction has a connection of its own.
    """
    engine = Engine(store)
    connections = engine.core.connections
    for watch in store.watches.all():
        if watch.connection not in connections:
            connections[watch.connection] = Connection(
                watch.connection, watch.caller, store.usage, []
            )
        connections[watch.connection].watches[watch.path, watch.token] = watch
    for place, transaction in enumerate(store.transactions.all()):
        number = 100 + place
        connection = Connection(number, transaction.caller, store.usage, [])
        connection.keep(transaction)
        connections[number] = connection
    return engine
