"""xsd.engine.outbox: order, merging, and sending in pieces; who pays for it."""

import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xsd.engine.outbox import Outbox, Tally
from xsd.protocol.path import parse_path
from xsd.protocol.perms import Caller
from xsd.protocol.reply import encode_event
from xsd.store import Event, Watch
from xsd.store.trail import Trail, trail_of
from xsd.store.usage import MESSAGE_BYTES, Usage

CALLER = Caller(5, privileged=False)
HEAD = len(encode_event(b"", b"") or b"")


def guest_outbox() -> Outbox:
    """That of domain 5."""
    return Outbox(Usage(), 5)


def watch(token: bytes = b"", shown: bytes = b"/") -> Watch:
    """One that somebody has set."""
    path = parse_path(shown, b"/local/domain/5")
    return Watch(1, CALLER, path, shown, token, -1)


WATCH = watch()


def event(path: bytes) -> Event:
    """An event as long as its path and HEAD."""
    return Event(WATCH, path)


def frame(path: bytes) -> bytes:
    """What is sent of such an event."""
    return encode_event(path, b"") or b""


BOTH = [Outbox, guest_outbox]
both = pytest.mark.parametrize("make", BOTH)
Maker = Callable[[], Outbox]


def tell(
    outbox: Outbox, each: Event, tally: Tally | None = None, queued_ms: int = -1
) -> None:
    """Add an event."""
    outbox.tell(each, bytes_of(each), tally, queued_ms)


def holds(outbox: Outbox, each: Event) -> bool:
    """Whether an equal event still waits."""
    return outbox.holds(each, bytes_of(each))


def bytes_of(each: Event) -> bytes | None:
    """The bytes of an event that shares no trail."""
    if isinstance(each.place, Trail):
        return None
    return encode_event(each.shown, each.watch.token)


def add(outbox: Outbox, message: bytes | Event) -> None:
    """Add a reply or an event; a guest's reply counts for it."""
    if isinstance(message, Event):
        tell(outbox, message)
    elif outbox._usage is not None:
        outbox.append(message, Tally(1, []))
    else:
        outbox.append(message)


def drain(outbox: Outbox, piece: int) -> bytes:
    """Send everything, so many bytes at a time."""
    sent = b""
    while outbox.size:
        part = bytes(outbox.peek()[:piece])
        outbox.sent(len(part))
        sent += part
    return sent


@both
def test_messages_are_sent_in_the_order_in_which_they_were_added(make: Maker) -> None:
    """Replies and events are one queue; equal replies are all there, at first none."""
    outbox = make()
    assert (outbox.size, outbox.peek()) == (0, b"")
    for message in (b"reply", event(b"/a"), b"reply"):
        add(outbox, message)

    assert outbox.size == 10 + HEAD + 2
    assert outbox.peek() == b"reply" + frame(b"/a") + b"reply"


@both
def test_what_is_shown_stays_until_it_is_sent(make: Maker) -> None:
    """The kernel may take nothing, or a part; what came meanwhile comes after."""
    outbox = make()
    add(outbox, b"one")
    add(outbox, b"two")
    assert outbox.peek() == b"onetwo"
    add(outbox, b"three")
    outbox.sent(0)
    assert outbox.peek() == b"onetwo"
    outbox.sent(4)
    assert (bytes(outbox.peek()), outbox.size) == (b"wo", 7)
    outbox.sent(2)
    assert outbox.peek() == b"three"
    outbox.sent(5)
    assert (outbox.size, outbox.peek()) == (0, b"")


@both
@pytest.mark.parametrize("limit", [1, HEAD + 2, HEAD + 3])
def test_no_message_is_begun_once_there_is_enough(make: Maker, limit: int) -> None:
    """What is begun is sent whole, so a limit is passed by one message at most."""
    outbox = make()
    for name in (b"/1", b"/2", b"/3"):
        tell(outbox, event(name))
    frames = [frame(name) for name in (b"/1", b"/2", b"/3")]

    assert outbox.peek(limit) == b"".join(frames[: 1 + (limit - 1) // len(frames[0])])
    outbox.append(b"reply")
    assert drain(outbox, 3) == b"".join(frames) + b"reply"


@both
@pytest.mark.parametrize("others", [0, 1, 100])
def test_an_event_is_held_until_it_is_on_its_way(make: Maker, others: int) -> None:
    """Whatever waits behind it; in the kernel nobody merges."""
    outbox = make()
    assert not holds(outbox, event(b"/a"))
    tell(outbox, event(b"/a"))
    add(outbox, b"reply")
    for number in range(others):
        tell(outbox, event(b"/%d" % number))

    assert holds(outbox, event(b"/a"))
    assert not holds(outbox, event(b"/b"))
    assert outbox.peek(1) == frame(b"/a")
    assert not holds(outbox, event(b"/a"))
    tell(outbox, event(b"/a"))
    assert holds(outbox, event(b"/a"))
    assert holds(outbox, event(b"/%d" % (others - 1))) is (others > 0)
    drain(outbox, 99)
    assert (outbox.size, outbox.waiting, outbox.events()) == (0, 0, [])
    assert not holds(outbox, event(b"/a"))


WAYS = ["/local/domain/5", "/local/domain/5/x", "/local/domain/5/x/y", "/a", "/"]


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("is_trail", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_what_is_equal_is_what_is_sent(way: str, *, is_trail: bool, many: bool) -> None:
    """Whether a path waits as a text or as a trail, and whoever else has the token."""
    outbox = Outbox()
    path = way.encode()
    place = trail_of(parse_path(path)) if is_trail else path
    relative = watch(b"t", b"x")
    for number in range(20 * many):
        tell(outbox, Event(WATCH, trail_of((b"", b"%d" % number))))
    tell(outbox, Event(watch(b"t"), place))

    for each in (path, trail_of(parse_path(path))):
        assert holds(outbox, Event(watch(b"t", b"/other"), each))
        assert not holds(outbox, Event(watch(b"u"), each))
    assert not holds(outbox, Event(watch(b"t"), path + b"z"))
    if way.endswith(("x", "y")):
        assert not holds(outbox, Event(relative, path))
        assert Event(relative, place).size == len(path) - len("/local/domain/5/") + 3
    size = outbox.size
    assert len(drain(outbox, 99)) == size


@given(
    make=st.sampled_from(BOTH),
    messages=st.lists(
        st.binary(min_size=1, max_size=30) | st.integers(0, 9), max_size=30
    ),
    limit=st.integers(1, 400),
    piece=st.integers(1, 40),
    after=st.integers(0, 30),
)
def test_how_much_is_sent_at_a_time_changes_nothing(
    make: Maker, messages: list[bytes | int], limit: int, piece: int, after: int
) -> None:
    """The bytes sent are the bytes added, and everything is counted meanwhile."""
    outbox = make()
    expected = b""
    sent = b""
    for place, message in enumerate(messages):
        if isinstance(message, bytes):
            add(outbox, message)
            expected += message
        elif not holds(outbox, event(b"/%d" % message)):
            tell(outbox, event(b"/%d" % message))
            expected += frame(b"/%d" % message)
        if place >= after:
            part = bytes(outbox.peek(limit)[:piece])
            outbox.sent(len(part))
            sent += part
        assert outbox.waiting == len(outbox.events())
        assert outbox.size == len(expected) - len(sent)

    assert sent + drain(outbox, piece) == expected


def test_what_waits_for_a_guest_is_charged_to_it() -> None:
    """Each message with what is kept beside it; what is being sent without."""
    usage = Usage()
    outbox = Outbox(usage, 5)
    add(outbox, b"12345")
    tell(outbox, event(b"/a"))
    size = 5 + HEAD + 2
    assert usage.memory_of(5) == usage.unsent.of(5) == size + 2 * MESSAGE_BYTES
    outbox.peek(1)
    assert usage.unsent.of(5) == size + MESSAGE_BYTES
    outbox.sent(2)
    assert usage.unsent.of(5) == size - 2 + MESSAGE_BYTES == outbox.count_charge()
    drain(outbox, 2)

    assert usage.memory.used == usage.unsent.used == {}
    assert usage.unsent.most == {5: size + 2 * MESSAGE_BYTES}


@pytest.mark.parametrize("way", ["expire", "clear"])
def test_what_is_dropped_is_nobodys_memory(way: str) -> None:
    """For not being read in time, or because nobody is there."""
    usage = Usage()
    outbox = Outbox(usage, 5)
    tell(outbox, event(b"/a"), Tally(1, []), 1)
    tell(outbox, event(b"/b"), None, 1)
    if way == "expire":
        assert outbox.expire(1) == 2
    else:
        outbox.peek(1)
        outbox.sent(1)
        outbox.clear()

    assert usage.unsent.used == {}
    assert (outbox.size, outbox.waiting) == (0, 0)


@pytest.mark.parametrize("count", [3, 30])
def test_events_expire_in_the_order_of_their_age(count: int) -> None:
    """Replies never do, nor what is being sent; the oldest is the next."""
    outbox = guest_outbox()
    assert outbox.oldest_ms() == -1
    tell(outbox, event(b"/begun"), None, 0)
    add(outbox, b"reply")
    for number in range(1, count + 1):
        tell(outbox, event(b"/%d" % number), None, number)
    assert outbox.oldest_ms() == 0
    outbox.peek(1)
    outbox.sent(1)

    assert outbox.oldest_ms() == 1
    assert outbox.expire(0) == 0
    assert outbox.expire(count - 1) == count - 1
    assert outbox.oldest_ms() == count
    assert not holds(outbox, event(b"/1"))
    left = b"/%d" % count
    assert holds(outbox, event(left))
    assert drain(outbox, 99) == frame(b"/begun")[1:] + b"reply" + frame(left)
    assert Outbox().oldest_ms() == -1
    assert Outbox().expire(9) == 0


@both
@pytest.mark.parametrize("way", ["sent", "clear", "expire", "forgive"])
def test_a_tally_falls_when_what_it_counts_has_left(make: Maker, way: str) -> None:
    """Completely sent, dropped or forgiven; whoever waits for that is told once."""
    outbox = make()
    fallen: list[Tally] = []
    tally = Tally(7, fallen)
    for number in range(3):
        tell(outbox, event(b"/%d" % number), tally, 1)
    assert tally.count == 3
    tally.waiting = True
    if way == "sent":
        outbox.peek(1)
        outbox.sent(HEAD + 1)
        assert (tally.count, fallen) == (3, [])
        outbox.sent(1)
        assert (tally.count, fallen) == (2, [tally])
        drain(outbox, 99)
    elif way == "clear":
        outbox.clear()
    elif way == "expire":
        outbox.expire(1)
    else:
        outbox.peek(1)
        outbox.forgive()
        assert (tally.count, outbox.size) == (0, 3 * (HEAD + 2))
        drain(outbox, 99)

    assert (tally.count, tally.waiting, fallen) == (0, False, [tally])


@pytest.mark.pure_only
def test_an_event_that_waits_keeps_little() -> None:
    """Of many with long paths nothing but where they differ, and to whom they go.

    Once they are sent nothing is left.
    """
    above = trail_of((b"", *[b"d" * 200] * 9))
    watches = [watch(b"%d" % number) for number in range(9)]
    outbox = Outbox()
    names = [b"%d" % number for number in range(1000)]
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for name in names:
        place = Trail(above, name)
        for each in watches:
            tell(outbox, Event(each, place))
    kept = tracemalloc.get_traced_memory()[0] - before
    size = outbox.size
    del place
    while outbox.size:
        outbox.sent(len(outbox.peek(1)))
    left = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()

    assert size > 9000 * 1800
    assert kept < 9000 * MESSAGE_BYTES
    assert left < 10_000


@both
def test_another_process_goes_on_where_one_was_stopped(make: Maker) -> None:
    """After any number of bytes, and once more after any number of others."""
    messages: list[bytes | Event] = [
        frame(b"/a"),
        event(b"/b"),
        frame(b"/c" * 9),
        event(b"/d"),
    ]
    ends = [0]
    tally = Tally(5, []) if make is guest_outbox else None
    for each in messages:
        size = len(each) if isinstance(each, bytes) else HEAD + len(b"/b")
        ends.append(ends[-1] + size)
    whole = b"".join([frame(b"/a"), frame(b"/b"), frame(b"/c" * 9), frame(b"/d")])

    for first in range(len(whole)):
        for second in range(0, len(whole) - first, 7):
            outbox = make()
            for each in messages:
                add(outbox, each)
            for count in (first, second):
                send(outbox, count)
                unsent, begun = outbox.unsent()
                at = len(whole) - len(unsent)
                assert unsent == whole[at:]
                assert begun == min(end for end in ends if end >= at) - at
                outbox = make()
                outbox.restore(unsent, begun, tally)
                assert outbox.size == len(unsent)
                if make is guest_outbox:
                    assert outbox.count_charge() == charged(outbox)
            assert send(outbox, len(whole)) == whole[first + second :]
            assert outbox.size == 0


def charged(outbox: Outbox) -> int:
    """What the guest is charged with."""
    usage = outbox._usage
    return 0 if usage is None else usage.unsent.of(5)


def send(outbox: Outbox, count: int) -> bytes:
    """Send so many bytes at most, and return them."""
    taken = b""
    while count and outbox.size:
        data = bytes(outbox.peek())[:count]
        outbox.sent(len(data))
        taken += data
        count -= len(data)
    return taken


@both
@pytest.mark.parametrize("others", [0, 20])
def test_what_another_process_left_is_found_to_be_equal(
    make: Maker, others: int
) -> None:
    """An event that it has not sent is not told twice, as if it had been told here."""
    outbox = make()
    names = [b"/%d" % number for number in range(others)]
    unsent = b"".join([frame(name) for name in (b"/begun", b"/left", *names)])
    outbox.restore(unsent[3:], len(frame(b"/begun")) - 3, None)

    assert not holds(outbox, event(b"/begun"))
    assert holds(outbox, event(b"/left"))
    assert outbox.waiting == 1 + others
    drain(outbox, 99)
    assert (outbox.waiting, outbox.size) == (0, 0)
    assert not holds(outbox, event(b"/left"))
