"""Fixtures for the tests of what hostile guests try."""

from collections.abc import Iterator

import pytest

from tests.support.hosts import AnyHost, Host, NearHost
from tests.support.processes import Place
from tests.xsa.support import BYSTANDER, World
from xsd.testing import Session


@pytest.fixture
def world() -> Iterator[World]:
    """A daemon in process; domain 7 behaves well, and is served all the time."""
    world = World()
    yield world
    world.close()


@pytest.fixture
def dom0(world: World) -> Session:
    """A client of the privileged domain."""
    return world.client()


@pytest.fixture
def hostile(world: World) -> Session:
    """Domain 1, which does not behave well."""
    return world.guest(1)


@pytest.fixture(params=["directly", "in_a_transaction"])
def inside(request: pytest.FixtureRequest) -> bool:
    """Whether requests are made in a transaction."""
    found: bool = request.param == "in_a_transaction"
    return found


@pytest.fixture
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A daemon with guests on rings; it is looked over when the test is done."""
    with Host(tmp_path_factory.mktemp("xs"), bystander=BYSTANDER) as host:
        yield host


@pytest.fixture(params=["in process", "on rings"])
def anywhere(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AnyHost]:
    """A daemon with guests, either in process or on rings."""
    near = request.param == "in process"
    path = tmp_path_factory.mktemp("xs")
    with (
        NearHost(bystander=BYSTANDER) if near else Host(path, bystander=BYSTANDER) as it
    ):
        yield it


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A directory without a daemon yet, for those that have to be processes."""
    with Place(tmp_path_factory.mktemp("xs")) as place:
        yield place
