"""Fixtures: a test that uses `socket` runs on our daemon and on Xen's C one.

What it expects stands in the test once, so a difference between the two fails it.
"""

from collections.abc import Iterator

import pytest

from tests.conformance.programs import Tools
from tests.differential.peers import Peer, start_reference, start_subject


@pytest.fixture(scope="session", params=["xsd", "c"])
def running(request: pytest.FixtureRequest) -> Iterator[Peer]:
    """A daemon; the C one is skipped where `run-peer` is missing."""
    peer = start_subject() if request.param == "xsd" else start_reference()
    try:
        yield peer
    finally:
        peer.stop()


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
