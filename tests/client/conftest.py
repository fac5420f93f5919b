"""Fixtures for the tests of the client."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemons import daemon_socket
from tests.support.scripted import ScriptedDaemon
from xsd.client import Client

__all__ = ["daemon_socket"]


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
def scripted(directory: Path) -> Iterator[ScriptedDaemon]:
    """A client and a daemon that says what it is told to."""
    with ScriptedDaemon(directory) as daemon:
        yield daemon
