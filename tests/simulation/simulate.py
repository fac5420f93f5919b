"""Runs simulations: python3 -m tests.simulation.simulate [--seconds S] [--seed N]

Without a seed one is drawn and printed; each world lives for some thousand steps, and
the next one has the next seed. A failure names the seed and the step, and
`--seed N` runs that world again.
"""

import argparse
import secrets
import time
from typing import Final, final

from tests.simulation.checks import check, check_quiet
from tests.simulation.world import World
from tests.support.replaying import assert_replays
from xsd.engine import Engine
from xsd.engine.replay import replay
from xsd.engine.state import describe, differences
from xsd.store import Store

STEPS: Final = 4000
"""Of one world."""

COMPARE_EVERY: Final = 200
"""Steps between two comparisons with the engine that is told the inputs."""

MODEL_EVERY: Final = 5
"""Steps between two comparisons of all nodes with the model's."""

SETTLE_EVERY: Final = 500
"""Steps after which all have to come to rest."""

FUZZ_FRAMES: Final = 100_000
"""Of all clients of one fuzz."""

FUZZ_CHECK_EVERY: Final = 50
FUZZ_READ: Final = 10_000


class SimulationError(AssertionError):
    """Something does not hold; the text says in which world, and when."""


@final
class Shadow:
    """An engine that is told the inputs of another, some steps later."""

    def __init__(self) -> None:
        self.engine = Engine(Store())
        self._done = 0

    def follow(self, world: World) -> None:
        """Carry out what has happened since, and compare."""
        inputs = world.tape.inputs[self._done :]
        self._done += replay(self.engine, inputs)
        different = differences(describe(world.engine), describe(self.engine))
        assert different == [], different


def simulate(
    seed: int, steps: int = STEPS, check_every: int = 1, *, compared: bool = False
) -> World:
    """Have a world live for so many steps.

    Args:
        seed: Of everything that is drawn.
        steps: How many.
        check_every: Steps after which the store looks itself over.
        compared: Whether the model is asked everything, too.

    Returns:
        The world as it is in the end.

    Raises:
        SimulationError: If something does not hold.
    """
    world = World(seed, compared=compared)
    shadow = Shadow()
    number = 0
    what = "nothing"
    try:
        for number in range(1, steps + 1):
            what = world.step()
            if number % check_every == 0:
                check(world)
                if world.watcher is not None and number % MODEL_EVERY == 0:
                    world.watcher.check()
            if number % COMPARE_EVERY == 0:
                shadow.follow(world)
            if number % SETTLE_EVERY == 0:
                what = "rest"
                world.settle()
                check(world)
                check_quiet(world)
        what = "the replay of all"
        assert_replays(world.engine)
    except Exception as error:
        raise SimulationError(f"seed {seed}, step {number}, {what}: {error}") from error
    return world


def fuzz(seed: int, frames: int) -> World:
    """Have clients send so many frames that nobody should send.

    Args:
        seed: Of everything that is drawn.
        frames: How many, at least.

    Returns:
        The world as it is in the end.

    Raises:
        SimulationError: If something does not hold.
    """
    world = World(seed, noisy=True)
    number = 0
    try:
        while world.frames < frames:
            number += 1
            world.step()
            for peer in list(world.peers):
                world.turn()
                peer.read(FUZZ_READ)
            if number % FUZZ_CHECK_EVERY == 0:
                check(world)
        world.settle()
        check(world)
        check_quiet(world)
        assert_replays(world.engine)
    except Exception as error:
        raise SimulationError(f"fuzz: seed {seed}, step {number}: {error}") from error
    return world


def main() -> None:
    """Simulate one world after the other until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args()
    seed: int = secrets.randbelow(1 << 32) if options.seed is None else options.seed
    until = time.monotonic() + options.seconds
    print(f"seed {seed}")
    inputs = len(fuzz(seed, FUZZ_FRAMES).tape.inputs)
    worlds = 0
    while worlds == 0 or time.monotonic() < until:
        # Every second one is less wild, and compared with the model.
        world = simulate(seed + worlds, options.steps, compared=worlds % 2 == 1)
        inputs += len(world.tape.inputs)
        worlds += 1
    print(f"{FUZZ_FRAMES} frames, {worlds} worlds, {inputs} inputs, each replayed")


if __name__ == "__main__":
    main()
