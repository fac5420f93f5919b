"""xsd.engine.link: what a transport does after each turn is enough to serve clients."""

from typing import final

import pytest

from tests.engine.support import guest_of
from xsd.engine import HIGH_WATER, Connection, Engine
from xsd.engine.link import Link
from xsd.protocol.frame import FrameDecoder, encode_frame
from xsd.protocol.ops import Op


@final
class Pipe(Link):
    """A link that takes so many bytes at a time, and reads if that is wanted.

    Attributes:
        got: What the client has been sent.
        left: What it has still to send.
        closed: Whether the connection was ended.
    """

    def __init__(self, engine: Engine, connection: Connection, data: bytes) -> None:
        self._engine = engine
        self._connection = connection
        self.got = b""
        self.left = data
        self.takes = 3000
        self.closed = False
        connection.link = self

    def update(self) -> None:
        """One send, and what follows from the state of the connection."""
        connection, engine = self._connection, self._engine
        part = bytes(connection.outbox.peek()[: self.takes])
        if part:
            engine.sent(connection, len(part))
            self.got += part
        over = connection.closing and not connection.outbox.size
        if connection.lost or (over and not connection.backlog):
            self.closed = True
            engine.disconnect(connection)
        elif connection.paused and connection.wants_input:
            connection.paused = False

    def read(self) -> None:
        """Read, as a transport whose poll says that there is something."""
        if self.closed or self._connection.paused:
            return
        if not self._connection.wants_input:
            self._connection.paused = True
            return
        part, self.left = self.left[:5000], self.left[5000:]
        self._engine.feed(self._connection, part)
        if not part:
            self._connection.paused = True
            self._engine.end_input(self._connection)


def serve(engine: Engine, *pipes: Pipe) -> None:
    """Passes of a transport, until all is done or nothing happens any more."""
    for _ in range(2000):
        for pipe in pipes:
            pipe.read()
        engine.turn(0)
        for connection in engine.take_dirty():
            assert connection.link is not None
            connection.link.update()
        # Writable again: the rest is sent when the other side takes it.
        for pipe in pipes:
            if not pipe.closed and pipe._connection.outbox.size:
                pipe.update()
        if all(pipe.closed for pipe in pipes):
            return
    raise AssertionError([(len(pipe.left), pipe.closed) for pipe in pipes])


@pytest.mark.parametrize("is_guest", [False, True])
@pytest.mark.parametrize("takes", [1000, 100_000])
def test_a_link_that_updates_gets_all_through_and_ends(
    engine: Engine, takes: int, *, is_guest: bool
) -> None:
    """However much is asked at once, and however slowly the replies are taken."""
    one = encode_frame(Op.GET_DOMAIN_PATH, 1, 0, b"5\0")
    connection = guest_of(engine).connection if is_guest else engine.connect(0)
    pipe = Pipe(engine, connection, one * 1500)
    pipe.takes = takes
    serve(engine, pipe)

    decoder = FrameDecoder()
    assert len(decoder.feed(pipe.got)) == 1500
    assert decoder.pending == b""
    assert engine.connections == []


def test_who_is_paused_is_told_when_everything_is_answered(engine: Engine) -> None:
    """Though nothing was sent meanwhile: it is to read again."""
    connection = engine.connect(0)
    big = b"x" * 4000
    engine.feed(connection, encode_frame(Op.WRITE, 1, 0, b"/a\0" + big))
    engine.feed(connection, encode_frame(Op.READ, 2, 0, b"/a\0") * 100)
    engine.turn(0)
    engine.turn(0)
    engine.take_dirty()
    assert connection.outbox.size > HIGH_WATER
    assert not connection.wants_input
    connection.paused = True
    engine.sent(connection, len(connection.outbox.peek()))
    engine.turn(0)
    engine.turn(0)

    assert engine.take_dirty() == [connection]
    assert connection.backlog == []
