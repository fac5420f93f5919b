"""XSA-324: a token so long that an event with it would be longer than a payload."""

from typing import Final

from tests.support.hosts import Host, frames
from xsd.protocol.limits import PAYLOAD_MAX
from xsd.protocol.ops import Op
from xsd.testing import Session
from xsd.testing.session import OK, event

TOKEN: Final = b"t" * (PAYLOAD_MAX - len(b"d\0\0"))
"""The longest that a watch on `d` can have: its own event just fits."""


def test_an_event_that_is_too_long_is_dropped(
    dom0: Session, hostile: Session, inside: bool
) -> None:
    """Of the watched node it fits, of one below it does not; both can be changed."""
    watching = hostile.ask(Op.WATCH, b"d\0" + TOKEN + b"\0")
    assert watching == [(Op.WATCH, OK), event(b"d", TOKEN)]
    number = dom0.start() if inside else 0
    for path in (b"/local/domain/1/d", b"/local/domain/1/d/below"):
        dom0.ok(Op.WRITE, path + b"\0value", number)
    if inside:
        dom0.ok(Op.TRANSACTION_END, b"T\0", number)

    assert hostile.take() == [event(b"d", TOKEN)]


def test_who_causes_an_event_that_is_too_long_hears_nothing_of_it(
    hostile: Session,
) -> None:
    """The reply is as ever, and it is the only one."""
    hostile.ok(Op.WATCH, b"d\0" + TOKEN + b"\0")

    assert hostile.ask(Op.MKDIR, b"d/below\0") == [(Op.MKDIR, OK)]
    assert hostile.ask(Op.RM, b"d/below\0") == [(Op.RM, OK)]


def test_other_watches_are_told_all_the_same(dom0: Session, hostile: Session) -> None:
    """Those before and those behind the one whose event is dropped."""
    dom0.ok(Op.WATCH, b"/local/domain/1/d\0before\0")
    hostile.ok(Op.WATCH, b"d\0" + TOKEN + b"\0")
    dom0.ok(Op.WATCH, b"/local/domain/1/d\0behind\0")
    path = b"/local/domain/1/d/below"

    assert hostile.ask(Op.MKDIR, b"d/below\0") == [(Op.MKDIR, OK)]
    assert dom0.take() == [event(path, b"before"), event(path, b"behind")]


def test_the_end_of_a_domain_is_told_beside_a_token_that_is_too_long(
    dom0: Session, hostile: Session
) -> None:
    """A depth makes the event of `@releaseDomain` longer than the watch's path."""
    name = b"@releaseDomain"
    token = b"t" * (PAYLOAD_MAX - len(name) - len(b"\0\x001\0"))
    hostile.ok(Op.WATCH, name + b"\0" + token + b"\x001\0")
    hostile.ok(Op.WATCH, name + b"\0short\0")
    dom0.ok(Op.INTRODUCE, b"30\x001\x001\0")
    dom0.ok(Op.RELEASE, b"30\0")

    assert hostile.take() == [event(name, b"short")]


def test_the_longest_token_passes_the_ring_whole(host: Host) -> None:
    """The events that fit come complete, the others not at all."""
    guest = host.guest(1)
    guest.request(Op.WATCH, b"d\0" + TOKEN + b"\0")
    found = guest.next_event(10)
    assert found is not None
    assert (found.path, found.token) == (b"d", TOKEN)
    for number in range(5):
        host.dom0.write(f"/local/domain/1/d/{number}", b"")
    host.dom0.write("/local/domain/1/d", b"")

    (told,) = frames(guest, 1)
    assert told.payload == b"d\0" + TOKEN + b"\0"
    assert not guest.exists("nothing")
