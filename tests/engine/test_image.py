"""An engine is written and loaded again.

So are many others at the end of their tests; see `assert_replays`.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.lives import SCENARIOS, World
from tests.engine.support import Client, event, run
from tests.support.replaying import assert_equal, loaded
from xsd.engine import Engine
from xsd.engine.image import End, image, load
from xsd.engine.replay import replay
from xsd.engine.state import describe, differences
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op
from xsd.protocol.records import (
    ConnectionData,
    DomainData,
    GlobalData,
    NodeData,
    Record,
    TransactionData,
    UnknownData,
    WatchData,
)
from xsd.protocol.stream import StreamWriter, read_stream, write_stream
from xsd.store import Store
from xsd.store.check import verify
from xsd.store.image import NODES, STATE
from xsd.store.load import ImageError

LIFE = """
    introduce 5 1 7; introduce 6 1 8; set_target 5 6; node /local/domain/5 n5
    set_quota 5 nodes 77; set_quota soft-memory 7000; 5 write w 1; 5 write w/x 2
    node /shared n0 r5; write /z 1; write /y 2; rm /z; write /z 3
    5 watch w t -> OK w:t; a watch /shared u 70000 -> OK /shared:u
    a watch @releaseDomain v 1 -> OK @releaseDomain:v
    start -> 1,; t1 read /shared -> v; t1 write /t/1 v; t1 rm /y
    5 start -> 1,; 5 t1 write w/y 3; 5 t1 rm w/x; 5 t1 read /shared -> v
    write /later 1; rm /z; write /t/2 v; set_perms /shared n0 b5
    a start -> /shared:u 1,; 6 start -> 1,; 6 t1 directory /t -> EACCES
"""


def _lived() -> Engine:
    return World(LIFE).engine


def _records(engine: Engine) -> list[Record]:
    return read_stream(write_stream(image(engine), StreamWriter()))


def test_what_is_loaded_is_what_was_written() -> None:
    """With transactions that began with what the store is no more."""
    engine = _lived()

    other = loaded(engine)

    assert_equal(engine, other)
    assert verify(other.store) == []


def test_watches_are_told_of_what_changes_after_they_were_loaded() -> None:
    """Even if nobody has watched anything since."""
    other = loaded(World("a watch /a t -> OK /a:t").engine)

    Client(other).ok(Op.WRITE, b"/a\0v")

    assert event(b"/a", b"t") in Client(other, connection=other.connections[0]).take()


def test_how_many_requests_were_carried_out_is_loaded() -> None:
    """Those behind it are counted on from there."""
    engine = _lived()

    counts = [each.served for each in loaded(engine).connections]
    assert counts == [each.served for each in engine.connections]
    assert max(counts) > 9


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_same_comes_of_it_whenever_it_was_written(scenario: str) -> None:
    """After each input, written and loaded there, the others make the same engine."""
    world = World(SCENARIOS[scenario])
    inputs = world.tape.inputs
    first = world.again([])

    for place in range(len(inputs) + 1):
        other = loaded(first)
        assert_equal(first, other)
        assert verify(other.store) == []
        assert replay(other, inputs[place:]) == len(inputs) - place
        assert_equal(world.engine, other)
        replay(first, inputs[place : place + 1])


@pytest.mark.parametrize(
    "kind",
    ["generation", "epoch", "registered", "domains", "quotas", "accounts", "tree"],
)
def test_what_is_not_loaded_shows(kind: str) -> None:
    """Or the comparison would prove nothing."""
    engine = _lived()
    records = _records(engine)
    state = _state(records)
    if kind == "generation":
        state["store"]["clock"][0] += 1
    elif kind == "epoch":
        state["store"]["epoch"] += 1
    elif kind == "registered":
        state["connections"][-1][5] += 1
    elif kind == "domains":
        state["store"]["domains"][1][2] += 1
    elif kind == "quotas":
        state["store"]["quotas"][0]["nodes"] += 1
    elif kind == "accounts":
        state["store"]["accounts"]["nodes"][1][0][1] += 1
    else:
        state["transactions"][0]["rows"].pop()
    other = Engine(Store())

    load(other, _with_state(records, state))

    assert differences(describe(engine), describe(other)) != []


def test_other_daemons_find_what_they_know_in_it() -> None:
    """Connections before their watches, nodes before those below, and domains."""
    records = [each for each in _records(_lived()) if not isinstance(each, UnknownData)]
    nodes = [each for each in records if isinstance(each, NodeData)]
    stores = [each for each in nodes if not each.connection]

    assert not [each for each in records if isinstance(each, GlobalData)]
    assert [each.path for each in stores[:3]] == [b"/", b"/tool", b"/tool/xenstored"]
    assert {b"@introduceDomain", b"@releaseDomain"} < {each.path for each in stores}
    seen: set[bytes] = set()
    for each in stores:
        above = each.path.rpartition(b"/")[0] or b"/"
        assert each.path[:1] == b"@" or each.path == b"/" or above in seen
        seen.add(each.path)
    known: set[int] = set()
    for record in records:
        if isinstance(record, ConnectionData):
            known.add(record.number)
        elif isinstance(record, WatchData | TransactionData):
            assert record.connection in known
    domains = [each for each in records if isinstance(each, DomainData)]
    assert [(each.domid, each.quotas) for each in domains] == [
        (0, {}),
        (5, {"nodes": 77}),
        (6, {}),
    ]
    links = [each for each in records if isinstance(each, ConnectionData)]
    rings = [(each.domid, each.target) for each in links if each.domid >= 0]
    assert rings == [(5, 6), (6, -1)]


BROKEN: dict[str, Callable[[list[Record]], list[Record]]] = {
    "another daemon's": lambda records: [each for each in records
                                         if not isinstance(each, UnknownData)],
    "a later format": lambda records: _changed(records, "format", 3),
    "no JSON": lambda records: [*records[:-1], UnknownData(STATE, b"{]")],
    "no object": lambda records: [*records[:-1], UnknownData(STATE, b"[]     ")],
    "a part is missing": lambda records: _changed(records, "last", None),
    "a part is something else": lambda records: _changed(records, "connections", 1),
    "nodes without their numbers": lambda records: [
        each for each in records
        if not isinstance(each, UnknownData) or each.kind != NODES],
    "a node is missing": lambda records: [
        each for each in records
        if not isinstance(each, NodeData) or each.path != b"/shared"],
    "a node is there twice": lambda records: _doubled(records, b"/shared"),
    "a parent is missing": lambda records: [
        each for each in records
        if not isinstance(each, NodeData) or each.path != b"/tool"],
    "a watch is missing": lambda records: [
        each for each in records if not isinstance(each, WatchData)],
    "a transaction is missing": lambda records: [
        each for each in records if not isinstance(each, TransactionData)],
}  # fmt: skip


@pytest.mark.parametrize("damage", BROKEN)
def test_what_does_not_fit_together_is_refused(damage: str) -> None:
    """By one error, whatever it is; the engine that it was for is thrown away."""
    records = BROKEN[damage](_records(_lived()))

    with pytest.raises(ImageError):
        load(Engine(Store()), records)


def _state(records: list[Record]) -> dict[str, Any]:
    [text] = [
        each.body
        for each in records
        if isinstance(each, UnknownData) and each.kind == STATE
    ]
    state: dict[str, Any] = json.loads(text.rstrip(b"\0"))
    return state


def _with_state(records: list[Record], state: dict[str, Any]) -> list[Record]:
    kept = [
        each
        for each in records
        if not isinstance(each, UnknownData) or each.kind != STATE
    ]
    return [*kept, UnknownData(STATE, json.dumps(state).encode())]


def _changed(records: list[Record], key: str, value: object) -> list[Record]:
    state = _state(records)
    state[key] = value
    if value is None:
        del state[key]
    return _with_state(records, state)


def _doubled(records: list[Record], path: bytes) -> list[Record]:
    found: list[Record] = []
    for each in records:
        found.append(each)
        if isinstance(each, NodeData) and each.path == path:
            found.append(each)
    return found


def test_what_is_under_way_is_carried_over_where_clients_are() -> None:
    """Requests that were not carried out, half a one, and replies half sent."""
    engine = _lived()
    asked = encode_frame(Op.READ, 7, 0, b"/shared\0")
    dom0 = next(each for each in engine.connections if not each.caller.domid)
    guest = next(each for each in engine.connections if each.caller.domid == 5)
    for connection in (dom0, guest):
        engine.feed(connection, asked)
    run(engine)
    reply = encode_frame(Op.READ, 7, 0, b"v")
    for connection in (dom0, guest):
        assert connection.outbox.unsent() == (reply, 0)
        connection.outbox.peek()
        engine.sent(connection, 5)
        engine.feed(connection, asked + asked[:9])

    other = Engine(Store())
    load(other, [*image(engine, {dom0.id: End(fd=9), guest.id: End(port=3)})])

    ends = {
        record.number: (record.fd, record.domid, record.port, record.begun)
        for record in image(engine, {dom0.id: End(fd=9), guest.id: End(port=3)})
        if isinstance(record, ConnectionData)
    }
    rest = len(reply) - 5
    assert ends[dom0.id] == (9, -1, 0, rest)
    assert ends[guest.id] == (-1, 5, 3, rest)
    for each in (engine, other):
        run(each)
        for number in (dom0.id, guest.id):
            connection = each.core.connections[number]
            assert bytes(connection.outbox.unsent()[0]) == (
                encode_frame(Op.READ, 7, 0, b"v")[5:]
                + encode_frame(Op.READ, 7, 0, b"v")
            )
            assert connection.decoder.pending == asked[:9]
