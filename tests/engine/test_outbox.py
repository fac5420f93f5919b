"""xsd.engine.outbox: order, merging, and sending in pieces; who pays for it."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xsd.engine.outbox import GuestOutbox, Outbox, Tally
from xsd.store.usage import MESSAGE_BYTES, Usage


def guest_outbox() -> Outbox:
    """That of domain 5."""
    return GuestOutbox(Usage(), 5)


BOTH = [Outbox, guest_outbox]
both = pytest.mark.parametrize("make", BOTH)
Maker = Callable[[], Outbox]


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
    outbox.append(b"reply")
    outbox.append_event(b"event")
    outbox.append(b"reply")

    assert outbox.size == 15
    assert outbox.peek() == b"replyeventreply"


@both
def test_what_is_shown_stays_until_it_is_sent(make: Maker) -> None:
    """The kernel may take nothing, or a part; what came meanwhile comes after."""
    outbox = make()
    outbox.append(b"one")
    outbox.append(b"two")
    assert outbox.peek() == b"onetwo"
    outbox.append(b"three")
    outbox.sent(0)
    assert outbox.peek() == b"onetwo"
    outbox.sent(4)
    assert (bytes(outbox.peek()), outbox.size) == (b"wo", 7)
    outbox.sent(2)
    assert outbox.peek() == b"three"
    outbox.sent(5)
    assert (outbox.size, outbox.peek()) == (0, b"")


@both
@pytest.mark.parametrize("limit", [1, 4, 5])
def test_no_message_is_begun_once_there_is_enough(make: Maker, limit: int) -> None:
    """What is begun is sent whole, so a limit is passed by one message at most."""
    outbox = make()
    for _ in range(3):
        outbox.append_event(b"four")

    assert outbox.peek(limit) == b"four" * (1 + (limit - 1) // 4)
    assert drain(outbox, 3) == b"four" * 3


@both
@pytest.mark.parametrize("between", [[], [b"reply"], [b"reply", b"reply"]])
def test_an_event_is_held_until_it_is_on_its_way(
    make: Maker, between: list[bytes]
) -> None:
    """Whatever waits behind it; in the kernel nobody merges."""
    outbox = make()
    assert not outbox.holds(b"event")
    outbox.append_event(b"event")
    for reply in between:
        outbox.append(reply)

    assert outbox.holds(b"event")
    assert not outbox.holds(b"other")
    outbox.append_event(b"other")
    assert outbox.peek() == b"event" + b"".join(between) + b"other"
    assert not outbox.holds(b"event")
    outbox.append_event(b"event")
    assert outbox.holds(b"event")
    assert outbox.size == 15 + len(b"".join(between))


@given(
    make=st.sampled_from(BOTH),
    messages=st.lists(st.binary(min_size=1, max_size=30), max_size=30),
    piece=st.integers(1, 40),
    after=st.integers(0, 30),
)
def test_how_much_is_sent_at_a_time_changes_nothing(
    make: Maker, messages: list[bytes], piece: int, after: int
) -> None:
    """The bytes sent are the bytes added."""
    outbox = make()
    for message in messages[:after]:
        outbox.append(message)
    sent = bytes(outbox.peek()[:piece])
    outbox.sent(len(sent))
    for message in messages[after:]:
        outbox.append(message)

    assert sent + drain(outbox, piece) == b"".join(messages)


def test_what_waits_for_a_guest_is_charged_to_it() -> None:
    """Each message with what is kept beside it; what is being sent without."""
    usage = Usage()
    outbox = GuestOutbox(usage, 5)
    outbox.append(b"12345")
    outbox.append_event(b"123")
    assert usage.memory_of(5) == usage.unsent.of(5) == 8 + 2 * MESSAGE_BYTES
    outbox.peek(1)
    assert usage.unsent.of(5) == 8 + MESSAGE_BYTES
    outbox.sent(2)
    assert usage.unsent.of(5) == 6 + MESSAGE_BYTES == outbox.count_charge()
    drain(outbox, 2)

    assert usage.memory.used == usage.unsent.used == {}
    assert usage.unsent.most == {5: 8 + 2 * MESSAGE_BYTES}


@pytest.mark.parametrize("way", ["expire", "clear"])
def test_what_is_dropped_is_nobodys_memory(way: str) -> None:
    """For not being read in time, or because nobody is there."""
    usage = Usage()
    outbox = GuestOutbox(usage, 5)
    outbox.append_event(b"event", Tally(1, []), 1)
    outbox.append_event(b"another", None, 1)
    if way == "expire":
        assert outbox.expire(1) == 2
    else:
        outbox.peek(1)
        outbox.sent(1)
        outbox.clear()

    assert usage.unsent.used == {}


def test_events_expire_in_the_order_of_their_age() -> None:
    """Replies never do, nor what is being sent; the oldest is the next."""
    outbox = guest_outbox()
    assert outbox.oldest_ms() == -1
    outbox.append_event(b"begun", None, 0)
    outbox.append(b"reply")
    for number in (1, 2, 3):
        outbox.append_event(b"event %d" % number, None, number)
    assert outbox.oldest_ms() == 0
    outbox.peek(1)
    outbox.sent(1)

    assert outbox.oldest_ms() == 1
    assert outbox.expire(0) == 0
    assert outbox.expire(2) == 2
    assert outbox.oldest_ms() == 3
    assert not outbox.holds(b"event 1")
    assert drain(outbox, 99) == b"egun" + b"reply" + b"event 3"
    assert Outbox().oldest_ms() == -1
    assert Outbox().expire(9) == 0


@both
@pytest.mark.parametrize("way", ["sent", "clear", "expire"])
def test_a_tally_falls_when_what_it_counts_has_left(make: Maker, way: str) -> None:
    """Completely sent or dropped; whoever waits for that is told once."""
    outbox = make()
    fallen: list[Tally] = []
    tally = Tally(7, fallen)
    for number in range(3):
        outbox.append_event(b"event %d" % number, tally, 1)
    assert tally.count == 3
    tally.waiting = True
    if way == "sent":
        outbox.peek(1)
        outbox.sent(6)
        assert (tally.count, fallen) == (3, [])
        outbox.sent(1)
        assert (tally.count, fallen) == (2, [tally])
        drain(outbox, 99)
    elif way == "clear" or make is Outbox:
        outbox.clear()
    else:
        outbox.expire(1)

    assert (tally.count, tally.waiting, fallen) == (0, False, [tally])
