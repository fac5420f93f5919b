"""xsd.transport.ring: domains that come, go, stop, and are mistaken for another."""

import errno

import pytest

from tests.transport.rings import (
    EAGER,
    NOTIFYING,
    OK,
    Rings,
    event,
    on_rings,
    told,
)
from tests.transport.support import Peer
from xsd.hypervisor.emulated import EmulatedHypervisor
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op

IN, OUT = b"@introduceDomain", b"@releaseDomain"
EINVAL, ENOENT, EACCES = b"EINVAL\0", b"ENOENT\0", b"EACCES\0"

eagerly = on_rings(NOTIFYING)


async def deep_watcher(rings: Rings, *names: bytes) -> Peer:
    """A client of dom0 that is told which domain it is about."""
    peer = await rings.served.connect()
    for name in names:
        await peer.send(peer.frame(Op.WATCH, name + b"\0" + name + b"\x001\0"))
        await peer.frames(2)
    return peer


def has_nothing(rings: Rings, domid: int) -> bool:
    """Tell whether a domain uses nothing: no nodes, no watches, no memory."""
    accounts = rings.engine.store.usage.by_quota()
    return not any(account.of(domid) for _name, account in accounts)


# Introduction and release.


@eagerly
async def test_introduced_domain_is_served_and_told(rings: Rings) -> None:
    """@introduceDomain, once."""
    watcher = await rings.watcher(IN, OUT)
    guest = await rings.guest(5)

    assert (await guest.request(Op.GET_DOMAIN_PATH, b"5\0")).op == Op.GET_DOMAIN_PATH
    assert await rings.introduce(guest) == OK
    assert await rings.events(watcher) == [IN]
    assert await rings.is_introduced(5)


@eagerly
async def test_domain_that_cannot_be_connected_is_not_introduced(rings: Rings) -> None:
    """The hypervisor does not have it, or not this event channel of it."""
    watcher = await rings.watcher(IN, OUT)
    guest = await rings.create(5)

    assert await rings.ask(Op.INTRODUCE, b"6", b"1", b"1") == EINVAL
    assert await rings.introduce(guest, guest.port + 1) == EINVAL
    assert not await rings.is_introduced(5)
    assert rings.engine.store.domains.get(6) is None
    assert await rings.introduce(guest) == OK
    assert await rings.events(watcher) == [IN]


@on_rings(EAGER, lenient=True)
async def test_domain_without_a_ring_can_be_introduced_for_tests(rings: Rings) -> None:
    """It lives until RELEASE, whatever becomes of others."""
    watcher = await rings.watcher(IN, OUT)
    assert await rings.ask(Op.INTRODUCE, b"6", b"1", b"1") == OK
    assert await rings.ask(Op.INTRODUCE, b"6", b"1", b"2") == OK
    await rings.guest(5)
    await rings.kill(5)
    assert await rings.is_introduced(6)
    assert await rings.release(6) == OK

    assert await rings.events(watcher) == [IN, IN, OUT, OUT]


@on_rings(EAGER, lenient=True)
async def test_real_domain_is_not_taken_for_one_without_a_ring(rings: Rings) -> None:
    """What was introduced without one ends when the hypervisor has such a domain."""
    watcher = await rings.watcher(IN, OUT)
    assert await rings.ask(Op.INTRODUCE, b"5", b"1", b"1") == OK
    guest = await rings.create(5)
    await rings.quiet()

    assert not await rings.is_introduced(5)
    assert await rings.introduce(guest) == OK
    assert await rings.events(watcher) == [IN, OUT, IN]


@on_rings()
async def test_released_domain_is_not_served(rings: Rings) -> None:
    """Its ring is left as it is; it can be introduced again."""
    guest = await rings.guest(5)
    await rings.make(b"/a", b"b0")
    await guest.send(guest.frame(Op.WATCH, b"/a\0t\0"))
    await guest.frames(2)
    await guest.start()
    assert await rings.release(5) == OK
    assert has_nothing(rings, 5)
    before = guest.fields[:].tolist()
    guest.notify()
    await rings.ask(Op.WRITE, b"/a")
    await rings.quiet()
    assert guest.fields[:].tolist() == before

    assert await rings.introduce(guest) == OK
    guest.begin_anew()
    assert (await guest.request(Op.GET_DOMAIN_PATH, b"5\0")).op == Op.GET_DOMAIN_PATH


# Event channels.


@on_rings()
async def test_another_event_channel_is_told_by_introduction(rings: Rings) -> None:
    """As after a suspension; the old one means nothing any more."""
    guest = await rings.guest(5)
    resumed = await rings.resume(5, new_port=True)
    assert resumed.port != guest.port
    assert await rings.introduce(resumed) == OK

    guest.notify()
    reply = await resumed.request(Op.GET_DOMAIN_PATH, b"5\0")
    assert reply.payload == b"/local/domain/5\0"
    assert rings.notices("domain.not_rebound") == []


def refuse(*_: object) -> None:
    """Do as Xen does for a port that is bound already."""
    raise OSError(errno.EINVAL, "bound already")


@eagerly
async def test_domain_that_cannot_be_notified_is_about_to_end(rings: Rings) -> None:
    """That is told in its own time."""
    guest = await rings.guest(5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rings.hypervisor, "notify", refuse)
        guest.put(guest.frame(Op.GET_DOMAIN_PATH, b"5\0"))
        await rings.quiet()

    assert {each["domid"] for each in rings.notices("domain.not_notified")} == {5}
    assert len(await guest.frames(1)) == 1


# Death.


@on_rings()
async def test_end_of_a_domain_is_told_after_its_nodes(rings: Rings) -> None:
    """All that it owned is removed, and its rights elsewhere vanish silently."""
    guest = await rings.guest(5)
    await rings.make(b"/own", b"n5")
    await rings.make(b"/other", b"n0", b"b5", b"r0")
    assert (await guest.request(Op.WRITE, b"/own/a/b\0v")).payload == OK
    watcher = await rings.watcher(b"/", b"/own/a/b", OUT)
    deep = await deep_watcher(rings, OUT)
    await rings.kill(5)

    assert await rings.events(watcher) == [b"/own/a/b", b"/own", OUT]
    assert await rings.events(deep) == [OUT + b"/5"]
    assert await rings.perms(b"/other") == b"n0\0r0\0"
    assert has_nothing(rings, 5)
    assert rings.host.is_let_go(5)


@eagerly
async def test_two_that_end_at_once_are_told_one_by_one(rings: Rings) -> None:
    """In the order in which they were introduced; no event is merged."""
    for domid in (6, 5):
        await rings.guest(domid)
    plain, deep = await rings.watcher(OUT), await deep_watcher(rings, OUT)
    await rings.at_once(kill=(5, 6))

    assert await rings.events(plain) == [OUT, OUT]
    assert await rings.events(deep) == [OUT + b"/6", OUT + b"/5"]


@eagerly
async def test_event_of_one_that_ends_is_not_for_another_that_does(
    rings: Rings,
) -> None:
    """Whoever ends later may be told, and ends."""
    guests = [await rings.guest(domid) for domid in (5, 6)]
    for guest in guests:
        await guest.send(guest.frame(Op.WATCH, OUT + b"\0t\0"))
        assert told(await guest.frames(2))[1] == event(OUT, b"t")
    await rings.at_once(kill=(5, 6))

    assert {each.caller.domid for each in rings.engine.connections} == {0}
    assert rings.engine.store.watches.count == 0


@on_rings(EAGER)
async def test_domain_that_cannot_be_unmapped_ends_nevertheless(rings: Rings) -> None:
    """And so do the others that end with it."""
    for domid in (5, 6):
        await rings.guest(domid)
    watcher = await rings.watcher(OUT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rings.hypervisor, "disconnect", refuse)
        await rings.at_once(kill=(5, 6))

    assert await rings.events(watcher) == [OUT, OUT]
    assert [each["domid"] for each in rings.notices("domain.not_disconnected")] == [
        5,
        6,
    ]


# Another domain of the same number.


def emulated(rings: Rings) -> EmulatedHypervisor:
    """The hypervisor, which is the pretended one."""
    assert isinstance(rings.hypervisor, EmulatedHypervisor)
    return rings.hypervisor


def introduce_unseen(rings: Rings, port: int) -> None:
    """INTRODUCE domain 5 before the server looks at the domains."""
    connection = rings.engine.connect(0)
    payload = b"5\x001\x00%d\0" % port
    rings.engine.feed(connection, encode_frame(Op.INTRODUCE, 1, 0, payload))
    rings.engine.turn(0)
    rings.engine.disconnect(connection)


@on_rings(EAGER)
async def test_domain_that_is_dying_cannot_be_introduced(rings: Rings) -> None:
    """Nor is it taken for a new one."""
    guest = await rings.create(5)
    channel = rings.hypervisor.connect(5, guest.port)
    emulated(rings)._answer({"do": "kill", "domid": 5})
    introduce_unseen(rings, guest.port)
    rings.hypervisor.disconnect(channel)

    assert not await rings.is_introduced(5)


# Domains that are known without an introduction.


@eagerly
async def test_rights_of_a_domain_that_was_never_introduced_vanish(
    rings: Rings,
) -> None:
    """With its nodes, when it ends; nobody waits to hear of it."""
    await rings.create(5)
    await rings.make(b"/a/own", b"n5")
    await rings.make(b"/b", b"n0", b"r5", b"w6")
    watcher = await rings.watcher(b"/", OUT)
    await rings.kill(5)

    assert await rings.events(watcher) == [b"/a/own"]
    assert await rings.perms(b"/b") == b"n0\0w6\0"
    guest = await rings.guest(5)
    assert (await guest.request(Op.READ, b"/b\0")).payload == EACCES


# Targets.
