"""xsd.transport.unix: when the server does not listen, and that it rests then."""

import asyncio
import os
import resource
import socket

import pytest

from tests.transport.support import Peer, Served, serving
from xsd.engine import HIGH_WATER, Connection
from xsd.engine.engine import TURN
from xsd.protocol.ops import Op
from xsd.transport import unix
from xsd.transport.unix import RECEIVE_MAX, SocketLink


async def pass_turns(bystander: Peer, count: int = 20) -> None:
    """Let the server's loop go round some times, by requests that it answers."""
    for _ in range(count):
        await bystander.request(Op.GET_DOMAIN_PATH, b"0\0")


async def overflow(slow: Peer, other: Peer, connection: Connection, size: int) -> None:
    """Ask without reading, one at a time, until more than so much waits unsent."""
    await slow.request(Op.WRITE, b"/a\0" + b"x" * 4000)
    while connection.outbox.size <= size:
        await slow.send(slow.frame(Op.READ, b"/a\0"))
        await pass_turns(other, 2)


@serving
async def test_requests_wait_in_the_kernel_while_others_have_their_turn(
    served: Served,
) -> None:
    """No more is read from a client that has some waiting in the daemon."""
    peer = await served.connect()
    connection = served.last
    count = 60 * TURN
    longest = 0

    async def look() -> None:
        nonlocal longest
        while True:
            longest = max(longest, len(connection.backlog))
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    requests = [peer.frame(Op.GET_DOMAIN_PATH, b"0\0") for _ in range(count)]
    sending = asyncio.create_task(peer.send(b"".join(requests)))
    await peer.frames(count)
    await sending
    looking.cancel()

    assert 0 < longest <= RECEIVE_MAX // 18


@serving
async def test_client_with_too_much_unread_is_not_listened_to(served: Served) -> None:
    """Not even if nothing of it waits in the daemon."""
    slow, other = await served.connect(), await served.connect()
    connection = served.connections[0]
    await overflow(slow, other, connection, HIGH_WATER)
    await slow.send(slow.frame(Op.READ, b"/a\0"))
    await pass_turns(other)

    assert connection.backlog == []
    assert not connection.closing


@serving
async def test_end_of_input_is_seen_once(served: Served) -> None:
    """A socket at its end is always ready to be read: the loop would spin."""
    slow, other = await served.connect(), await served.connect()
    connection, left = served.connections
    (link,) = [each for each in served.server._clients if each.connection is connection]
    await overflow(slow, other, connection, 0)
    slow.sock.shutdown(socket.SHUT_WR)
    await served.until(lambda: connection.closing)
    await pass_turns(other)

    assert not link._reading
    assert {reply.op for reply in await slow.rest()} == {Op.READ}
    assert served.connections == [left]


@serving
async def test_loop_is_left_alone_once_all_is_sent(served: Served) -> None:
    """A socket that can be written to is always ready: the loop would spin."""
    calls = 0
    real = SocketLink._on_writable

    def counted(self: SocketLink) -> None:
        nonlocal calls
        calls += 1
        real(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SocketLink, "_on_writable", counted)
        slow, other = await served.connect(), await served.connect()
        connection = served.connections[0]
        await overflow(slow, other, connection, HIGH_WATER)
        while connection.outbox.size:
            await slow.frames(1)
        await pass_turns(other, 2)
        needed = calls
        await pass_turns(other)

    assert needed > 0
    assert calls == needed


@serving
async def test_server_rests_when_there_are_no_descriptors(served: Served) -> None:
    """The client that waits makes the listener ready all the time."""
    first = await served.connect()
    waiting = served.connect_unseen()
    free = os.dup(0)
    os.close(free)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unix, "_ACCEPT_RETRY_S", 1000.0)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
        try:
            await served.until(lambda: bool(served.notices))
            await pass_turns(first)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert len(served.notices) == 1
    served.server._listen_again()
    await waiting.request(Op.GET_DOMAIN_PATH, b"0\0")
