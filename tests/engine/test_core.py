"""xsd.engine.core: whom events burden, and who is told of them."""

import pytest

from tests.engine.support import OK, Client, event, give, guest_of, run, told
from xsd.engine import Engine
from xsd.engine.core import Core
from xsd.protocol.errors import XenStoreError
from xsd.protocol.ops import Op
from xsd.protocol.perms import Caller
from xsd.store import Event, Store, Watch
from xsd.store.quota import OUTSTANDING


def at_its_tally(engine: Engine) -> tuple[Client, Client]:
    """A guest that has as much under way as it may, and dom0, which is to read it."""
    guest, dom0 = guest_of(engine, 5), Client(engine)
    give(dom0, b"/own", b"n5\0")
    engine.set_limit(-1, OUTSTANDING, 3)
    dom0.ask(Op.WATCH, b"/own\0t\0")
    for number in range(3):
        guest.ok(Op.WRITE, b"/own/%d\0v" % number)
    guest.post(Op.READ, b"/own\0")
    assert guest.take() == []
    assert not engine.busy
    return guest, dom0


@pytest.mark.parametrize("way", ["reads", "leaves", "limit", "no limit"])
def test_a_guest_waits_until_others_have_read_what_it_caused(
    engine: Engine, way: str
) -> None:
    """Or are gone, or it may have more: that is under way for it (XSA-326)."""
    guest, reader = at_its_tally(engine)
    dom0 = Client(engine)
    dom0.ok(Op.SET_QUOTA, b"5\0outstanding\x003\0")
    assert guest.take() == []
    if way == "reads":
        assert len(reader.take()) == 3
    elif way == "leaves":
        engine.disconnect(reader.connection)
    else:
        value = b"4" if way == "limit" else b"0"
        dom0.ok(Op.SET_QUOTA, b"5\0outstanding\0" + value + b"\0")
    run(engine)

    assert guest.take() == [(Op.READ, b"v")]


def test_a_waiting_guest_goes_on_as_soon_as_something_was_read(engine: Engine) -> None:
    """Not only when all was."""
    guest, dom0 = at_its_tally(engine)
    first = dom0.connection.outbox.peek(1)
    engine.sent(dom0.connection, len(first) - 1)
    assert not engine.busy
    engine.sent(dom0.connection, 1)
    run(engine)

    assert guest.take() == [(Op.READ, b"v")]


def test_what_dom0_causes_holds_nobody_up(engine: Engine) -> None:
    """A guest that reads nothing has its own trouble only."""
    guest, dom0 = guest_of(engine, 5), Client(engine)
    give(dom0, b"/a", b"r0\0")
    engine.set_limit(-1, OUTSTANDING, 3)
    guest.ask(Op.WATCH, b"/a\0t\0")
    for number in range(9):
        dom0.ok(Op.WRITE, b"/a/%d\0v" % number)

    assert guest.connection.tally.count == 0
    assert len(guest.ask(Op.READ, b"/a\0")) == 10


def test_domain_that_ends_lets_those_go_on_who_waited_for_it(engine: Engine) -> None:
    """Its events are dropped at once, whenever its transport ends the connection."""
    writer, reader = guest_of(engine, 5), guest_of(engine, 6)
    dom0 = Client(engine)
    give(dom0, b"/a", b"b5\0")
    engine.set_limit(-1, OUTSTANDING, 1)
    reader.ask(Op.WATCH, b"/a\0t\0")
    writer.send(writer.frame(Op.WRITE, b"/a\0v") + writer.frame(Op.READ, b"/a\0"))
    assert writer.take() == [(Op.WRITE, OK)]
    assert writer.unanswered == 1
    engine.domains_changed([6], [])
    run(engine)

    assert writer.take() == [(Op.READ, b"v")]


def test_event_for_a_connection_that_is_gone_is_dropped() -> None:
    """Only a defect could cause one; it must not become a crash."""
    core = Core(Store())
    watch = Watch(99, Caller(0, privileged=True), (b"", b"a"), b"/a", b"t", -1)

    core.deliver([Event(watch, b"/a")])

    assert (core.dirty, core.notices) == ([], [])


@pytest.mark.pure_only
def test_an_event_that_cannot_be_queued_concerns_nobody_else(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request has happened, the others are told, and the log has the defect."""
    first, broken, last = (Client(engine) for _ in range(3))
    for each in (first, broken, last):
        each.ask(Op.WATCH, b"/a\0t\0")
    with monkeypatch.context() as patch:
        patch.setattr(broken.connection, "outbox", None)
        first.post(Op.WRITE, b"/a\0v")

    assert told(engine) == ["event.failed"]
    assert first.take() == [event(b"/a", b"t"), (Op.WRITE, OK)]
    assert broken.take() == []
    assert last.take() == [event(b"/a", b"t")]


@pytest.mark.pure_only
def test_paths_that_dom0_names_again_are_kept_up_to_a_number(
    engine: Engine, dom0: Client
) -> None:
    """Absolute and short ones; what is no path or not the same for all is not."""
    engine.tape = None
    core, connection = engine.core, dom0.connection
    assert core.path(connection, b"/a") is core.path(connection, b"/a")
    other = Client(engine, 5)
    assert core.path(connection, b"a") == (b"", b"local", b"domain", b"0", b"a")
    assert core.path(other.connection, b"a")[3:] == (b"5", b"a")
    with pytest.raises(XenStoreError):
        core.path(connection, b"@releaseDomain")
    assert core.path(connection, b"@releaseDomain", special=True) == (
        b"@releaseDomain",
    )
    with pytest.raises(XenStoreError):
        core.path(connection, b"@releaseDomain")
    for number in range(5000):
        core.path(connection, b"/%d" % number)
    core.path(connection, b"/" + b"x" * 500)

    assert 0 < len(core._paths) <= 4096
    assert max(map(len, core._paths)) < 200
