"""xsd.transport.ring: domains that stop and run again, and our own domain."""

from tests.transport.kernels import Kernel
from tests.transport.rings import EAGER, NOTIFYING, OK, Rings, event, on_rings, told
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import FEATURES, Op
from xsd.protocol.ring import CONNECTED, RECONNECT, REQ_PROD

OUT = b"@releaseDomain"

eagerly = on_rings(NOTIFYING)


# Domains that stop by themselves.


@eagerly
async def test_domain_that_stops_is_told_once(rings: Rings) -> None:
    """It may be saved or destroyed now; it stays introduced, and is served."""
    guest = await rings.guest(5)
    await rings.make(b"/own", b"n5")
    watcher = await rings.watcher(OUT, b"/own")
    for _ in range(2):
        await rings.stop(5)
    await rings.create(7)
    await rings.quiet()

    assert await rings.events(watcher) == [OUT]
    assert await rings.is_introduced(5)
    assert (await guest.request(Op.READ, b"/own\0")).payload == b""


@eagerly
async def test_end_after_a_stop_is_told_again(rings: Rings) -> None:
    """First that it has stopped, then that it is gone."""
    await rings.guest(5)
    await rings.make(b"/own", b"n5")
    watcher = await rings.watcher(OUT, b"/own")
    await rings.stop(5)
    assert await rings.events(watcher) == [OUT]
    await rings.kill(5)

    assert await rings.events(watcher) == [b"/own", OUT]
    assert not await rings.is_introduced(5)


@eagerly
async def test_stop_after_resume_is_told_again(rings: Rings) -> None:
    """A domain that was suspended may run on; RESUME says so."""
    guest = await rings.guest(5)
    watcher = await rings.watcher(OUT)
    await rings.stop(5)
    await rings.host.resume(5)
    await rings.stop(5)
    assert await rings.events(watcher) == [OUT]

    await rings.host.resume(5)
    assert await rings.ask(Op.RESUME, b"5") == OK
    assert (await guest.request(Op.GET_DOMAIN_PATH, b"5\0")).op == Op.GET_DOMAIN_PATH
    assert await rings.events(watcher) == []
    await rings.stop(5)
    assert await rings.events(watcher) == [OUT]


@eagerly
async def test_two_that_stop_at_once_are_one_event(rings: Rings) -> None:
    """Only watches with a depth are told which they are."""
    for domid in (5, 6):
        await rings.guest(domid)
    plain, deep = await rings.watcher(OUT), await rings.served.connect()
    for path, token, depth in ((OUT, b"0", b"0\0"), (OUT, b"1", b"1\0")):
        await deep.send(deep.frame(Op.WATCH, path + b"\0" + token + b"\0" + depth))
        await deep.frames(2)
    await deep.send(deep.frame(Op.WATCH, OUT + b"/6\x006\0"))
    await deep.frames(2)
    await rings.at_once(shutdown=(5, 6))

    assert await rings.events(plain) == [OUT]
    assert told(await deep.frames(3)) == [
        event(OUT + b"/5", b"1"),
        event(OUT + b"/6", b"1"),
        event(OUT + b"/6", b"6"),
    ]


@eagerly
async def test_one_that_stops_and_one_that_ends_at_once(rings: Rings) -> None:
    """Both are told, the end after the nodes."""
    for domid in (5, 6):
        await rings.guest(domid)
    await rings.make(b"/own", b"n6")
    watcher = await rings.watcher(b"/own", OUT)
    await rings.at_once(shutdown=(5,), kill=(6,))

    assert await rings.events(watcher) == [b"/own", OUT, OUT]
    assert await rings.is_introduced(5)
    assert not await rings.is_introduced(6)


@eagerly
async def test_stop_of_a_domain_that_is_not_introduced_is_not_told(
    rings: Rings,
) -> None:
    """Nobody knows of it yet."""
    await rings.create(5)
    await rings.make(b"/own", b"n5")
    watcher = await rings.watcher(OUT)
    await rings.stop(5)

    assert await rings.events(watcher) == []


@eagerly
async def test_event_about_a_domain_is_as_young_as_it_is(rings: Rings) -> None:
    """It has not waited since the last request."""
    rings.engine.expire_events_after(20_000)
    guest, dead = await rings.guest(5), await rings.guest(6)
    await guest.send(guest.frame(Op.WATCH, OUT + b"\0t\0"))
    await guest.frames(2)
    asked = [guest.frame(Op.GET_DOMAIN_PATH, b"5\0") for _ in range(50)]
    guest.put(b"".join(asked))
    await rings.quiet()
    rings.served.stop_clock()
    assert rings.served.now_s is not None
    rings.served.now_s += 30
    await rings.kill(dead.domid)
    rings.served.pass_time(19)

    assert told(await guest.frames(51))[50] == event(OUT, b"t")


# The domain that we run in.


@on_rings(own=True)
async def test_own_kernel_is_served_without_an_introduction(rings: Rings) -> None:
    """With all rights; it waits until it is notified."""
    kernel = await rings.attach(0)

    assert kernel.take_notification()
    assert kernel.ring.server_features == FEATURES
    assert (await kernel.request(Op.WRITE, b"/a\0v")).payload == OK
    assert await rings.ask(Op.READ, b"/a") == b"v"
    assert await rings.is_introduced(0)


@on_rings(own=True)
async def test_own_kernel_introduces_guests(rings: Rings) -> None:
    """A dom0 whose tools use the kernel's device, not the socket."""
    kernel = await rings.attach(0)
    watcher = await rings.watcher(OUT)
    guest = await rings.create(5)
    payload = b"5\x001\x00%d\0" % guest.port

    assert (await kernel.request(Op.INTRODUCE, payload)).payload == OK
    assert (await guest.request(Op.GET_DOMAIN_PATH, b"5\0")).op == Op.GET_DOMAIN_PATH
    assert (await kernel.request(Op.RELEASE, b"5\0")).payload == OK
    assert await rings.events(watcher) == [OUT]


@on_rings(EAGER, own=True)
async def test_domain_that_is_released_before_its_turn_is_not_served(
    rings: Rings,
) -> None:
    """Two notify at once, and the first one's request ends the second one."""
    kernel, guest = await rings.attach(0), await rings.guest(5)
    await kernel.request(Op.GET_DOMAIN_PATH, b"0\0")
    await rings.quiet()
    guest.put(guest.frame(Op.GET_DOMAIN_PATH, b"5\0"))
    kernel.put(kernel.frame(Op.RELEASE, b"5\0"))
    assert told(await kernel.frames(1)) == [(Op.RELEASE, OK)]
    await rings.quiet()

    assert guest.take() == b""
    assert rings.engine.store.domains.get(5) is None


@on_rings(EAGER, own=True)
async def test_own_kernel_that_reconnects_begins_anew(rings: Rings) -> None:
    """Such as one that was started by kexec."""
    kernel = await rings.attach(0)
    await kernel.send(kernel.frame(Op.WATCH, b"/a\0t\0"))
    await kernel.frames(2)
    kernel.put(kernel.frame(Op.READ, b"/a\0")[:17])
    kernel.ring.connection = RECONNECT
    kernel.notify()
    await rings.quiet()

    assert kernel.ring.connection == CONNECTED
    kernel.begin_anew()
    assert (await kernel.request(Op.WRITE, b"/a\0v")).payload == OK
    assert kernel.take() == b""


@on_rings(EAGER, own=True)
async def test_own_kernel_keeps_its_ring_when_dom0_is_introduced(rings: Rings) -> None:
    """It is never mapped twice, nor released."""
    kernel = await rings.attach(0)
    await kernel.request(Op.GET_DOMAIN_PATH, b"0\0")
    sent = kernel.fields[REQ_PROD]
    assert await rings.ask(Op.INTRODUCE, b"0", b"1", b"1") == OK
    assert await rings.release(0) == b"EINVAL\0"

    assert kernel.fields[REQ_PROD] == sent
    assert (await kernel.request(Op.GET_DOMAIN_PATH, b"0\0")).op == Op.GET_DOMAIN_PATH


@on_rings(EAGER, own=True)
async def test_request_that_waits_for_the_server_is_answered(rings: Rings) -> None:
    """The kernel may have asked before there was a server."""
    kernel = await rings.attach(0)
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
