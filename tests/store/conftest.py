"""A store that is looked over when its test is done."""

from collections.abc import Iterator

import pytest

from tests.store.support import Client, Enter, dom0_of, homed
from xsd.store import Store
from xsd.store.check import verify


@pytest.fixture
def store() -> Iterator[Store]:
    """A new store, in order when the test leaves it."""
    store = Store()
    yield store
    assert verify(store) == []


@pytest.fixture
def dom0(store: Store) -> Client:
    return dom0_of(store)


@pytest.fixture
def guest(store: Store) -> Client:
    """Domain 1 with a home of its own."""
    return homed(store)


@pytest.fixture(params=["direct", "in_transaction"])
def enter(request: pytest.FixtureRequest) -> Enter:
    """Two ways to make requests, which must agree."""
    return Client.start if request.param == "in_transaction" else _stay


def _stay(client: Client) -> Client:
    return client
