"""Fixtures for the tests of the engine."""

from collections.abc import Iterator

import pytest

from tests.engine.support import Client
from xsd.engine import Engine
from xsd.store import Store
from xsd.store.check import verify


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine; its store is looked over at the end, also after all clients left."""
    engine = Engine(Store())
    yield engine
    assert verify(engine.store) == []
    for connection in engine.connections:
        engine.disconnect(connection)
    assert verify(engine.store) == []
    assert engine.store.watches.count == 0
    assert engine.store.usage.transactions.used == {}


@pytest.fixture
def dom0(engine: Engine) -> Client:
    """A client of the privileged domain."""
    return Client(engine)
