"""xsd.transport.ring: the event channel's port that a domain's page may name."""

import mmap
from contextlib import closing

import pytest

from tests.transport.kernels import EmulatedHost, Kernel
from tests.transport.rings import EAGER, NOTIFYING, Rings, on_rings
from tests.transport.support import Served, event, serving, told
from tests.transport.test_ring_domains import refuse
from xsd.hypervisor.emulated import EmulatedHypervisor
from xsd.protocol.reply import OK
from xsd.protocol.ring import EVTCHN_PORT, PAGE_SIZE, REQ_CONS, RSP_PROD, Ring

EINVAL = b"EINVAL\0"


async def are_served(*guests: Kernel) -> bool:
    """Tell whether all of them get their replies."""
    for guest in guests:
        guest.begin_anew()
        await guest.ping()
    return True


@on_rings()
async def test_port_in_the_page_wins_over_that_of_introduction(rings: Rings) -> None:
    """Xen fills it in for a domain that it has made itself; at each introduction."""
    guest = rings.create(5)
    guest.fields[EVTCHN_PORT] = guest.port
    assert await rings.introduce(guest, guest.port + 100) == OK
    assert await are_served(guest)

    resumed = rings.resume(5, new_port=True)
    resumed.fields[EVTCHN_PORT] = resumed.port
    assert await rings.introduce(resumed, guest.port) == OK
    assert await are_served(resumed)
    assert rings.notices("domain.not_rebound") == []


@on_rings()
async def test_rubbish_in_the_page_is_no_hindrance(rings: Rings) -> None:
    """The port that INTRODUCE was told is bound then, at each introduction.

    Two wrong ones leave things as they are, and disturb nobody.
    """
    other = await rings.guest(6)
    guest = rings.create(5)
    for wrong in (other.port, 0xFFFFFFFF):
        guest.fields[EVTCHN_PORT] = wrong
        assert await rings.introduce(guest, guest.port + 100) == EINVAL
        assert not await rings.is_introduced(5)
        for _ in range(2):
            assert await rings.introduce(guest) == OK
            assert await are_served(guest)
        assert await rings.release(5) == OK
    assert await rings.introduce(guest) == OK
    # As after a suspension; the old event channel means nothing any more.
    resumed = rings.resume(5, new_port=True)
    assert resumed.port != guest.port
    assert await rings.introduce(resumed) == OK
    guest.notify()
    assert await are_served(resumed, other)
    assert rings.notices("domain.not_rebound") == []

    assert await rings.introduce(resumed, resumed.port + 100) == OK
    assert [each["domid"] for each in rings.notices("domain.not_rebound")] == [5]
    assert await are_served(resumed, other)


@on_rings(NOTIFYING)
async def test_introduction_with_a_bound_port_is_no_fault(rings: Rings) -> None:
    """Xen does not bind it twice, be it named in the page or by INTRODUCE."""
    guest = rings.create(5)
    for in_page, given in ((0, guest.port), (guest.port, 1)):
        guest.fields[EVTCHN_PORT] = in_page
        assert await rings.introduce(guest, given) == OK
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rings.hypervisor, "rebind", refuse)
            assert await rings.introduce(guest, given) == OK
        assert await are_served(guest)

    assert rings.notices("domain.not_rebound") == []


@serving
async def test_domains_that_wait_are_introduced_at_the_start(served: Served) -> None:
    """Xen has put the port into their pages; others are left to a toolstack.

    What is in their rings was meant for another daemon.
    """
    host = EmulatedHost(served.directory, lazy=False, own=False)
    name_port(host.hypervisor)
    watcher = await served.connect()
    await watcher.watch(b"@introduceDomain")
    with closing(Rings(served, host)) as rings:
        assert told(await watcher.frames(1)) == [event(b"@introduceDomain")]
        domains = served.engine.store.domains
        assert [each.domid for each in domains.all() if each.introduced] == [0, 5]
        assert domains.get(6) is None
        assert [each["domid"] for each in rings.notices("domain.found")] == [5]
        found = rings.attach(5)
        assert found.fields[REQ_CONS : RSP_PROD + 1].tolist() == [0, 0, 0, 0]
        await found.ping()


def name_port(hypervisor: EmulatedHypervisor) -> None:
    """Make two domains, one of which finds its port in its page."""
    for domid in (5, 6):
        hypervisor._answer({"do": "create", "domid": domid})
    waiting = hypervisor._domains[5]
    with mmap.mmap(waiting.page, PAGE_SIZE) as page:
        ring = Ring(memoryview(page))
        ring.evtchn_port = waiting.events.port
        ring.write_requests(b"x" * 100)
        ring.release()


@pytest.mark.pure_only
@on_rings(EAGER)
async def test_defect_at_an_introduction_does_not_end_the_start(rings: Rings) -> None:
    """A defect of ours with one of those that wait costs that one only."""
    error = ZeroDivisionError("a defect")
    introduced: list[int] = []

    def introduce(domid: int) -> None:
        if domid == 5:
            raise error
        introduced.append(domid)

    for domid in (5, 6):
        rings.create(domid)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(rings.engine), "introduce_waiting", staticmethod(introduce))
        rings.server._introduce_waiting()

    assert introduced == [6]
    assert rings.notices("domain.failed") == [{"domid": 5}]
