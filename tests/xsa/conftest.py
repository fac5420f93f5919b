"""Fixtures for the tests of what hostile guests try."""

from collections.abc import Iterator

import pytest

from tests.engine.support import Client
from tests.support.processes import Place
from tests.xsa.hosts import Host
from tests.xsa.support import Bystander, guest_at_home
from xsd.engine import Engine
from xsd.store import Store
from xsd.store.check import verify


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine; when the test is done nothing may be left of its clients."""
    engine = Engine(Store())
    yield engine
    assert verify(engine.store) == []
    for connection in engine.connections:
        engine.disconnect(connection)
    assert verify(engine.store) == []
    assert engine.store.watches.count == 0
    assert engine.store.usage.transactions.used == {}
    assert [each for each in engine.take_notices() if each.level == "error"] == []


@pytest.fixture
def dom0(engine: Engine) -> Client:
    """A client of the privileged domain."""
    return Client(engine)


@pytest.fixture
def bystander(engine: Engine) -> Bystander:
    """Domain 7, which behaves well."""
    return Bystander(engine)


@pytest.fixture
def hostile(engine: Engine) -> Client:
    """Domain 1, which does not."""
    return guest_at_home(engine, 1)


@pytest.fixture
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A daemon with guests on rings; it is looked over when the test is done."""
    with Host(tmp_path_factory.mktemp("xs")) as host:
        yield host


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A directory without a daemon yet, for those that have to be processes."""
    with Place(tmp_path_factory.mktemp("xs")) as place:
        yield place
