"""xsd.engine.replay: the same inputs make an equal engine, and others do not."""

import pytest

from tests.engine.lives import SCENARIOS, World
from tests.engine.support import Client, run
from xsd.engine import Engine
from xsd.engine.inputs import CAME, KINDS, REQUEST, WENT, Input, MemoryTape
from xsd.engine.replay import DivergenceError, replay
from xsd.engine.state import describe, differences
from xsd.protocol.frame import FrameDecoder, encode_frame
from xsd.protocol.ops import Op
from xsd.store import Store

(FRAME,) = FrameDecoder().feed(encode_frame(Op.WRITE, 1, 0, b"/a\0v"))
scenarios = pytest.mark.parametrize("scenario", SCENARIOS)


@pytest.fixture
def world(scenario: str) -> World:
    """A world in which a scenario has been played."""
    return World(SCENARIOS[scenario])


def test_every_kind_of_input_is_in_some_scenario() -> None:
    """Or what follows says nothing about it."""
    worlds = [World(script) for script in SCENARIOS.values()]

    assert {KINDS[each.kind] for world in worlds for each in world.tape.inputs} == {
        *KINDS
    }


@scenarios
def test_the_replayed_engine_is_equal(world: World) -> None:
    """And goes on from there as the first one does; nothing outside was asked."""
    first, again = world.engine, world.again(world.tape.inputs)
    assert differences(describe(first), describe(again)) == []

    for engine in (first, again):
        client = Client(engine)
        for payload in (b"/a\0next", b"/own5/x\0next"):
            client.ask(Op.WRITE, payload)
        for connection in engine.connections:
            engine.disconnect(connection)
    assert differences(describe(first), describe(again)) == []


@scenarios
def test_an_input_that_is_missing_is_noticed(world: World) -> None:
    """Whichever it is, since each has left something: on the way, or at the end."""
    inputs = world.tape.inputs
    unnoticed = [
        inputs[place]
        for place in range(len(inputs))
        if world.is_as(inputs[:place] + inputs[place + 1 :])
    ]

    assert unnoticed == []


@scenarios
def test_a_replay_leaves_nothing_to_send_and_nothing_to_do(world: World) -> None:
    """What was put out has left before, and the log has it."""
    engine = world.again(world.tape.inputs)

    assert (engine.take_dirty(), engine.take_notices()) == ([], [])
    assert all(each.outbox.size == 0 for each in engine.connections)
    assert all(each.tally.count == 0 for each in engine.connections)
    run(engine)
    assert not engine.busy


def test_what_a_client_has_read_is_not_state() -> None:
    """Two engines are equal though the output of one was never taken."""
    world = World("""
        introduce 5 1 7; 5 watch @introduceDomain t -> OK @introduceDomain:t
        introduce 6 1 7; introduce 7 1 7; 5 send get_domain_path 5
    """)
    assert world.engine.store.usage.unsent.of(5) > 0

    assert world.is_as(world.tape.inputs)


def test_our_own_kernel_is_known_in_a_replay() -> None:
    """It came as any client does, but its ring is gone on with."""
    engine, tape = Engine(Store()), MemoryTape()
    engine.tape = tape
    engine.connect(0, is_kernel=True)
    engine.connect(0)
    other = Engine(Store())
    replay(other, tape.inputs)

    assert [each.is_kernel for each in other.connections] == [True, False]


def test_a_replay_counts_requests_that_are_on_no_tape() -> None:
    """The next one of a connection has the ordinal that it had."""
    world = World(
        "read /none -> ENOENT; read /none -> ENOENT; write /a v; read /a -> v"
    )
    engine = world.again(world.tape.inputs)

    assert (world.engine.connections[0].served, engine.connections[0].served) == (4, 3)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (Input(WENT, 6, 9), "there is no connection 9"),
        (Input(REQUEST, 7, 9, 0, FRAME), "there is no connection 9"),
        (Input(CAME, 6, 9), "LookupError(Connection(#1, dom0))"),
        (Input(CAME, 7, 1), "generation 6"),
        (Input(CAME, 6, 1, answers=(4,)), "1 answers were not asked for"),
        (Input(6, 6, name="no", numbers=(1,)), "EINVAL: unknown quota: no"),
    ],
)
def test_a_divergence_says_where_and_why(entry: Input, reason: str) -> None:
    """With the input itself."""
    engine = Engine(Store())
    assert engine.store.generation == 6
    with pytest.raises(DivergenceError) as caught:
        replay(engine, [entry])

    assert (caught.value.place, caught.value.entry) == (0, entry)
    assert str(caught.value) == f"input 0, {entry!r}: {reason}"
