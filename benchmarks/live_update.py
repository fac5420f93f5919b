"""How long a client waits while the daemon becomes another one, or starts.

    python -m benchmarks.live_update [NODES]...

A client reads without a pause; the longest time between two answers is what an update
costs. A start is the time from the start of the process to the first answer, of a
daemon without a journal. All daemons are those of the
interpreter that runs this: that of an environment with a compiled wheel, where the
folders `tests` and `benchmarks` are and no `xsd`, measures that. What a start takes of
the processor is given as well: beside other work it is steadier.
"""

import os
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from tests.support.processes import Place
from tests.update.running import program, session, update
from xsd.client import Client

UPDATES: Final = 5
CHILDREN: Final = 500
"""Nodes in a directory."""


def fill(client: Client, nodes: int) -> None:
    """Make so many nodes, with values of 20 bytes."""
    for number in range(nodes):
        client.write(f"/n/{number // CHILDREN}/{number % CHILDREN}", b"v" * 20)


def longest(client: Client, stop: threading.Event, found: list[float]) -> None:
    """Read until told to stop; the longest time that an answer took, in seconds."""
    most = 0.0
    while not stop.is_set():
        before = time.perf_counter()
        client.read("/n")
        most = max(most, time.perf_counter() - before)
    found.append(most)


def measured(place: Place, file: Path) -> float:
    """Seconds that the reader waits in an update."""
    stop, found = threading.Event(), [0.0]
    with place.client() as client, closing(session(place)) as asking:
        reader = threading.Thread(target=longest, args=(client, stop, found))
        reader.start()
        said = update(asking, file)
        stop.set()
        reader.join()
        if said != "OK":
            raise RuntimeError(said)
    return found[-1]


def spent(pid: int) -> float:
    """Seconds of processor time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def started(place: Place) -> tuple[float, float]:
    """Seconds from a start to the first answer, and those of processor time."""
    before = time.perf_counter()
    process = place.start("--no-journal")
    taken = time.perf_counter() - before
    used = spent(process.pid)
    process.terminate()
    process.wait()
    return taken, used


def show(what: str, times: list[float]) -> None:
    shown = " ".join(f"{1000 * each:.0f}" for each in sorted(times))
    print(f"{what}: {shown} ms", flush=True)


def main(counts: list[int]) -> None:
    with tempfile.TemporaryDirectory() as name, Place(Path(name)) as place:
        starts = [started(place) for _ in range(UPDATES)]
    show(f"{UPDATES} starts to the first answer", [each for each, _ in starts])
    show("  processor time", [each for _, each in starts])
    for nodes in counts:
        updated(nodes)


def updated(nodes: int) -> None:
    with tempfile.TemporaryDirectory() as name, Place(Path(name)) as place:
        place.start("--no-journal")
        with place.client() as client:
            fill(client, nodes)
        file = program(Path(name) / "ours")
        times = [measured(place, file) for _ in range(UPDATES)]
    show(f"{nodes} nodes: longest wait in {UPDATES} updates", times)


if __name__ == "__main__":
    main([int(each) for each in sys.argv[1:]] or [1000, 100_000])
