"""xsd.client.connection: replies, events, and ends of the connection."""

import signal
import struct
from pathlib import Path
from types import FrameType

import pytest

from tests.support.scripted import ScriptedDaemon
from xsd.client import DisconnectedError, Event
from xsd.client.connection import Connection
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.ops import Op


def test_request_is_one_frame_with_ids_from_one(scripted: ScriptedDaemon) -> None:
    """Type, request id, transaction 0, length, payload."""
    scripted.answer(Op.READ, b"one")
    scripted.answer(Op.READ, b"two")

    assert scripted.client.request(Op.READ, b"/a\0") == b"one"
    assert scripted.client.request(Op.READ, b"/b\0") == b"two"
    sent = b"".join(frame.whole for frame in scripted.requests())
    assert sent == (
        struct.pack("=IIII", 2, 1, 0, 3) + b"/a\0"
        + struct.pack("=IIII", 2, 2, 0, 3) + b"/b\0"
    )  # fmt: skip


def test_error_reply_raises_its_errno(scripted: ScriptedDaemon) -> None:
    """The exception has the errno, the request's type and its path."""
    scripted.refuse(b"EACCES")

    with pytest.raises(XenStoreError) as caught:
        scripted.client.read("/a")

    assert caught.value.errno == Errno.EACCES
    assert str(caught.value) == "EACCES: READ refused: /a"


def test_unknown_error_name_is_einval(scripted: ScriptedDaemon) -> None:
    """As libxenstore does; the name itself is told."""
    scripted.refuse(b"EQUOTA")

    with pytest.raises(XenStoreError) as caught:
        scripted.client.read("/a")

    assert caught.value.errno == Errno.EINVAL
    assert str(caught.value) == "EINVAL: READ refused with 'EQUOTA': /a"


def test_connection_goes_on_after_an_error(scripted: ScriptedDaemon) -> None:
    """A refusal is an answer like any other."""
    scripted.refuse(b"ENOENT")
    scripted.answer(Op.READ, b"1")

    with pytest.raises(XenStoreError):
        scripted.client.read("/a")
    assert scripted.client.read("/a") == b"1"


def test_request_over_4096_bytes_is_refused_without_asking(
    scripted: ScriptedDaemon,
) -> None:
    """The daemon would close the connection."""
    scripted.answer(Op.READ, b"1")

    with pytest.raises(XenStoreError) as caught:
        scripted.client.write("/a", b"x" * 4094)

    assert caught.value.errno == Errno.E2BIG
    assert str(caught.value) == (
        "E2BIG: WRITE request of 4097 bytes, at most 4096 fit: /a"
    )
    assert scripted.client.read("/a") == b"1"
    assert [frame.op for frame in scripted.requests()] == [Op.READ]


def test_request_of_4096_bytes_is_sent(scripted: ScriptedDaemon) -> None:
    """The limit itself fits."""
    scripted.answer(Op.WRITE, b"OK\0")

    scripted.client.write("/a", b"x" * 4093)


def test_events_before_a_reply_are_kept_in_order(scripted: ScriptedDaemon) -> None:
    """xenstored sends a client's own events before the reply that causes them."""
    scripted.event(b"/a", b"1")
    scripted.event(b"/b", b"2")
    scripted.answer(Op.WRITE, b"OK\0")
    scripted.event(b"/c", b"3")
    client = scripted.client

    client.write("/a", b"")

    assert [client.next_event(10) for _ in range(3)] == [
        Event(b"/a", b"1"),
        Event(b"/b", b"2"),
        Event(b"/c", b"3"),
    ]
    assert client.next_event(0) is None


def test_event_in_pieces_is_one_event(scripted: ScriptedDaemon) -> None:
    """An event is handed out when its last byte has come."""
    data = struct.pack("=IIII", Op.WATCH_EVENT, 0, 0, 5) + b"/a\0t\0"
    scripted.send(data[:17])

    assert scripted.client.next_event(0) is None
    scripted.send(data[17:])
    assert scripted.client.next_event(10) == Event(b"/a", b"t")


def test_no_event_in_time_is_none(scripted: ScriptedDaemon) -> None:
    """A wait that ends without an event is no error, and the connection goes on."""
    assert scripted.client.next_event(0.01) is None
    scripted.answer(Op.READ, b"1")
    assert scripted.client.read("/a") == b"1"


def test_reply_that_does_not_come_closes_the_connection(directory: Path) -> None:
    """The reply might come later and be taken for another request's."""
    with ScriptedDaemon(directory, timeout=0.01) as scripted:
        with pytest.raises(TimeoutError):
            scripted.client.read("/a")

        with pytest.raises(DisconnectedError, match="the connection is closed"):
            scripted.client.read("/a")


def test_interrupted_request_closes_the_connection(directory: Path) -> None:
    """An exception from a signal handler leaves a reply under way."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with ScriptedDaemon(directory, timeout=None) as scripted:
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            with pytest.raises(KeyboardInterrupt):
                scripted.client.read("/a")

            with pytest.raises(DisconnectedError):
                scripted.client.read("/a")
    finally:
        signal.signal(signal.SIGALRM, before)


def test_hang_up_while_waiting_for_a_reply(scripted: ScriptedDaemon) -> None:
    """A daemon that dies is an error at once, with or without a time limit."""
    scripted.hang_up()

    with pytest.raises(DisconnectedError, match="the daemon has closed"):
        scripted.client.read("/a")


def test_hang_up_with_a_request_unread(directory: Path) -> None:
    """The reset that Linux then reports is a hang-up as well."""
    with ScriptedDaemon(directory) as scripted:
        scripted.answer(Op.READ, b"1")
        scripted.client.read("/a")
        scripted.hang_up()

        with pytest.raises(DisconnectedError, match="the daemon has closed"):
            scripted.client.next_event(10)


def test_hang_up_while_waiting_for_an_event(scripted: ScriptedDaemon) -> None:
    """It is not taken for a time without events; events that came are handed out."""
    scripted.event(b"/a", b"t")
    scripted.hang_up()

    assert scripted.client.next_event() == Event(b"/a", b"t")
    with pytest.raises(DisconnectedError):
        scripted.client.next_event()


def test_too_long_reply_ends_the_connection(scripted: ScriptedDaemon) -> None:
    """A header with a length over 4,096 cannot be followed."""
    scripted.send(struct.pack("=IIII", Op.READ, 1, 0, 4097))

    with pytest.raises(DisconnectedError, match="4097"):
        scripted.client.read("/a")
    with pytest.raises(DisconnectedError, match="the connection is closed"):
        scripted.client.read("/a")


@pytest.mark.parametrize(
    "reply",
    [
        struct.pack("=IIII", Op.READ, 2, 0, 0),
        struct.pack("=IIII", Op.WRITE, 1, 0, 0),
    ],
    ids=["other id", "other type"],
)
def test_reply_to_something_else_ends_the_connection(
    scripted: ScriptedDaemon, reply: bytes
) -> None:
    """A client that goes on with the wrong reply goes on with wrong data."""
    scripted.send(reply)

    with pytest.raises(DisconnectedError, match="answered READ with"):
        scripted.client.read("/a")
    with pytest.raises(DisconnectedError, match="the connection is closed"):
        scripted.client.read("/a")


def test_reply_nobody_asked_for_ends_the_connection(scripted: ScriptedDaemon) -> None:
    """The same for one that comes while waiting for events."""
    scripted.answer(Op.READ, b"")

    with pytest.raises(DisconnectedError, match="nobody asked for"):
        scripted.client.next_event()


def test_request_ids_stay_within_32_bits(scripted: ScriptedDaemon) -> None:
    """After the last one comes 1 again, never 0, which is the events' own."""
    connection: Connection = scripted.client._connection
    connection._last_id = 0xFFFFFFFE
    scripted.send(struct.pack("=IIII", Op.READ, 0xFFFFFFFF, 0, 0))
    scripted.send(struct.pack("=IIII", Op.READ, 1, 0, 0))

    assert scripted.client.read("/a") == b""
    assert scripted.client.read("/a") == b""


def test_closed_connection_refuses(scripted: ScriptedDaemon) -> None:
    """Closing twice is allowed, asking after it is not."""
    with scripted.client as client:
        client.close()

    with pytest.raises(DisconnectedError, match="the connection is closed"):
        client.next_event(0)
