"""xsd.engine.engine: streams of bytes, turns, back-pressure, ends."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.support import OK, Client, event, guest_of, refusal, take_bytes
from xsd.engine import HIGH_WATER, Engine
from xsd.engine.engine import GUEST_TURN, TURN
from xsd.protocol.errors import Errno
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op
from xsd.store import Store
from xsd.store.check import verify

BAD_HEADER = b"\x02\0\0\0\x01\0\0\0\0\0\0\0\x01\x10\0\0"
"""READ with a payload of 4,097 bytes."""


def test_connections_are_numbered_in_the_order_in_which_they_come(
    engine: Engine,
) -> None:
    """A number is never used again."""
    first, second = Client(engine).connection, Client(engine).connection
    engine.disconnect(first)
    third = Client(engine).connection

    assert [first.id, second.id, third.id] == [1, 2, 3]
    assert engine.connections == [second, third]


def test_many_frames_in_one_piece_are_answered_in_order(dom0: Client) -> None:
    """One reply for each, whatever becomes of it (measured on C)."""
    dom0.send(
        dom0.frame(Op.WRITE, b"/a\x001")
        + dom0.frame(Op.READ, b"/a\0")
        + dom0.frame(Op.RM, b"/a\0")
        + dom0.frame(Op.READ, b"/a\0")
        + dom0.frame(99)
    )

    assert dom0.take() == [
        (Op.WRITE, OK),
        (Op.READ, b"1"),
        (Op.RM, OK),
        refusal(Errno.ENOENT),
        refusal(Errno.ENOSYS),
    ]


def test_request_may_come_byte_by_byte(dom0: Client) -> None:
    """The last one brings the reply."""
    request = dom0.frame(Op.READ, b"/tool\0")
    for index in range(len(request) - 1):
        dom0.send(request[index : index + 1])
        assert dom0.take() == []
    dom0.send(request[-1:])

    assert dom0.take() == [(Op.READ, b"")]


STREAM = b"".join(
    encode_frame(op, number, 0, payload)
    for number, (op, payload) in enumerate(
        [
            (Op.WATCH, b"/a\0t\0"),
            (Op.WRITE, b"/a\x001"),
            (Op.READ, b"/a\0"),
            (Op.DIRECTORY, b"/\0"),
            (Op.READ, b"/no\0"),
            (Op.RESET_WATCHES, b""),
        ]
    )
)


def answers(pieces: list[bytes]) -> bytes:
    """What a new engine answers in all to a stream that comes in pieces."""
    engine = Engine(Store())
    connection = engine.connect(engine.store.privileged.caller)
    out = b""
    for piece in pieces:
        engine.receive(connection, piece, 0)
        out += take_bytes(connection)
    return out


@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=10))
def test_where_the_stream_is_cut_does_not_change_the_replies(cuts: list[int]) -> None:
    """Only events may be more, when the equal one before has been taken already."""
    edges = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[a:b] for a, b in pairwise(edges)]
    one_event = encode_frame(Op.WATCH_EVENT, 0, 0, b"/a\0t\0")

    whole, cut = answers([STREAM]), answers(pieces)
    assert cut.replace(one_event, b"") == whole.replace(one_event, b"")
    assert cut.count(one_event) in (1, 2)


def test_bad_header_ends_a_connection_once_all_before_it_is_answered(
    dom0: Client,
) -> None:
    """The stream cannot be understood any further; C loses such replies."""
    good = dom0.frame(Op.READ, b"/tool\0") + dom0.frame(Op.READ, b"/no\0")
    dom0.send(good + BAD_HEADER + b"what follows")

    assert dom0.connection.closing
    assert not dom0.connection.lost
    assert dom0.engine.take_dirty() == [dom0.connection]
    assert dom0.take() == [(Op.READ, b""), refusal(Errno.ENOENT)]
    (notice,) = dom0.engine.take_notices()
    assert (notice.level, notice.event) == ("warning", "connection.broken")
    assert notice.fields == {
        "connection": 1,
        "domid": 0,
        "what": "payload of 4097 bytes announced, at most 4096 allowed "
        "(header at byte 42 of the stream)",
    }


def test_nothing_is_read_after_a_bad_header(dom0: Client) -> None:
    """Not even what looks like a request, and it is told once."""
    dom0.send(BAD_HEADER)
    dom0.engine.take_notices()
    dom0.send(encode_frame(Op.WRITE, 1, 0, b"/a\0v"))
    dom0.engine.resume(dom0.connection, 0)

    assert dom0.take() == []
    assert dom0.engine.take_notices() == []


def test_bad_header_behind_a_held_back_backlog_waits_for_it(dom0: Client) -> None:
    """The connection is closing only after the last reply."""
    frames = [dom0.frame(Op.GET_DOMAIN_PATH, b"0\0") for _ in range(TURN + 1)]
    dom0.send(b"".join(frames) + BAD_HEADER)

    closing = [dom0.connection.closing]
    dom0.engine.resume(dom0.connection, 0)
    closing.append(dom0.connection.closing)

    assert closing == [False, True]
    assert len(dom0.take()) == TURN + 1


def test_a_guests_turn_is_shorter(engine: Engine) -> None:
    """Somebody else may be waiting behind each of many guests."""
    guest = guest_of(engine, 5)
    frames = [guest.frame(Op.READ, b"/no%d\0" % n) for n in range(GUEST_TURN + 3)]
    guest.send(b"".join(frames))

    assert len(guest.take()) == GUEST_TURN
    assert engine.is_ready(guest.connection)
    engine.resume(guest.connection, 0)
    assert len(guest.take()) == 3
    assert not engine.is_ready(guest.connection)


def test_turn_is_limited_and_goes_on_later(dom0: Client) -> None:
    """A client with a thousand requests lets others in between."""
    engine, connection = dom0.engine, dom0.connection
    frames = [dom0.frame(Op.GET_DOMAIN_PATH, b"%d\0" % n) for n in range(2 * TURN + 3)]
    replies = [
        (Op.GET_DOMAIN_PATH, b"/local/domain/%d\0" % n) for n in range(2 * TURN + 3)
    ]
    dom0.send(b"".join(frames))

    assert len(connection.backlog) == TURN + 3
    assert engine.is_ready(connection)
    assert dom0.take() == replies[:TURN]
    engine.resume(connection, 0)
    assert len(connection.backlog) == 3
    assert dom0.take() == replies[TURN : 2 * TURN]
    engine.resume(connection, 0)
    assert dom0.take() == replies[2 * TURN :]
    assert connection.backlog == []
    assert not engine.is_ready(connection)


def test_what_comes_while_others_wait_is_answered_after_them(dom0: Client) -> None:
    """The order of a connection's requests is the order of their replies."""
    first = [dom0.frame(Op.GET_DOMAIN_PATH, b"1\0") for _ in range(TURN + 1)]
    dom0.send(b"".join(first))
    last = dom0.frame(Op.GET_DOMAIN_PATH, b"2\0")
    dom0.send(last)

    messages = dom0.take()
    assert messages[-1] == (Op.GET_DOMAIN_PATH, b"/local/domain/2\0")
    assert len(messages) == TURN + 2


def test_client_that_does_not_read_is_not_answered_beyond_high_water(
    dom0: Client,
) -> None:
    """Its requests wait until it has read some, then all are answered."""
    engine, connection = dom0.engine, dom0.connection
    dom0.ok(Op.WRITE, b"/a\0" + b"x" * 4000)
    dom0.send(b"".join([dom0.frame(Op.READ, b"/a\0") for _ in range(100)]))

    assert HIGH_WATER < connection.outbox.size <= HIGH_WATER + 4016
    waiting = len(connection.backlog)
    assert waiting > 0
    assert not engine.is_ready(connection)
    engine.resume(connection, 0)
    assert len(connection.backlog) == waiting

    connection.outbox.peek()
    assert len(dom0.take()) == 100 - waiting
    assert engine.is_ready(connection)
    engine.resume(connection, 0)
    assert len(dom0.take()) == waiting


def test_dirty_connections_are_told_once(engine: Engine) -> None:
    """Those that a request has given something to send."""
    writer, watcher, idle = Client(engine), Client(engine), Client(engine)
    watcher.ask(Op.WATCH, b"/a\0t\0")
    engine.take_dirty()
    writer.send(writer.frame(Op.WRITE, b"/a\x001") + writer.frame(Op.READ, b"/a\0"))

    assert engine.take_dirty() == [watcher.connection, writer.connection]
    assert engine.take_dirty() == []
    assert idle.connection.outbox.size == 0
    assert watcher.take() == [event(b"/a", b"t")]


def test_disconnect_takes_watches_and_transactions_away(engine: Engine) -> None:
    """Nothing of an open transaction was ever seen by others."""
    gone, other = guest_of(engine), Client(engine)
    gone.ask(Op.WATCH, b"/a\0t\0")
    gone.ask(Op.WATCH, b"@releaseDomain\0t\0")
    tx = gone.start()
    gone.start()
    assert gone.reply(Op.READ, b"/a\0", tx) == refusal(Errno.EACCES)
    assert engine.store.usage.watches.of(1) == 2
    assert engine.store.usage.transactions.of(1) == 2

    engine.disconnect(gone.connection)

    assert engine.store.usage.watches.of(1) == 0
    assert engine.store.usage.transactions.of(1) == 0
    assert engine.store.watches.count == 0
    assert verify(engine.store) == []
    other.ok(Op.WRITE, b"/a\0v")
    assert gone.take() == []


def test_disconnected_client_is_not_served(dom0: Client) -> None:
    """Neither what waits nor what still comes, and not dirty any more."""
    engine, connection = dom0.engine, dom0.connection
    dom0.send(b"".join([dom0.frame(Op.MKDIR, b"/a\0") for _ in range(TURN + 1)]))
    engine.disconnect(connection)
    before = connection.outbox.size
    dom0.send(encode_frame(Op.WRITE, 1, 0, b"/b\0v"))
    engine.resume(connection, 0)

    assert connection.backlog == []
    assert connection.closing
    assert connection.lost
    assert connection.outbox.size == before
    assert engine.take_dirty() == []
    assert engine.connections == []


def test_second_disconnect_does_nothing(engine: Engine) -> None:
    """A transport may meet the end of a connection twice."""
    client, other = Client(engine), Client(engine)
    engine.disconnect(client.connection)
    engine.disconnect(client.connection)

    assert engine.connections == [other.connection]
    assert engine.take_notices() == []


def test_disconnect_in_the_middle_of_a_frame_leaves_nothing(engine: Engine) -> None:
    """Half a request is no request."""
    client, other = Client(engine), Client(engine)
    client.send(encode_frame(Op.WRITE, 1, 0, b"/a\0v")[:-1])
    engine.disconnect(client.connection)

    assert other.errno(Op.READ, b"/a\0") is Errno.ENOENT


def test_lost_connection_is_not_read(engine: Engine) -> None:
    """Until its transport ends it, what still comes is thrown away."""
    guest, dom0 = guest_of(engine), Client(engine)
    dom0.ok(Op.RELEASE, b"1\0")
    guest.send(guest.frame(Op.GET_DOMAIN_PATH, b"1\0"))

    assert guest.connection.lost
    assert guest.connection.backlog == []
    assert guest.take() == []


@pytest.mark.pure_only
def test_requests_behind_the_one_that_ends_the_connection_are_not_answered(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that cuts itself off by its own events."""
    client = Client(engine)
    client.ask(Op.WATCH, b"/a\0" + b"t" * 100 + b"\0")
    monkeypatch.setattr("xsd.engine.core.UNSENT_MAX", 100)
    client.send(client.frame(Op.WRITE, b"/a\0v") + client.frame(Op.WRITE, b"/b\0v"))

    assert client.connection.lost
    assert len(client.take()) == 2
    assert client.unanswered == 1
    assert Client(engine).errno(Op.READ, b"/b\0") is Errno.ENOENT


def test_notices_are_taken_once(dom0: Client) -> None:
    """The transport logs them after each turn."""
    dom0.errno(99)

    assert len(dom0.engine.take_notices()) == 1
    assert dom0.engine.take_notices() == []
