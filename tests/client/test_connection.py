"""xsd.client.connection: replies, events, and ends of the connection."""

import signal
import struct
from pathlib import Path
from types import FrameType

import pytest

from tests.support.scripted import ScriptedDaemon
from xsd.client import Client, DisconnectedError, Event
from xsd.client.connection import Connection
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.ops import Op


def header(op: Op, request_id: int, length: int = 0) -> bytes:
    """The beginning of a frame outside of transactions."""
    return struct.pack("=IIII", op, request_id, 0, length)


def assert_closed(client: Client) -> None:
    """Whatever is asked now, nobody is asked."""
    with pytest.raises(DisconnectedError, match="the connection is closed"):
        client.read("/a")


def test_request_is_one_frame_with_ids_from_one(scripted: ScriptedDaemon) -> None:
    """Type, request id, transaction 0, length, payload."""
    scripted.answer(Op.READ, b"one")
    scripted.answer(Op.READ, b"two")

    assert scripted.client.request(Op.READ, b"/a\0") == b"one"
    assert scripted.client.request(Op.READ, b"/b\0") == b"two"
    sent = b"".join(frame.whole for frame in scripted.requests())
    assert sent == header(Op.READ, 1, 3) + b"/a\0" + header(Op.READ, 2, 3) + b"/b\0"


@pytest.mark.parametrize(
    ("name", "errno", "message"),
    [
        (b"EACCES", Errno.EACCES, "EACCES: READ refused: /a"),
        # As libxenstore does; the name itself is told.
        (b"EQUOTA", Errno.EINVAL, "EINVAL: READ refused with 'EQUOTA': /a"),
    ],
)
def test_error_reply_raises_its_errno_or_einval(
    scripted: ScriptedDaemon, name: bytes, errno: Errno, message: str
) -> None:
    """With the request's type and its path; the connection goes on."""
    scripted.refuse(name)
    scripted.answer(Op.READ, b"1")

    with pytest.raises(XenStoreError) as caught:
        scripted.client.read("/a")

    assert (caught.value.errno, str(caught.value)) == (errno, message)
    assert scripted.client.read("/a") == b"1"


def test_request_over_4096_bytes_is_refused_without_asking(
    scripted: ScriptedDaemon,
) -> None:
    """The daemon would close the connection; the limit itself fits."""
    scripted.answer(Op.WRITE, b"OK\0")

    with pytest.raises(XenStoreError) as caught:
        scripted.client.write("/a", b"x" * 4094)
    scripted.client.write("/a", b"x" * 4093)

    assert caught.value.errno == Errno.E2BIG
    assert str(caught.value) == (
        "E2BIG: WRITE request of 4097 bytes, at most 4096 fit: /a"
    )
    assert [len(frame.payload) for frame in scripted.requests()] == [4096]


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
    data = header(Op.WATCH_EVENT, 0, 5) + b"/a\0t\0"
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

        assert_closed(scripted.client)


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

            assert_closed(scripted.client)
    finally:
        signal.signal(signal.SIGALRM, before)


# A client that goes on with the wrong reply goes on with wrong data.
@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        pytest.param(b"", "the daemon has closed", id="a daemon that dies"),
        pytest.param(
            header(Op.READ, 1, 4097), "4097", id="a length over 4096 cannot be followed"
        ),
        pytest.param(header(Op.READ, 2), "answered READ with", id="another id"),
        pytest.param(header(Op.WRITE, 1), "answered READ with", id="another type"),
    ],
)
def test_what_is_no_reply_ends_the_connection(
    scripted: ScriptedDaemon, sent: bytes, reason: str
) -> None:
    """At once, with or without a time limit."""
    scripted.send(sent)
    if not sent:
        scripted.hang_up()

    with pytest.raises(DisconnectedError, match=reason):
        scripted.client.read("/a")
    assert_closed(scripted.client)


def test_hang_up_with_a_request_unread(scripted: ScriptedDaemon) -> None:
    """The reset that Linux then reports is a hang-up as well."""
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


def test_reply_nobody_asked_for_ends_the_connection(scripted: ScriptedDaemon) -> None:
    """The same for one that comes while waiting for events."""
    scripted.answer(Op.READ, b"")

    with pytest.raises(DisconnectedError, match="nobody asked for"):
        scripted.client.next_event()


def test_request_ids_stay_within_32_bits(scripted: ScriptedDaemon) -> None:
    """After the last one comes 1 again, never 0, which is the events' own."""
    connection: Connection = scripted.client._connection
    connection._session._last_id = 0xFFFFFFFE
    scripted.send(header(Op.READ, 0xFFFFFFFF) + header(Op.READ, 1))

    assert scripted.client.read("/a") == b""
    assert scripted.client.read("/a") == b""


def test_closed_connection_refuses(scripted: ScriptedDaemon) -> None:
    """Closing twice is allowed, asking after it is not."""
    with scripted.client as client:
        client.close()

    with pytest.raises(DisconnectedError, match="the connection is closed"):
        client.next_event(0)
