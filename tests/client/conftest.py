"""Fixtures for the tests of the client."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemons import running_daemon
from tests.support.scripted import ScriptedDaemon
from xsd.client import Client


@pytest.fixture(scope="session")
def daemon_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The socket of a real daemon."""
    yield from running_daemon(tmp_path_factory.mktemp("xs"))


@pytest.fixture
def client(daemon_socket: Path) -> Iterator[Client]:
    """A client of a real daemon in which `/t` is an empty node."""
    with Client(str(daemon_socket), timeout=10.0) as connected:
        connected.write("/t", b"")
        yield connected
    with Client(str(daemon_socket), timeout=10.0) as cleaner:
        cleaner.rm("/t")


@pytest.fixture
def second(daemon_socket: Path) -> Iterator[Client]:
    """Another client of the same daemon."""
    with Client(str(daemon_socket), timeout=10.0) as connected:
        yield connected


@pytest.fixture
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory whose path is short enough for a socket."""
    return tmp_path_factory.mktemp("xs")


@pytest.fixture
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedDaemon]:
    """A client and a daemon that says what it is told to."""
    with ScriptedDaemon(tmp_path_factory.mktemp("xs")) as daemon:
        yield daemon
