"""xsd.transport.unix: what is said of a connection, should the process be killed."""

import os
from collections import Counter

import pytest

from tests.transport.support import Served, event, serving, told
from xsd.engine import Connection
from xsd.engine.inputs import Input, Tape
from xsd.engine.mark import BUSY, ENDED, OWING, QUIET, Mark
from xsd.protocol.frame import FrameDecoder
from xsd.protocol.ops import Op
from xsd.transport import unix
from xsd.transport.unix import WHOLE_MAX, SocketLink

KERNEL = 1 << 20
"""More bytes than a Unix socket's buffers hold."""


def marked(connection: Connection, ended: list[Mark] | None = None) -> Mark:
    """Have a connection say where it is."""
    memory = memoryview(bytearray(1))
    link = connection.link
    assert isinstance(link, SocketLink)
    state = QUIET if link.is_quiet else BUSY
    mark = Mark(connection.id, state, memory, 0, [] if ended is None else ended)
    connection.mark = mark
    return mark


class Seen:
    """What one client has sent and was sent, as the kernel knows it."""

    def __init__(self, connection: Connection) -> None:
        self.mark = marked(connection)
        self._read = FrameDecoder()
        self._sent = FrameDecoder()
        self.requests = 0
        self.counts: Counter[bool] = Counter()

    def read(self, data: bytes) -> None:
        self.requests += len(self._read.feed(data))

    def sent(self, data: bytes) -> None:
        for frame in self._sent.feed(data):
            self.counts[frame.op == Op.WATCH_EVENT] += 1

    def fault(self, events: int) -> str:
        """Why it could not go on in another process, if it is said that it could."""
        if self.mark.state == BUSY:
            return ""
        if self._read.is_within or self.counts[False] != self.requests:
            return "a request was read and not answered"
        if self._sent.is_within:
            return "a message was cut off"
        if self.mark.state == QUIET and self.counts[True] < events:
            return "an event was lost"
        return ""


class Killer(Tape):
    """Looks at each step whether a kill there would be got over."""

    def __init__(self, served: Served, patch: pytest.MonkeyPatch) -> None:
        self.steps: Counter[str] = Counter()
        self.events = 0
        self.faults: list[str] = []
        self._seen: dict[int, Seen] = {}
        for connection in served.connections:
            link = connection.link
            assert isinstance(link, SocketLink)
            self._seen[link.descriptor] = Seen(connection)
        patch.setattr(unix, "_read", self.read)
        patch.setattr(unix, "_write", self.write)
        set_it = Mark.set

        def set_and_look(mark: Mark, state: int) -> None:
            self.look("mark")
            set_it(mark, state)
            self.look("mark")

        patch.setattr(Mark, "set", set_and_look)

    def look(self, step: str) -> None:
        self.steps[step] += 1
        for seen in self._seen.values():
            fault = seen.fault(self.events)
            if fault:
                self.faults.append(f"{step}: {fault}")

    def read(self, descriptor: int, count: int) -> bytes:
        self.look("read")
        data = os.read(descriptor, count)
        self._seen[descriptor].read(data)
        self.look("read")
        return data

    def write(self, descriptor: int, data: bytes) -> int:
        self.look("write")
        count = os.write(descriptor, data)
        self._seen[descriptor].sent(bytes(data[:count]))
        self.look("write")
        return count

    def take(self, entry: Input) -> None:
        self.look("take")
        if entry.header:
            # Each is of another path, and both of us watch.
            self.events += 1
        self.look("take")

    def end_turn(self) -> None:
        self.look("turn")


@pytest.mark.pure_only
@serving
async def test_a_kill_is_got_over_at_every_step(served: Served) -> None:
    """Who is said to be quiet is, and is owed nothing; who is owing is not cut off."""
    writer, watcher = await served.connect(), await served.connect()
    for peer in (writer, watcher):
        await peer.watch(b"/a")
    with pytest.MonkeyPatch.context() as patch:
        killer = Killer(served, patch)
        served.engine.tape = killer
        request = writer.frame(Op.WRITE, b"/a/1\0v")
        for part in (request[:7], request[7:20]):
            await writer.send(part)
            await watcher.ping()
        await writer.send(request[20:])
        assert len(await writer.frames(2)) == 2
        await writer.send(
            b"".join([writer.frame(Op.WRITE, b"/a/%d\0v" % n) for n in range(2, 99)])
        )
        await writer.frames(2 * 97)
        assert await writer.ask(Op.READ, b"/a/1\0") == b"v"
        await watcher.frames(1 + 97)
        await watcher.ping()
        served.engine.tape = None

    assert killer.faults == []
    assert [each.mark.state for each in served.connections if each.mark] == [QUIET] * 2
    assert min(killer.steps[each] for each in ("take", "turn", "mark", "read")) > 5
    assert killer.events == 98


@serving
async def test_a_client_that_does_not_read_is_owed_something(served: Served) -> None:
    """Until it has taken it; and as long as nothing is cut off, it can go on."""
    watcher, writer = await served.connect(), await served.connect()
    token = b"t" * 1000
    await watcher.watch(b"/a", token)
    mark = marked(served.connections[0])
    outbox = served.connections[0].outbox
    number = 0
    while not outbox.size:
        number += 1
        await writer.ask(Op.WRITE, b"/a/%d\0v" % number)
    assert mark.state == OWING

    await watcher.frames(number)
    await served.until(lambda: mark.state == QUIET)


@serving
async def test_what_the_kernel_may_cut_off_is_said_before(served: Served) -> None:
    """A message of which a part was sent cannot be sent again."""
    watcher, writer = await served.connect(), await served.connect()
    token = b"t" * 4000
    await watcher.watch(b"/a", token)
    mark = marked(served.connections[0])
    number = transaction = int((await writer.ask(Op.TRANSACTION_START, b"\0"))[:-1])
    count = KERNEL // 4000
    for number in range(count):
        await writer.ask(Op.WRITE, b"/a/%d\0v" % number, transaction)
    await writer.ask(Op.TRANSACTION_END, b"T\0", transaction)
    assert served.connections[0].outbox.size > WHOLE_MAX
    assert mark.state == BUSY

    frames = await watcher.frames(count)
    assert told(frames)[-1] == event(b"/a/%d" % number, token)
    await served.until(lambda: mark.state == QUIET)


@serving
async def test_half_a_request_is_said(served: Served) -> None:
    """An event that is sent to its client meanwhile changes nothing in that."""
    half, writer = await served.connect(), await served.connect()
    await half.watch(b"/a")
    mark = marked(served.connections[0])
    request = half.frame(Op.READ, b"/\0")
    await half.send(request[:5])
    await writer.ask(Op.WRITE, b"/a\0v")
    assert told(await half.frames(1)) == [event(b"/a")]
    assert mark.state == BUSY

    await half.send(request[5:])
    await half.frames(1)
    await served.until(lambda: mark.state == QUIET)


@serving
async def test_a_socket_that_others_have_open_is_at_its_end(served: Served) -> None:
    """Its client does not wait for whoever has it open, too."""
    peer = await served.connect()
    connection = served.last
    ended: list[Mark] = []
    mark = marked(connection, ended)
    link = connection.link
    assert isinstance(link, SocketLink)
    other = link.sock.dup()
    try:
        link.end()

        assert await peer.rest() == []
    finally:
        other.close()
    assert (mark.state, ended) == (ENDED, [mark])


@serving
async def test_a_socket_takes_a_small_write_as_a_whole(served: Served) -> None:
    """Or nothing of it: there is no third place in which a kill could find us."""
    await served.connect()
    link = served.last.link
    assert isinstance(link, SocketLink)
    for size in (100, 4112, WHOLE_MAX):
        written = []
        try:
            while True:
                written.append(os.write(link.descriptor, b"x" * size))
        except BlockingIOError:
            pass
        assert set(written) <= {size}
