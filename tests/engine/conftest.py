"""Fixtures for the tests of the engine."""

from collections.abc import Iterator

import pytest

from tests.engine.support import Client
from tests.support.replaying import assert_replays
from xsd.engine import Engine
from xsd.engine.inputs import MemoryTape
from xsd.store import Store
from xsd.store.check import verify


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine; its store is looked over at the end, also after all clients left.

    Its inputs are carried out once more and have to make an equal one, unless the test
    takes the tape away because it goes past the inputs.
    """
    engine = Engine(Store())
    engine.tape = MemoryTape()
    yield engine
    assert verify(engine.store) == []
    if engine.tape is not None:
        assert_replays(engine)
    for connection in engine.connections:
        engine.disconnect(connection)
    assert verify(engine.store) == []
    assert engine.store.watches.count == 0
    assert engine.store.usage.transactions.used == {}


@pytest.fixture
def dom0(engine: Engine) -> Client:
    """A client of the privileged domain."""
    return Client(engine)
