"""xsd.daemon.durability: what a start does with what it finds."""

import os
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.kept import World, dying, in_world, refuse
from tests.engine.script import play
from tests.support.replaying import assert_equal
from xsd.daemon.attempts import CRASHES_S
from xsd.engine import Engine
from xsd.store import Store


@in_world
async def test_a_store_does_not_outlive_the_machines_start(world: World) -> None:
    """What was kept before is about domains that are gone; it stays, set aside."""
    with dying(world.open(boot="one").start()) as first:
        play(first.engine, "write /a 1")
        first.durability.checkpoint()
        play(first.engine, "write /b 1")
    with dying(world.open(boot="one").start()) as again:
        assert_equal(first.engine, again.engine)
    with dying(world.open(boot="").start()) as unknown:
        assert_equal(first.engine, unknown.engine)
    world.now += CRASHES_S
    with dying(world.open(boot="two").start()) as known:
        assert_equal(first.engine, known.engine)
        play(known.engine, "write /c 1")

    for boot in ("three", "four"):
        with dying(world.open(boot=boot).start()) as other:
            assert other.durability.is_new
            assert_equal(Engine(Store()), other.engine)
            aside = sorted(each.name[:8] for each in world.path.glob("aside.*"))
            # Those of the one before alone.
            before = ["aside.ch", *["aside.se"] * 4]
            assert aside == (before if boot == "three" else ["aside.se"])
    with dying(world.open(boot="four").start()) as last:
        assert not last.durability.recovered


@pytest.mark.parametrize("call", ["rename", "unlink", "open"])
def test_another_start_of_the_machine_is_found_out_however_it_ends(
    tmp_path: Path, call: str
) -> None:
    """A step that fails is done by the next daemon."""

    @in_world
    async def run(world: World) -> None:
        with dying(world.open(boot="one").start()) as first:
            play(first.engine, "write /a 1")
            first.durability.checkpoint()
        original = getattr(os, call)
        for count in range(20):
            world.now += CRASHES_S
            calls = count

            def run_out(*words: Any, **fd: Any) -> Any:
                nonlocal calls
                calls -= 1
                return original(*words, **fd) if calls >= 0 else refuse()

            daemon = world.open(boot="two")
            with dying(daemon), pytest.MonkeyPatch.context() as patch:
                patch.setattr(os, call, run_out)
                try:
                    daemon.durability.recover()
                except OSError:
                    continue
            assert daemon.durability.is_new
        with dying(world.open(boot="two").start()) as last:
            assert_equal(Engine(Store()), last.engine)

    run(tmp_path)


@in_world
async def test_no_room_at_the_start_is_no_reason_not_to_start(world: World) -> None:
    """What was kept is brought back; what changes is not kept, which is said."""
    with dying(world.open(boot="one").start()) as first:
        play(first.engine, "write /a 1")
    daemon = world.open(boot="one")
    with dying(daemon), pytest.MonkeyPatch.context() as patch:
        for name in ("write", "posix_fallocate"):
            patch.setattr(os, name, refuse)
        daemon.start()
        assert_equal(first.engine, daemon.engine)
        assert daemon.durability.state.startswith("broken: ")
    with dying(world.open(boot="one").start()) as last:
        assert_equal(first.engine, last.engine)


@in_world
async def test_what_another_daemon_has_gone_on_with_is_not_begun_with(
    world: World,
) -> None:
    """It is older than what was acknowledged since; it stays, set aside."""
    with dying(world.open().start()) as first:
        play(first.engine, "write /a 1")
        first.durability.let_go()

    with dying(world.open().start()) as second:
        assert second.durability.is_new
        assert any(each.name.startswith("aside.") for each in world.path.iterdir())
        play(second.engine, "write /b 2")

    with dying(world.open().start()) as third:
        assert_equal(second.engine, third.engine)


@in_world
async def test_what_nobody_has_gone_on_with_is_begun_with(world: World) -> None:
    """As the other daemon could not."""
    with dying(world.open().start()) as first:
        play(first.engine, "write /a 1")
        first.durability.let_go()
        first.durability.let_go(back=True)

    with dying(world.open().start()) as second:
        assert_equal(first.engine, second.engine)
