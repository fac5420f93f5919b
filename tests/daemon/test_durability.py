"""xsd.daemon.durability: what is brought back, and when the whole state is written."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.kept import Daemon, World, dying, in_world, is_writing, refuse, until
from tests.engine.script import play
from tests.support.replaying import assert_equal
from xsd.daemon import durability as module
from xsd.daemon.attempts import CRASHES, CRASHES_S
from xsd.daemon.durability import (
    PAUSES,
    RETRY_MAX_S,
    RETRY_S,
    RecoveryError,
)
from xsd.engine import Engine
from xsd.engine.state import describe, differences
from xsd.persistence.directory import CHECKPOINT, SEGMENT, Directory, segment_name
from xsd.persistence.journal import ALWAYS, NEVER
from xsd.persistence.reading import Reading, read_journal
from xsd.store import Store

LIFE = """
    write /a 1; write /b 2; rm /a; start -> 1,; t1 write /c 3
    a watch /b t -> OK /b:t; set_quota nodes 77
"""


@in_world
async def test_what_was_done_is_brought_back(world: World) -> None:
    """All that the state has, with open transactions and watches."""
    with dying(world.open().start()) as first:
        assert first.durability.is_new
        play(first.engine, LIFE)

    with dying(world.open().start()) as second:
        assert not second.durability.is_new
        assert second.durability.recovered > 5
        assert second.durability.limits == {"nodes": 5}
        assert_equal(first.engine, second.engine)
        play(second.engine, "write /d 4")

    with dying(world.open().start()) as third:
        assert_equal(second.engine, third.engine)


@in_world
async def test_a_checkpoint_takes_the_place_of_what_was_before(world: World) -> None:
    """It is written by a child, while the daemon goes on."""
    with dying(world.open(checkpoint_bytes=500).start()) as first:
        play(first.engine, LIFE)
        first.durability._tend()
        assert is_writing(first)
        play(first.engine, "write /d 4")
        await until(lambda: world.files(CHECKPOINT) != [])
        await until(lambda: not is_writing(first))
        play(first.engine, "write /e 5")
        assert world.files(SEGMENT)[0] == world.files(CHECKPOINT)[0]
        first.durability._tend()
        assert not is_writing(first)

    with dying(world.open().start()) as second:
        assert 0 < second.durability.recovered < 9
        assert_equal(first.engine, second.engine)
    assert world.notices == []


@in_world
async def test_a_checkpoint_that_fails_leaves_what_was_there(world: World) -> None:
    """It is said, and tried again some time later."""
    with dying(world.open(checkpoint_bytes=1).start()) as first:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "write_checkpoint", refuse)
            play(first.engine, LIFE)
            first.durability._tend()
            await until(lambda: not is_writing(first))
        assert [each.event for each in world.notices] == ["journal.no_checkpoint"]
        assert "status" in str(world.notices[0].fields["reason"])
        first.durability._tend()
        assert not is_writing(first)
        first.durability._not_before = 0.0
        first.durability._tend()
        await until(lambda: world.files(CHECKPOINT) != [])
        await until(lambda: not is_writing(first))

    with dying(world.open().start()) as second:
        assert_equal(first.engine, second.engine)


def end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


STEPS: dict[str, tuple[object, str]] = {
    "before it is begun": (os, "nice"),
    "when its file is made": (Directory, "begin"),
    "between two pieces": (os, "write"),
    "before it has its name": (Directory, "finish"),
    "when it has its name": (os, "rename"),
    "on the disk": (os, "fsync"),
}


@pytest.mark.pure_only  # compiled, it does not look for methods that are replaced
@pytest.mark.parametrize("sync", [NEVER, ALWAYS])
@pytest.mark.parametrize("step", STEPS)
def test_a_writer_may_be_killed_at_any_step(
    tmp_path: Path, step: str, sync: int
) -> None:
    """It leaves nothing behind, and what is brought back is what there was."""

    @in_world
    async def run(world: World) -> None:
        with dying(world.open(checkpoint_bytes=1, sync=sync).start()) as first:
            play(first.engine, LIFE)
            where, name = STEPS[step]
            original = getattr(where, name)
            ours = os.getpid()

            def die(*words: Any, **named: Any) -> Any:
                found = original(*words, **named)
                if os.getpid() != ours:
                    end()
                return found

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(where, name, die)
                first.durability._tend()
                await until(lambda: not is_writing(first))
            is_killed = [each.event for each in world.notices]
            if name != "fsync" or sync:
                assert is_killed == ["journal.no_checkpoint"]
                assert str(world.notices[0].fields["reason"]).endswith(" -9")
                assert world.files(CHECKPOINT) == []
            assert [each for each in os.listdir(world.path) if "new" in each] == []  # noqa: PTH208
            play(first.engine, "write /after 1")

        with dying(world.open().start()) as second:
            assert_equal(first.engine, second.engine)

    run(tmp_path)


@in_world
async def test_checkpoints_stop_the_daemon_for_a_small_part_of_the_time(
    world: World,
) -> None:
    """The longer one did, the longer it is until the next."""
    with dying(world.open(checkpoint_bytes=1).start()) as first:
        play(first.engine, "write /a 1")
        first.durability._tend()
        first.durability._paused_s = 1000.0
        await until(lambda: not is_writing(first))
        left_s = first.durability._not_before - time.monotonic()
        assert 900 * PAUSES < left_s <= 1000 * PAUSES
        play(first.engine, "write /b 1")
        first.durability._tend()
        assert not is_writing(first)


@in_world
async def test_tries_that_fail_become_rarer(world: World) -> None:
    """Up to a limit, for a checkpoint is wanted."""
    with dying(world.open(checkpoint_bytes=1).start()) as first:
        waits = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fork", refuse)
            for number in range(6):
                play(first.engine, f"write /a {number}")
                first.durability._not_before = 0.0
                waits.append(first.durability._retry_s)
                first.durability._tend()
                assert first.durability._not_before > time.monotonic()
        assert waits == sorted(waits)
        assert RETRY_S == waits[0] < waits[-2] == waits[-1] == RETRY_MAX_S
        first.durability._not_before = 0.0
        first.durability._tend()
        await until(lambda: not is_writing(first))
        assert first.durability._retry_s == RETRY_S


@in_world
async def test_no_process_for_a_checkpoint_is_no_end(world: World) -> None:
    """The journal goes on in the segment that was begun for it."""
    with dying(world.open(checkpoint_bytes=1).start()) as first:
        play(first.engine, "write /a 1")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fork", refuse)
            first.durability._tend()
        assert [each.event for each in world.notices] == ["journal.no_checkpoint"]
        play(first.engine, "write /b 1")

    with dying(world.open().start()) as second:
        assert_equal(first.engine, second.engine)


@in_world
async def test_the_third_end_in_a_minute_leaves_the_journal_out(world: World) -> None:
    """What is in it may be what ends the daemon; it is kept under another name."""
    with dying(world.open().start()) as first:
        play(first.engine, "write /a 1")
        first.durability.checkpoint()
        play(first.engine, "write /b 1")
    for _ in range(CRASHES):
        with dying(world.open().start()) as each:
            assert_equal(first.engine, each.engine)
        world.now += 1

    with dying(world.open().start()) as last:
        names = [name for _depth, name, *_ in rows(last.engine)]
        assert b"a" in names
        assert b"b" not in names
        aside = [each.name for each in world.path.iterdir() if "aside" in each.name]
        assert aside
        play(last.engine, "write /c 1")
    world.now += CRASHES_S
    with dying(world.open().start()) as again:
        assert_equal(last.engine, again.engine)


def rows(engine: Engine) -> list[Any]:
    found = describe(engine)["tree"]
    assert isinstance(found, list)
    return found


@in_world
async def test_a_daemon_that_was_told_to_end_has_not_crashed(world: World) -> None:
    """However often."""
    for number in range(CRASHES + 3):
        daemon = world.open().start()
        play(daemon.engine, f"write /a/{number} 1")
        daemon.durability.close()

    with dying(world.open().start()) as last:
        names = [name for _depth, name, *_ in rows(last.engine)]
        assert {b"%d" % number for number in range(CRASHES + 3)} <= {*names}


@in_world
async def test_after_an_end_that_was_told_nothing_is_carried_out_again(
    world: World,
) -> None:
    """The whole state is written then; what happens to clients afterwards is not kept.

    If that fails the journal has it all the same.
    """
    first = world.open().start()
    play(first.engine, LIFE)
    first.durability.leave()
    expected = describe(first.engine)
    for connection in first.engine.connections:
        first.engine.disconnect(connection)
    first.durability.close()

    second = world.open().start()
    assert second.durability.recovered == 0
    assert not differences(expected, describe(second.engine))
    play(second.engine, "write /e 1")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "write_checkpoint", refuse)
        second.durability.leave()
    expected = describe(second.engine)
    second.durability.close()
    assert [each.event for each in world.notices] == ["journal.no_checkpoint"]

    with dying(world.open().start()) as third:
        assert third.durability.recovered
        assert not differences(expected, describe(third.engine))


@in_world
async def test_without_a_ledger_the_state_is_kept_all_the_same(world: World) -> None:
    """What guests have under way is not."""
    (world.path / "ledger").mkdir(parents=True)
    with dying(world.open().start()) as first:
        assert first.durability.ledger is None
        play(first.engine, LIFE)

    with dying(world.open().start()) as second:
        assert_equal(first.engine, second.engine)


@in_world
async def test_damage_is_refused_with_its_place(world: World) -> None:
    """And nothing is changed: it can be looked at, and mended."""
    with dying(world.open().start()) as first:
        play(first.engine, "write /a 1; write /b 1; write /c 1")
    (segment,) = [each for each in world.path.iterdir() if SEGMENT in each.name][:1]
    data = bytearray(segment.read_bytes())
    place = data.index(b"/a\0001")
    data[place] ^= 1
    segment.write_bytes(bytes(data))

    daemon = world.open()
    with dying(daemon), pytest.raises(RecoveryError, match=r"segment\.\d+, offset \d+"):
        daemon.durability.recover()
    assert segment.read_bytes() == bytes(data)


@in_world
async def test_what_another_process_has_left_is_newer(world: World) -> None:
    """The journal begins anew with the state that was taken over."""
    with dying(world.open().start()) as first:
        play(first.engine, "write /old 1")
    follower = world.open()
    play(follower.engine, "write /new 1")
    with dying(follower.start(taken=True)):
        follower.durability.checkpoint()
        play(follower.engine, "write /newer 1")

    with dying(world.open().start()) as last:
        assert_equal(follower.engine, last.engine)
        assert differences(describe(first.engine), describe(last.engine)) != []


@in_world
async def test_what_was_taken_over_follows_nothing_that_was_kept(world: World) -> None:
    """Until its checkpoint stands it is an earlier state that is brought back."""
    with dying(world.open().start()) as first:
        play(first.engine, "write /old 1")
    follower = world.open()
    play(follower.engine, "write /new 1; write /newer 1")
    with dying(follower.start(taken=True)), pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "write_checkpoint", refuse)
        follower.durability.keep_all()
        assert [each.event for each in world.notices] == ["journal.no_checkpoint"]
        assert str(world.notices[0].fields["state"]).startswith("waiting: ")
        play(follower.engine, "write /newest 1")
    assert kept_in(world).lost
    with dying(world.open().start()) as second:
        assert_equal(first.engine, second.engine)

    world.notices.clear()
    follower = world.open()
    play(follower.engine, "write /new 1; write /newer 1")
    with dying(follower.start(taken=True)):
        follower.durability._tend()
        await until(lambda: not is_writing(follower))
        assert follower.durability.state == "ok"
        play(follower.engine, "write /newest 1")
    with dying(world.open().start()) as last:
        assert_equal(follower.engine, last.engine)
    assert not kept_in(world).lost
    assert world.notices == []


def kept_in(world: World) -> Reading:
    """The journal, read to its end."""
    directory = Directory(world.path)
    try:
        reading = read_journal(directory, lambda _: True)
        assert len(list(reading)) >= 0
        return reading
    finally:
        directory.close()


@in_world
async def test_a_journal_that_began_broken_is_no_reason_not_to_start(
    world: World,
) -> None:
    """What was before is brought back, as no checkpoint stands, and that is said."""
    with dying(world.open()) as broken:
        begin_broken(broken)
    assert kept_in(world).lost

    with dying(world.open().start()) as last:
        assert_equal(Engine(Store()), last.engine)
        play(last.engine, "write /d 1")
    with dying(world.open().start()) as again:
        assert_equal(last.engine, again.engine)


def begin_broken(daemon: Daemon) -> None:
    """Have no room at the start, and end before there is a checkpoint."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "posix_fallocate", refuse)
        daemon.start()
    play(daemon.engine, "write /b 1")
    assert daemon.durability.state.startswith("broken: ")
    journal = daemon.durability._journal
    assert journal is not None
    journal.tend(0)
    journal.rotate()
    play(daemon.engine, "write /c 1")


@in_world
async def test_what_began_broken_does_not_follow_an_older_checkpoint(
    world: World,
) -> None:
    """If that has no segment any more, it is refused: rather that than a lie."""
    with dying(world.open().start()) as before:
        play(before.engine, "write /a 1")
        before.durability.checkpoint()
    for each in world.files(SEGMENT):
        (world.path / segment_name(each)).unlink()
    with dying(world.open()) as broken:
        begin_broken(broken)

    with dying(world.open()) as last, pytest.raises(RecoveryError, match="missing"):
        last.durability.recover()


@in_world
async def test_a_directory_is_one_daemons(world: World) -> None:
    """Two would write into each other's files."""
    with dying(world.open().start()):
        # A lock is a process's: so it takes another one to meet it.
        child = os.fork()
        if child == 0:
            try:
                world.open()
            except OSError:
                os._exit(7)
            os._exit(0)
        _pid, status = os.waitpid(child, 0)  # noqa: ASYNC222  it does nothing else

    assert os.waitstatus_to_exitcode(status) == 7


@in_world
async def test_the_writer_holds_nothing_of_the_daemons(world: World) -> None:
    """A client would not be told of its end as long as a child has its socket."""
    ours, theirs = os.pipe()
    with dying(world.open(checkpoint_bytes=1).start()) as first:
        play(first.engine, "write /a 1")
        told = world.path.parent / "told"

        def look(*_: object, **__: object) -> None:
            told.write_text(" ".join(sorted(os.listdir("/proc/self/fd"))))  # noqa: PTH208

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "write_checkpoint", look)
            first.durability._tend()
            await until(lambda: not is_writing(first))
    numbers = {int(each) for each in told.read_text().split()}

    assert numbers.isdisjoint({ours, theirs})
    assert len(numbers) <= 6
    for each in (ours, theirs):
        os.close(each)


@in_world
async def test_who_writes_a_checkpoint_ends_with_the_daemon_that_hears_of_it(
    world: World,
) -> None:
    """The program that follows in the same process would have a child it knows not."""
    with dying(world.open(checkpoint_bytes=1).start()) as first:
        play(first.engine, LIFE)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "write_checkpoint", lambda *_, **__: time.sleep(1000))
            first.durability._tend()
        child = first.durability._child
        assert child is not None

        first.durability.end_child()

        assert not is_writing(first)
        with pytest.raises(ProcessLookupError):
            os.kill(child.number, 0)
        first.durability._tend()
        await until(lambda: world.files(CHECKPOINT) != [])
        await until(lambda: not is_writing(first))
    with dying(world.open().start()) as second:
        assert_equal(first.engine, second.engine)
