"""xsd.testing.session: requests of any form, and what comes of them, in order."""

from collections.abc import Callable, Iterator

import pytest

from tests.support.scripted import Prepared
from xsd.client import DisconnectedError
from xsd.protocol.errors import Errno
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op
from xsd.testing import InProcess, Session
from xsd.testing.session import OK, event, header, refusal, strings


@pytest.fixture
def xenstore() -> Iterator[InProcess]:
    """A daemon in which `/t` is a node that all may write."""
    with InProcess() as xenstore:
        xenstore.client().make(b"/t", b"b0")
        yield xenstore


@pytest.fixture
def session(xenstore: InProcess) -> Session:
    return xenstore.client()


def test_a_request_is_one_frame_with_ids_from_one() -> None:
    """Type, id, transaction, length, payload; any other bytes can be sent as well."""
    script = Prepared()
    session = Session(script)
    assert session.frame(2, b"/a\0", 7) == encode_frame(2, 1, 7, b"/a\0")
    session.post(2, b"/b\0")
    session.send(header(2, 4097))
    torn = b"\2\0\0\0\1\0\0\0\0\0\0\0\x01\x10\0\0"
    assert script.sent == encode_frame(2, 2, 0, b"/b\0") + torn
    assert session.unanswered == 2


def test_one_request_and_what_comes_of_it(session: Session) -> None:
    """As a message, a payload, an errno or nothing, whichever a test needs."""
    assert session.reply(Op.WRITE, b"/t\0v") == (Op.WRITE, OK)
    assert session.get(Op.READ, b"/t\0") == b"v"
    assert session.errno(Op.READ, b"/t\0") is None
    assert session.errno(Op.READ, b"/no\0") is Errno.ENOENT
    assert session.refused(Op.READ, b"/no\0") is Errno.ENOENT
    assert session.call(Op.READ, b"/no\0") == refusal(Errno.ENOENT)
    session.ok(Op.MKDIR, b"/t\0")


@pytest.mark.parametrize(
    ("way", "op", "payload"),
    [
        (Session.get, Op.READ, b"/no\0"),
        (Session.ok, Op.READ, b"/t\0"),
        (Session.reply, Op.WRITE, b"/t\0"),
        (Session.refused, Op.READ, b"/t\0"),
    ],
)
def test_an_answer_of_another_kind_is_an_error(
    session: Session, way: Callable[..., object], op: Op, payload: bytes
) -> None:
    """Each method says what it expects: a refusal, none, or no event beside it."""
    session.ok(Op.WATCH, strings(b"/t", b"t"))
    with pytest.raises(AssertionError):
        way(session, op, payload)


def test_events_are_kept_until_they_are_taken(session: Session) -> None:
    """In their order; `take` has replies between them, `ask` takes all, `ok` drops."""
    session.watch(b"/t", b"1")
    session.make(b"/t/a")
    session.make(b"/t/b")
    assert session.events() == [(b"/t/a", b"1"), (b"/t/b", b"1")]
    session.post(Op.WRITE, b"/t\0")
    session.post(Op.READ, b"/no\0")
    assert session.take() == [event(b"/t", b"1"), (Op.WRITE, OK), refusal(Errno.ENOENT)]

    assert session.ask(Op.MKDIR, b"/t/c\0") == [event(b"/t/c", b"1"), (Op.MKDIR, OK)]
    session.make(b"/t/d")
    session.ok(Op.RM, b"/t/a\0")
    assert session.events() == []
    session.make(b"/t/e")
    assert session.next_event() == (b"/t/e", b"1")


def test_replies_are_taken_beside_events(session: Session) -> None:
    """As many as are wanted; the others wait, and so do the events."""
    session.watch(b"/t")
    for path in (b"/t/a", b"/t/b", b"/t/c"):
        session.post(Op.MKDIR, path + b"\0")
    assert session.look() == 3
    assert session.replies(2) == [(Op.MKDIR, OK)] * 2
    assert session.look() == 1
    assert len(session.events()) == 3


def test_transactions(session: Session) -> None:
    """Started, committed, in conflict and given up."""
    first, second, third = session.start(), session.start(), session.start()
    for tx in (first, second):
        session.get(Op.READ, b"/t\0", tx)
        session.get(Op.WRITE, b"/t\0%d" % tx, tx)
    session.get(Op.WRITE, b"/t\0", third)
    assert session.commit(first) is None
    assert session.commit(second) is Errno.EAGAIN
    session.abort(third)
    assert session.get(Op.READ, b"/t\0") == b"%d" % first


@pytest.mark.parametrize("inside", [False, True])
def test_what_is_done_in_a_transaction_is_committed(
    session: Session, inside: bool
) -> None:
    """Or done at once, without one; a commit that fails is an error."""
    with session.transaction(inside=inside) as tx:
        session.get(Op.WRITE, b"/t\0new", tx)
        assert (tx != 0, session.get(Op.READ, b"/t\0") == b"") == (inside, inside)
    assert session.get(Op.READ, b"/t\0") == b"new"
    failing = session.transaction()
    tx = failing.__enter__()
    session.get(Op.WRITE, b"/t\0", tx)
    session.get(Op.WRITE, b"/t\0")
    with pytest.raises(AssertionError):
        failing.__exit__(None, None, None)


def test_any_bytes_can_be_sent(session: Session) -> None:
    """Their replies are had as frames, with the ids that they have."""
    data = encode_frame(Op.READ, 77, 0, b"/t\0") + encode_frame(99, 78, 5, b"")
    for byte in data:
        session.send(bytes([byte]))
    read, refused = session.frames(2)
    assert (read.op, read.req_id, read.payload) == (Op.READ, 77, b"")
    assert (refused.op, refused.req_id, refused.tx_id) == (Op.ERROR, 78, 5)
    assert session.get(Op.READ, b"/t\0") == b""


@pytest.mark.parametrize(
    "answer",
    [
        encode_frame(Op.READ, 2, 0, b""),
        encode_frame(Op.READ, 1, 3, b""),
        encode_frame(Op.READ, 1, 0, b"") * 2,
        encode_frame(Op.WATCH_EVENT, 1, 2, b"/t\0t\0") + encode_frame(2, 1, 0, b""),
        header(Op.READ, 4097),
    ],
)
def test_what_is_not_due_is_an_error(answer: bytes) -> None:
    """Another id or transaction, a second reply, an event with an id, no frame."""
    session = Session(Prepared(answer))
    with pytest.raises(AssertionError):
        session.reply(Op.READ, b"/t\0")


def test_an_answer_in_pieces_is_waited_for() -> None:
    """However it is cut; what only looks does not wait, what needs one says so."""
    answer = encode_frame(Op.READ, 1, 0, b"value")
    pieces = [bytes([byte]) for byte in answer]
    session = Session(Prepared(*pieces, b"", b"", b""))
    assert session.get(Op.READ, b"/t\0") == b"value"
    assert session.take() == []
    session.post(Op.READ, b"/t\0")
    assert session.look() == 0
    with pytest.raises(TimeoutError):
        session.replies()


def test_the_end_of_a_connection_is_seen() -> None:
    """After all that came before it; `rest` waits for it."""
    reply = encode_frame(Op.READ, 1, 0, b"")
    session = Session(Prepared(reply))
    session.post(Op.READ, b"/t\0")
    assert [frame.op for frame in session.rest()] == [Op.READ]
    assert session.over
    with pytest.raises(DisconnectedError):
        session.get(Op.READ, b"/t\0")
    with pytest.raises(TimeoutError):
        Session(Prepared(reply, b"")).rest()


def test_a_session_begins_anew_with_its_ring(xenstore: InProcess) -> None:
    """What was under way is not waited for any more."""
    guest = xenstore.guest(5)
    guest.post(Op.READ, b"/t\0")
    xenstore.introduce(5)
    guest.begin_anew()
    assert guest.get(Op.READ, b"/t\0") == b""
