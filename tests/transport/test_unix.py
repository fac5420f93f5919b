"""xsd.transport.unix: clients, from the first byte to the end."""

import asyncio
import socket

import pytest

from tests.transport.support import Peer, Served, event, serving, told
from xsd.engine import HIGH_WATER
from xsd.engine.delivery import UNSENT_MAX
from xsd.engine.engine import TURN
from xsd.engine.image import restore_buffers
from xsd.engine.outbox import CHUNK
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op
from xsd.protocol.records import ConnectionData
from xsd.protocol.reply import OK
from xsd.transport.unix import RECEIVE_FEW, RECEIVE_FIRST, RECEIVE_MAX, SocketLink

BAD_HEADER = b"\x02\0\0\0\x01\0\0\0\0\0\0\0\x01\x10\0\0"
"""READ with a payload of 4,097 bytes."""

KERNEL = 1 << 20
"""More bytes than a Unix socket's buffers hold."""

VALUE = b"x" * 4000


@serving
async def test_clients_are_answered_and_told(served: Served) -> None:
    """They are dom0, and privileged. To the writer the event comes before the reply."""
    writer, watcher = await served.connect(), await served.connect()
    assert await writer.ask(Op.CONTROL, b"check\0") == OK
    assert served.last.caller is served.engine.store.privileged.caller
    for peer in (writer, watcher):
        await peer.watch(b"/a")
    await writer.send(writer.frame(Op.WRITE, b"/a\0v"))

    assert told(await writer.frames(2)) == [event(b"/a"), (Op.WRITE, OK)]
    assert told(await watcher.frames(1)) == [event(b"/a")]
    assert await watcher.ask(Op.READ, b"/a\0") == b"v"


@serving
async def test_many_frames_in_one_write_are_answered_in_order(served: Served) -> None:
    """More than one turn's worth and more than one read's."""
    peer = await served.connect()
    count = max(2 * TURN, RECEIVE_MAX // 18) + 100
    await peer.send(
        b"".join([peer.frame(Op.GET_DOMAIN_PATH, b"%d\0" % n) for n in range(count)])
    )

    replies = await peer.frames(count)
    assert [(reply.req_id, reply.payload) for reply in replies] == [
        (2 + n, b"/local/domain/%d\0" % n) for n in range(count)
    ]


@serving
async def test_frame_may_come_byte_by_byte(served: Served) -> None:
    """The server sees each one before the next is sent."""
    peer = await served.connect()
    await peer.ask(Op.WRITE, b"/a\0v")
    decoder = served.last.decoder
    for byte in peer.frame(Op.READ, b"/a\0"):
        seen = decoder.pending
        await peer.send(bytes([byte]))
        await served.until(lambda: decoder.pending != seen)  # noqa: B023

    assert told(await peer.frames(1)) == [(Op.READ, b"v")]


# How connections end.


@serving
async def test_client_that_half_closes_gets_all_replies(served: Served) -> None:
    """As `echo ... | socat - UNIX:...` does, and then the end; half a frame is none."""
    peer = await served.connect()
    await peer.send(peer.many(TURN + 10))
    peer.sock.shutdown(socket.SHUT_WR)
    assert len(await peer.rest()) == TURN + 10

    peer = await served.connect()
    await peer.send(peer.frame(Op.READ, b"/\0")[:-1])
    peer.sock.shutdown(socket.SHUT_WR)
    assert await peer.rest() == []
    assert served.connections == []


@serving
async def test_half_closed_client_may_read_late(served: Served) -> None:
    """The rest waits in the outbox, the requests behind it in the backlog."""
    peer = await served.connect()
    sending = asyncio.create_task(read_much(peer, 800))
    connection = served.last
    await served.until(lambda: connection.outbox.size > HIGH_WATER)
    await sending
    peer.sock.shutdown(socket.SHUT_WR)

    assert told(await peer.rest()) == [(Op.READ, VALUE)] * 800
    await served.until(lambda: served.connections == [])


@serving
async def test_bad_header_ends_a_connection_after_the_replies(served: Served) -> None:
    """If there are any; also if what is left of the input was never read."""
    for count, more in ((0, 0), (TURN + 1, RECEIVE_MAX)):
        peer = await served.connect()
        await peer.send(peer.many(count) + BAD_HEADER + b"x" * more)

        assert len(await peer.rest()) == count
        assert served.connections == []
    assert [notice.event for notice in served.notices] == ["connection.broken"] * 2


@serving
async def test_client_that_goes_early_is_no_trouble(served: Served) -> None:
    """Its request is carried out. If the reply has come, its end is a reset for us.

    If there is an event for it, the writer has its reply, and it is ended then.
    """
    other = await served.connect()
    for value, reply_comes in ((b"v", False), (b"w", True)):
        peer = await served.connect()
        await peer.send(peer.frame(Op.WRITE, b"/a\0" + value))
        if reply_comes:
            await other.ping()
        peer.close()
        await served.until(lambda: len(served.connections) == 1)
        assert await other.ask(Op.READ, b"/a\0") == value

    watcher = await served.connect()
    await watcher.watch(b"/a")
    # Both come to the server in one turn of its loop, the write first or second.
    await other.send(other.frame(Op.WRITE, b"/a\0v"))
    watcher.close()
    assert told(await other.frames(1)) == [(Op.WRITE, OK)]
    await served.until(lambda: len(served.connections) == 1)


# Clients that do not read.


async def read_much(peer: Peer, count: int) -> None:
    """Ask so often for a long value, and read no reply but the first."""
    assert await peer.ask(Op.WRITE, b"/a\0" + VALUE) == OK
    await peer.send(peer.many(count, Op.READ, b"/a\0"))


@serving
async def test_slow_reader_is_paused_and_others_are_served(served: Served) -> None:
    """What waits for it is bounded; when it reads, everything comes, in order."""
    slow, other = await served.connect(), await served.connect()
    connection = served.connections[0]
    count = 8_000
    sending = asyncio.create_task(read_much(slow, count))
    await served.until(lambda: connection.outbox.size > HIGH_WATER)
    sizes = []
    for _ in range(50):
        await other.ping()
        sizes.append((connection.outbox.size, len(connection.backlog)))

    assert max(size for size, _ in sizes) <= HIGH_WATER + 4016
    assert max(frames for _, frames in sizes) <= RECEIVE_MAX // 16
    for number in range(0, count, 1000):
        replies = await slow.frames(1000)
        assert [reply.req_id for reply in replies] == [
            3 + number + n for n in range(1000)
        ]
        assert {len(reply.payload) for reply in replies} == {4000}
    await sending


@serving
async def test_slow_reader_that_goes_is_ended(served: Served) -> None:
    """Nobody listens to it any more, but it can still not be written to."""
    slow, other = await served.connect(), await served.connect()
    connection = served.connections[0]
    await read_much(slow, 800)
    await served.until(lambda: connection.outbox.size > HIGH_WATER)
    slow.close()

    await served.until(lambda: connection.lost)
    assert served.connections == [served.last]
    await other.ping()


@pytest.mark.slow
@serving
async def test_slow_reader_of_events_is_cut_off(served: Served) -> None:
    """With more than UNSENT_MAX, 20 s after it read last; the writer never notices."""
    slow, writer = await served.connect(), await served.connect()
    await slow.watch(b"/a", b"t" * 4000)
    connection = served.connections[0]
    served.stop_clock()
    number = 0
    while connection.outbox.size <= UNSENT_MAX:
        batch = [writer.frame(Op.WRITE, b"/a/%d\0" % (number + n)) for n in range(100)]
        await writer.send(b"".join(batch))
        assert told(await writer.frames(100)) == [(Op.WRITE, OK)] * 100
        number += 100
    served.pass_time(19.9)
    assert connection in served.connections
    served.pass_time(0.1)

    assert served.connections == [served.last]
    assert [notice.event for notice in served.notices] == ["connection.too_slow"]
    assert 0 < len(await slow.rest()) < KERNEL // 4000
    await writer.ping()


@pytest.mark.slow
@serving
async def test_who_reads_is_told_all_of_the_largest_commit(served: Served) -> None:
    """Though it has nine watches above; others are answered meanwhile."""
    reader, writer = await served.connect(), await served.connect()
    other = await served.connect()
    tokens = [b"%d" % number for number in range(9)]
    for token in tokens:
        await reader.watch(b"/a", token)
    paths = [b"/a" + (b"/" + b"d" * 200) * 9 + b"/%d" % n for n in range(1100)]
    number = await writer.ask(Op.TRANSACTION_START, b"\0")
    for path in paths:
        assert await writer.ask(Op.WRITE, path + b"\0", int(number[:-1])) == OK
    assert await writer.ask(Op.TRANSACTION_END, b"T\0", int(number[:-1])) == OK
    connection = served.connections[0]
    assert connection.outbox.size > UNSENT_MAX
    reading = asyncio.create_task(reader.frames(9900))
    while not reading.done():
        await other.ping()
    last = (await reading)[-9:]

    assert told(last) == [event(paths[-1], token) for token in tokens]
    assert served.notices == []
    await reader.ping()


@pytest.mark.pure_only
@serving
async def test_others_have_their_turn_between_two_chunks(served: Served) -> None:
    """However fast a client reads for which many wait."""
    reader, writer = await served.connect(), await served.connect()
    await reader.watch(b"/a", b"t" * 4000)
    connection = served.connections[0]
    for number in range(1000):
        await writer.ask(Op.WRITE, b"/a/%d\0" % number)
    taken: list[int] = []

    def take(_: int, data: bytes) -> int:
        taken.append(len(data))
        return len(data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xsd.transport.unix._write", take)
        reader.sock.recv(KERNEL)
        while connection.outbox.size > 2 * CHUNK:
            before = len(taken)
            served.reactor.run()
            assert len(taken) - before <= 1

    assert CHUNK <= max(taken) < CHUNK + 4100


# Callbacks, and when the server does not listen.


@serving
async def test_connection_of_another_transport_is_left_to_it(served: Served) -> None:
    """What is queued for one without a link is not for a socket."""
    engine = served.engine
    other = engine.connect(0)
    engine.feed(other, encode_frame(Op.WATCH, 1, 0, b"/a\0t\0"))
    peer = await served.connect()
    while size := len(other.outbox.peek()):
        engine.sent(other, size)
    await peer.ask(Op.WRITE, b"/a\0v")

    assert other.outbox.peek() == encode_frame(Op.WATCH_EVENT, 0, 0, b"/a\0t\0")
    engine.disconnect(other)


@serving
async def test_callbacks_without_reason_do_nothing(served: Served) -> None:
    """There may be one more than there is something to do."""
    peer = await served.connect()
    (link,) = served.server._clients
    for each in (link.on_input, link.on_output, link.update, served.server.accept):
        each()
    await peer.ping()
    for each in (link.end, link.end, link.on_input, link.on_output, link.update):
        each()

    assert await peer.rest() == []
    assert served.connections == []


@serving
async def test_requests_wait_in_the_kernel_for_others_turns(served: Served) -> None:
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
    served.loop_after_each_pass()
    sending = asyncio.create_task(peer.send(peer.many(count)))
    await peer.frames(count)
    await sending
    looking.cancel()

    assert 0 < longest <= RECEIVE_FIRST // 18


@serving
async def test_in_a_pass_more_is_taken_from_who_has_a_few_long_requests(
    served: Served,
) -> None:
    """One read for each of them would cost as much as they do; short ones add up.

    Who has said little is asked for little, until there is more of it.
    """
    for value, taken in (
        (b"x", [RECEIVE_FEW, RECEIVE_FIRST, RECEIVE_FIRST]),
        (b"x" * 1000, [RECEIVE_MAX]),
    ):
        peer = await served.connect()
        frame = peer.frame(Op.WRITE, b"/a\0" + value)
        decoder = served.last.decoder
        peer.sock.send(frame * (2 * RECEIVE_MAX // len(frame)))
        for size in taken:
            before = decoder._position + len(decoder.pending)
            served.reactor.run()

            assert decoder._position + len(decoder.pending) - before == size
            while served.last.backlog:
                served.engine.turn(0)


@serving
async def test_who_says_little_again_is_asked_for_little(served: Served) -> None:
    """Room for much is made for those only who have used it."""
    peer = await served.connect()
    link = served.last.link
    assert isinstance(link, SocketLink)
    for count, asked in ((1, RECEIVE_FEW), (100, RECEIVE_FIRST), (1, RECEIVE_FEW)):
        await peer.send(peer.many(count))
        await peer.frames(count)

        assert link._asks == asked


@serving
async def test_who_has_too_much_unread_is_not_listened_to(served: Served) -> None:
    """Not even if nothing of it waits in the daemon; and the loop is left alone.

    A socket at its end can be read, one with room can be written to, always.
    """
    slow, other = await served.connect(), await served.connect()
    connection, left = served.connections

    async def pass_turns(count: int) -> None:
        for _ in range(count):
            await other.ping()

    await slow.ask(Op.WRITE, b"/a\0" + VALUE)
    while connection.outbox.size <= HIGH_WATER:
        await slow.send(slow.frame(Op.READ, b"/a\0"))
        await pass_turns(2)
    await slow.send(slow.frame(Op.READ, b"/a\0"))
    await pass_turns(20)
    assert connection.backlog == []
    assert not connection.closing

    slow.sock.shutdown(socket.SHUT_WR)
    await pass_turns(20)
    assert not served.is_ready
    await slow.frames(1)
    await served.until(lambda: connection.outbox.size < HIGH_WATER)
    await pass_turns(20)
    assert not served.is_ready
    assert {reply.op for reply in await slow.rest()} == {Op.READ}
    await served.until(lambda: served.connections == [left])
    assert not served.is_ready


@serving
async def test_a_client_of_another_process_goes_on(served: Served) -> None:
    """It is sent the rest of its reply, and the rest of its request is understood."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    reply = encode_frame(Op.READ, 7, 0, b"value")
    asked = encode_frame(Op.GET_DOMAIN_PATH, 8, 0, b"7\0")
    connection = served.engine.connect(0)
    record = ConnectionData(connection.id)
    record.unsent, record.begun, record.pending = reply[10:], len(reply[10:]), asked[:9]
    restore_buffers(served.engine, connection, record)

    served.server.take_over(ours, connection)
    served.reactor.wake()

    assert served.server.clients() == [(connection, ours.fileno())]
    loop = asyncio.get_running_loop()
    assert await loop.sock_recv(theirs, 100) == reply[10:]
    await loop.sock_sendall(theirs, asked[9:])
    answer = encode_frame(Op.GET_DOMAIN_PATH, 8, 0, b"/local/domain/7\0")
    assert await loop.sock_recv(theirs, 100) == answer
    theirs.close()
    await served.until(lambda: connection.lost)


@serving
async def test_a_client_that_has_gone_meanwhile_is_let_go(served: Served) -> None:
    """Nothing is left of it, and the others are served."""
    ours, theirs = socket.socketpair()
    theirs.close()
    connection = served.engine.connect(0)
    served.server.take_over(ours, connection)
    await served.until(lambda: connection.lost)

    ours, theirs = socket.socketpair()
    ours.close()
    connection = served.engine.connect(0)
    with pytest.raises(OSError, match="Bad file descriptor"):
        served.server.take_over(ours, connection)
    theirs.close()

    assert connection.lost
    assert served.engine.connections == []
    assert served.server.clients() == []
    await (await served.connect()).ping()
