"""xsd.engine.outbox: order, merging, and sending in pieces."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xsd.engine.outbox import Outbox, Tally
from xsd.store.usage import MESSAGE_BYTES, Usage


def drain(outbox: Outbox, piece: int) -> bytes:
    """Send everything, so many bytes at a time."""
    sent = b""
    while outbox.size:
        part = bytes(outbox.peek()[:piece])
        outbox.sent(len(part))
        sent += part
    return sent


def test_new_outbox_is_empty() -> None:
    """There is nothing to show."""
    outbox = Outbox()

    assert outbox.size == 0
    assert outbox.peek() == b""


def test_messages_are_sent_in_the_order_in_which_they_were_added() -> None:
    """Replies and events are one queue."""
    outbox = Outbox()
    outbox.append(b"reply")
    outbox.append_event(b"event")
    outbox.append(b"another")

    assert outbox.size == 17
    assert outbox.peek() == b"replyeventanother"


def test_what_is_shown_stays_until_it_is_sent() -> None:
    """The kernel may take nothing at all."""
    outbox = Outbox()
    outbox.append(b"one")

    assert outbox.peek() == b"one"
    outbox.append(b"two")
    assert outbox.peek() == b"one"
    assert outbox.size == 6
    outbox.sent(0)
    assert outbox.peek() == b"one"


def test_rest_of_a_half_sent_message_is_shown_next() -> None:
    """The kernel may take a part; what was added meanwhile comes after the rest."""
    outbox = Outbox()
    outbox.append(b"one")
    outbox.append(b"two")
    outbox.peek()
    outbox.sent(4)
    outbox.append(b"three")

    assert bytes(outbox.peek()) == b"wo"
    assert outbox.size == 7
    outbox.sent(2)
    assert outbox.peek() == b"three"
    outbox.sent(5)
    assert outbox.size == 0
    assert outbox.peek() == b""


@pytest.mark.parametrize("between", [[], [b"reply"], [b"reply", b"reply"]])
def test_event_equal_to_one_that_waits_is_not_added(between: list[bytes]) -> None:
    """Whatever waits between the two."""
    outbox = Outbox()
    assert not outbox.holds(b"event")
    outbox.append_event(b"event")
    for reply in between:
        outbox.append(reply)

    assert outbox.holds(b"event")
    assert not outbox.holds(b"other")
    outbox.append_event(b"other")
    assert outbox.peek() == b"event" + b"".join(between) + b"other"


def test_event_is_added_again_once_the_equal_one_is_on_its_way() -> None:
    """What was shown may be in the kernel already, where nobody merges."""
    outbox = Outbox()
    outbox.append_event(b"event")
    outbox.peek()

    assert not outbox.holds(b"event")
    outbox.append_event(b"event")
    assert outbox.holds(b"event")
    assert outbox.size == 10


def test_reply_equal_to_one_that_waits_is_added() -> None:
    """Every request has its reply."""
    outbox = Outbox()
    outbox.append(b"OK")
    outbox.append(b"OK")

    assert outbox.peek() == b"OKOK"


@settings(deadline=None)
@given(
    messages=st.lists(st.binary(min_size=1, max_size=30), max_size=30),
    piece=st.integers(1, 40),
    after=st.integers(0, 30),
)
def test_how_much_is_sent_at_a_time_changes_nothing(
    messages: list[bytes], piece: int, after: int
) -> None:
    """The bytes sent are the bytes added."""
    outbox = Outbox()
    for message in messages[:after]:
        outbox.append(message)
    sent = bytes(outbox.peek()[:piece])
    outbox.sent(len(sent))
    for message in messages[after:]:
        outbox.append(message)

    assert sent + drain(outbox, piece) == b"".join(messages)


def test_what_waits_is_the_clients_memory() -> None:
    """Each message with what is kept beside it; what is being sent without."""
    usage = Usage()
    outbox = Outbox(usage, 5)
    outbox.append(b"12345")
    outbox.append_event(b"123")
    assert usage.memory_of(5) == usage.unsent.of(5) == 8 + 2 * MESSAGE_BYTES
    outbox.peek(1)
    assert usage.unsent.of(5) == 8 + MESSAGE_BYTES
    outbox.sent(2)
    assert usage.unsent.of(5) == 6 + MESSAGE_BYTES == outbox.count_charge()
    drain(outbox, 2)

    assert usage.memory.most == usage.unsent.used == {}
    assert usage.unsent.most == {5: 8 + 2 * MESSAGE_BYTES}


@pytest.mark.parametrize("way", ["expire", "clear"])
def test_what_is_dropped_is_nobodys_memory(way: str) -> None:
    """For not being read in time, or because nobody is there."""
    usage = Usage()
    outbox = Outbox(usage, 5)
    outbox.append_event(b"event", Tally(), 1)
    outbox.append_event(b"another", None, 1)
    if way == "expire":
        outbox.expire(1)
    else:
        outbox.peek(1)
        outbox.sent(1)
        outbox.clear()

    assert usage.memory.most == usage.unsent.used == {}
