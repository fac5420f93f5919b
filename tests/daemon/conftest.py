"""Fixtures for the tests of the daemon."""

import io
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import final

import pytest
import structlog

from tests.support.processes import PATIENCE_S, Place
from xsd.daemon.logsetup import StreamSink, configure


@pytest.fixture(autouse=True)
def _structlog_as_before() -> Iterator[None]:
    """Other tests find structlog's own configuration."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def log() -> io.StringIO:
    """What this process logs."""
    stream = io.StringIO()
    configure(StreamSink(stream))
    return stream


@pytest.fixture
def held() -> Iterator[ExitStack]:
    """Closes what is left at the end."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def place(directory: Path) -> Iterator[Place]:
    """A directory without a daemon yet."""
    with Place(directory) as found:
        yield found


@final
class Manager:
    """A service manager that listens.

    Attributes:
        address: What NOTIFY_SOCKET is to be.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind(address.replace("@", "\0", 1))
        self._sock.settimeout(PATIENCE_S)

    def hear(self) -> str:
        """Return the next message."""
        return self._sock.recv(1000).decode()

    def hear_until(self, beginning: str) -> str:
        """Return the next message with that beginning."""
        while not (message := self.hear()).startswith(beginning):
            pass
        return message

    def close(self) -> None:
        """Listen no more."""
        self._sock.close()


@pytest.fixture
def manager(place: Place) -> Iterator[Manager]:
    """A service manager."""
    found = Manager(f"{place.path}/notify")
    yield found
    found.close()
