"""xsd.transport.ring: guests that ask much, read little or cause others much."""

import asyncio
from typing import Final, final

from tests.transport.kernels import Kernel
from tests.transport.rings import Rings, on_rings
from tests.transport.support import event, told
from xsd.engine import HIGH_WATER
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op
from xsd.protocol.reply import OK

COUNT: Final = 120
"""Writes of a test, each of which causes an event for each watch."""

OUTSTANDING: Final = 20
"""What a guest may have under way; the default of the quota."""

IN_RING: Final = 1024 // len(encode_frame(Op.WATCH_EVENT, 0, 0, b"/a/000\0t\0"))
"""Most events that a ring holds; they count as read."""


@final
class Writer:
    """A guest that writes nodes one by one, as far as it may.

    Attributes:
        kernel: Its end of the ring.
        asked: Requests that it wants to make.
        answered: Replies that it got.
    """

    def __init__(self, rings: Rings, kernel: Kernel) -> None:
        self.kernel = kernel
        self.asked = 0
        self.answered = 0
        self._rings = rings
        self._rest = b""

    @property
    def under_way(self) -> int:
        """What counts against its quota."""
        return self._rings.connection(self.kernel.domid).tally.count

    async def write(self, count: int) -> None:
        """Ask for some more writes, each after what became of those before."""
        for _ in range(count):
            self._rest += self.kernel.frame(Op.WRITE, b"/a/%03d\0" % self.asked)
            self.asked += 1
            await self.turn()
        while await self.turn():
            pass

    async def turn(self) -> int:
        """Move what can be moved, and let the server do so; tell how much it was."""
        moved = self._move()
        await self._rings.quiet()
        return moved

    async def finish(self) -> None:
        """Get all replies that are not there yet."""
        await self._rings.served.until(self._is_done)

    def _is_done(self) -> bool:
        self._move()
        return self.answered == self.asked

    def _move(self) -> int:
        size = self.kernel.put(self._rest) if self._rest else 0
        self._rest = self._rest[size:]
        replies = self.kernel.take()
        self.answered += replies.count(OK)
        return size + len(replies)


async def deaf_guest(rings: Rings, domid: int = 6) -> Kernel:
    """A guest that watches `/a` and reads nothing from then on."""
    deaf = await rings.guest(domid)
    await deaf.watch(b"/a")
    return deaf


async def held_up(rings: Rings, watches: int = 1) -> Writer:
    """A guest that has to wait as long as others do not read its events."""
    writer = Writer(rings, await rings.guest(5))
    await writer.write(COUNT)
    assert writer.answered <= IN_RING + OUTSTANDING // watches
    assert OUTSTANDING <= writer.under_way < OUTSTANDING + watches
    return writer


@on_rings()
async def test_events_that_nobody_reads_hold_up_who_causes_them(rings: Rings) -> None:
    """And nobody else; all goes on when they are read (XSA-326).

    One that is told twice counts twice, and has to be read by both.
    """
    await rings.make(b"/a", b"b0")
    one, two = await deaf_guest(rings), await deaf_guest(rings, 7)
    other = await rings.guest(8)
    writer = await held_up(rings, 2)
    assert await other.ask(Op.READ, b"/a\0") == b""
    assert await rings.ask(Op.READ, b"/a/000") == b""
    assert await rings.ask(Op.READ, b"/a/100") == b"ENOENT\0"

    before = writer.answered
    while one.take() or await writer.turn():
        await rings.quiet()
    assert before < writer.answered < COUNT
    assert writer.under_way == OUTSTANDING
    events = asyncio.create_task(two.frames(COUNT))
    reading = asyncio.create_task(one.frames(COUNT - writer.answered))
    await writer.finish()
    assert told(await events) == [event(b"/a/%03d" % n) for n in range(COUNT)]
    await reading
    await writer.turn()
    assert writer.under_way == 0


@on_rings()
async def test_unread_events_are_dropped_in_time(rings: Rings) -> None:
    """But for the one that has been begun; and who caused them goes on."""
    await rings.make(b"/a", b"b0")
    rings.engine.expire_events_after(20_000)
    deaf = await deaf_guest(rings)
    rings.served.stop_clock()
    writer = await held_up(rings)
    rings.served.pass_time(19.999)
    assert writer.under_way == OUTSTANDING
    assert [each["what"] for each in rings.notices("events.expired")] == []
    rings.served.pass_time(0.001)
    assert [each["what"] for each in rings.notices("events.expired")] == [19]

    while writer.answered < COUNT:
        await writer.turn()
        rings.served.pass_time(20)
    count = len(deaf.take())
    await rings.quiet()
    assert 1024 < count + len(deaf.take()) < 1024 + 25
    assert rings.connection(6).outbox.size == 0


@on_rings()
async def test_replies_that_are_not_read_hold_up_who_asked(rings: Rings) -> None:
    """They count as under way; a quota of 0 leaves the amount of bytes."""
    guest = await rings.guest(5)
    await rings.make(b"/a", b"b0")
    assert await rings.ask(Op.WRITE, b"/a\0" + b"v" * 3999) == OK
    for quota, most in ((b"20", 20 * 4112), (b"0", HIGH_WATER + 64 * 4112)):
        assert await rings.ask(Op.SET_QUOTA, b"5", b"outstanding", quota) == OK
        rest = guest.many(200, Op.READ, b"/a\0")
        while size := guest.put(rest):
            rest = rest[size:]
            await rings.quiet()
        assert rest
        assert most // 2 < rings.connection(5).outbox.size <= most
        await guest.send(rest)
        assert len(await guest.frames(200)) == 200
