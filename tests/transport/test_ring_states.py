"""xsd.transport.ring: domains that stop and run again, and our own domain."""

from tests.transport.kernels import Kernel
from tests.transport.rings import EAGER, NOTIFYING, Rings, on_rings
from tests.transport.support import event, told
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import FEATURES, Op
from xsd.protocol.reply import OK
from xsd.protocol.ring import CONNECTED, RECONNECT, REQ_PROD

OUT = b"@releaseDomain"

eagerly = on_rings(NOTIFYING)


# Domains that stop by themselves.


@eagerly
async def test_stop_is_told_once_until_resume_or_the_end(rings: Rings) -> None:
    """It may be saved or destroyed now; it stays introduced, and is served."""
    guest = await rings.guest(5)
    await rings.make(b"/own", b"n5")
    watcher = await rings.watcher(OUT, b"/own")
    for _ in range(2):
        await rings.stop(5)
    rings.create(7)
    await rings.quiet()
    assert await rings.events(watcher) == [OUT]
    assert await rings.is_introduced(5)
    assert await guest.ask(Op.READ, b"/own\0") == b""

    # One that was suspended may run on; only RESUME says so.
    rings.host.resume(5)
    await rings.stop(5)
    assert await rings.events(watcher) == []
    rings.host.resume(5)
    assert await rings.ask(Op.RESUME, b"5") == OK
    await guest.ping()
    assert await rings.events(watcher) == []
    await rings.stop(5)
    assert await rings.events(watcher) == [OUT]

    await rings.kill(5)
    assert await rings.events(watcher) == [b"/own", OUT]
    assert not await rings.is_introduced(5)


@eagerly
async def test_two_that_stop_at_once_are_one_event(rings: Rings) -> None:
    """Only watches with a depth are told which they are. An end is told, too."""
    for domid in (5, 6, 7):
        await rings.guest(domid)
    rings.create(8)
    await rings.make(b"/own", b"n6")
    plain, deep = await rings.watcher(OUT, b"/own"), await rings.served.connect()
    await deep.watch(OUT, b"1", b"1")
    await rings.stop(5, 6)
    assert await rings.events(plain) == [OUT]
    assert await rings.events(deep) == [OUT + b"/5", OUT + b"/6"]
    # Of one that is not introduced nobody knows yet.
    await rings.stop(8)
    assert await rings.events(plain) == []

    rings.host.stop(7)
    await rings.kill(6)
    assert await rings.events(plain) == [b"/own", OUT, OUT]
    assert await rings.is_introduced(7)
    assert not await rings.is_introduced(6)


@eagerly
async def test_event_about_a_domain_is_as_young_as_it_is(rings: Rings) -> None:
    """It has not waited since the last request."""
    rings.engine.expire_events_after(20_000)
    guest, dead = await rings.guest(5), await rings.guest(6)
    await guest.watch(OUT)
    guest.put(guest.many(50))
    await rings.quiet()
    rings.served.stop_clock()
    assert rings.served.now_s is not None
    rings.served.now_s += 30
    await rings.kill(dead.domid)
    rings.served.pass_time(19)

    assert told(await guest.frames(51))[50] == event(OUT)


# The domain that we run in.


@on_rings(own=True)
async def test_own_kernel_is_served_without_an_introduction(rings: Rings) -> None:
    """It waits until it is notified; it has all rights, and no limits."""
    kernel = rings.attach(0)
    await rings.quiet()
    assert kernel.take_notification()
    assert kernel.ring.server_features == FEATURES
    assert await rings.is_introduced(0)
    for number in range(200):
        await kernel.watch(b"/a/%d" % number)
    for number in range(200):
        await kernel.send(kernel.frame(Op.WRITE, b"/a/%d\0v" % number))

    assert told(await kernel.frames(400)).count((Op.WRITE, OK)) == 200
    assert rings.connection(0).tally.count == 0
    assert await rings.ask(Op.READ, b"/a/199") == b"v"


@on_rings(own=True)
async def test_own_kernel_introduces_guests(rings: Rings) -> None:
    """A dom0 whose tools use the kernel's device, not the socket."""
    kernel = rings.attach(0)
    watcher = await rings.watcher(OUT)
    guest = rings.create(5)

    assert await kernel.ask(Op.INTRODUCE, b"5\x001\x00%d\0" % guest.port) == OK
    await guest.ping()
    assert await kernel.ask(Op.RELEASE, b"5\0") == OK
    assert await rings.events(watcher) == [OUT]


@on_rings(EAGER, own=True)
async def test_own_kernel_keeps_its_ring_unless_it_reconnects(rings: Rings) -> None:
    """Introduction of dom0 does not map it twice; one started by kexec begins anew."""
    kernel = rings.attach(0)
    await kernel.ping()
    sent = kernel.fields[REQ_PROD]
    assert await rings.ask(Op.INTRODUCE, b"0", b"1", b"1") == OK
    assert await rings.release(0) == b"EINVAL\0"
    assert kernel.fields[REQ_PROD] == sent
    await kernel.watch(b"/a")

    kernel.put(kernel.frame(Op.READ, b"/a\0")[:17])
    kernel.ring.connection = RECONNECT
    kernel.notify()
    await rings.quiet()
    assert kernel.ring.connection == CONNECTED
    kernel.begin_anew()
    assert await kernel.ask(Op.WRITE, b"/a\0v") == OK
    assert kernel.take() == b""


@on_rings(EAGER, own=True)
async def test_request_that_waits_for_the_server_is_answered(rings: Rings) -> None:
    """The kernel may have asked before there was a server."""
    kernel = rings.attach(0)
    rings.engine.disconnect(rings.connection(0))
    rings.server._unlink(rings.server.rings.links[0])
    kernel.ring.write_requests(encode_frame(Op.GET_DOMAIN_PATH, 7, 0, b"0\0"))
    rings.server._serve_own_kernel()

    assert [frame.req_id for frame in await kernel.frames(1)] == [7]


@on_rings(EAGER)
async def test_domain_zero_is_not_needed(rings: Rings) -> None:
    """Without one, only the socket is dom0's."""
    assert rings.server.rings.links == {}
    assert await rings.is_introduced(0)
    assert isinstance(await rings.guest(5), Kernel)
