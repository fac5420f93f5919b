"""An engine is made up from what other daemons tell, in Xen's records alone."""

from collections.abc import Callable

import pytest

from tests.engine.lives import World
from tests.engine.played import Played
from tests.engine.support import OK, Client, event, run, take_bytes
from xsd.engine import Engine
from xsd.engine.adopted import Takeover
from xsd.engine.foreign import adopt, is_ours, store_for
from xsd.engine.image import image
from xsd.engine.inputs import MemoryTape
from xsd.engine.state import describe
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import FEATURE_ERROR, FEATURE_WATCH_DEPTH, Op
from xsd.protocol.perms import NONE, READ, Entry
from xsd.protocol.records import (
    SEEN,
    ConnectionData,
    DomainData,
    GlobalData,
    NodeData,
    QuotaData,
    Record,
    TransactionData,
    UnknownData,
    WatchData,
)
from xsd.protocol.reply import encode_event
from xsd.store import Store
from xsd.store.check import verify
from xsd.store.image import STATE
from xsd.store.load import ImageError

MINE = (Entry(NONE, 0),)
FIVES = (Entry(NONE, 5), Entry(READ, 6))
KERNEL, SOCKET, GUEST = 1, 7, 9
EVENT = encode_event(b"/old", b"t") or b""


def _node(path: bytes, entries: tuple[Entry, ...] = MINE) -> NodeData:
    return NodeData(path, path[1:], entries)


def _ring(number: int, domid: int) -> ConnectionData:
    record = ConnectionData(number)
    record.domid, record.port, record.unique_id = domid, 40 + domid, 300 + domid
    return record


def _told() -> list[Record]:
    """What C might tell: of our kernel, a socket, a guest with a target, two nodes."""
    socket = ConnectionData(SOCKET)
    socket.fd = 8
    guest = _ring(GUEST, 5)
    guest.target = 6
    return [
        GlobalData(3, 6),
        QuotaData({"nodes": 500, "memory": 9000, "soft-memory": 8000, "odd": 1}, {}),
        _ring(KERNEL, 0),
        WatchData(KERNEL, b"/old", b"k"),
        socket,
        WatchData(SOCKET, b"/own", b"s"),
        WatchData(SOCKET, b"@releaseDomain", b"r"),
        guest,
        WatchData(GUEST, b"rel", b"g", 1),
        _node(b"@releaseDomain"),
        _node(b"/"),
        _node(b"/own", FIVES),
        _node(b"/old"),
        DomainData(0, 14, {}),
        DomainData(5, FEATURE_ERROR, {"nodes": 500, "watches": 3, "odd": 2}),
        DomainData(8, FEATURE_WATCH_DEPTH, {}),
    ]


def _adopted(records: list[Record], version: int = 2) -> tuple[Engine, Takeover]:
    engine = Engine(Store())
    found = adopt(engine, records, version)
    assert verify(engine.store) == []
    return engine, found


def test_transports_are_told_whose_links_to_make() -> None:
    """In the order in which the clients came."""
    _engine, found = _adopted(_told())

    assert (found.socket_fd, found.evtchn_fd) == (3, 6)
    kernel, socket, guest = found.clients
    assert (kernel.is_ring, socket.is_ring, guest.is_ring) == (True, False, True)
    assert kernel.connection.is_kernel
    assert guest.connection.is_channel
    assert (socket.record.fd, guest.record.port) == (8, 45)
    assert [each.connection.caller.domid for each in found.clients] == [0, 0, 5]


def test_the_store_and_its_domains_are_what_was_told() -> None:
    """Introduced are those with a ring, known all that something is said of."""
    engine, _found = _adopted(_told())
    store = engine.store

    domains = {each.domid: each for each in store.domains.all()}
    assert sorted(domains) == [0, 5, 6, 8]
    assert [each for each in domains if domains[each].introduced] == [0, 5]
    assert (domains[5].unique_id, domains[5].caller.target) == (305, 6)
    assert domains[5].features == FEATURE_ERROR
    assert domains[8].features == FEATURE_WATCH_DEPTH
    assert store.usage.nodes.of(5) == 1
    assert Client(engine, 5).get(Op.READ, b"/own\0") == b"own"
    assert Client(engine, 6).get(Op.READ, b"/own\0") == b"own"


def test_a_guest_was_told_of_no_features_unless_it_is_said() -> None:
    """Version 1 has no room for them; who was not introduced gets all there are."""
    engine, _found = _adopted(_told(), version=1)
    domains = {each.domid: each.features for each in engine.store.domains.all()}

    assert (domains[5], domains[8]) == (0, domains[0])


def test_limits_are_taken_over() -> None:
    """Those of a domain are its own only where they are others than everybody's."""
    engine, _found = _adopted(_told())
    quotas = engine.store.quotas

    assert (quotas.get(-1, "nodes"), quotas.get(-1, "soft-memory")) == (500, 8000)
    assert quotas.get(-1, "watches") == 128
    assert quotas.of_domain(5) == {"watches": 3}


def test_limits_hold_for_what_is_added_only() -> None:
    """What was there stays."""
    over: list[Record] = [QuotaData({"nodes": 1, "watches": 1}, {}), *_told()[2:-3]]
    over.append(_node(b"/own/more", FIVES))
    over.append(WatchData(GUEST, b"other", b"g"))

    engine, found = _adopted(over)

    assert engine.store.usage.nodes.of(5) == 2
    guest = Client(engine, connection=found.clients[2].connection)
    assert guest.errno(Op.WRITE, b"/own/yet\0v").name == "ENOSPC"


def test_watches_are_silent_until_something_happens() -> None:
    """Then they are told as they would have been; a relative one relatively."""
    engine, found = _adopted(_told())
    clients = [Client(engine, connection=each.connection) for each in found.clients]
    assert [each.take() for each in clients] == [[], [], []]

    clients[1].ok(Op.MKDIR, b"/local/domain/5/rel/x\0")
    clients[1].ok(Op.SET_PERMS, b"/local/domain/5/rel/x\0n5\0")
    clients[1].ok(Op.WRITE, b"/own\0v")
    clients[1].ok(Op.WRITE, b"/old\0v")

    assert clients[0].take() == [event(b"/old", b"k")]
    assert clients[2].take() == [event(b"rel/x", b"g")]


def test_clients_get_the_bytes_they_are_owed_and_their_requests_are_answered() -> None:
    """Half a message that was sent ends, half a request that was read goes on."""
    told = _told()
    [socket] = [each for each in told if isinstance(each, ConnectionData)
                and each.number == SOCKET]  # fmt: skip
    request = encode_frame(Op.READ, 1, 0, b"/old\0")
    socket.unsent, socket.begun = EVENT[5:] + EVENT, len(EVENT) - 5
    socket.pending = request + request[:7]

    engine, found = _adopted(told)
    connection = found.clients[1].connection
    assert connection in engine.take_dirty()
    run(engine)
    answer = encode_frame(Op.READ, 1, 0, b"old")
    assert take_bytes(engine, connection) == EVENT[5:] + EVENT + answer

    engine.feed(connection, request[7:])
    run(engine)

    assert take_bytes(engine, connection) == answer


def test_new_clients_are_none_of_those_before() -> None:
    """Numbers are given once."""
    engine, found = _adopted(_told())

    assert engine.connect(0).id == GUEST + 1
    engine.disconnect(found.clients[2].connection)
    assert engine.connect(0).id == GUEST + 2


def test_what_was_asked_of_the_hypervisor_is_of_no_input() -> None:
    """A replay begins with what was loaded."""
    engine = Engine(Store())
    guests = Played()
    guests.there[6] = 106
    engine.attach(guests)

    adopt(engine, _told())
    tape = engine.tape = MemoryTape()
    engine.connect(0)

    assert tape.inputs[0].answers == ()
    domains = {each.domid: each.unique_id for each in engine.store.domains.all()}
    # Of who has a ring it is known who that is.
    assert (domains[5], domains[6]) == (305, 106)


def test_open_transactions_are_none_any_more() -> None:
    """Their ids mean nothing, and what they have made of nodes is forgotten."""
    open_one: list[Record] = [
        TransactionData(SOCKET, 1),
        NodeData(b"/old", b"else", MINE, SOCKET, 1, SEEN),
    ]

    engine, found = _adopted(_told() + open_one)

    client = Client(engine, connection=found.clients[1].connection)
    assert client.get(Op.READ, b"/old\0") == b"old"
    assert client.errno(Op.READ, b"/old\0", 1).name == "ENOENT"


def test_records_that_nobody_knows_are_no_obstacle() -> None:
    """Whoever has more to say may do so."""
    engine, _found = _adopted([UnknownData(0x1234, b"12345678"), *_told()])

    assert not is_ours(_told())
    assert Client(engine).call(Op.WRITE, b"/old\0v") == (Op.WRITE, OK)


def test_our_own_state_is_loaded_exactly() -> None:
    """By the same call; generations and open transactions are there."""
    engine = World("introduce 5 1 7; start -> 1,; t1 write /a v").engine
    other = Engine(Store())

    found = adopt(other, list(image(engine)))

    assert is_ours(image(engine))
    assert describe(other) == describe(engine)
    assert [each.connection.id for each in found.clients] == [*engine.core.connections]


def test_ours_is_of_the_domains_that_it_was_of() -> None:
    """A control domain apart from the daemon's own; others are taken to have had 0."""
    engine = Engine(Store(3, own_domid=7))
    Client(engine, 3).ok(Op.WRITE, b"/a\0v")
    records = list(image(engine))

    other = Engine(store_for(records))
    adopt(other, records)

    assert describe(other) == describe(engine)
    assert (other.store.privileged.domid, other.store.own.domid) == (3, 7)
    assert store_for(_told()).privileged.domid == 0
    with pytest.raises(ImageError):
        adopt(Engine(Store()), records)


@pytest.mark.parametrize("text", [b"{]", b"[]", b'{"store":{"who":["a","b"]}}'])
def test_ours_that_does_not_say_of_which_is_refused(text: bytes) -> None:
    """By the one error for all that cannot be loaded."""
    with pytest.raises(ImageError):
        store_for([UnknownData(STATE, text)])


BROKEN: dict[str, Callable[[list[Record]], list[Record]]] = {
    "a connection is there twice": lambda told: [*told, ConnectionData(SOCKET)],
    "a ring is there twice": lambda told: [*told, _ring(20, 5)],
    "so is our kernel": lambda told: [*told, _ring(20, 0)],
    "a watch is of nobody": lambda told: [*told, WatchData(20, b"/a", b"t")],
    "a watch is there twice": lambda told: [
        *told, WatchData(GUEST, b"/local/domain/5/rel", b"g")],
    "a watch is of no path": lambda told: [*told, WatchData(SOCKET, b"//", b"t")],
    "a node is there twice": lambda told: [*told, _node(b"/old")],
    "a node is below nothing": lambda told: [*told, _node(b"/a/b")],
    "a node is of no path": lambda told: [*told, _node(b"/a b")],
    "there is no root": lambda told: [
        each for each in told if not isinstance(each, NodeData)],
    "what is to be sent is no message": lambda told: [*told, _owed(b"x" * 15)],
    "what is to be sent ends early": lambda told: [*told, _owed(EVENT[:-1])],
    "what is to be sent goes on": lambda told: [*told, _owed(EVENT + b"x")],
}  # fmt: skip


@pytest.mark.parametrize("damage", BROKEN)
def test_what_does_not_fit_together_is_refused(damage: str) -> None:
    """As a whole, by one error."""
    with pytest.raises(ImageError):
        adopt(Engine(Store()), BROKEN[damage](_told()))


def _owed(unsent: bytes) -> ConnectionData:
    record = ConnectionData(20)
    record.unsent = unsent
    return record
