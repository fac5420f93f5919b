"""xsd.engine.core: how domains end, and whom events burden."""

import pytest

from tests.engine.support import OK, Client, event, guest_of
from xsd.engine import Engine
from xsd.protocol.ops import Op

RELEASE = b"@releaseDomain"


def watching(engine: Engine, *depth: bytes) -> Client:
    """A client of dom0 that is told when domains end."""
    client = Client(engine)
    client.ask(Op.WATCH, b"\0".join([RELEASE, b"t", *depth, b""]))
    return client


def test_a_domain_that_is_gone_is_told_with_its_nodes(engine: Engine) -> None:
    """First what it owned, then its end; its connections end, too."""
    guest, dom0 = guest_of(engine, 5), watching(engine)
    dom0.ok(Op.WRITE, b"/own\0v")
    dom0.ok(Op.SET_PERMS, b"/own\0n5\0")
    dom0.ask(Op.WATCH, b"/own\0own\0")
    engine.domains_changed([5], [])

    assert dom0.take() == [event(b"/own", b"own"), event(RELEASE, b"t")]
    assert guest.connection.lost
    assert guest.connection in engine.take_dirty()


def test_domains_that_shut_down_are_told_once_but_each_by_its_number(
    engine: Engine,
) -> None:
    """A watch without a depth cannot tell them apart anyway."""
    for domid in (5, 6):
        guest_of(engine, domid)
    plain, deep = watching(engine), watching(engine, b"1")
    engine.domains_changed([], [5, 6])

    assert plain.take() == [event(RELEASE, b"t")]
    assert deep.take() == [event(RELEASE + b"/5", b"t"), event(RELEASE + b"/6", b"t")]
    assert engine.store.known(5).shut_down


def test_a_domain_that_runs_again_can_shut_down_again(engine: Engine) -> None:
    """RESUME takes the note back."""
    guest_of(engine, 5)
    dom0 = Client(engine)
    engine.domains_changed([], [5])
    dom0.ok(Op.RESUME, b"5\0")

    assert not engine.store.known(5).shut_down


def test_orphans_can_be_kept(engine: Engine) -> None:
    """They pass to dom0 and nobody is told of them."""
    guest_of(engine, 5)
    dom0 = Client(engine)
    dom0.ok(Op.WRITE, b"/own\0v")
    dom0.ok(Op.SET_PERMS, b"/own\0n5\0r5\0")
    engine.keep_orphans(keep=True)
    engine.domains_changed([5], [])

    assert dom0.reply(Op.GET_PERMS, b"/own\0")[1] == b"n0\0"


def test_a_domain_known_from_permissions_only_ends_in_silence(engine: Engine) -> None:
    """Nobody was told that it had come."""
    engine.store.know(7)
    dom0 = watching(engine)
    engine.domains_changed([7], [])

    assert dom0.take() == []
    assert engine.store.domains.get(7) is None


@pytest.mark.parametrize("reader_leaves", [False, True])
def test_a_guest_waits_until_others_have_read_what_it_caused(
    engine: Engine, *, reader_leaves: bool
) -> None:
    """Or are gone: events count as under way for who caused them (XSA-326)."""
    guest, dom0 = guest_of(engine, 5), Client(engine)
    dom0.ok(Op.WRITE, b"/own\0v")
    dom0.ok(Op.SET_PERMS, b"/own\0n5\0")
    engine.store.quotas.set(-1, "outstanding", 3)
    dom0.ask(Op.WATCH, b"/own\0t\0")
    for number in range(3):
        guest.ok(Op.WRITE, b"/own/%d\0v" % number)
    guest.send(guest.frame(Op.READ, b"/own\0"))

    assert guest.take() == []
    assert not engine.is_ready(guest.connection)
    if reader_leaves:
        engine.disconnect(dom0.connection)
    else:
        assert len(dom0.take()) == 3
    assert engine.take_ready() == [guest.connection]
    engine.resume(guest.connection, 0)
    assert guest.take() == [(Op.READ, b"v")]


def test_a_guest_that_waits_is_told_of_even_if_no_request_of_its_does(
    engine: Engine,
) -> None:
    """Its ring may be full of them: nobody has read them while it had to wait."""
    guest, dom0 = guest_of(engine, 5), Client(engine)
    dom0.ok(Op.WRITE, b"/own\0v")
    dom0.ok(Op.SET_PERMS, b"/own\0n5\0")
    engine.store.quotas.set(-1, "outstanding", 3)
    dom0.ask(Op.WATCH, b"/own\0t\0")
    for number in range(3):
        guest.ok(Op.WRITE, b"/own/%d\0v" % number)

    assert not engine.has_room(guest.connection)
    assert engine.take_ready() == []
    dom0.take()
    assert engine.take_ready() == [guest.connection]
    assert engine.take_ready() == []


def test_quota_that_is_raised_lets_a_guest_go_on(engine: Engine) -> None:
    """Whatever the others have read."""
    guest, dom0 = guest_of(engine, 5), Client(engine)
    dom0.ok(Op.WRITE, b"/own\0v")
    dom0.ok(Op.SET_PERMS, b"/own\0n5\0")
    engine.store.quotas.set(5, "outstanding", 1)
    reader = Client(engine)
    reader.ask(Op.WATCH, b"/own\0t\0")
    guest.send(guest.frame(Op.WRITE, b"/own\0v") + guest.frame(Op.READ, b"/own\0"))
    assert guest.take() == [(Op.WRITE, OK)]

    for value, ready in ((b"1", []), (b"2", [guest.connection])):
        dom0.ok(Op.SET_QUOTA, b"5\0outstanding\0" + value + b"\0")
        assert engine.take_ready() == ready
    engine.resume(guest.connection, 0)
    assert guest.take() == [(Op.READ, b"v")]


def test_what_dom0_causes_holds_nobody_up(engine: Engine) -> None:
    """A guest that reads nothing has its own trouble only."""
    guest, dom0 = guest_of(engine, 5), Client(engine)
    dom0.ok(Op.WRITE, b"/a\0v")
    dom0.ok(Op.SET_PERMS, b"/a\0r0\0")
    engine.store.quotas.set(-1, "outstanding", 3)
    guest.ask(Op.WATCH, b"/a\0t\0")
    for number in range(9):
        dom0.ok(Op.WRITE, b"/a/%d\0v" % number)

    assert guest.connection.tally.count == 0
    assert engine.has_room(guest.connection)
    assert len(guest.take()) == 9


def test_domain_that_ends_lets_those_go_on_who_waited_for_it(engine: Engine) -> None:
    """Its events are dropped when its transport ends the connection."""
    writer, reader = guest_of(engine, 5), guest_of(engine, 6)
    dom0 = Client(engine)
    dom0.ok(Op.WRITE, b"/a\0v")
    dom0.ok(Op.SET_PERMS, b"/a\0b5\0")
    engine.store.quotas.set(-1, "outstanding", 1)
    reader.ask(Op.WATCH, b"/a\0t\0")
    engine.take_ready()
    writer.send(writer.frame(Op.WRITE, b"/a\0v") + writer.frame(Op.READ, b"/a\0"))
    writer.take()
    assert engine.take_ready() == []
    engine.domains_changed([6], [])
    assert reader.connection in engine.take_dirty()
    engine.disconnect(reader.connection)

    assert engine.take_ready() == [writer.connection]


def test_events_that_a_guest_does_not_fetch_are_dropped_in_time(
    engine: Engine,
) -> None:
    """Those of dom0 never are; who caused them goes on."""
    guest, dom0 = guest_of(engine, 5), Client(engine)
    dom0.ok(Op.WRITE, b"/a\0v")
    dom0.ok(Op.SET_PERMS, b"/a\0r0\0")
    for client in (guest, dom0):
        client.ask(Op.WATCH, b"/a\0t\0")
    writer = Client(engine)
    writer.ok(Op.WRITE, b"/a\0v")
    engine.expire_events(19_999, 20_000)
    assert guest.connection.outbox.size > 0

    engine.expire_events(20_000, 20_000)
    assert guest.take() == []
    assert dom0.take() == [event(b"/a", b"t")]
    (notice,) = engine.take_notices()
    assert (notice.event, notice.fields["what"]) == ("events.expired", 1)
