"""Whole engines, and everybody who talks to them, for some thousand steps.

`make simulate` does the same for longer, with other seeds; see simulate.py.
"""

import secrets
from typing import Final

import pytest

from tests.simulation.simulate import SimulationError, simulate
from tests.simulation.world import World
from tests.support.replaying import replayed
from xsd.engine.inputs import KINDS, REQUEST, Input
from xsd.engine.replay import DivergenceError
from xsd.engine.state import describe, differences

STEPS: Final = 1200
SEED: Final = 20_170


@pytest.fixture(scope="module")
def world() -> World:
    """What has become of a world, always the same one."""
    return simulate(SEED, STEPS, check_every=5)


@pytest.mark.slow
def test_nothing_is_wrong_whatever_happens() -> None:
    """With a seed that nobody knows; a failure names it."""
    seed = secrets.randbelow(1 << 32)
    print(f"seed {seed}")
    simulate(seed, STEPS)


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
    """Each kind of input, and most requests with success and without."""
    kinds = {entry.kind for entry in world.tape.inputs}
    asked = {x.frame.op for x in world.tape.inputs if x.frame is not None}

    assert kinds == set(range(len(KINDS)))
    assert len(asked) > 20, sorted(asked)
    assert any(entry.answers for entry in world.tape.inputs)


def without_one(inputs: list[Input], kind: int, place: int) -> list[Input]:
    """A tape that has forgotten the input of a kind that comes at or after a place."""
    for index in range(place, len(inputs)):
        if inputs[index].kind == kind:
            return [*inputs[:index], *inputs[index + 1 :]]
    raise AssertionError(f"no {KINDS[kind]} after {place}")


def is_found_out(world: World, inputs: list[Input]) -> bool:
    """Tell whether a replay shows that the inputs are not those of a world."""
    try:
        engine = replayed(inputs)
    except DivergenceError:
        return True
    return differences(describe(world.engine), describe(engine)) != []


@pytest.mark.slow
@pytest.mark.parametrize("kind", range(len(KINDS)), ids=KINDS)
def test_a_forgotten_input_is_found_out(world: World, kind: int) -> None:
    """Of each kind: one that is missing makes another engine.

    One may be without any effect on the end (a domain released twice would be), so
    several are tried, each by itself.
    """
    inputs = world.tape.inputs
    places = [at for at, entry in enumerate(inputs) if entry.kind == kind]
    chosen = places[:: max(1, len(places) // 4)][:4]
    found = [is_found_out(world, without_one(inputs, kind, at)) for at in chosen]

    assert not is_found_out(world, inputs)
    assert any(found), f"none of {len(found)} of {KINDS[kind]}"
    if kind == REQUEST:
        assert sum(found) >= len(found) // 2


def test_a_failure_names_the_seed_and_the_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that it can be had again."""
    monkeypatch.setattr(World, "turn", lambda *_: 1 // 0)

    with pytest.raises(SimulationError, match="seed 5, step 1, "):
        simulate(5, 10)
