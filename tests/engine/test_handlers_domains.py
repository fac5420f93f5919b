"""xsd.engine.handlers: domains, features and quotas."""

import pytest

from tests.engine.support import OK, Client, event, guest_of, run
from xsd.engine import Engine
from xsd.protocol.errors import Errno
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import FEATURE_ERROR, Op
from xsd.protocol.perms import Caller
from xsd.store import Store

EINVAL, ENOENT, EACCES = Errno.EINVAL, Errno.ENOENT, Errno.EACCES
IN, OUT = b"@introduceDomain", b"@releaseDomain"


@pytest.fixture
def watcher(engine: Engine) -> Client:
    """A client of dom0 that is told of domains."""
    client = Client(engine)
    client.ask(Op.WATCH, IN + b"\0i\0")
    client.ask(Op.WATCH, OUT + b"\0o\0")
    return client


def is_introduced(client: Client, domid: int) -> bool:
    """IS_DOMAIN_INTRODUCED."""
    op, answer = client.reply(Op.IS_DOMAIN_INTRODUCED, b"%d\0" % domid)
    assert op == Op.IS_DOMAIN_INTRODUCED
    assert answer in (b"T\0", b"F\0")
    return answer == b"T\0"


def test_introduced_domain_is_known_and_told(dom0: Client, watcher: Client) -> None:
    """Once: to introduce it again only changes its event channel."""
    assert not is_introduced(dom0, 5)
    assert dom0.reply(Op.INTRODUCE, b"5\x004101\x00105\0") == (Op.INTRODUCE, OK)
    assert is_introduced(dom0, 5)
    assert watcher.take() == [event(IN, b"i")]

    assert dom0.reply(Op.INTRODUCE, b"5\0x\x00106\0extra\0") == (Op.INTRODUCE, OK)
    assert dom0.engine.store.known(5).port == 106
    assert watcher.take() == []


def test_domain_is_told_to_watches_with_a_depth_by_its_number(engine: Engine) -> None:
    """The name alone would not say which one; depth 0 is told nothing."""
    reader, dom0 = Client(engine), Client(engine)
    for depth in (b"0", b"1"):
        reader.ask(Op.WATCH, IN + b"\0" + depth + b"\0" + depth + b"\0")
    reader.ask(Op.WATCH, IN + b"/5\0own\0")
    dom0.ok(Op.INTRODUCE, b"5\x001\x001\0")

    assert reader.take() == [event(IN + b"/5", b"1"), event(IN + b"/5", b"own")]


def test_domain_that_is_introduced_again_begins_anew(engine: Engine) -> None:
    """Watches, transactions, unsent output and half a request are gone (C)."""
    guest, dom0 = guest_of(engine, 5), Client(engine)
    guest.ask(Op.WATCH, b"/a\0t\0")
    guest.start()
    guest.send(guest.frame(Op.GET_DOMAIN_PATH, b"5\0"))
    guest.send(encode_frame(Op.READ, 9, 0, b"/a\0")[:10])
    assert guest.connection.outbox.size > 0

    dom0.ok(Op.INTRODUCE, b"5\x001\x001\0")

    connection = guest.connection
    assert connection.outbox.size == 0
    assert connection.decoder.pending == b""
    assert (connection.watches, connection.transactions) == ({}, {})
    assert engine.store.usage.watches.of(5) == 0
    assert engine.store.usage.transactions.of(5) == 0
    assert not connection.lost
    again = encode_frame(Op.GET_DOMAIN_PATH, 1, 0, b"5\0")
    engine.feed(connection, again)
    run(engine)
    assert connection.outbox.peek() == encode_frame(
        Op.GET_DOMAIN_PATH, 1, 0, b"/local/domain/5\0"
    )


def test_introducing_dom0_again_leaves_its_clients_alone(engine: Engine) -> None:
    """Sockets are dom0's, but not its connection."""
    dom0, other = Client(engine), Client(engine)
    other.ask(Op.WATCH, b"/a\0t\0")
    dom0.ok(Op.INTRODUCE, b"0\x001\x001\0")
    dom0.ok(Op.WRITE, b"/a\0v")

    assert other.take() == [event(b"/a", b"t")]


@pytest.mark.parametrize("domid", [b"32752", b"32753", b"32756", b"32757", b"65535"])
def test_reserved_number_cannot_be_introduced(dom0: Client, domid: bytes) -> None:
    """No hypervisor has such a domain; DOMID_ANY would be everybody's owner."""
    assert dom0.errno(Op.INTRODUCE, domid + b"\x001\x001\0") is EINVAL
    assert dom0.errno(Op.RELEASE, domid + b"\0") is ENOENT


def test_self_counts_as_introduced(dom0: Client) -> None:
    """So does dom0; other reserved numbers do not."""
    assert is_introduced(dom0, 0)
    assert is_introduced(dom0, 32752)
    assert not is_introduced(dom0, 32753)


def test_released_domain_is_gone_with_all_it_had(dom0: Client, watcher: Client) -> None:
    """Its nodes, with events, before the name itself; rights elsewhere too."""
    dom0.ok(Op.INTRODUCE, b"5\x001\x001\0")
    for path in (b"/own/child", b"/other"):
        dom0.ok(Op.WRITE, path + b"\0v")
    dom0.ok(Op.SET_PERMS, b"/own\0n5\0")
    dom0.ok(Op.SET_PERMS, b"/other\0n0\0r5\0")
    watcher.ask(Op.WATCH, b"/\0r\0")

    assert dom0.reply(Op.RELEASE, b"5\0") == (Op.RELEASE, OK)
    assert watcher.take() == [event(b"/own", b"r"), event(OUT, b"o")]
    assert not is_introduced(dom0, 5)
    assert dom0.errno(Op.READ, b"/own/child\0") is ENOENT
    assert dom0.reply(Op.GET_PERMS, b"/other\0") == (Op.GET_PERMS, b"n0\0")
    assert dom0.errno(Op.RELEASE, b"5\0") is ENOENT


@pytest.mark.parametrize("place", ["next", "previous", "both"])
def test_connection_of_a_released_domain_ends(engine: Engine, place: str) -> None:
    """Wherever it stands in the list beside the releasing one's."""
    guests = [guest_of(engine, 5)] if place in ("previous", "both") else []
    dom0, other = Client(engine), Client(engine)
    if place in ("next", "both"):
        guests.append(guest_of(engine, 5))
    for client in (*guests, other):
        client.ask(Op.WATCH, b"/local/domain/5\0t\0")
        client.ask(Op.WATCH, OUT + b"\0t\0")
        client.start()
    engine.take_dirty()
    dom0.send(dom0.frame(Op.RELEASE, b"5\0") + dom0.frame(Op.READ, b"/tool\0"))

    assert dom0.take() == [(Op.RELEASE, OK), (Op.READ, b"")]
    assert other.take() == [event(OUT, b"t")]
    dirty = engine.take_dirty()
    for guest in guests:
        assert guest.connection.lost
        assert guest.connection in dirty
        assert guest.take() == []
        assert guest.connection.watches == {}
        engine.disconnect(guest.connection)
    assert engine.store.usage.watches.of(5) == 0
    assert engine.store.usage.transactions.of(5) == 0
    assert engine.connections == [dom0.connection, other.connection]


@pytest.mark.parametrize("op", [Op.RELEASE, Op.RESUME])
def test_own_domain_cannot_be_released_or_resumed(op: Op) -> None:
    """The privileged domain's, whatever its number is; others may be unknown."""
    for domid, other in ((0, 1), (3, 0)):
        client = Client(Engine(Store(domid)))

        assert client.errno(op, b"%d\0" % domid) is EINVAL
        assert client.errno(op, b"%d\0" % other) is ENOENT
        assert client.errno(op, b"32752\0") is ENOENT


def test_resume_of_a_known_domain_is_ok(dom0: Client) -> None:
    """It runs again after a failed suspend."""
    dom0.ok(Op.INTRODUCE, b"5\x001\x001\0")

    assert dom0.reply(Op.RESUME, b"5\0") == (Op.RESUME, OK)


def test_domain_has_the_rights_of_its_target(engine: Engine) -> None:
    """A stub domain works for the guest it serves."""
    stub, dom0 = guest_of(engine, 6), Client(engine)
    guest_of(engine, 5)
    dom0.ok(Op.WRITE, b"/a\0v")
    dom0.ok(Op.SET_PERMS, b"/a\0n5\0")
    assert stub.errno(Op.READ, b"/a\0") is EACCES

    assert dom0.reply(Op.SET_TARGET, b"6\x005\0") == (Op.SET_TARGET, OK)
    assert stub.reply(Op.READ, b"/a\0") == (Op.READ, b"v")
    assert dom0.errno(Op.SET_TARGET, b"6\x007\0") is ENOENT
    assert dom0.errno(Op.SET_TARGET, b"7\x006\0") is ENOENT


def test_path_of_a_domain_need_not_exist(engine: Engine) -> None:
    """Anyone may ask for anyone's."""
    for client in (Client(engine), guest_of(engine)):
        for domid in (b"0", b"7", b"65535"):
            assert client.reply(Op.GET_DOMAIN_PATH, domid + b"\0") == (
                Op.GET_DOMAIN_PATH,
                b"/local/domain/" + domid + b"\0",
            )


def test_features_of_the_caller_and_of_others(engine: Engine) -> None:
    """ERROR, WATCH_DEPTH and DOMID_ANY; of others only for dom0."""
    guest, dom0 = guest_of(engine, 5), Client(engine)

    for client in (guest, dom0):
        assert client.reply(Op.GET_FEATURE) == (Op.GET_FEATURE, b"15\0")
    assert guest.errno(Op.GET_FEATURE, b"0\0") is EACCES
    assert guest.errno(Op.GET_FEATURE, b"5\0") is EACCES
    assert dom0.reply(Op.GET_FEATURE, b"5\0") == (Op.GET_FEATURE, b"15\0")
    assert dom0.errno(Op.GET_FEATURE, b"7\0") is ENOENT


def test_one_nul_is_no_domain_to_get_features_of(engine: Engine) -> None:
    """C reads it as domain 0."""
    for client in (Client(engine), guest_of(engine)):
        assert client.errno(Op.GET_FEATURE, b"\0") is EINVAL


def test_features_are_those_of_all_for_a_caller_that_is_not_known(
    engine: Engine,
) -> None:
    """Such as one whose domain was released a moment ago."""
    engine.tape = None
    connection = engine.core.connect(Caller(9, privileged=False))

    assert engine.core.features(connection) == 15
    assert engine.store.domains.get(9) is None


def test_features_are_set_before_a_domain_is_introduced(engine: Engine) -> None:
    """Afterwards it is EBUSY, of an unknown domain ENOENT."""
    dom0 = Client(engine)
    engine.connect(5)

    assert dom0.errno(Op.SET_FEATURE, b"5\x0016\0") is EINVAL
    assert dom0.errno(Op.SET_FEATURE, b"5\x0017\0") is EINVAL
    assert dom0.reply(Op.SET_FEATURE, b"5\x002\0") == (Op.SET_FEATURE, OK)
    assert dom0.reply(Op.GET_FEATURE, b"5\0") == (Op.GET_FEATURE, b"2\0")
    assert guest_of(engine, 5).reply(Op.GET_FEATURE) == (Op.GET_FEATURE, b"2\0")
    assert engine.store.known(5).features == FEATURE_ERROR
    assert dom0.errno(Op.SET_FEATURE, b"5\x0014\0") is Errno.EBUSY
    assert dom0.errno(Op.SET_FEATURE, b"7\x0014\0") is ENOENT


def test_quotas_have_names(dom0: Client) -> None:
    """All in one string."""
    assert dom0.reply(Op.GET_QUOTA) == (
        Op.GET_QUOTA,
        (
            b"nodes watches outstanding memory transactions transaction-nodes "
            b"node-permissions path-max node-size soft-memory\0"
        ),
    )


def test_quota_of_all_and_of_one_domain(engine: Engine) -> None:
    """One that is not set for a domain is the common one."""
    dom0 = Client(engine)
    guest_of(engine, 5)

    assert dom0.reply(Op.GET_QUOTA, b"nodes\0")[1] == b"1000\0"
    assert dom0.reply(Op.SET_QUOTA, b"nodes\x007\0") == (Op.SET_QUOTA, OK)
    assert dom0.reply(Op.SET_QUOTA, b"5\0watches\x008\0") == (Op.SET_QUOTA, OK)
    assert dom0.reply(Op.SET_QUOTA, b"5\0soft-memory\x009\0") == (Op.SET_QUOTA, OK)
    assert dom0.reply(Op.GET_QUOTA, b"nodes\0")[1] == b"7\0"
    assert dom0.reply(Op.GET_QUOTA, b"5\0nodes\0")[1] == b"7\0"
    assert dom0.reply(Op.GET_QUOTA, b"5\0watches\0")[1] == b"8\0"
    assert dom0.reply(Op.GET_QUOTA, b"5\0soft-memory\0")[1] == b"9\0"
    assert dom0.reply(Op.GET_QUOTA, b"watches\0")[1] == b"128\0"


@pytest.mark.parametrize(("op", "rest"), [(Op.GET_QUOTA, b""), (Op.SET_QUOTA, b"5\0")])
def test_unknown_domain_or_quota(dom0: Client, op: Op, rest: bytes) -> None:
    """ENOENT for the domain, EINVAL for the name, which may be any bytes."""
    assert dom0.errno(op, b"7\0nodes\0" + rest) is ENOENT
    for name in (b"no", b"Nodes", b"soft-nodes", b"soft-", b"\xff\xfe"):
        assert dom0.errno(op, name + b"\0" + rest) is EINVAL
        assert dom0.errno(op, b"0\0" + name + b"\0" + rest) is EINVAL


def test_quota_that_is_set_holds_at_once(engine: Engine) -> None:
    """And for the domain it was set for."""
    guest, dom0 = guest_of(engine, 5), Client(engine)
    dom0.ok(Op.WRITE, b"/a\0")
    dom0.ok(Op.SET_PERMS, b"/a\0n5\0")
    dom0.ok(Op.SET_QUOTA, b"5\0nodes\x002\0")
    guest.ok(Op.WRITE, b"/a/b\0")

    assert guest.errno(Op.WRITE, b"/a/c\0") is Errno.ENOSPC
    dom0.ok(Op.SET_QUOTA, b"5\0nodes\x000\0")
    guest.ok(Op.WRITE, b"/a/c\0")


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_new_domain_has_none_of_the_rights_that_its_predecessor_was_to_get(
    engine: Engine, elsewhere: bool
) -> None:
    """Given in a transaction that ends when the id is another domain's (XSA-322)."""
    dom0 = Client(engine)
    dom0.ok(Op.INTRODUCE, b"5\x001\x001\0")
    dom0.ok(Op.WRITE, b"/secret\0top")
    number = dom0.start()
    dom0.ok(Op.SET_PERMS, b"/secret\0n0\0r5\0", number)
    if elsewhere:
        dom0.ok(Op.WRITE, b"/elsewhere\0")
    dom0.ok(Op.RELEASE, b"5\0")
    dom0.ok(Op.INTRODUCE, b"5\x001\x002\0")

    assert dom0.errno(Op.TRANSACTION_END, b"T\0", number) == Errno.EAGAIN
    other = Client(engine, 5)
    assert other.errno(Op.READ, b"/secret\0") == Errno.EACCES
