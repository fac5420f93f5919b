"""The pump, with links that only remember."""

from typing import final

from xsd.engine import Connection, Engine, Notice
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op
from xsd.store import Store
from xsd.transport.pump import Link, Pump, Recorder


@final
class Remembering(Link):
    """A link that keeps what it would send."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.got = b""

    def send(self) -> None:
        outbox = self.connection.outbox
        data = bytes(outbox.peek())
        outbox.sent(len(data))
        self.got += data

    def wake(self) -> None:
        raise AssertionError("nobody waits")


def two_links() -> tuple[Pump, list[Notice], Remembering, Remembering]:
    """A pump with two clients, and where its notices go."""
    notices: list[Notice] = []
    engine = Engine(Store())
    pump = Pump(engine, notices.append)
    links = [
        Remembering(engine.connect(engine.store.privileged.caller)) for _ in range(2)
    ]
    for link in links:
        pump.add(link.connection, link)
    return pump, notices, links[0], links[1]


def test_flush_sends_to_everybody_a_request_concerns() -> None:
    """Whoever watches is told in the same turn, on whatever transport."""
    pump, _, writer, watcher = two_links()
    watch = encode_frame(Op.WATCH, 1, 0, b"/a\0token\0")
    pump.engine.receive(watcher.connection, watch, 0)
    pump.flush()
    watcher.got = b""
    write = encode_frame(Op.WRITE, 2, 0, b"/a\0value")
    pump.engine.receive(writer.connection, write, 0)
    pump.flush()

    assert writer.got == encode_frame(Op.WRITE, 2, 0, b"OK\0")
    assert watcher.got == encode_frame(Op.WATCH_EVENT, 0, 0, b"/a\0token\0")


@final
class Noting(Recorder):
    """A recorder that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, str, bytes]] = []

    def opened(self, connection: Connection) -> None:
        self.told.append((connection.id, "open", b""))

    def received(self, connection: Connection, data: bytes) -> None:
        self.told.append((connection.id, "data", data))

    def closed(self, connection: Connection) -> None:
        self.told.append((connection.id, "close", b""))


def test_recorder_is_told_of_what_comes_in_and_it_is_answered() -> None:
    """Bytes as they came; a connection's end once."""
    pump, _, writer, _ = two_links()
    recorder = Noting()
    pump.record(recorder)
    late = Remembering(pump.engine.connect(pump.engine.store.privileged.caller))
    pump.add(late.connection, late)
    write = encode_frame(Op.WRITE, 2, 0, b"/a\0value")
    pump.receive(writer.connection, write[:9], 0)
    pump.receive(writer.connection, write[9:], 0)
    pump.flush()
    pump.drop(late.connection)
    pump.drop(late.connection)

    assert writer.got == encode_frame(Op.WRITE, 2, 0, b"OK\0")
    assert recorder.told == [
        (late.connection.id, "open", b""),
        (writer.connection.id, "data", write[:9]),
        (writer.connection.id, "data", write[9:]),
        (late.connection.id, "close", b""),
    ]


def test_what_is_refused_reaches_the_log() -> None:
    """Notices are handed on with the output."""
    pump, notices, writer, _ = two_links()
    pump.engine.receive(writer.connection, encode_frame(99, 1, 0, b""), 0)
    pump.flush()

    assert [notice.event for notice in notices] == ["request.refused"]


def test_dropped_connection_is_forgotten_once() -> None:
    """Its watches go with it, and nothing is sent to it any more."""
    pump, _, writer, watcher = two_links()
    watch = encode_frame(Op.WATCH, 1, 0, b"/a\0token\0")
    pump.engine.receive(watcher.connection, watch, 0)

    assert pump.drop(watcher.connection)
    assert not pump.drop(watcher.connection)

    write = encode_frame(Op.WRITE, 2, 0, b"/a\0value")
    pump.engine.receive(writer.connection, write, 0)
    pump.flush()
    assert watcher.got == b""
    assert pump.engine.store.watches.count == 0
