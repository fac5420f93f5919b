"""xsd.engine.guests: INTRODUCE and RELEASE with channels that may fail."""

from typing import final

import pytest

from tests.engine.support import Client, event, refusal
from xsd.engine import Engine
from xsd.engine.guests import Guests, NoGuests
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.ops import Op
from xsd.store.domains import Domain


@final
class Recorded(Guests):
    """Guests of a hypervisor that the test plays.

    Attributes:
        there: Unique ids of the domains there are.
        calls: What the engine asked for.
        broken: Whether nobody can be connected.
    """

    def __init__(self) -> None:
        self.there = {5: 105}
        self.calls: list[tuple[str, int, int]] = []
        self.broken = False

    def unique_id(self, domid: int) -> int | None:
        return self.there.get(domid)

    def connect(self, domain: Domain, port: int) -> None:
        if self.broken:
            raise XenStoreError(Errno.EINVAL, "no page")
        self.calls.append(("connect", domain.domid, port))

    def reconnect(self, domain: Domain, port: int) -> None:
        self.calls.append(("reconnect", domain.domid, port))

    def disconnect(self, domain: Domain) -> None:
        self.calls.append(("disconnect", domain.domid, 0))


@pytest.fixture
def guests(engine: Engine) -> Recorded:
    """Domain 5 is there."""
    guests = Recorded()
    engine.serve(guests)
    return guests


def test_a_domain_is_connected_reconnected_and_disconnected(
    dom0: Client, guests: Recorded
) -> None:
    """By INTRODUCE, INTRODUCE again, and RELEASE."""
    dom0.ok(Op.INTRODUCE, b"5\x001\x007\0")
    dom0.ok(Op.INTRODUCE, b"5\x001\x008\0")
    dom0.ok(Op.RELEASE, b"5\0")

    assert guests.calls == [
        ("connect", 5, 7),
        ("reconnect", 5, 8),
        ("disconnect", 5, 0),
    ]


def test_a_domain_that_cannot_be_connected_is_not_introduced(
    dom0: Client, guests: Recorded
) -> None:
    """Nobody is told of it, and it can be tried again."""
    dom0.ask(Op.WATCH, b"@introduceDomain\0t\0")
    guests.broken = True

    assert dom0.errno(Op.INTRODUCE, b"5\x001\x007\0") == Errno.EINVAL
    assert dom0.reply(Op.IS_DOMAIN_INTRODUCED, b"5\0")[1] == b"F\0"
    guests.broken = False
    assert event(b"@introduceDomain", b"t") in dom0.ask(Op.INTRODUCE, b"5\x001\x007\0")


def test_a_domain_has_rights_before_it_is_introduced(
    dom0: Client, guests: Recorded
) -> None:
    """The toolstack makes its home ready first; one that is not there has none."""
    dom0.ok(Op.WRITE, b"/home\0v")
    dom0.ok(Op.SET_PERMS, b"/home\0n5\0")

    assert dom0.errno(Op.SET_PERMS, b"/home\0n6\0") == Errno.ENOENT
    assert guests.calls == []


def test_a_failed_introduction_leaves_earlier_rights_alone(
    engine: Engine, dom0: Client, guests: Recorded
) -> None:
    """The domain was known before and is known still."""
    dom0.ok(Op.WRITE, b"/home\0v")
    dom0.ok(Op.SET_PERMS, b"/home\0n5\0")
    guests.broken = True
    dom0.errno(Op.INTRODUCE, b"5\x001\x007\0")

    assert engine.store.usage.nodes.of(5) == 1


def test_another_domain_of_the_same_id_inherits_nothing(
    engine: Engine, dom0: Client, guests: Recorded
) -> None:
    """Even if nobody has told yet that the first one is gone (XSA-322)."""
    dom0.ok(Op.INTRODUCE, b"5\x001\x007\0")
    dom0.ok(Op.WRITE, b"/of5\0v")
    dom0.ok(Op.SET_PERMS, b"/of5\0n5\0")
    dom0.ok(Op.WRITE, b"/for5\0v")
    dom0.ok(Op.SET_PERMS, b"/for5\0n0\0r5\0")
    guests.there[5] = 205
    dom0.ok(Op.INTRODUCE, b"5\x001\x009\0")

    assert dom0.errno(Op.READ, b"/of5\0") == Errno.ENOENT
    assert dom0.reply(Op.GET_PERMS, b"/for5\0")[1] == b"n0\0"
    assert engine.store.known(5).unique_id == 205


def test_end_is_told_even_if_the_next_domain_cannot_be_connected(
    dom0: Client, guests: Recorded
) -> None:
    """The first one is gone all the same, and so is what it owned."""
    dom0.ok(Op.INTRODUCE, b"5\x001\x007\0")
    dom0.ok(Op.WRITE, b"/of5\0v")
    dom0.ok(Op.SET_PERMS, b"/of5\0n5\0")
    for path in (b"/of5", b"@releaseDomain"):
        dom0.ask(Op.WATCH, path + b"\0t\0")
    guests.there[5] = 205
    guests.broken = True

    assert dom0.ask(Op.INTRODUCE, b"5\x001\x009\0") == [
        event(b"/of5", b"t"),
        event(b"@releaseDomain", b"t"),
        refusal(Errno.EINVAL),
    ]
    assert dom0.errno(Op.RELEASE, b"5\0") == Errno.ENOENT


def test_domain_that_is_dying_is_not_taken_for_another_one(
    dom0: Client, guests: Recorded
) -> None:
    """Whoever introduces it again does not bring it back, nor end it."""
    dom0.ok(Op.INTRODUCE, b"5\x001\x007\0")
    dom0.ask(Op.WATCH, b"@releaseDomain\0t\0")
    del guests.there[5]
    dom0.ok(Op.INTRODUCE, b"5\x001\x007\0")

    assert dom0.take() == []
    assert [call[0] for call in guests.calls] == ["connect", "reconnect"]


def test_own_domain_has_no_channel_to_be_connected(
    dom0: Client, guests: Recorded
) -> None:
    """INTRODUCE of dom0 only notes the port."""
    guests.there[0] = 100
    dom0.ok(Op.INTRODUCE, b"0\x001\x009\0")
    dom0.errno(Op.RELEASE, b"0\0")

    assert guests.calls == []


def test_end_of_a_domain_disconnects_it(engine: Engine, guests: Recorded) -> None:
    """Unless it was never introduced."""
    dom0 = Client(engine)
    guests.there[6] = 106
    dom0.ok(Op.INTRODUCE, b"5\x001\x007\0")
    dom0.ok(Op.WRITE, b"/a\0v")
    dom0.ok(Op.SET_PERMS, b"/a\0n6\0")
    engine.domains_changed([5, 6], [])

    assert guests.calls == [("connect", 5, 7), ("disconnect", 5, 0)]
    assert engine.store.domains.get(6) is None


def test_without_guests_domains_are_a_table(dom0: Client) -> None:
    """INTRODUCE and RELEASE work, and nothing is connected."""
    assert NoGuests().unique_id(5) is None
    for _ in range(2):
        dom0.ok(Op.INTRODUCE, b"5\x001\x007\0")
    dom0.ok(Op.RELEASE, b"5\0")


def test_a_waiting_domain_that_cannot_be_connected_is_left_as_it_was(
    engine: Engine, dom0: Client, guests: Recorded
) -> None:
    """What a known one owns stays; of an unknown one nothing is kept."""
    dom0.ok(Op.WRITE, b"/home\0v")
    dom0.ok(Op.SET_PERMS, b"/home\0n5\0")
    guests.there[6] = 106
    guests.broken = True
    for domid in (5, 6):
        engine.introduce_waiting(domid)

    assert dom0.reply(Op.GET_PERMS, b"/home\0") == (Op.GET_PERMS, b"n5\0")
    assert [each.domid for each in engine.store.domains.all()] == [0, 5]
    guests.broken = False
    engine.introduce_waiting(5)
    engine.introduce_waiting(5)
    assert guests.calls == [("connect", 5, 0)]
