"""xsd.transport.ring: the event channel's port that a domain's page may name."""

import errno
import mmap

import pytest

from tests.transport.rings import OK, Rings, on_rings
from tests.transport.support import Served, serving
from xsd.hypervisor.emulated import EmulatedHypervisor
from xsd.protocol.ops import Op
from xsd.protocol.ring import PAGE_SIZE, Ring
from xsd.testing.ring import EVTCHN_PORT
from xsd.transport.ring import RingServer

EINVAL = b"EINVAL\0"


def refuse(*_: object) -> None:
    """Do as Xen does for a port that is bound already."""
    raise OSError(errno.EINVAL, "bound already")


@on_rings()
async def test_port_in_the_page_wins_over_that_of_introduction(rings: Rings) -> None:
    """Xen fills it in for a domain that it has made itself."""
    guest = await rings.create(5)
    guest.fields[EVTCHN_PORT] = guest.guest.port

    assert await rings.introduce(guest, guest.guest.port + 100) == OK
    assert (await guest.request(Op.GET_DOMAIN_PATH, b"5\0")).op == Op.GET_DOMAIN_PATH


@on_rings()
async def test_wrong_port_in_the_page_is_like_one_of_introduction(rings: Rings) -> None:
    """A guest that writes there before it is introduced keeps itself out."""
    other = await rings.guest(6)
    guest = await rings.create(5)
    for wrong in (other.guest.port, 0xFFFFFFFF):
        guest.fields[EVTCHN_PORT] = wrong
        assert await rings.introduce(guest) == EINVAL
        assert not await rings.is_introduced(5)

    guest.fields[EVTCHN_PORT] = 0
    assert await rings.introduce(guest) == OK
    for each in (guest, other):
        reply = await each.request(Op.GET_DOMAIN_PATH, b"5\0")
        assert reply.op == Op.GET_DOMAIN_PATH


@on_rings()
async def test_port_in_the_page_wins_at_another_introduction(rings: Rings) -> None:
    """As at the first one."""
    guest = await rings.guest(5)
    await rings.control(lambda: rings.host.resume(5, new_port=True))
    resumed = await rings.attach(5)
    resumed.fields[EVTCHN_PORT] = resumed.guest.port

    assert await rings.introduce(resumed, guest.guest.port) == OK
    reply = await resumed.request(Op.GET_DOMAIN_PATH, b"5\0")
    assert reply.payload == b"/local/domain/5\0"
    assert rings.notices("domain.not_rebound") == []


@on_rings()
async def test_wrong_port_in_the_page_leaves_the_event_channel(rings: Rings) -> None:
    """A guest that writes there keeps what it has, and can disturb nobody else."""
    other = await rings.guest(6)
    guest = await rings.guest(5)
    for wrong in (other.guest.port, 0xFFFFFFFF):
        guest.fields[EVTCHN_PORT] = wrong
        assert await rings.introduce(guest) == OK

    assert [each["domid"] for each in rings.notices("domain.not_rebound")] == [5, 5]
    for each in (guest, other):
        reply = await each.request(Op.GET_DOMAIN_PATH, b"5\0")
        assert reply.op == Op.GET_DOMAIN_PATH


@on_rings()
async def test_introduction_that_names_the_port_of_the_page_is_no_fault(
    rings: Rings,
) -> None:
    """Xen does not bind it twice, whatever INTRODUCE was told."""
    guest = await rings.create(5)
    guest.fields[EVTCHN_PORT] = guest.guest.port
    assert await rings.introduce(guest, 1) == OK
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rings.hypervisor, "rebind", refuse)
        assert await rings.introduce(guest, 1) == OK

    assert rings.notices("domain.not_rebound") == []


@serving
async def test_domains_that_wait_are_introduced_at_the_start(served: Served) -> None:
    """Xen has put the port into their pages; others are left to a toolstack."""
    hypervisor = EmulatedHypervisor(str(served.directory / "control"))
    for domid in (5, 6):
        hypervisor._answer({"do": "create", "domid": domid})
    waiting = hypervisor._domains[5]
    with mmap.mmap(waiting.page, PAGE_SIZE) as page:
        ring = Ring(memoryview(page))
        ring.evtchn_port = waiting.events.port
        ring.release()
    server = RingServer(served.reactor, hypervisor)
    served.engine.attach(server)
    watcher = await served.connect()
    await watcher.send(watcher.frame(Op.WATCH, b"@introduceDomain\0t\0"))
    await watcher.frames(2)
    server.start()
    try:
        served.reactor.run()
        (event,) = await watcher.frames(1)
        assert event.payload == b"@introduceDomain\0t\0"
        domains = served.engine.store.domains
        assert [each.domid for each in domains.all() if each.introduced] == [0, 5]
        assert domains.get(6) is None
        found = [each for each in served.notices if each.event == "domain.found"]
        assert [each.fields["domid"] for each in found] == [5]
    finally:
        server.close()
