"""xsd.daemon.child: a process that works on a picture of this one."""

import asyncio
import os
import select
import signal
from collections.abc import Awaitable, Callable
from functools import wraps

from tests.support.daemons import PATIENCE_S
from xsd.daemon.child import Child


def looped(body: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    @wraps(body)
    def test() -> None:
        asyncio.run(asyncio.wait_for(body(), PATIENCE_S))

    return test


@looped
async def test_it_works_on_what_was_there_when_it_began() -> None:
    """What changes later it does not see."""
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    values = [1]
    file = os.memfd_create("test")

    Child(
        asyncio.get_running_loop(),
        lambda: os.write(file, bytes(values)),
        file,
        ended.set_result,
    )
    values.append(2)

    assert await ended == 0
    assert os.pread(file, 10, 0) == b"\1"
    os.close(file)


@looped
async def test_it_tells_that_its_work_has_failed() -> None:
    """By a status that is not 0."""
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    Child(asyncio.get_running_loop(), lambda: os.close(-1), -1, ended.set_result)

    assert await ended != 0


@looped
async def test_it_has_no_descriptor_but_the_one_it_needs() -> None:
    """So a client's socket is closed when the daemon closes it."""
    mine, its = os.pipe()
    signal_it, waits = os.pipe()
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    child = Child(
        asyncio.get_running_loop(),
        lambda: select.select([waits], [], []),
        waits,
        ended.set_result,
    )
    os.close(its)

    assert await asyncio.to_thread(os.read, mine, 1) == b""
    child.kill()
    for descriptor in (mine, signal_it, waits):
        os.close(descriptor)


@looped
async def test_one_that_is_killed_is_gone_and_tells_nothing() -> None:
    """Nor does it leave a dead process behind; a second time does nothing."""
    told: list[int] = []
    waits, signal_it = os.pipe()

    child = Child(
        asyncio.get_running_loop(),
        lambda: select.select([waits], [], []),
        waits,
        told.append,
    )
    number = child.number
    child.kill()
    child.kill()
    await asyncio.sleep(0)

    assert told == []
    try:
        os.kill(number, signal.SIGCONT)
    except ProcessLookupError:
        pass
    else:
        raise AssertionError("it is still there")
    os.close(waits)
    os.close(signal_it)


@looped
async def test_one_that_is_left_does_its_work_and_is_not_heard_of() -> None:
    """So a daemon need not wait for it to end."""
    told: list[int] = []
    result, its = os.pipe()

    child = Child(
        asyncio.get_running_loop(), lambda: os.write(its, b"done"), its, told.append
    )
    child.leave()
    os.close(its)

    assert await asyncio.to_thread(os.read, result, 4) == b"done"
    os.waitpid(child.number, 0)  # noqa: ASYNC222  it has nothing else to do
    await asyncio.sleep(0)
    assert told == []
    os.close(result)
