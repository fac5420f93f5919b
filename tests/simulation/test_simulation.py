"""Whole engines, and everybody who talks to them, for some thousand steps.

`make simulate` does the same for longer, with other seeds; see simulate.py.
"""

import secrets
from typing import Final

import pytest

from tests.model.naive_store import NaiveStore
from tests.simulation.simulate import (
    FUZZ_FRAMES,
    SimulationError,
    fuzz,
    simulate,
)
from tests.simulation.world import World
from tests.support.replaying import replayed
from xsd.engine import Connection
from xsd.engine.inputs import KINDS, REQUEST, Input
from xsd.engine.replay import DivergenceError
from xsd.engine.schedule import Schedule
from xsd.engine.state import describe, differences

STEPS: Final = 1200
SEED: Final = 20_170

TRIES: Final = 8
"""Inputs of a kind that are forgotten, one at a time."""

LATER: Final = 5
"""Inputs after which it is looked whether that shows."""


@pytest.fixture(scope="module")
def world() -> World:
    """What has become of a world, always the same one."""
    return simulate(SEED, STEPS, check_every=10)


@pytest.mark.slow
@pytest.mark.parametrize("compared", [False, True], ids=["wild", "compared"])
def test_nothing_is_wrong_whatever_happens(*, compared: bool) -> None:
    """With a seed that nobody knows; a failure names it."""
    seed = secrets.randbelow(1 << 32)
    print(f"seed {seed}")
    simulate(seed, STEPS, check_every=2, compared=compared)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "frames"), [(1, FUZZ_FRAMES), (None, FUZZ_FRAMES // 4)]
)
def test_frames_that_nobody_should_send_do_no_harm(
    seed: int | None, frames: int
) -> None:
    """Over many connections, while domains come and end and limits change."""
    seed = secrets.randbelow(1 << 32) if seed is None else seed
    print(f"seed {seed}")
    world = fuzz(seed, frames)

    assert world.frames >= frames
    assert len(world.tape.inputs) > frames // 20


@pytest.mark.slow
def test_what_is_compared_is_not_only_refused() -> None:
    """The model is asked for thousands of things, of which most change something."""
    world = simulate(SEED, STEPS, check_every=10, compared=True)

    assert world.watcher is not None
    assert world.watcher.asked > 2 * STEPS
    assert len(world.tape.inputs) > STEPS


@pytest.mark.slow
def test_a_run_is_the_same_again_for_the_same_seed(world: World) -> None:
    """Or a failure could not be looked into."""
    again = simulate(SEED, STEPS, check_every=STEPS)

    assert [repr(each) for each in again.tape.inputs] == [
        repr(each) for each in world.tape.inputs
    ]
    assert differences(describe(again.engine), describe(world.engine)) == []


@pytest.mark.slow
def test_everything_happens(world: World) -> None:
    """Each kind of input, and most requests."""
    kinds = {entry.kind for entry in world.tape.inputs}
    asked = {x.frame.op for x in world.tape.inputs if x.frame is not None}

    assert kinds == set(range(len(KINDS)))
    assert len(asked) >= 17, sorted(asked)
    assert any(entry.answers for entry in world.tape.inputs)


# Whether it would be found out.


def is_found_out(inputs: list[Input], at: int) -> bool:
    """Tell whether it shows some inputs later that one was forgotten."""
    whole = inputs[: at + LATER]
    try:
        engine = replayed([*whole[:at], *whole[at + 1 :]])
    except DivergenceError:
        return True
    return differences(describe(replayed(whole)), describe(engine)) != []


def some(inputs: list[Input], kind: int) -> list[int]:
    """Places of inputs of a kind, all over a tape."""
    places = [at for at, entry in enumerate(inputs) if entry.kind == kind]
    return places[:: max(1, len(places) // TRIES)][:TRIES]


@pytest.mark.slow
@pytest.mark.parametrize("kind", range(len(KINDS)), ids=KINDS)
def test_a_forgotten_input_is_found_out(world: World, kind: int) -> None:
    """Of each kind: without it the tape makes another engine.

    A single one may have no effect: a client began anew that had nothing, or what was
    set was set again. So others are tried then.
    """
    inputs = world.tape.inputs

    assert any(is_found_out(inputs, at) for at in some(inputs, kind))


@pytest.mark.slow
def test_most_forgotten_requests_are_found_out(world: World) -> None:
    """What is on the tape has changed something."""
    inputs = world.tape.inputs
    found = [is_found_out(inputs, at) for at in some(inputs, REQUEST)]

    assert sum(found) > TRIES // 2


@pytest.mark.slow
def test_a_wrong_answer_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the model's: it lets everybody see everything."""
    monkeypatch.setattr(NaiveStore, "access", lambda *_: "rwo")

    with pytest.raises(SimulationError, match=f"seed {SEED}, step .*, not "):
        simulate(SEED, STEPS, compared=True)


@pytest.mark.slow
@pytest.mark.pure_only
def test_who_is_forgotten_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here nobody is queued again whose rest is over, or who has read."""
    queue = Schedule.queue

    def forget(schedule: Schedule, connection: Connection) -> None:
        if connection.tally.waiting or not connection.outbox.size:
            queue(schedule, connection)

    monkeypatch.setattr(Schedule, "queue", forget)

    with pytest.raises(SimulationError, match="waits for what does not come"):
        simulate(SEED, STEPS)


def test_a_failure_names_the_seed_and_the_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that it can be had again."""
    monkeypatch.setattr(World, "turn", lambda *_: 1 // 0)

    with pytest.raises(SimulationError, match="seed 5, step 1, "):
        simulate(5, 10)
