"""xsd.transport.ring: whose turn it is, and what one guest cannot do to others."""

import asyncio

import pytest

from tests.transport.rings import OK, Kernel, Rings, on_rings
from xsd.protocol.ops import Op
from xsd.transport.ring import RingLink

Turns = list[tuple[int, int]]
"""Pass of the loop, and domain whose turn it was."""


def record(patch: pytest.MonkeyPatch, passes: list[int]) -> Turns:
    """Note whose turn it is from now on."""
    turns: Turns = []
    take_turn = RingLink.take_turn

    def noted(link: RingLink) -> bool:
        turns.append((passes[0], link.domain.domid))
        return take_turn(link)

    patch.setattr(RingLink, "take_turn", noted)
    return turns


async def go_on(rings: Rings, passes: list[int]) -> None:
    """Let the loop go round until there is nothing to do, counting."""
    quiet = 0
    while quiet < 5:
        await asyncio.sleep(0)
        passes[0] += 1
        quiet = 0 if rings.server._queue else quiet + 1


def ask(guest: Kernel) -> None:
    """Put a request into a ring and notify."""
    guest.put(guest.frame(Op.GET_DOMAIN_PATH, b"1\0"))


@on_rings(manners=("eager",))
async def test_one_guest_is_served_in_a_pass(rings: Rings) -> None:
    """Between two of them the loop looks at the sockets; they take turns."""
    guests = [await rings.guest(domid) for domid in (5, 6, 7)]
    passes = [0]
    with pytest.MonkeyPatch.context() as patch:
        turns = record(patch, passes)
        for guest in guests:
            ask(guest)
        await go_on(rings, passes)

    assert len({number for number, _domid in turns}) == len(turns)
    assert sorted([domid for _number, domid in turns][:3]) == [5, 6, 7]
    for guest in guests:
        (reply,) = await guest.frames(1)
        assert reply.payload == b"/local/domain/1\0"


@on_rings(manners=("eager",), own=True)
async def test_our_own_kernel_goes_first(rings: Rings) -> None:
    """dom0's requests come by its ring, too."""
    guests = [await rings.guest(domid) for domid in (5, 6)]
    kernel = await rings.attach(0)
    links = rings.server.rings.links
    for domid in (5, 6, 0):
        rings.server._queue_up(links[domid])

    assert [link.domain.domid for link in rings.server._queue] == [0, 5, 6]
    for each in (kernel, *guests):
        ask(each)
        assert len(await each.frames(1)) == 1


@on_rings(manners=("eager",))
async def test_a_defect_in_one_guests_turn_is_that_guests(rings: Rings) -> None:
    """The others are served, and the log has the trace."""
    bad, good = await rings.guest(5), await rings.guest(6)
    error = ZeroDivisionError("a defect")

    def fail(link: RingLink) -> bool:
        if link.domain.domid == 5:
            raise error
        return take_turn(link)

    take_turn = RingLink.take_turn
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RingLink, "take_turn", fail)
        ask(bad)
        ask(good)
        await rings.quiet()
        assert len(await good.frames(1)) == 1
    failed = [each for each in rings.served.notices if each.event == "domain.failed"]

    assert failed
    assert {each.error for each in failed} == {error}
    assert failed[0].fields == {"domid": 5}
    ask(bad)
    assert len(await bad.frames(2)) == 2


@on_rings(manners=("eager",))
async def test_a_guest_that_is_gone_has_no_turn(rings: Rings) -> None:
    """It may end while it is in the queue."""
    gone, other = await rings.guest(5), await rings.guest(6)
    link = rings.server.rings.links[5]
    rings.server._queue_up(link)
    rings.server._unlink(link)
    await rings.quiet()

    assert link.ended
    assert (await other.request(Op.GET_DOMAIN_PATH, b"6\0")).op == Op.GET_DOMAIN_PATH
    assert await rings.ask(Op.RELEASE, b"5") == OK
    assert gone.domid == 5
