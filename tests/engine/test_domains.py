"""xsd.engine.domains: how domains end, are found, and shut down."""

from tests.engine.played import Played
from tests.engine.support import Client, event, give, guest_of, told
from xsd.engine import Engine
from xsd.protocol.errors import Errno
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
    give(dom0, b"/own", b"n5\0")
    dom0.ask(Op.WATCH, b"/own\0own\0")
    engine.domains_changed([5], [])

    assert dom0.take() == [event(b"/own", b"own"), event(RELEASE, b"t")]
    assert guest.connection.lost
    assert guest.connection in engine.take_dirty()


def test_domains_that_shut_down_are_told_once_but_each_by_its_number(
    engine: Engine,
) -> None:
    """A watch without a depth cannot tell them apart anyway; RESUME takes it back."""
    for domid in (5, 6):
        guest_of(engine, domid)
    plain, deep = watching(engine), watching(engine, b"1")
    engine.domains_changed([], [5, 6])

    assert plain.take() == [event(RELEASE, b"t")]
    assert deep.take() == [event(RELEASE + b"/5", b"t"), event(RELEASE + b"/6", b"t")]
    assert engine.store.known(5).shut_down
    plain.ok(Op.RESUME, b"5\0")
    assert not engine.store.known(5).shut_down


def test_orphans_can_be_kept(engine: Engine) -> None:
    """They pass to dom0 and nobody is told of them."""
    guest_of(engine, 5)
    dom0 = Client(engine)
    give(dom0, b"/own", b"n5\0r5\0")
    engine.keep_orphans(keep=True)
    engine.domains_changed([5], [])

    assert dom0.reply(Op.GET_PERMS, b"/own\0")[1] == b"n0\0"


def test_a_domain_known_from_permissions_only_ends_in_silence(engine: Engine) -> None:
    """Nobody was told that it had come."""
    engine.connect(7)
    dom0 = watching(engine)
    engine.domains_changed([7], [])

    assert dom0.take() == []
    assert engine.store.domains.get(7) is None


def test_many_domains_that_end_at_once_are_told_one_by_one(engine: Engine) -> None:
    """Each with its nodes; one that is not known is nobody's end."""
    for domid in (5, 6):
        guest_of(engine, domid)
    dom0 = watching(engine)
    for domid in (5, 6):
        give(dom0, b"/own%d" % domid, b"n%d\0" % domid)
    dom0.ask(Op.WATCH, b"/\0root\0")
    engine.domains_changed([5, 9, 6], [])

    assert dom0.take() == [
        event(b"/own5", b"root"),
        event(RELEASE, b"t"),
        event(b"/own6", b"root"),
        event(RELEASE, b"t"),
    ]


def test_another_domain_is_not_served_by_the_channel_of_the_first(
    engine: Engine, dom0: Client
) -> None:
    """INTRODUCE finds out that it is another one; the first one's connection ends."""
    guests = Played()
    engine.attach(guests)
    dom0.ok(Op.INTRODUCE, b"5\x001\x007\0")
    first = guests.links[5]
    guests.there[5] = 205
    dom0.ok(Op.INTRODUCE, b"5\x001\x008\0")

    assert first.lost
    assert guests.links[5] is not first
    assert guests.links[5].is_channel


def test_a_found_domain_is_told_like_an_introduced_one(engine: Engine) -> None:
    """And the log has that it was found; who is introduced already is not."""
    dom0 = Client(engine)
    dom0.ask(Op.WATCH, b"@introduceDomain\0t\0")
    for _ in range(2):
        engine.introduce_waiting(5)

    assert dom0.take() == [event(b"@introduceDomain", b"t")]
    assert told(engine) == ["domain.found"]
    assert dom0.errno(Op.RELEASE, b"6\0") is Errno.ENOENT
