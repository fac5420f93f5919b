"""xsd.daemon.signals: signals through a pipe, and an end in time."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from tests.support.daemons import environment
from xsd.daemon.daemonize import EXIT_FAILED
from xsd.daemon.signals import END_S, Signals

STUCK = """
import asyncio, os, signal, sys
from xsd.daemon.signals import Signals

async def body():
    loop = asyncio.get_running_loop()
    ending = frozenset({signal.SIGTERM})
    signals = Signals(loop, {signal.SIGTERM: lambda: None}, ending)
    if len(sys.argv) > 2:
        os.getpid = lambda: 1
    print("ready", flush=True)
    if sys.argv[1] == "call":
        os.read(os.pipe()[0], 1)
    while sys.argv[1] == "loop":
        pass
    await asyncio.sleep(1000)

asyncio.Runner().run(body())
"""


def timer_s() -> float:
    """What the kernel still waits for, in seconds."""
    return signal.getitimer(signal.ITIMER_REAL)[0]


def test_signals_are_told_in_the_loop_and_only_some_are_the_end() -> None:
    """Each as often as it comes; afterwards all is as before."""
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
    before = [signal.getsignal(number) for number in numbers]
    told: list[str] = []

    async def body() -> None:
        calls = {
            signal.SIGHUP: lambda: told.append("reload"),
            signal.SIGTERM: lambda: told.append("end"),
        }
        loop = asyncio.get_running_loop()
        signals = Signals(loop, calls, frozenset({signal.SIGTERM}))
        for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM):
            assert not 0 < timer_s() <= END_S
            count = len(told)
            os.kill(os.getpid(), number)
            assert len(told) == count
            while len(told) == count:  # noqa: ASYNC110
                await asyncio.sleep(0)
        assert told == ["reload", "reload", "end"]
        left_s = timer_s()
        assert 0 < left_s <= END_S
        # A second one gives no more time.
        os.kill(os.getpid(), signal.SIGTERM)
        assert 0 < timer_s() <= left_s
        signals.close()
        assert not 0 < timer_s() <= END_S

    with asyncio.Runner() as runner:
        runner.run(body())
    assert [signal.getsignal(number) for number in numbers] == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("where", "code"),
    [
        ("call", -signal.SIGALRM),
        ("loop", -signal.SIGALRM),
        ("nowhere", -signal.SIGALRM),
        ("call first", EXIT_FAILED),
    ],
)
def test_who_does_not_end_is_ended(where: str, code: int) -> None:
    """In a system call that does not return, in a loop, or having forgotten to.

    The first process of a container is kept from signals without a handler.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", STUCK, *where.split()],
        stdout=subprocess.PIPE,
        env=environment(),
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == code
