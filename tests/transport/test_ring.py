"""xsd.transport.ring: bytes through the ring, and guests that break its rules."""

from tests.transport.kernels import Kernel
from tests.transport.rings import EAGER, Rings, on_rings
from tests.transport.support import event, told
from xsd.protocol.frame import encode_frame
from xsd.protocol.limits import PAYLOAD_MAX, RING_SIZE
from xsd.protocol.ops import FEATURE_WATCH_DEPTH, FEATURES, Op
from xsd.protocol.reply import OK
from xsd.protocol.ring import (
    CONNECTED,
    ERROR_NONE,
    ERROR_PROTOCOL,
    ERROR_RING_INDEX,
    RECONNECT,
    REQ_CONS,
    REQ_PROD,
    RSP_CONS,
    RSP_PROD,
)

OUT = b"@releaseDomain"
TOO_LONG = encode_frame(Op.READ, 99, 0, b"x" * PAYLOAD_MAX)[:12] + b"\x01\x10\0\0"
INDEXES = slice(REQ_CONS, RSP_PROD + 1)


# Bytes.


@on_rings()
async def test_requests_get_their_replies_in_order_however_late(rings: Rings) -> None:
    """Replies that the ring has no room for wait in the server."""
    guest = await rings.guest(5)
    asked = b"".join([guest.frame(Op.GET_DOMAIN_PATH, b"%d\0" % n) for n in range(40)])
    assert guest.put(asked) == len(asked)
    await rings.quiet()
    assert guest.fields[RSP_PROD] - guest.fields[RSP_CONS] == RING_SIZE

    assert told(await guest.frames(40)) == [
        (Op.GET_DOMAIN_PATH, b"/local/domain/%d\0" % n) for n in range(40)
    ]


@on_rings()
async def test_request_and_reply_may_go_byte_by_byte(rings: Rings) -> None:
    """Each side waits for the rest, and sends on when there is room."""
    guest = await rings.guest(5)
    await rings.make(b"/a", b"b0")
    assert await guest.ask(Op.WRITE, b"/a\0" + b"v" * 1500) == OK
    for byte in guest.frame(Op.READ, b"/a\0"):
        assert guest.take() == b""
        assert guest.put(bytes([byte])) == 1
        await rings.quiet()
    reply = b""
    while len(reply) < 16 + 1500:
        await rings.quiet()
        reply += guest.take(1)

    assert reply[16:] == b"v" * 1500
    assert guest.take() == b""


@on_rings()
async def test_frames_and_indexes_may_wrap_around_anywhere(rings: Rings) -> None:
    """Header or payload, and past 32 bits: no index is taken modulo the ring's size."""
    guest = await rings.guest(5)
    await rings.make(b"/a", b"b0")
    for field in (REQ_CONS, REQ_PROD, RSP_CONS, RSP_PROD):
        guest.fields[field] = 0xFFFFFFF0
    await guest.ping()
    assert guest.fields[REQ_PROD] == guest.fields[REQ_CONS] == 2
    assert guest.fields[RSP_PROD] == guest.fields[RSP_CONS] == 0x10

    for size in range(200, 1000, 23):
        value = b"%d" % size * (size // 3)
        assert await guest.ask(Op.WRITE, b"/a\0" + value) == OK
        assert await guest.ask(Op.READ, b"/a\0") == value


@on_rings()
async def test_guests_and_sockets_meet_in_one_store(rings: Rings) -> None:
    """Whoever watches is told at once, on whatever transport."""
    one, two = await rings.guest(5), await rings.guest(6)
    await rings.make(b"/a", b"b0")
    watcher = await rings.watcher(b"/a")
    await one.watch(b"/a")
    assert await two.ask(Op.WRITE, b"/a/b\0v") == OK

    assert told(await one.frames(1)) == [event(b"/a/b")]
    assert told(await watcher.frames(1)) == [event(b"/a/b", b"/a")]


# What is written into the page.


@on_rings(EAGER)
async def test_features_are_those_that_the_domain_is_offered(rings: Rings) -> None:
    """SET_FEATURE may lower them before INTRODUCE; the others have no effect then."""
    assert (await rings.guest(5)).ring.server_features == FEATURES
    less = rings.create(6)
    features = b"%d" % FEATURE_WATCH_DEPTH
    assert await rings.ask(Op.SET_FEATURE, b"6", features) == OK
    assert await rings.introduce(less) == OK
    assert less.ring.server_features == FEATURE_WATCH_DEPTH

    less.ring.connection = RECONNECT
    assert await less.ask(Op.GET_FEATURE) == features + b"\0"
    assert less.ring.connection == RECONNECT
    await announce_too_much(less)
    await rings.quiet()
    assert len(rings.notices("domain.ignored")) == 1
    assert less.ring.error == ERROR_NONE


@on_rings()
async def test_introduction_empties_the_ring(rings: Rings) -> None:
    """As in C: what a page held before means nothing, a waiting guest may begin."""
    guest = rings.create(5)
    for field in (REQ_CONS, REQ_PROD, RSP_CONS, RSP_PROD):
        guest.fields[field] = 1000 * field
    guest.ring.connection = RECONNECT
    guest.ring.error = ERROR_PROTOCOL
    assert await rings.introduce(guest) == OK

    assert guest.fields[INDEXES].tolist() == [0, 0, 0, 0]
    assert guest.ring.connection == CONNECTED
    assert guest.ring.error == ERROR_NONE
    assert guest.take_notification()
    await guest.ping()
    guest.take_notification()

    # Also one that does not say that it waits.
    assert await rings.introduce(guest) == OK
    assert guest.take_notification()


# Guests that break the rules.


async def spoil_requests(guest: Kernel) -> None:
    """Pretend to have written more than there is room for."""
    guest.fields[REQ_PROD] = guest.fields[REQ_CONS] + RING_SIZE + 1
    guest.notify()


async def spoil_responses(guest: Kernel) -> None:
    """Pretend to have read what was not sent yet, and have something sent."""
    guest.fields[RSP_CONS] = guest.fields[RSP_PROD] + 1
    guest.put(guest.frame(Op.GET_DOMAIN_PATH, b"5\0"))
    guest.notify()


async def announce_too_much(guest: Kernel) -> None:
    """Send a header whose payload may not come."""
    guest.put(TOO_LONG)
    guest.notify()


VIOLATIONS = {
    spoil_requests: ERROR_RING_INDEX,
    spoil_responses: ERROR_RING_INDEX,
    announce_too_much: ERROR_PROTOCOL,
}


async def is_deaf(rings: Rings, guest: Kernel) -> bool:
    """Tell whether the server does nothing for a guest that behaves again."""
    taken = guest.fields[REQ_PROD] = guest.fields[REQ_CONS]
    sent = guest.fields[RSP_PROD]
    guest.put(guest.frame(Op.GET_DOMAIN_PATH, b"5\0"))
    guest.notify()
    await rings.quiet()
    return guest.fields[REQ_CONS] == taken and guest.fields[RSP_PROD] == sent


@on_rings()
async def test_guest_that_breaks_the_protocol_is_ignored(rings: Rings) -> None:
    """Its page says why, and nobody is told before its real end."""
    watcher = await rings.watcher(OUT)
    for domid, (violate, code) in enumerate(VIOLATIONS.items(), 5):
        guest = await rings.guest(domid)
        guest.take_notification()
        await violate(guest)
        await rings.quiet()

        assert guest.ring.error == code
        assert guest.take_notification()
        assert await rings.is_introduced(domid)
        assert await is_deaf(rings, guest)
        assert await rings.events(watcher) == []
        await rings.kill(domid)
        assert await rings.events(watcher) == [OUT]
        assert not await rings.is_introduced(domid)
        assert rings.host.is_let_go(domid)
    reported = [fields["domid"] for fields in rings.notices("domain.ignored")]
    assert reported == [5, 6, 7]


@on_rings()
async def test_requests_before_the_violation_are_answered(rings: Rings) -> None:
    """What comes after it is not even looked at."""
    guest = await rings.guest(5)
    await rings.make(b"/a", b"b0")
    before, after = guest.frame(Op.WRITE, b"/a\0v"), guest.frame(Op.WRITE, b"/a\0w")
    guest.put(before + TOO_LONG + after)

    assert told(await guest.frames(1)) == [(Op.WRITE, OK)]
    await rings.quiet()
    assert guest.ring.error == ERROR_PROTOCOL
    assert guest.take() == b""
    assert await rings.ask(Op.READ, b"/a") == b"v"


@on_rings()
async def test_only_release_and_introduction_revive_the_ignored(rings: Rings) -> None:
    """With an empty ring and no error; not INTRODUCE alone, nor reconnecting."""
    watcher = await rings.watcher(OUT)
    for domid, (violate, code) in enumerate(VIOLATIONS.items(), 5):
        guest = await rings.guest(domid)
        await violate(guest)
        await rings.quiet()
        assert await rings.introduce(guest) == OK
        guest.ring.connection = RECONNECT
        assert await is_deaf(rings, guest)
        assert (guest.ring.error, guest.ring.connection) == (code, RECONNECT)
        assert await rings.is_introduced(domid)

        assert await rings.release(domid) == OK
        assert await rings.events(watcher) == [OUT]
        assert await rings.introduce(guest) == OK
        assert guest.ring.error == ERROR_NONE
        guest.begin_anew()
        await guest.ping()


# Beginning anew.


async def leave_half_done(rings: Rings, guest: Kernel) -> None:
    """Have a watch, a transaction, unread replies and half a request."""
    await rings.make(b"/a", b"b0")
    await guest.watch(b"/a")
    await guest.start()
    guest.put(guest.many(40))
    guest.put(guest.frame(Op.READ, b"/a\0")[:17])
    await rings.quiet()
    assert rings.connection(5).outbox.size > 0
    assert rings.engine.store.usage.watches.of(5) == 1


async def has_begun_anew(rings: Rings, guest: Kernel) -> None:
    """Check that nothing of what was half done is left."""
    assert guest.fields[INDEXES].tolist() == [0, 0, 0, 0]
    assert guest.ring.connection == CONNECTED
    assert guest.take_notification()
    assert rings.engine.store.usage.watches.of(5) == 0
    assert rings.engine.store.usage.transactions.of(5) == 0
    guest.begin_anew()
    await rings.ask(Op.WRITE, b"/a")
    assert await guest.ask(Op.READ, b"/a\0", 1) == b"ENOENT\0"
    await guest.ping()
    assert guest.take() == b""


@on_rings()
async def test_reconnection_and_introduction_again_begin_anew(rings: Rings) -> None:
    """As after kexec, or by INTRODUCE with the same arguments; nobody is told."""
    guest = await rings.guest(5)
    watcher = await rings.watcher(OUT, b"@introduceDomain")
    await leave_half_done(rings, guest)
    guest.ring.connection = RECONNECT
    guest.notify()
    await rings.quiet()
    await has_begun_anew(rings, guest)

    await leave_half_done(rings, guest)
    assert await rings.introduce(guest) == OK
    await has_begun_anew(rings, guest)
    assert await rings.events(watcher) == []


@on_rings(EAGER)
async def test_reconnecting_again_and_again_is_of_no_use(rings: Rings) -> None:
    """Each notification is one turn."""
    guest, other = await rings.guest(5), await rings.guest(6)
    for _ in range(100):
        guest.ring.connection = RECONNECT
        guest.notify()
        await other.ping()
    await rings.quiet()

    assert guest.ring.connection == CONNECTED
    assert len(rings.engine.connections) == 3
