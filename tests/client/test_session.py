"""xsd.client.session: a connection without a way there."""

import copy
import pickle

import pytest

from xsd.client import DisconnectedError, Event
from xsd.client.session import Session
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op


def test_replies_belong_to_requests_in_order() -> None:
    """However the bytes are cut; events are kept aside."""
    session = Session()
    calls = [session.ask(Op.READ, name + b"\0", 0) for name in (b"/a", b"/b", b"/c")]
    data = (
        encode_frame(Op.READ, 1, 0, b"one")
        + encode_frame(Op.WATCH_EVENT, 0, 0, b"/w\0t\0")
        + encode_frame(Op.ERROR, 2, 0, b"ENOENT\0")
        + encode_frame(Op.READ, 3, 0, b"three")
    )

    assert bytes(session.outgoing) == b"".join(
        encode_frame(Op.READ, number, 0, name + b"\0")
        for number, name in enumerate((b"/a", b"/b", b"/c"), start=1)
    )
    session.sent(len(session.outgoing))
    for at in range(len(data)):
        session.feed(data[at : at + 1])

    assert calls[0].result() == b"one"
    with pytest.raises(XenStoreError) as caught:
        calls[1].result()
    assert (caught.value.errno, caught.value.path) == (Errno.ENOENT, b"/b")
    assert calls[2].result() == b"three"
    assert list(session.events) == [Event(b"/w", b"t")]
    assert not session.unasked


def test_one_request_must_be_sent_whole_where_none_is_under_way() -> None:
    """Else a reply is sure to come, and what has no room may wait."""
    session = Session()
    assert session.first == 0
    session.ask(Op.READ, b"/a\0", 0)
    session.ask(Op.READ, b"/bb\0", 0)

    assert session.first == 19
    session.sent(10)
    assert session.first == 9
    session.sent(9)
    assert (session.first, len(session.outgoing)) == (0, 20)
    session.feed(encode_frame(Op.READ, 1, 0, b""))
    assert session.first == 20


@pytest.mark.parametrize("frame", [(Op.READ, 2), (Op.WRITE, 1)])
def test_a_reply_to_something_else_is_none(frame: tuple[Op, int]) -> None:
    """The connection cannot go on."""
    session = Session()
    session.ask(Op.READ, b"/a\0", 0)
    with pytest.raises(DisconnectedError, match="answered READ with message type"):
        session.feed(encode_frame(*frame, 0, b""))


def test_a_reply_nobody_has_asked_for_is_seen() -> None:
    """By who waits for events."""
    session = Session()
    session.feed(encode_frame(Op.READ, 1, 0, b""))
    assert session.unasked


def test_an_event_is_a_pair_with_names() -> None:
    """It can be taken apart, compared and copied."""
    event = Event(b"/a", b"t")
    path, token = event

    assert (path, token) == (event.path, event.token) == (b"/a", b"t") == event
    assert repr(event) == "Event(path=b'/a', token=b't')"
    assert copy.copy(event) == pickle.loads(pickle.dumps(event)) == event  # noqa: S301
    assert isinstance(copy.copy(event), Event)
