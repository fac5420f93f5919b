"""xsd.transport.ringlink: which rings are looked at, and when."""

import socket
from contextlib import closing
from typing import final

import pytest

from tests.support.descriptors import few_descriptors_left
from tests.transport.kernels import EmulatedHost, Kernel
from tests.transport.rings import EAGER, NOTIFYING, Rings, on_rings
from tests.transport.support import Served, serving
from xsd.engine import Connection
from xsd.engine.ledger import Ledger, Slot
from xsd.protocol.ops import Op
from xsd.protocol.reply import OK
from xsd.protocol.ring import ERROR_COMMUNICATION
from xsd.transport.ringlink import ROUND_MAX, VISITS_MAX, RingLink

LONG = b"v" * 1500
"""More than a ring holds."""


def ask(guest: Kernel, *, notify: bool = True) -> None:
    """Put a request into a ring."""
    guest.ring.write_requests(guest.frame(Op.GET_DOMAIN_PATH, b"1\0"))
    if notify:
        guest.notify()


def has_reply(guest: Kernel) -> bool:
    """Take what a guest has got, without notifying; tell whether it is the reply."""
    return guest.ring.read_responses(1024)[16:] == b"/local/domain/1\0"


# Guests that do not notify, as some firmware.


async def wake_by_dom0(rings: Rings) -> None:
    """Have dom0 make a request that concerns nobody else."""
    assert await rings.ask(Op.WRITE, b"/elsewhere", b"") == OK


async def wake_by_guest(rings: Rings) -> None:
    """Have another guest make a request."""
    await rings.other.ping()


async def wake_by_time(rings: Rings) -> None:
    """Have the time come at which all rings are looked at."""
    rings.server.on_time()
    await rings.quiet()


WAKES = (wake_by_dom0, wake_by_guest, wake_by_time)


@on_rings(NOTIFYING)
async def test_guest_that_never_notifies_is_served(rings: Rings) -> None:
    """As reader and asker: when anything wakes the daemon, and at least in a while."""
    guest, rings.other = await rings.guest(5), await rings.guest(6)
    await rings.make(b"/long", b"n0", b"r5")
    assert await rings.ask(Op.WRITE, b"/long\0" + LONG[:-1]) == OK
    for wake in WAKES:
        guest.ring.write_requests(guest.frame(Op.READ, b"/long\0"))
        guest.notify()
        await rings.quiet()
        first = guest.ring.read_responses(1024)
        await rings.quiet()
        assert len(first) == 1024
        assert guest.ring.read_responses(1024) == b""

        await wake(rings)
        rest = guest.ring.read_responses(1024)
        assert (first + rest)[16:] == LONG[:-1] + b"\0"

        ask(guest, notify=False)
        await rings.quiet()
        assert guest.ring.read_responses(1024) == b""

        await wake(rings)
        assert has_reply(guest)


def carry_out(rings: Rings) -> None:
    """Have the engine do all that has come, and the links send it."""
    while rings.engine.busy:
        rings.engine.turn(rings.served.reactor.now_ms)
    for connection in rings.engine.take_dirty():
        assert connection.link is not None
        connection.link.update()


@on_rings(EAGER)
async def test_some_rings_are_looked_at_with_each_wake_up(rings: Rings) -> None:
    """In turn, so that many guests do not make each wake-up dear; in time, all."""
    guests = [await rings.guest(domid) for domid in range(1, ROUND_MAX + 9)]
    await rings.quiet()
    for guest in guests:
        ask(guest, notify=False)
    rings.served.reactor.run()
    carry_out(rings)
    answered = [guest for guest in guests if has_reply(guest)]
    assert len(answered) == ROUND_MAX
    rings.served.reactor.run()
    carry_out(rings)
    left = [guest for guest in guests if guest not in answered]
    assert all(has_reply(guest) for guest in left)

    for guest in guests:
        ask(guest, notify=False)
    await wake_by_time(rings)
    assert all(has_reply(guest) for guest in guests)


@on_rings(EAGER)
async def test_daemon_sleeps_as_long_as_there_are_no_rings(rings: Rings) -> None:
    """The time to look at them comes again and again while there are."""
    assert not time_comes(rings)
    await rings.guest(5)
    assert time_comes(rings)
    assert time_comes(rings)
    assert await rings.release(5) == OK
    assert time_comes(rings)
    assert not time_comes(rings)


def time_comes(rings: Rings) -> bool:
    """Let the time come at which all rings are looked at, if there is one."""
    timer = rings.server._timer
    if timer is None:
        return False
    timer.cancel()
    rings.server.on_time()
    return True


@serving
async def test_control_clients_without_descriptors_get_served(served: Served) -> None:
    """Nothing else would wake the daemon for them."""
    host = EmulatedHost(served.directory, lazy=False, own=False)
    with closing(Rings(served, host)) as rings:
        waiting = socket.socket(socket.AF_UNIX)
        with waiting, few_descriptors_left():
            waiting.connect(host.control)
            await rings.quiet()
        for is_short in (True, False):
            assert host.hypervisor.is_short is is_short
            assert time_comes(rings) is is_short
        assert rings.create(5).domid == 5


# Whose turn it is.


@on_rings(EAGER)
async def test_each_pass_visits_so_many_rings(rings: Rings) -> None:
    """In between the sockets are looked at."""
    guests = [await rings.guest(domid) for domid in range(1, VISITS_MAX + 3)]
    await rings.quiet()
    queue = rings.server.rings
    for guest in guests:
        ask(guest, notify=False)
        queue.queue(rings.server.rings.links[guest.domid])
    queue.receive()
    carry_out(rings)

    assert sum(has_reply(guest) for guest in guests) == VISITS_MAX
    assert queue.busy


@on_rings(EAGER, own=True)
async def test_our_own_kernel_goes_first(rings: Rings) -> None:
    """dom0's requests come by its ring, too. Who is gone has no turn."""
    guests = [await rings.guest(domid) for domid in (5, 6)]
    gone, kernel = await rings.guest(7), rings.attach(0)
    await rings.quiet()
    queue = rings.server.rings
    link = queue.links[7]
    for domid in (5, 7, 6, 0):
        queue.queue(queue.links[domid])
    assert [each.domain.domid for each in queue._queue] == [0, 5, 7, 6]
    ask(gone, notify=False)
    assert await rings.release(7) == OK
    await rings.quiet()
    assert link.ended
    assert gone.take() == b""

    for each in (kernel, *guests):
        ask(each)
        assert len(await each.frames(1)) == 1


@on_rings(EAGER)
async def test_one_notification_tells_of_a_whole_pass(rings: Rings) -> None:
    """That the request was taken and that there is a reply, not one for each."""
    guest = await rings.guest(5)
    await rings.quiet()
    guest.take_notification()
    ask(guest)
    await rings.quiet()

    assert has_reply(guest)
    assert guest.count_notifications() == 1


@pytest.mark.pure_only
@on_rings(EAGER)
async def test_a_defect_in_one_guests_turn_is_that_guests(rings: Rings) -> None:
    """It is ignored, the others are served, and the log has the trace."""
    bad, good = await rings.guest(5), await rings.guest(6)
    error = ZeroDivisionError("a defect")
    receive = RingLink._receive

    def fail(link: RingLink) -> None:
        if link.domain.domid == 5:
            raise error
        receive(link)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RingLink, "_receive", fail)
        ask(bad)
        ask(good)
        assert len(await good.frames(1)) == 1
    (failed,) = [each for each in rings.served.notices if each.error is not None]
    assert failed.event == "connection.failed"

    assert failed.error is error
    assert failed.fields["domid"] == 5
    assert bad.ring.error == ERROR_COMMUNICATION
    assert await rings.release(5) == OK
    assert await rings.introduce(bad) == OK
    bad.begin_anew()
    await bad.ping()


# A hypervisor that does not answer.


@on_rings(EAGER, sockets=True)
async def test_domain_of_unknown_state_does_not_hold_others_up(rings: Rings) -> None:
    """Neither from being told as gone, nor from their sockets; it is asked again."""
    for domid in (5, 6, 7):
        await rings.guest(domid)
    watcher = await rings.watcher(b"@releaseDomain")
    real = rings.hypervisor.state

    def state(domid: int) -> object:
        if domid == 6:
            raise OSError(5, "no answer")
        return real(domid)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rings.hypervisor, "state", state)
        rings.create(8)
        await rings.kill(5, 6, 7)
        assert await rings.events(watcher) == [b"@releaseDomain"] * 2
        assert await rings.ask(Op.SET_PERMS, b"/", b"n0", b"r6") == OK
        paths = {each.name for each in rings.served.directory.iterdir()}
        assert {"socket.dom6", "socket.dom8"} <= paths
        assert not {"socket.dom5", "socket.dom7"} & paths
        assert await rings.is_introduced(6)

    assert time_comes(rings)
    assert await rings.events(watcher) == [b"@releaseDomain"]
    assert not await rings.is_introduced(6)
    assert not time_comes(rings)
    assert {each["domid"] for each in rings.notices("domain.state_unknown")} == {6}


@final
class Full(Ledger):
    """One that has no slot left."""

    def slot_of(self, connection: Connection) -> tuple[Slot, bool] | None:
        return None


@on_rings(EAGER)
async def test_guest_is_served_without_a_slot(rings: Rings) -> None:
    """What it has under way would not outlive the process, and that is said."""
    rings.server.keep_in(Full())

    guest = await rings.guest(5)

    await guest.ping()
    assert rings.notices("domain.not_noted") == [{"domid": 5}]
    assert not rings.connection(5).has_slot
