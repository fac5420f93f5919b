"""xsd.engine.handlers: domains, features and quotas."""

import pytest

from tests.engine.support import (
    OK,
    Client,
    Step,
    ask,
    event,
    guest_of,
    hear,
    play,
    take_bytes,
)
from xsd.engine import Engine
from xsd.protocol.errors import Errno
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import FEATURE_ERROR, Op
from xsd.protocol.perms import Caller
from xsd.store import Store

EINVAL, ENOENT, EACCES, EBUSY = Errno.EINVAL, Errno.ENOENT, Errno.EACCES, Errno.EBUSY
IN, OUT = b"@introduceDomain", b"@releaseDomain"
INTRODUCE, RELEASE, WATCH, WRITE = Op.INTRODUCE, Op.RELEASE, Op.WATCH, Op.WRITE
GET_PERMS, SET_PERMS, READ = Op.GET_PERMS, Op.SET_PERMS, Op.READ
IS_INTRODUCED, PATH_OF = Op.IS_DOMAIN_INTRODUCED, Op.GET_DOMAIN_PATH
GET_FEATURE, GET_QUOTA, SET_QUOTA = Op.GET_FEATURE, Op.GET_QUOTA, Op.SET_QUOTA
T, F = b"T\0", b"F\0"

WATCHES = [
    ask(-1, WATCH, IN + b"\0i\0", OK, event(IN, b"i")),
    ask(-1, WATCH, OUT + b"\0o\0", OK, event(OUT, b"o")),
]
QUOTAS = (
    b"nodes watches outstanding memory transactions transaction-nodes "
    b"node-permissions path-max node-size soft-memory\0"
)

RULES: dict[str, list[Step]] = {
    # To introduce it again only changes its event channel.
    "introduced domain is known and told once": [
        *WATCHES,
        ask(0, IS_INTRODUCED, b"5\0", F),
        ask(0, INTRODUCE, b"5\x004101\x00105\0"),
        ask(0, IS_INTRODUCED, b"5\0", T),
        hear(-1, event(IN, b"i")),
        ask(0, INTRODUCE, b"5\0x\x00106\0extra\0"),
        hear(-1),
    ],
    # The name alone would not say which one; depth 0 is told nothing.
    "domain is told to watches with a depth by its number": [
        ask(-1, WATCH, IN + b"\x000\x000\0", OK, event(IN, b"0")),
        ask(-1, WATCH, IN + b"\x001\x001\0", OK, event(IN, b"1")),
        ask(-1, WATCH, IN + b"/5\0own\0", OK, event(IN + b"/5", b"own")),
        ask(0, INTRODUCE, b"5\x001\x001\0"),
        hear(-1, event(IN + b"/5", b"1"), event(IN + b"/5", b"own")),
    ],
    # Sockets are dom0's, but not its connection.
    "introducing dom0 again leaves its clients alone": [
        ask(-1, WATCH, b"/a\0t\0", OK, event(b"/a", b"t")),
        ask(0, INTRODUCE, b"0\x001\x001\0"),
        ask(0, WRITE, b"/a\0v"),
        hear(-1, event(b"/a", b"t")),
    ],
    # No hypervisor has such a domain; DOMID_ANY would be everybody's owner.
    "reserved number cannot be introduced": [
        step
        for domid in (b"32752", b"32753", b"32756", b"32757", b"65535")
        for step in (
            ask(0, INTRODUCE, domid + b"\x001\x001\0", EINVAL),
            ask(0, RELEASE, domid + b"\0", ENOENT),
        )
    ],
    "self and dom0 count as introduced, other reserved numbers do not": [
        ask(0, IS_INTRODUCED, b"0\0", T),
        ask(0, IS_INTRODUCED, b"32752\0", T),
        ask(0, IS_INTRODUCED, b"32753\0", F),
    ],
    # With events, before the name itself; rights elsewhere too.
    "released domain is gone with all it had": [
        *WATCHES,
        ask(0, INTRODUCE, b"5\x001\x001\0"),
        ask(0, WRITE, b"/own/child\0v"),
        ask(0, WRITE, b"/other\0v"),
        ask(0, SET_PERMS, b"/own\0n5\0"),
        ask(0, SET_PERMS, b"/other\0n0\0r5\0"),
        ask(-1, WATCH, b"/\0r\0", event(IN, b"i"), OK, event(b"/", b"r")),
        ask(0, RELEASE, b"5\0"),
        hear(-1, event(b"/own", b"r"), event(OUT, b"o")),
        ask(0, IS_INTRODUCED, b"5\0", F),
        ask(0, READ, b"/own/child\0", ENOENT),
        ask(0, GET_PERMS, b"/other\0", b"n0\0"),
        ask(0, RELEASE, b"5\0", ENOENT),
    ],
    # Given in a transaction that ends when the id is another domain's (XSA-322).
    **{
        f"new domain has none of the rights its predecessor was to get{name}": [
            ask(0, INTRODUCE, b"5\x001\x001\0"),
            ask(0, WRITE, b"/secret\0top"),
            ask(0, Op.TRANSACTION_START, b"\0", b"1\0"),
            ask(0, SET_PERMS, b"/secret\0n0\0r5\0", tx=1),
            *elsewhere,
            ask(0, RELEASE, b"5\0"),
            ask(0, INTRODUCE, b"5\x001\x002\0"),
            ask(0, Op.TRANSACTION_END, b"T\0", Errno.EAGAIN, tx=1),
            ask(0, GET_PERMS, b"/secret\0", b"n0\0"),
        ]
        for name, elsewhere in (
            ("", []),
            (", after a write", [ask(0, WRITE, b"/elsewhere\0")]),
        )
    },
    "resume of a known domain is ok, after a failed suspend": [
        ask(0, INTRODUCE, b"5\x001\x001\0"),
        ask(0, Op.RESUME, b"5\0"),
    ],
    # A stub domain works for the guest it serves.
    "domain has the rights of its target": [
        ask(5, READ, b"/a\0", EACCES),
        ask(0, WRITE, b"/a\0v"),
        ask(0, SET_PERMS, b"/a\0n5\0"),
        ask(6, READ, b"/a\0", EACCES),
        ask(0, Op.SET_TARGET, b"6\x005\0"),
        ask(6, READ, b"/a\0", b"v"),
        ask(0, Op.SET_TARGET, b"6\x007\0", ENOENT),
        ask(0, Op.SET_TARGET, b"7\x006\0", ENOENT),
    ],
    "path of a domain need not exist, and anyone may ask for anyone's": [
        ask(who, PATH_OF, domid + b"\0", b"/local/domain/" + domid + b"\0")
        for who in (0, 1)
        for domid in (b"0", b"7", b"65535")
    ],
    # ERROR, WATCH_DEPTH and DOMID_ANY. C reads one NUL as domain 0.
    "features are the caller's own, and for dom0 others' too": [
        ask(0, GET_FEATURE, b"", b"15\0"),
        ask(5, GET_FEATURE, b"", b"15\0"),
        ask(5, GET_FEATURE, b"0\0", EACCES),
        ask(5, GET_FEATURE, b"5\0", EACCES),
        ask(5, GET_FEATURE, b"\0", EINVAL),
        ask(0, GET_FEATURE, b"5\0", b"15\0"),
        ask(0, GET_FEATURE, b"7\0", ENOENT),
        ask(0, GET_FEATURE, b"\0", EINVAL),
    ],
    "quotas have names, all in one string": [ask(0, GET_QUOTA, b"", QUOTAS)],
    "quota that is not set for a domain is the common one": [
        ask(5, GET_FEATURE, b"", b"15\0"),
        ask(0, GET_QUOTA, b"nodes\0", b"1000\0"),
        ask(0, SET_QUOTA, b"nodes\x007\0"),
        ask(0, SET_QUOTA, b"5\0watches\x008\0"),
        ask(0, SET_QUOTA, b"5\0soft-memory\x009\0"),
        ask(0, GET_QUOTA, b"nodes\0", b"7\0"),
        ask(0, GET_QUOTA, b"5\0nodes\0", b"7\0"),
        ask(0, GET_QUOTA, b"5\0watches\0", b"8\0"),
        ask(0, GET_QUOTA, b"5\0soft-memory\0", b"9\0"),
        ask(0, GET_QUOTA, b"watches\0", b"128\0"),
    ],
    # ENOENT for the domain, EINVAL for the name, which may be any bytes.
    "unknown domain or quota": [
        step
        for op, rest in ((GET_QUOTA, b""), (SET_QUOTA, b"5\0"))
        for step in (
            ask(0, op, b"7\0nodes\0" + rest, ENOENT),
            *[
                ask(0, op, domain + name + b"\0" + rest, EINVAL)
                for name in b"no|Nodes|soft-nodes|soft-|\xff\xfe".split(b"|")
                for domain in (b"", b"0\0")
            ],
        )
    ],
    "quota that is set holds at once, for the domain it was set for": [
        ask(5, READ, b"/a\0", EACCES),
        ask(0, WRITE, b"/a\0"),
        ask(0, SET_PERMS, b"/a\0n5\0"),
        ask(0, SET_QUOTA, b"5\0nodes\x002\0"),
        ask(5, WRITE, b"/a/b\0"),
        ask(5, WRITE, b"/a/c\0", Errno.ENOSPC),
        ask(0, SET_QUOTA, b"5\0nodes\x000\0"),
        ask(5, WRITE, b"/a/c\0"),
    ],
}


@pytest.mark.parametrize("rule", RULES)
def test_domains(engine: Engine, rule: str) -> None:
    """Each rule as the dialogue that shows it."""
    play(engine, RULES[rule])


def test_port_is_that_of_the_last_introduction(engine: Engine, dom0: Client) -> None:
    """The domain is the same."""
    for port in (105, 106):
        dom0.ok(INTRODUCE, b"5\x001\0%d\0" % port)
        assert engine.store.known(5).port == port


def test_domain_that_is_introduced_again_begins_anew(engine: Engine) -> None:
    """Watches, transactions, unsent output and half a request are gone (C)."""
    guest, dom0 = guest_of(engine, 5), Client(engine)
    connection = guest.connection
    guest.ask(WATCH, b"/a\0t\0")
    guest.start()
    guest.post(PATH_OF, b"5\0")
    guest.send(encode_frame(READ, 9, 0, b"/a\0")[:10])
    assert connection.outbox.size > 0

    dom0.ok(INTRODUCE, b"5\x001\x001\0")

    assert connection.outbox.size == 0
    assert connection.decoder.pending == b""
    assert (connection.watches, connection.transactions) == ({}, {})
    usage = engine.store.usage
    assert (usage.watches.of(5), usage.transactions.of(5)) == (0, 0)
    assert not connection.lost
    guest.send(encode_frame(PATH_OF, 1, 0, b"5\0"))
    reply = encode_frame(PATH_OF, 1, 0, b"/local/domain/5\0")
    assert take_bytes(engine, connection) == reply


@pytest.mark.parametrize("place", ["next", "previous", "both"])
def test_connection_of_a_released_domain_ends(engine: Engine, place: str) -> None:
    """Wherever it stands in the list beside the releasing one's."""
    guests = [guest_of(engine, 5)] if place in ("previous", "both") else []
    dom0, other = Client(engine), Client(engine)
    if place in ("next", "both"):
        guests.append(guest_of(engine, 5))
    for client in (*guests, other):
        client.ask(WATCH, b"/local/domain/5\0t\0")
        client.ask(WATCH, OUT + b"\0t\0")
        client.start()
    engine.take_dirty()
    dom0.send(dom0.frame(RELEASE, b"5\0") + dom0.frame(READ, b"/tool\0"))

    assert dom0.take() == [(RELEASE, OK), (READ, b"")]
    assert other.take() == [event(OUT, b"t")]
    dirty = engine.take_dirty()
    for guest in guests:
        assert guest.connection.lost
        assert guest.connection in dirty
        assert guest.take() == []
        assert guest.connection.watches == {}
        engine.disconnect(guest.connection)
    usage = engine.store.usage
    assert (usage.watches.of(5), usage.transactions.of(5)) == (0, 0)
    assert engine.connections == [dom0.connection, other.connection]


@pytest.mark.parametrize("op", [RELEASE, Op.RESUME])
def test_own_domain_cannot_be_released_or_resumed(op: Op) -> None:
    """The privileged domain's, whatever its number is; others may be unknown."""
    for domid, other in ((0, 1), (3, 0)):
        client = Client(Engine(Store(domid)))

        assert client.errno(op, b"%d\0" % domid) is EINVAL
        for unknown in (other, 32752):
            assert client.errno(op, b"%d\0" % unknown) is ENOENT


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

    for bits in (16, 17):
        assert dom0.errno(Op.SET_FEATURE, b"5\0%d\0" % bits) is EINVAL
    dom0.ok(Op.SET_FEATURE, b"5\x002\0")
    assert dom0.reply(GET_FEATURE, b"5\0") == (GET_FEATURE, b"2\0")
    assert guest_of(engine, 5).reply(GET_FEATURE) == (GET_FEATURE, b"2\0")
    assert engine.store.known(5).features == FEATURE_ERROR
    assert dom0.errno(Op.SET_FEATURE, b"5\x0014\0") is EBUSY
    assert dom0.errno(Op.SET_FEATURE, b"7\x0014\0") is ENOENT
