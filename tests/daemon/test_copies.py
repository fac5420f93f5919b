"""xsd.daemon.copies: copies of the state, made by children."""

import asyncio
from collections.abc import Callable

from tests.daemon.test_child import looped
from tests.engine.script import play
from tests.engine.support import Client
from tests.support.replaying import assert_equal
from xsd.daemon.copies import StateCopies
from xsd.engine import Engine
from xsd.engine.control_state import PIECE
from xsd.engine.image import load
from xsd.engine.state import describe, differences
from xsd.engine.unread import RINGS, rings_of
from xsd.protocol.ops import Op
from xsd.protocol.records import UnknownData
from xsd.protocol.stream import read_stream
from xsd.store import Store

ON_RINGS = {5: (b"asked", b"told")}


class Place:
    """An engine of which copies are made, and a client that asks for them."""

    def __init__(self) -> None:
        self.engine = Engine(Store())
        self.answered = asyncio.Event()
        self.copies = StateCopies(
            self.engine, asyncio.get_running_loop(), self.answered.set, lambda: ON_RINGS
        )
        self.engine.core.copies = self.copies
        self.client = Client(self.engine)

    async def copy(self, before: Callable[[], None] = lambda: None) -> int:
        """Have a copy made; how many bytes it has."""
        self.client.post(Op.CONTROL, b"state\0copy\0")
        before()
        await self.answered.wait()
        ((_op, payload),) = self.client.replies()
        return int(payload.rstrip(b"\0"))

    def read(self, offset: int) -> bytes:
        return self.client.call(Op.CONTROL, b"state\0read\0%d\0" % offset)[1]


@looped
async def test_a_copy_is_the_state_when_it_was_asked_for() -> None:
    """All of it, so that an engine can be made of it; what comes later is not in it."""
    place = Place()
    play(place.engine, "write /a v; a watch /a t -> OK /a:t; start -> 1,")
    before = describe(place.engine)
    size = await place.copy(lambda: play(place.engine, "write /a later"))

    pieces = [place.read(offset)[:-1] for offset in range(0, size, PIECE)]

    assert len(b"".join(pieces)) == size
    other = Engine(Store())
    load(other, read_stream(b"".join(pieces)))
    assert differences(before, describe(other)) == []
    place.copies.close()


@looped
async def test_what_is_written_while_a_copy_is_made_does_not_wait() -> None:
    """The copy is another process's work."""
    place = Place()

    def meanwhile() -> None:
        other = Client(place.engine)
        assert other.call(Op.WRITE, b"/b\0v")[1] == b"OK\0"

    assert await place.copy(meanwhile) > 0
    place.copies.close()


@looped
async def test_a_copy_is_not_there_before_it_is_made_nor_after_it_was_dropped() -> None:
    """ENOENT; another connection has none either."""
    place = Place()
    assert place.read(0) == b"ENOENT\0"
    size = await place.copy()

    assert len(place.read(0)) == size + 1
    other = Client(place.engine)
    assert other.call(Op.CONTROL, b"state\0read\x000\0")[1] == b"ENOENT\0"
    place.copies.close()
    assert place.read(0) == b"ENOENT\0"


@looped
async def test_a_client_that_leaves_takes_its_copy_with_it() -> None:
    """Made or not."""
    place = Place()
    number = place.client.connection.id
    place.client.post(Op.CONTROL, b"state\0copy\0")

    place.engine.disconnect(place.client.connection)

    assert number not in place.copies._files
    assert number not in place.copies._children
    assert not place.answered.is_set()


@looped
async def test_who_waits_for_a_copy_is_told_when_there_will_be_none() -> None:
    """Another program takes over, which does not know who makes it."""
    place = Place()
    place.client.post(Op.CONTROL, b"state\0copy\0")

    place.copies.end_children()

    assert place.client.replies() == [(Op.ERROR, b"EIO\0")]
    assert not place.engine.core.deferred
    assert not place.copies._children
    assert place.read(0) == b"ENOENT\0"


@looped
async def test_no_answer_that_is_still_to_come_is_in_a_copy() -> None:
    """Whoever has asked for the copy is not told OK by what is made of it."""
    place = Place()
    size = await place.copy()

    data = b"".join([place.read(offset)[:-1] for offset in range(0, size, PIECE)])
    other = Engine(Store())
    load(other, read_stream(data))

    assert other.connections[0].outbox.size == 0
    (rings,) = [
        each
        for each in read_stream(data)
        if isinstance(each, UnknownData) and each.kind == RINGS
    ]
    assert rings_of(rings) == ON_RINGS
    assert_equal(place.engine, other)
    place.copies.close()
