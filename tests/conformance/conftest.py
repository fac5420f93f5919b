"""Fixtures: a test that uses `socket` runs on our daemon and on Xen's C one.

What it expects stands in the test once, so a difference between the two fails it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.conformance.programs import Tools
from tests.differential.peers import Peer, start_reference, start_subject


@contextmanager
def started(name: str) -> Iterator[Peer]:
    """Our daemon, or C's, which is skipped where its package is missing."""
    peer = start_subject() if name == "xsd" else start_reference()
    try:
        yield peer
    finally:
        peer.stop()


@pytest.fixture(scope="session", params=["xsd", "c"])
def running(request: pytest.FixtureRequest) -> Iterator[Peer]:
    """A daemon for many tests."""
    with started(request.param) as peer:
        yield peer


@pytest.fixture(params=["xsd", "c"])
def fresh(request: pytest.FixtureRequest) -> Iterator[Peer]:
    """A daemon of one's own, whose log may be sent elsewhere."""
    with started(request.param) as peer:
        yield peer


@pytest.fixture
def ours() -> Iterator[Peer]:
    """The same, for what 4.17 cannot do or does worse."""
    with started("xsd") as peer:
        yield peer


@pytest.fixture
def peer(running: Peer) -> Peer:
    """A daemon whose store is as at its start."""
    assert running.empty(())
    return running


@pytest.fixture
def socket(peer: Peer) -> str:
    """The socket of such a daemon."""
    return peer.socket


@pytest.fixture
def xs(socket: str) -> Tools:
    """Debian's xenstore-* programs on such a daemon."""
    return Tools(socket)
