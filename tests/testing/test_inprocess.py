"""xsd.testing.inprocess: a daemon without a process, whose time the test makes."""

from collections.abc import Iterator

import pytest

from xsd.client import DisconnectedError, XenStoreError
from xsd.engine.contest import TURN_MS
from xsd.engine.progress import PROTECT_AFTER
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.store.check import verify
from xsd.testing import InProcess, Session
from xsd.testing.inprocess import EVENT_TIMEOUT_MS
from xsd.testing.session import OK, TIMEOUT_S, header, strings


@pytest.fixture
def xenstore() -> Iterator[InProcess]:
    """A daemon, of whose clients nothing may be left."""
    with InProcess() as xenstore:
        yield xenstore
    assert xenstore.engine.connections == []
    assert verify(xenstore.store) == []
    assert xenstore.store.watches.count == 0


@pytest.fixture
def dom0(xenstore: InProcess) -> Session:
    return xenstore.client()


def test_clients_of_dom0_and_guests_see_one_store(
    xenstore: InProcess, dom0: Session
) -> None:
    """A guest owns its home, and may read what dom0 lets it."""
    guest = xenstore.guest(7)
    guest.get(Op.WRITE, b"data\0v")
    assert dom0.get(Op.READ, b"/local/domain/7/data\0") == b"v"
    assert dom0.get(Op.GET_PERMS, b"/local/domain/7\0") == b"n7\0"
    assert guest.errno(Op.READ, b"/\0") is Errno.EACCES
    assert (dom0.domid, guest.domid) == (0, 7)


def test_the_client_library_works_on_it(xenstore: InProcess) -> None:
    """As on a socket, for dom0 and for guests."""
    xenstore.guest(7)
    dom0, guest = xenstore.library(), xenstore.library(7)
    guest.watch("data", "t")
    assert guest.next_event(0) == (b"data", b"t")
    dom0.write("/local/domain/7/data", b"v")
    assert guest.next_event(0) == (b"data", b"t")
    assert guest.read("data") == b"v"
    assert guest.next_event(1) is None
    with pytest.raises(XenStoreError, match="EACCES"):
        guest.read("/tool")


def test_a_domain_is_served_when_it_is_introduced(
    xenstore: InProcess, dom0: Session
) -> None:
    """By any toolstack's request; what it asked before is forgotten."""
    guest = xenstore.create(7)
    guest.send(guest.frame(Op.GET_DOMAIN_PATH, b"0\0"))
    assert guest.look() == 0
    guest.begin_anew()
    assert dom0.errno(Op.SET_PERMS, strings(b"/tool", b"n0", b"r7")) is None
    payload = strings(b"7", b"1", b"%d" % xenstore.port(7))
    assert dom0.get(Op.INTRODUCE, payload) == OK
    assert guest.get(Op.GET_DOMAIN_PATH, b"7\0") == b"/local/domain/7\0"
    assert guest.get(Op.READ, b"/tool\0") == b""
    with pytest.raises(ValueError, match="7"):
        xenstore.create(7)


@pytest.mark.parametrize("way", ["killed", "released", "offends"])
def test_the_end_of_a_guest_is_seen_on_both_sides(
    xenstore: InProcess, dom0: Session, way: str
) -> None:
    """Destroyed by the hypervisor, released by the toolstack, or not listened to."""
    guest = xenstore.guest(7)
    dom0.watch(b"@releaseDomain")
    xenstore.shutdown(7)  # of which dom0 is told; it goes on as a domain
    assert dom0.events() == [(b"@releaseDomain", b"t")]
    assert dom0.get(Op.IS_DOMAIN_INTRODUCED, b"7\0") == b"T\0"
    if way == "killed":
        xenstore.kill(7)
    elif way == "released":
        dom0.get(Op.RELEASE, b"7\0")
    else:
        guest.send(header(Op.READ, 4097))

    assert guest.rest() == []
    with pytest.raises(DisconnectedError):
        guest.get(Op.READ, b"data\0")
    assert len(dom0.events()) == (way != "offends")
    exists = dom0.errno(Op.READ, b"/local/domain/7\0") is None
    assert exists == (way == "offends")
    if way == "released":  # as after a soft reset, it can be introduced again
        xenstore.introduce(7)
        guest.begin_anew()
        assert guest.get(Op.GET_DOMAIN_PATH, b"7\0") == b"/local/domain/7\0"


def test_a_domain_takes_anothers_place(xenstore: InProcess, dom0: Session) -> None:
    """The daemon sees at once that one has gone and another come."""
    first = xenstore.guest(7)
    dom0.watch(b"@releaseDomain")
    first_id = xenstore.unique_id(7)
    with xenstore.unseen():
        xenstore.kill(7)
        second = xenstore.create(7)
        assert dom0.events() == []

    assert dom0.events() == [(b"@releaseDomain", b"t")]
    assert dom0.get(Op.IS_DOMAIN_INTRODUCED, b"7\0") == b"F\0"
    assert first.rest() == []
    assert 0 != xenstore.unique_id(7) != first_id
    xenstore.introduce(7)
    assert second.get(Op.GET_DOMAIN_PATH, b"7\0") == b"/local/domain/7\0"


def test_a_client_goes_with_what_it_had(xenstore: InProcess, dom0: Session) -> None:
    """Its watches and its transactions."""
    other = xenstore.client()
    other.watch(b"/")
    other.start()
    other.close()
    assert xenstore.store.watches.count == 0
    assert xenstore.store.usage.transactions.used == {}
    assert dom0.get(Op.READ, b"/tool\0") == b""


def test_a_broken_stream_ends_when_all_before_it_is_read(xenstore: InProcess) -> None:
    """And it is in the log."""
    client = xenstore.client()
    client.post(Op.READ, b"/tool\0")
    client.send(header(Op.READ, 4097))
    assert [frame.op for frame in client.rest()] == [Op.READ]
    assert [each.event for each in xenstore.take_notices()] == ["connection.broken"]


def protect(xenstore: InProcess, dom0: Session) -> Session:
    """Have a guest fail until a transaction of its is protected; return another."""
    dom0.make(b"/t", b"b0")
    guest = xenstore.guest(1)
    for _ in range(PROTECT_AFTER):
        tx = guest.start()
        guest.get(Op.READ, b"/t\0", tx)
        dom0.get(Op.WRITE, b"/t\0")
        assert guest.commit(tx) is Errno.EAGAIN
    guest.get(Op.READ, b"/t\0", guest.start())
    return xenstore.guest(2)


def test_time_passes_when_the_test_says_so(xenstore: InProcess, dom0: Session) -> None:
    """Nothing that waits for time goes on before, and everything then."""
    second = protect(xenstore, dom0)
    second.post(Op.WRITE, b"/t\0v")
    xenstore.advance(TURN_MS - 1)
    assert second.look() == 0
    xenstore.advance(1)
    assert second.replies() == [(Op.WRITE, OK)]
    assert xenstore.now_ms == TURN_MS


def test_time_passes_for_who_waits_for_an_answer(
    xenstore: InProcess, dom0: Session
) -> None:
    """Just as much as it takes; no more than it would wait for what never comes."""
    second = protect(xenstore, dom0)
    assert second.get(Op.WRITE, b"/t\0v") == OK
    assert xenstore.now_ms == TURN_MS
    second.send(header(Op.READ, 4096))
    with pytest.raises(TimeoutError):
        second.frames(1)
    assert xenstore.now_ms <= TURN_MS + TIMEOUT_S * 1000


def test_what_a_guest_does_not_read_expires(xenstore: InProcess, dom0: Session) -> None:
    """Events, not replies; those of dom0 wait."""
    guest = xenstore.guest(7)
    for client in (guest, dom0):
        client.watch(b"/local/domain/7")
    dom0.make(b"/local/domain/7/a")
    xenstore.advance(EVENT_TIMEOUT_MS - 1)
    assert guest.events() == [(b"/local/domain/7/a", b"t")]
    dom0.make(b"/local/domain/7/b")
    xenstore.advance(EVENT_TIMEOUT_MS)
    assert guest.events() == []
    assert len(dom0.events()) == 2
