"""xsd.transport.loop: who waits for a descriptor, a time or the next turn is called."""

import os
from collections.abc import Callable, Iterator
from typing import final

import pytest

from xsd.transport.loop import EventLoop, Timer


@final
class World:
    """A loop, a clock that moves when the test says so, and a pipe."""

    def __init__(self) -> None:
        self.now = 0.0
        self.errors: list[Exception] = []
        self.told: list[str] = []
        self.loop = EventLoop(self.errors.append, clock=lambda: self.now)
        self.reader, self.writer = os.pipe()

    def note(self, what: str) -> Callable[[], None]:
        return lambda: self.told.append(what)

    def turn(self) -> list[str]:
        """What is called in one turn, in order."""
        self.told.clear()
        # Or it would wait for ever where nothing is due.
        self.loop.call_soon(self.loop.stop)
        self.loop.run()
        return self.told


@pytest.fixture
def world() -> Iterator[World]:
    found = World()
    yield found
    found.loop.close()
    os.close(found.reader)
    os.close(found.writer)


def test_a_descriptor_is_told_of_as_long_as_it_is_readable(world: World) -> None:
    """In each turn, until nobody wants to know any more."""
    world.loop.add_reader(world.reader, world.note("read"))
    assert world.turn() == []

    os.write(world.writer, b"x")
    assert world.turn() == ["read"]
    assert world.turn() == ["read"]

    assert world.loop.remove_reader(world.reader)
    assert world.turn() == []
    assert not world.loop.remove_reader(world.reader)


def test_one_that_was_removed_in_the_same_turn_is_not_told(world: World) -> None:
    """Its owner has gone."""
    other = os.dup(world.reader)
    os.write(world.writer, b"x")
    for one, another in ((world.reader, other), (other, world.reader)):

        def remove(one: int = one, another: int = another) -> None:
            world.told.append("read")
            world.loop.remove_reader(one)
            world.loop.remove_reader(another)

        world.loop.add_reader(one, remove)

    assert world.turn() == ["read"]
    os.close(other)


def test_times_come_in_order_and_not_before(world: World) -> None:
    """Also those that are late."""
    world.loop.call_later(2, world.note("two"))
    world.loop.call_later(1, world.note("one"))
    gone = world.loop.call_later(1, world.note("gone"))
    gone.cancel()
    gone.cancel()
    assert world.turn() == []

    world.now = 1
    assert world.turn() == ["one"]
    world.loop.call_later(0.5, world.note("more"))
    world.now = 5
    assert world.turn() == ["more", "two"]
    assert world.turn() == []


def test_a_time_can_be_called_off_by_one_that_is_due_as_well(world: World) -> None:
    """Nothing is called after `cancel`."""
    calls: list[Timer] = []

    def call_off() -> None:
        calls.pop().cancel()

    world.loop.call_later(1, call_off)
    calls.append(world.loop.call_later(2, world.note("last")))
    world.now = 3

    assert world.turn() == []


def test_what_is_to_come_soon_waits_for_a_turn(world: World) -> None:
    """Whoever asks for it again and again leaves the others their turns."""

    def again() -> None:
        world.told.append("again")
        world.loop.call_soon(again)

    os.write(world.writer, b"x")
    world.loop.add_reader(world.reader, world.note("read"))
    world.loop.call_soon(again)

    assert world.turn() == ["again", "read"]
    assert world.turn() == ["again", "read"]


def test_it_sleeps_until_the_next_time() -> None:
    """With nothing to do it takes no processor."""
    told: list[str] = []
    loop = EventLoop(lambda _: None)
    turns = 0

    def look() -> None:
        nonlocal turns
        turns += 1

    loop.call_later(0.05, loop.stop)
    loop.call_later(0.02, look)
    loop.call_later(60, lambda: told.append("late"))
    loop.run()
    loop.close()

    assert (turns, told) == (1, [])


def test_what_fails_is_reported_and_costs_nobody_else(world: World) -> None:
    """Whatever it was called for."""

    def fail() -> None:
        raise MemoryError

    os.write(world.writer, b"x")
    world.loop.add_reader(world.reader, fail)
    world.loop.call_soon(fail)
    world.loop.call_soon(world.note("soon"))
    world.loop.call_later(0, fail)
    world.loop.call_later(0, world.note("later"))

    assert world.turn() == ["soon", "later"]
    assert [type(each) for each in world.errors] == [MemoryError] * 3


def test_an_end_that_is_wanted_is_no_failure(world: World) -> None:
    """It goes to whoever has called `run`."""

    def leave() -> None:
        raise SystemExit

    world.loop.call_soon(leave)
    with pytest.raises(SystemExit):
        world.turn()
    assert world.errors == []
