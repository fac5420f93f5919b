"""xsd.transport.ring: domains that come, go, and are mistaken for another."""

import errno

import pytest

from tests.transport.rings import EAGER, NOTIFYING, Rings, on_rings
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op
from xsd.protocol.reply import OK

IN, OUT = b"@introduceDomain", b"@releaseDomain"
EINVAL, ENOENT, EACCES = b"EINVAL\0", b"ENOENT\0", b"EACCES\0"

eagerly = on_rings(NOTIFYING)


def has_nothing(rings: Rings, domid: int) -> bool:
    """Tell whether a domain uses nothing: no nodes, no watches, no memory."""
    accounts = rings.engine.store.usage.by_quota()
    return not any(account.of(domid) for _name, account in accounts)


# Introduction and release.


@eagerly
async def test_domain_is_introduced_once_it_can_be_connected(rings: Rings) -> None:
    """The hypervisor has it, and this event channel of it."""
    watcher = await rings.watcher(IN, OUT)
    guest = rings.create(5)
    assert await rings.ask(Op.INTRODUCE, b"6", b"1", b"1") == EINVAL
    assert await rings.introduce(guest, guest.port + 1) == EINVAL
    assert not await rings.is_introduced(5)
    assert rings.engine.store.domains.get(6) is None

    for _ in range(2):
        assert await rings.introduce(guest) == OK
        guest.begin_anew()
        await guest.ping()
    assert await rings.events(watcher) == [IN]
    assert await rings.is_introduced(5)


@on_rings(EAGER, lenient=True)
async def test_domain_without_a_ring_can_be_introduced_for_tests(rings: Rings) -> None:
    """It lives until RELEASE, or until the hypervisor has such a domain."""
    watcher = await rings.watcher(IN, OUT)
    for port in (b"1", b"2"):
        assert await rings.ask(Op.INTRODUCE, b"6", b"1", port) == OK
    await rings.guest(5)
    await rings.kill(5)
    assert await rings.is_introduced(6)
    assert await rings.release(6) == OK
    assert await rings.events(watcher) == [IN, IN, OUT, OUT]

    assert await rings.ask(Op.INTRODUCE, b"5", b"1", b"1") == OK
    guest = rings.create(5)
    await rings.quiet()
    assert not await rings.is_introduced(5)
    assert await rings.introduce(guest) == OK
    assert await rings.events(watcher) == [IN, OUT, IN]


@on_rings()
async def test_released_domain_is_not_served(rings: Rings) -> None:
    """Its ring is left as it is; it can be introduced again."""
    guest = await rings.guest(5)
    await rings.make(b"/a", b"b0")
    await guest.watch(b"/a")
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
    await guest.ping()


def refuse(*_: object) -> None:
    """Do as Xen does for a port that is bound already."""
    raise OSError(errno.EINVAL, "bound already")


@eagerly
async def test_domain_that_cannot_be_notified_is_about_to_end(rings: Rings) -> None:
    """That is told in its own time."""
    guest = await rings.guest(5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rings.host.hypervisor, "notify", refuse)
        guest.put(guest.frame(Op.GET_DOMAIN_PATH, b"5\0"))
        await rings.quiet()

    assert {each["domid"] for each in rings.notices("domain.not_notified")} == {5}
    assert len(await guest.frames(1)) == 1


# Death.


@on_rings()
async def test_end_of_a_domain_drops_what_was_under_way(rings: Rings) -> None:
    """Nothing of its transaction happens, and the events for it go with it."""
    await rings.make(b"/a", b"b0")
    guest = await rings.guest(5)
    await guest.watch(b"/a")
    number = await guest.start()
    assert await guest.ask(Op.WRITE, b"/a/b\0v", number) == OK
    guest.put(guest.frame(Op.TRANSACTION_END, b"T\0", number)[:17])
    for each in range(100):
        await rings.ask(Op.WRITE, b"/a/%d" % each)
    connection = rings.connection(5)
    assert connection.outbox.size > 0
    await rings.kill(5)

    assert connection.outbox.size == 0
    assert connection not in rings.engine.connections
    assert await rings.ask(Op.READ, b"/a/b") == ENOENT
    await rings.ask(Op.WRITE, b"/a/0")
    assert has_nothing(rings, 5)
    assert rings.host.is_let_go(5)


@eagerly
async def test_two_that_end_at_once_are_told_one_by_one(rings: Rings) -> None:
    """In the order of their introduction; neither's watch outlives it."""
    for domid in (6, 5):
        await (await rings.guest(domid)).watch(OUT)
    plain, deep = await rings.watcher(OUT), await rings.served.connect()
    await deep.watch(OUT, b"t", b"1")
    await rings.kill(5, 6)

    assert await rings.events(plain) == [OUT, OUT]
    assert await rings.events(deep) == [OUT + b"/6", OUT + b"/5"]
    assert {each.caller.domid for each in rings.engine.connections} == {0}
    assert rings.engine.store.watches.count == 2


@on_rings(EAGER)
async def test_domain_that_cannot_be_unmapped_ends_nevertheless(rings: Rings) -> None:
    """And so do the others that end with it."""
    for domid in (5, 6):
        await rings.guest(domid)
    watcher = await rings.watcher(OUT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rings.host.hypervisor, "disconnect", refuse)
        await rings.kill(5, 6)

    assert await rings.events(watcher) == [OUT, OUT]
    failed = rings.notices("domain.not_disconnected")
    assert [each["domid"] for each in failed] == [5, 6]


# Another domain of the same number.


async def with_a_past(rings: Rings) -> None:
    """Have a domain 5 with a node, a right, a quota, and much under way."""
    guest = await rings.guest(5)
    await rings.make(b"/own", b"n5")
    await rings.make(b"/other", b"n0", b"b5")
    assert await rings.ask(Op.SET_QUOTA, b"5", b"nodes", b"7") == OK
    await guest.watch(b"/other")
    await guest.start()
    guest.put(guest.frame(Op.READ, b"/other\0")[:20])
    await rings.quiet()


def introduce_unseen(rings: Rings, port: int) -> None:
    """INTRODUCE domain 5 before the server looks at the domains."""
    connection = rings.engine.connect(0)
    request = encode_frame(Op.INTRODUCE, 1, 0, b"5\x001\x00%d\0" % port)
    rings.engine.feed(connection, request)
    rings.engine.turn(0)
    rings.engine.disconnect(connection)


@on_rings(EAGER)
async def test_domain_that_is_replaced_unseen_leaves_nothing(rings: Rings) -> None:
    """INTRODUCE looks whether it is still the same domain, and tells the end first."""
    await with_a_past(rings)
    watcher = await rings.watcher(IN, OUT)
    rings.host.kill(5)
    introduce_unseen(rings, rings.create(5).port)
    await rings.quiet()

    assert await rings.events(watcher) == [OUT, IN]
    assert await rings.is_introduced(5)
    guest = rings.attach(5)
    assert has_nothing(rings, 5)
    assert await guest.ask(Op.READ, b"/other\0") == EACCES
    assert await rings.perms(b"/other") == b"n0\0"
    assert await rings.perms(b"/own") == ENOENT
    assert await rings.ask(Op.GET_QUOTA, b"5", b"nodes") == b"1000\0"
    await rings.ask(Op.WRITE, b"/other")
    await rings.quiet()
    assert guest.take() == b""


@on_rings(EAGER)
async def test_end_is_told_even_if_the_next_cannot_be_connected(rings: Rings) -> None:
    """It is not the former one's fault. One that is dying is not taken for another."""
    await with_a_past(rings)
    watcher = await rings.watcher(IN, OUT, b"/own")
    rings.host.kill(5)
    guest = rings.create(5)
    introduce_unseen(rings, guest.port + 100)
    await rings.quiet()
    assert await rings.events(watcher) == [b"/own", OUT]
    assert not await rings.is_introduced(5)
    assert has_nothing(rings, 5)

    channel = rings.host.hypervisor.connect(5, guest.port)
    rings.host.kill(5)
    introduce_unseen(rings, guest.port)
    rings.host.hypervisor.disconnect(channel)
    assert not await rings.is_introduced(5)
