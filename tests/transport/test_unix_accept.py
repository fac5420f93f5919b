"""xsd.transport.unix: clients that are accepted, or cannot be."""

import resource
import socket

import pytest

from tests.support.descriptors import few_descriptors_left
from tests.transport.support import Peer, Served, serving
from xsd.hypervisor.control import ACCEPT_MAX

NEVER_S = 1000.0
"""Longer than a test may take."""


@serving
async def test_only_so_many_clients_are_accepted_in_a_pass(served: Served) -> None:
    """Those who are connected are served in between."""
    for _ in range(ACCEPT_MAX + 3):
        served.connect_unseen()
    served.reactor.run()
    assert len(served.connections) == ACCEPT_MAX
    served.reactor.run()

    assert len(served.connections) == ACCEPT_MAX + 3


@pytest.mark.slow
@serving
async def test_two_thousand_idle_clients_are_kept(served: Served) -> None:
    """And the last one is answered like the first."""
    needed = 2 * 2000 + 100
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < needed:
        pytest.skip(f"needs {needed} file descriptors, {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    try:
        peers: list[Peer] = []
        while len(peers) < 2000:
            peers += [served.connect_unseen() for _ in range(100)]
            count = len(peers)
            await served.until(lambda: len(served.connections) == count)  # noqa: B023
        for peer in (peers[0], peers[1000], peers[-1]):
            await peer.ping()
        served.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@serving
async def test_clients_wait_while_there_are_no_descriptors(served: Served) -> None:
    """The server rests, serves those connected, and accepts the others later."""
    first = await served.connect()
    waiting = served.connect_unseen()
    served.reactor.retry_s = NEVER_S
    with few_descriptors_left():
        await served.until(lambda: bool(served.notices))
        for _ in range(20):
            await first.ping()

    (notice,) = served.notices
    assert (notice.level, notice.event) == ("error", "connection.not_accepted")
    assert notice.fields == {
        "reason": "[Errno 24] Too many open files",
        "connections": 1,
    }
    assert served.server._listener is not None
    served.reactor._listen_again(served.server._listener.fileno())
    await waiting.ping()

    # By itself, after a rest.
    waiting = served.connect_unseen()
    served.reactor.retry_s = 0.0
    with few_descriptors_left():
        await served.until(lambda: len(served.notices) == 3)
    await waiting.ping()


class Unwatched(socket.socket):
    """A socket that epoll refuses."""

    def fileno(self) -> int:
        """Nothing that is open."""
        return 1_000_000


class Listener:
    """A listener whose next clients cannot be accepted, or not be served."""

    def __init__(self, *clients: socket.socket | OSError) -> None:
        self._clients = [*clients, BlockingIOError()]

    def accept(self) -> tuple[socket.socket, str]:
        """Do as the kernel does then."""
        client = self._clients.pop(0)
        if isinstance(client, OSError):
            raise client
        return client, ""


@serving
async def test_client_that_cannot_be_had_is_told(served: Served) -> None:
    """One has gone before, one is not watched over; the next is accepted at once."""
    served.reactor.retry_s = NEVER_S
    gone = ConnectionAbortedError(103, "gone")
    unwatched = Unwatched(socket.AF_UNIX, socket.SOCK_STREAM)
    ours, theirs = socket.socketpair()
    for clients, count in (((gone,), 0), ((unwatched, theirs), 1)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(served.server, "_listener", Listener(*clients))
            served.server.accept()
        assert len(served.connections) == count

    assert socket.socket.fileno(unwatched) == -1
    assert [notice.event for notice in served.notices] == [
        "connection.not_accepted"
    ] * 2
    ours.close()
    await served.until(lambda: served.connections == [])
    await served.connect()
