"""Fixtures for scenarios that are played in several worlds."""

from collections.abc import Iterator

import pytest

from tests.support.dialogue import Dialogue
from tests.support.worlds import WORLDS, World
from xsd.testing import Session

OURS = ("engine", "rings")


@pytest.fixture(scope="module")
def running() -> Iterator[dict[str, World]]:
    """The worlds that have been needed so far."""
    running: dict[str, World] = {}
    yield running
    for world in running.values():
        world.close()


def enter(name: str, running: dict[str, World]) -> Iterator[World]:
    """Yield a world, which is left as it was found."""
    if name not in running:
        running[name] = WORLDS[name]()
    world = running[name]
    yield world
    try:
        world.clean()
    except BaseException:
        # Nobody else should suffer from what this test has left.
        del running[name]
        world.close()
        raise


@pytest.fixture(params=[*OURS, "c"])
def world(request: pytest.FixtureRequest, running: dict[str, World]) -> Iterator[World]:
    """A world; there are three, which must agree."""
    yield from enter(request.param, running)


@pytest.fixture(params=OURS)
def ours(request: pytest.FixtureRequest, running: dict[str, World]) -> Iterator[World]:
    """One of our worlds, where C xenstored 4.17 does something else."""
    yield from enter(request.param, running)


def at_home(world: World) -> Session:
    """Domain 5, which owns `/t` and nothing else."""
    guest = world.guest(5)
    world.dom0.make(b"/t", b"n5")
    return guest


def dialogue(world: World) -> Dialogue:
    """What is said in a world; whoever says nothing else is domain 5."""
    there = {0: world.dom0, **{guest.domid: guest for guest in world.there}}

    def enter(domid: int) -> Session:
        return there.pop(domid, None) or world.guest(domid)

    def limit(quota: bytes, value: bytes) -> None:
        world.limit(quota, int(value))

    return Dialogue(enter, {"limit": limit}, who=5)
