"""xsd.engine.guests: INTRODUCE and RELEASE with channels that may fail."""

import pytest

from tests.engine.played import Played
from tests.engine.support import Client, event, give, refusal, told
from xsd.engine import Engine
from xsd.engine.guests import NoGuests
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.ops import Op

REFUSAL = XenStoreError(Errno.EINVAL, "no page")
FAILURES = [REFUSAL, ZeroDivisionError("a defect")]
failing = pytest.mark.parametrize("error", FAILURES, ids=["refused", "defect"])


@pytest.fixture
def guests(engine: Engine) -> Played:
    """Domain 5 is there."""
    guests = Played()
    engine.attach(guests)
    return guests


def introduce(dom0: Client, domid: int = 5, port: int = 7) -> None:
    """INTRODUCE."""
    dom0.ok(Op.INTRODUCE, b"%d\x001\0%d\0" % (domid, port))


def test_a_domain_is_connected_reconnected_and_disconnected(
    dom0: Client, guests: Played
) -> None:
    """By INTRODUCE, INTRODUCE again, and RELEASE."""
    introduce(dom0, port=7)
    introduce(dom0, port=8)
    dom0.ok(Op.RELEASE, b"5\0")

    assert guests.calls == [
        ("connect", 5, 7),
        ("reconnect", 5, 8),
        ("disconnect", 5, 0),
    ]


def test_a_channel_is_a_connection_that_ends_with_its_domain(
    engine: Engine, dom0: Client, guests: Played
) -> None:
    """The engine makes it, and has dropped it when the channel is given back."""
    introduce(dom0)
    channel = guests.links[5]
    assert engine.connections == [dom0.connection, channel]
    assert channel.is_channel
    engine.take_dirty()
    dom0.ok(Op.RELEASE, b"5\0")

    assert engine.connections == [dom0.connection]
    assert engine.take_dirty() == [dom0.connection]


def test_a_domain_without_a_channel_may_be_introduced(
    engine: Engine, dom0: Client, guests: Played
) -> None:
    """One that the hypervisor does not have; no connection is left over."""
    guests.lenient = True
    introduce(dom0)

    assert engine.store.introduced(5).port == 7
    assert engine.connections == [dom0.connection]


@failing
def test_a_domain_that_cannot_be_connected_is_not_introduced(
    engine: Engine, dom0: Client, guests: Played, error: Exception
) -> None:
    """Nobody is told of it, nothing of it is kept, and it can be tried again."""
    dom0.ask(Op.WATCH, b"@introduceDomain\0t\0")
    guests.error = error

    refused = dom0.errno(Op.INTRODUCE, b"5\x001\x007\0")
    assert refused == (Errno.EINVAL if error is REFUSAL else Errno.EIO)
    assert dom0.reply(Op.IS_DOMAIN_INTRODUCED, b"5\0")[1] == b"F\0"
    assert engine.store.domains.get(5) is None
    assert engine.connections == [dom0.connection]
    guests.error = None
    assert event(b"@introduceDomain", b"t") in dom0.ask(Op.INTRODUCE, b"5\x001\x007\0")
    assert guests.links[5].id == dom0.connection.id + 1


def test_a_channel_that_cannot_be_given_back_keeps_no_domain(
    engine: Engine, dom0: Client, guests: Played
) -> None:
    """It has ended all the same; the log has the defect."""
    introduce(dom0)
    engine.take_notices()
    guests.error = ZeroDivisionError("a defect")
    dom0.ok(Op.RELEASE, b"5\0")

    assert engine.store.domains.get(5) is None
    assert told(engine) == ["channel.not_closed"]


def test_a_domain_has_rights_before_it_is_introduced(
    dom0: Client, guests: Played
) -> None:
    """The toolstack makes its home ready first; one that is not there has none."""
    give(dom0, b"/home", b"n5\0")

    assert dom0.errno(Op.SET_PERMS, b"/home\0n6\0") == Errno.ENOENT
    assert guests.calls == []


def test_a_failed_introduction_leaves_earlier_rights_alone(
    engine: Engine, dom0: Client, guests: Played
) -> None:
    """The domain was known before and is known still."""
    give(dom0, b"/home", b"n5\0")
    guests.error = REFUSAL
    dom0.errno(Op.INTRODUCE, b"5\x001\x007\0")

    assert engine.store.usage.nodes.of(5) == 1


def test_another_domain_of_the_same_id_inherits_nothing(
    engine: Engine, dom0: Client, guests: Played
) -> None:
    """Even if nobody has told yet that the first one is gone (XSA-322)."""
    introduce(dom0)
    give(dom0, b"/of5", b"n5\0")
    give(dom0, b"/for5", b"n0\0r5\0")
    guests.there[5] = 205
    introduce(dom0, port=9)

    assert dom0.errno(Op.READ, b"/of5\0") == Errno.ENOENT
    assert dom0.reply(Op.GET_PERMS, b"/for5\0")[1] == b"n0\0"
    assert engine.store.known(5).unique_id == 205


def test_end_is_told_even_if_the_next_domain_cannot_be_connected(
    dom0: Client, guests: Played
) -> None:
    """The first one is gone all the same, and so is what it owned."""
    introduce(dom0)
    give(dom0, b"/of5", b"n5\0")
    for path in (b"/of5", b"@releaseDomain"):
        dom0.ask(Op.WATCH, path + b"\0t\0")
    guests.there[5] = 205
    guests.error = REFUSAL

    assert dom0.ask(Op.INTRODUCE, b"5\x001\x009\0") == [
        event(b"/of5", b"t"),
        event(b"@releaseDomain", b"t"),
        refusal(Errno.EINVAL),
    ]
    assert dom0.errno(Op.RELEASE, b"5\0") == Errno.ENOENT


def test_domain_that_is_dying_is_not_taken_for_another_one(
    dom0: Client, guests: Played
) -> None:
    """Whoever introduces it again does not bring it back, nor end it."""
    introduce(dom0)
    dom0.ask(Op.WATCH, b"@releaseDomain\0t\0")
    del guests.there[5]
    introduce(dom0)

    assert dom0.take() == []
    assert [call[0] for call in guests.calls] == ["connect", "reconnect"]


def test_own_domain_has_no_channel_to_be_connected(
    dom0: Client, guests: Played
) -> None:
    """INTRODUCE of dom0 only notes the port."""
    guests.there[0] = 100
    introduce(dom0, 0, 9)
    dom0.errno(Op.RELEASE, b"0\0")

    assert guests.calls == []


def test_end_of_a_domain_disconnects_it(
    engine: Engine, dom0: Client, guests: Played
) -> None:
    """Unless it was never introduced."""
    guests.there[6] = 106
    introduce(dom0)
    give(dom0, b"/a", b"n6\0")
    engine.domains_changed([5, 6], [])

    assert guests.calls == [("connect", 5, 7), ("disconnect", 5, 0)]
    assert engine.store.domains.get(6) is None


def test_without_guests_domains_are_a_table(dom0: Client) -> None:
    """INTRODUCE and RELEASE work, and nothing is connected."""
    assert NoGuests().unique_id(5) is None
    for _ in range(2):
        introduce(dom0)
    dom0.ok(Op.RELEASE, b"5\0")


def test_a_waiting_domain_that_cannot_be_connected_is_left_as_it_was(
    engine: Engine, dom0: Client, guests: Played
) -> None:
    """What a known one owns stays; of an unknown one nothing is kept."""
    give(dom0, b"/home", b"n5\0")
    guests.there[6] = 106
    guests.error = REFUSAL
    for domid in (5, 6):
        engine.introduce_waiting(domid)

    assert dom0.reply(Op.GET_PERMS, b"/home\0") == (Op.GET_PERMS, b"n5\0")
    assert [each.domid for each in engine.store.domains.all()] == [0, 5]
    guests.error = None
    engine.take_notices()
    for _ in range(2):
        engine.introduce_waiting(5)
    assert guests.calls == [("connect", 5, 0)]
    assert told(engine) == ["domain.found"]
