"""How long Python's cyclic collector stops the daemon, with guests that do their worst.

    python -m benchmarks.pauses [--nodes N] [--guests N] [--seconds S]

Dom0 makes nodes, then hostile guests do what they do in `make fuzz`. Printed is for
each generation how often the collector looked at it, and the longest time of the
processor that took: once as the daemon has it, and once as Python would by itself.
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.support.daemons import CHECKOUT, answers, environment, interpreter
from xsd.client import Client
from xsd.protocol.errors import XenStoreError

PATIENCE_S: Final = 60.0

PROGRAM: Final = """
import atexit, gc, sys, time
from xsd.cli.main import main
from xsd.daemon import collector

ours, result = sys.argv.pop(1), sys.argv.pop(1)
begun, taken = [0.0], [[], [], []]

def note(phase, info):
    if phase == "start":
        begun[0] = time.thread_time()
    else:
        taken[info["generation"]].append(time.thread_time() - begun[0])

def begin(restrain=collector.restrain):
    gc.collect()
    if ours == "ours":
        restrain()
    gc.callbacks.append(note)

def end():
    gc.callbacks.remove(note)
    with open(result, "w") as file:
        for times in taken:
            longest = 1000 * max(times, default=0.0)
            print(f"{len(times)} passes, longest {longest:.2f} ms", file=file)

collector.restrain = begin
atexit.register(end)
sys.exit(main())
"""


def fill(path: str, count: int) -> None:
    """Make so many nodes, a hundred of them in each directory."""
    with Client(path, timeout=PATIENCE_S) as dom0:
        for number in range(count):
            dom0.write(f"/filled/{number // 10_000}/{number // 100}/{number}", b"v")


def churn(path: str, seconds: float) -> None:
    """Be a client of dom0 with transactions over all this, meanwhile."""
    end = time.monotonic() + seconds
    with Client(path, timeout=PATIENCE_S) as dom0:
        while time.monotonic() < end:
            with (
                contextlib.suppress(XenStoreError),
                dom0.transaction() as transaction,
            ):
                for number in range(100):
                    transaction.write(f"/filled/0/{number}/{100 * number}", b"new")


def measure(which: str, nodes: int, guests: int, seconds: float) -> str:
    """Return what the collector did."""
    with ExitStack() as held:
        directory = tempfile.TemporaryDirectory(prefix="xs")
        place = Path(held.enter_context(directory))
        path, result = place / "socket", place / "result"
        words = [*interpreter(), "-c", PROGRAM, which, str(result)]
        words += ["serve", "--socket", str(path), "--hypervisor", "emulated"]
        log = held.enter_context((place / "log").open("wb"))
        variables = {**environment(), "XENSTORED_RUNDIR": str(place)}
        daemon = held.enter_context(
            subprocess.Popen(words, env=variables, stdout=log, stderr=log)  # noqa: S603
        )
        held.callback(daemon.kill)
        while not answers(path):
            if daemon.poll() is not None:
                raise RuntimeError((place / "log").read_text())
            time.sleep(0.05)
        fill(str(path), nodes)
        command = [sys.executable, "-m", "tests.soak.hostile", str(path)]
        hostile = [
            held.enter_context(
                subprocess.Popen(  # noqa: S603  a module of ours
                    [*command, str(domid), str(domid), "0", str(seconds)],
                    cwd=CHECKOUT,
                    env=environment(),
                    stdout=subprocess.DEVNULL,
                )
            )
            for domid in range(1, guests + 1)
        ]
        churn(str(path), seconds)
        for each in hostile:
            each.wait(PATIENCE_S)
        daemon.terminate()
        daemon.wait(PATIENCE_S)
        return result.read_text()


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description="Pauses of the cyclic collector.")
    parser.add_argument("--nodes", type=int, default=100_000)
    parser.add_argument("--guests", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    for which in ("ours", "Python's"):
        found = measure(which, arguments.nodes, arguments.guests, arguments.seconds)
        for generation, text in enumerate(found.splitlines()):
            print(f"{which:8} generation {generation}: {text}", flush=True)


if __name__ == "__main__":
    main()
