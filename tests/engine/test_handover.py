"""What is written for the C daemon is what it can go on with."""

import secrets
from random import Random

import pytest

from tests.engine.lives import SCENARIOS
from tests.engine.lives import World as Life
from tests.engine.support import Client, run
from tests.simulation.world import World
from tests.support.c_reader import FatalError, Reader
from xsd.engine import Connection, Engine
from xsd.engine.foreign import adopt, is_ours
from xsd.engine.handover import HandoverError, crowded, for_c
from xsd.engine.image import End, image
from xsd.engine.state import describe
from xsd.protocol.frame import encode_frame
from xsd.protocol.limits import DOMID_ANY, DOMID_INVALID
from xsd.protocol.ops import FEATURES, Op
from xsd.protocol.path import Path, format_path
from xsd.protocol.records import GlobalData
from xsd.protocol.stream import (
    StreamError,
    StreamReader,
    StreamWriter,
    read_stream,
    write_stream,
)
from xsd.store import Store
from xsd.store.check import verify
from xsd.store.load import ImageError
from xsd.store.node import Node

STEPS = 400
OWN_PORT = 2
FLIPS = 400
LIFE = """
    introduce 5 1 7; introduce 6 1 8; set_target 5 6; node /own n5; 5 write /own/x v
    watch /a t 3 -> OK /a:t; 5 watch w t -> OK w:t; set_quota 5 nodes 77
    start -> 1,; t1 write /b v; t1 read /own -> v
"""


def _with_kernel(engine: Engine) -> Connection:
    """Our own kernel's connection, made if there is none."""
    for connection in engine.connections:
        if connection.is_kernel:
            return connection
    connection = engine.connect(engine.store.privileged.domid)
    connection.is_kernel = True
    return connection


def _ends(engine: Engine) -> dict[int, End]:
    """Everybody has one, of their kind."""
    ends: dict[int, End] = {}
    for number, connection in engine.core.connections.items():
        is_ring = connection.is_channel or connection.is_kernel
        ends[number] = End(port=OWN_PORT + number) if is_ring else End(number % 1000)
    return ends


def _written(engine: Engine, version: int = 2) -> bytes:
    records = for_c(engine, _ends(engine), GlobalData(3, 6), version)
    return write_stream(records, StreamWriter(version))


def _read(engine: Engine, version: int = 2) -> Reader:
    """What C makes of an engine while all domains are who they were."""
    there = {each.domid: each.unique_id for each in engine.store.domains.all()}
    return Reader(_written(engine, version), there, newest=version)


def _assert_taken_over(engine: Engine, version: int) -> None:
    """Check that C would have all of an engine that it can have."""
    connections = engine.core.connections
    reader = _read(engine, version)
    rest: list[tuple[Path, Node]] = [((), engine.store.live.tree.top)]
    while rest:
        path, node = rest.pop()
        if path:
            name = format_path(path)
            value, perms = reader.nodes.pop(name)
            assert value == node.value
            assert len(perms) == len(node.perms.entries)
            below = [each for each, _child in node.children()]
            assert reader.children[name] == below
        rest.extend([((*path, each), child) for each, child in node.children()])
    assert reader.nodes == {}
    assert reader.replaced == []
    gone = [each.id for each in connections.values() if each.lost
            or not (each.is_channel or each.caller.privileged)]  # fmt: skip
    assert sorted([*reader.rings, *reader.sockets, *gone]) == sorted(connections)
    watches = {(watch.connection, watch.shown, watch.token)
               for watch in engine.store.watches.all()
               if watch.connection not in gone}  # fmt: skip
    assert set(reader.watches) == watches
    for number, (_domid, target, _port) in reader.rings.items():
        assert target == connections[number].caller.target


def _assert_comes_back(engine: Engine) -> None:
    """Check that what C was told makes an engine as clients see it."""
    other = Engine(Store())
    adopt(other, read_stream(_written(engine)))
    assert verify(other.store) == []
    one, two = describe(engine), describe(other)
    mine, theirs = _seen(one["tree"]), _seen(two["tree"])
    assert sorted(mine) == sorted(theirs)
    # The root's; special nodes are listed nowhere.
    assert [each for each in mine if each[1][:1] != b"@"] == [
        each for each in theirs if each[1][:1] != b"@"
    ]


def _seen(tree: object) -> list[tuple[int, bytes, bytes]]:
    assert isinstance(tree, list)
    return [(depth, name, value) for depth, name, value, *_ in tree]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_it_is_taken_over_whenever_it_was_written(scenario: str, version: int) -> None:
    """After each input of each of these lives."""
    life = Life(SCENARIOS[scenario])
    inputs = life.tape.inputs

    for place in range(len(inputs) + 1):
        engine = life.again(inputs[:place])
        _with_kernel(engine)
        _assert_taken_over(engine, version)
        _assert_comes_back(engine)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [7, None])
def test_it_is_taken_over_whatever_has_happened(seed: int | None) -> None:
    """With half requests, unread events and transactions under way; a failure names
    the seed."""
    seed = secrets.randbelow(1 << 32) if seed is None else seed
    print(f"seed {seed}")  # noqa: T201  it is what a failure is looked into by
    world = World(seed)

    for number in range(STEPS):
        world.step()
        if number % 20 == 19:
            _with_kernel(world.engine)
            _assert_taken_over(world.engine, 2)
            _assert_comes_back(world.engine)


def _lived(script: str) -> Engine:
    engine = Life(script).engine
    _with_kernel(engine)
    return engine


def test_our_own_kernel_comes_first() -> None:
    """No node may be told before its ring, which may be younger than other clients."""
    engine = _lived("introduce 5 1 7; write /a v")

    reader = _read(engine)

    assert [ring[0] for ring in reader.rings.values()] == [0, 5]
    assert reader.fds == (3, 6)


def test_without_a_ring_of_our_own_kernel_nothing_is_written() -> None:
    """C would end at the first node."""
    engine = Life("write /a v").engine

    with pytest.raises(HandoverError, match="no ring"):
        list(for_c(engine, _ends(engine), GlobalData(3, 6)))


def test_who_has_no_end_is_left_out_with_what_it_watches() -> None:
    """C would take a descriptor of -1, and end."""
    engine = _lived("watch /a t -> OK /a:t; a watch /b u -> OK /b:u")
    ends = _ends(engine)
    ends[1].fd = -1

    data = write_stream(for_c(engine, ends, GlobalData(3, 6)), StreamWriter())

    assert Reader(data, {0: 0}).watches == [(2, b"/b", b"u")]


def test_who_is_being_ended_is_left_out() -> None:
    """It was given up, and would be served again."""
    engine = _lived("watch /a t -> OK /a:t; a watch /b u -> OK /b:u")
    engine.core.lose(engine.connections[0])

    assert list(_read(engine).sockets) == [2]


def test_a_guest_over_a_socket_does_not_become_the_privileged_domain() -> None:
    """Whoever has a socket is of the daemon's domain, in C."""
    engine = _lived("7 write x v -> EACCES")

    assert list(_read(engine).sockets) == []


def test_what_is_not_committed_is_left_out() -> None:
    """C would take nodes of transactions for others' and end."""
    engine = _lived("start -> 1,; t1 write /a v; t1 rm /tool; write /b w")

    reader = _read(engine)

    assert b"/a" not in reader.nodes
    assert {b"/tool", b"/b"} < set(reader.nodes)


def test_watches_with_a_depth_see_more_there() -> None:
    """C reads records with depths wrongly."""
    engine = _lived("watch /a t 1 -> OK /a:t")

    assert _read(engine).watches == [(1, b"/a", b"t")]


def test_domains_are_told_only_if_they_were_met() -> None:
    """One that is merely named in a permission would end C; and each has its limits."""
    engine = _lived("""
        come 8; introduce 5 1 7; introduce 6 1 8; set_target 5 6; node /own n7
        node /named n0 r8; set_quota 5 watches 3; set_feature 8 2""")

    domains = _read(engine).domains

    assert sorted(domains) == [0, 5, 6, 7]
    assert domains[5] == (FEATURES, {"watches": 3})
    assert _read(engine, 1).domains[5] == (0, {"watches": 3})


def test_limits_of_all_are_told_in_the_order_of_c() -> None:
    """Each soft one behind its hard one."""
    limits = _read(_lived("set_quota soft-memory 7; set_quota nodes 8")).limits

    assert [*limits] == [
        "nodes", "watches", "outstanding", "memory", "soft-memory", "transactions",
        "transaction-nodes", "node-permissions", "path-max", "node-size",
    ]  # fmt: skip
    assert (limits["nodes"], limits["soft-memory"]) == (8, 7)


def test_a_domain_that_was_replaced_meanwhile_is_known_as_such() -> None:
    """By its unique id; version 1 has none."""
    engine = _lived("introduce 5 1 7")

    assert Reader(_written(engine), {0: 0, 5: 999}).replaced == [5]
    assert Reader(_written(engine, 1), {0: 0, 5: 999}).replaced == []


def test_permissions_mean_the_same_as_far_as_they_can() -> None:
    """A number of more than 16 bits becomes nobody's; what everybody owns is dom0's."""
    engine = _lived(f"""
        node /wide n0 r{65536 + 5}; node /all n{DOMID_ANY} r5; node /old n0 r5""")

    nodes = _read(engine).nodes

    assert nodes[b"/wide"][1] == ["n0", f"r{DOMID_INVALID}?"]
    assert nodes[b"/all"][1] == ["b0", "r5"]
    assert nodes[b"/old"][1] == ["n0", "r5"]


def test_half_requests_and_unread_replies_are_handed_over() -> None:
    """C goes on with them where we stopped."""
    engine = _lived("")
    client = Client(engine)
    request = encode_frame(Op.READ, 1, 0, b"/tool\0")
    engine.feed(client.connection, request * 2 + request[:9])
    run(engine)
    reply = encode_frame(Op.READ, 1, 0, b"")
    engine.sent(client.connection, len(client.connection.outbox.peek()[:10]))

    number = client.connection.id

    assert _read(engine).buffers[number] == (request[:9], reply[10:] + reply, 6)


def test_who_has_several_requests_waiting_is_known() -> None:
    """C may carry them out in another order."""
    engine = _lived("")
    few, many = Client(engine).connection, Client(engine).connection
    request = encode_frame(Op.READ, 1, 0, b"/tool\0")
    engine.feed(few, request + request[:9])
    engine.feed(many, request * 2)

    assert crowded(engine) == [many]
    run(engine)
    assert crowded(engine) == []


def test_the_model_knows_what_would_end_the_c_daemon() -> None:
    """Or it would prove nothing: a node of somebody whom Xen does not have."""
    engine = _lived("node /own n7")

    with pytest.raises(FatalError, match="dom7"):
        Reader(_written(engine), {0: 0})
    with pytest.raises(FatalError, match="version 2"):
        Reader(_written(engine), {0: 0, 7: 0}, newest=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, None])
def test_a_stream_with_flipped_bits_is_refused_or_makes_a_sound_engine(
    seed: int | None,
) -> None:
    """Whatever it says then; C's, and one with what is ours alone."""
    seed = secrets.randbelow(1 << 32) if seed is None else seed
    print(f"seed {seed}")  # noqa: T201  it is what a failure is looked into by
    random = Random(seed)  # noqa: S311  nothing secret
    engine = _lived(LIFE)
    outcomes = {True: 0, False: 0}
    for data in (_written(engine), write_stream(image(engine), StreamWriter())):
        for _ in range(FLIPS):
            flipped = bytearray(data)
            for _again in range(random.choice((1, 1, 2, 5))):
                flipped[random.randrange(len(data))] ^= 1 << random.randrange(8)
            outcomes[_is_sound(bytes(flipped))] += 1

    assert min(outcomes.values()) > FLIPS // 20


def _is_sound(data: bytes) -> bool:
    """Load it; tell whether that was possible."""
    other = Engine(Store())
    try:
        records = read_stream(data)
        adopt(other, records, StreamReader(data).version)
    except (ImageError, StreamError):
        return False
    # Ours says what to count, and whoever takes it over looks whether that is right.
    assert is_ours(records) or verify(other.store) == []
    return True
