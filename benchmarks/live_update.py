"""How long a client waits while the daemon becomes another one.

    python -m benchmarks.live_update [NODES]

A client reads without a pause; the longest time between two answers is what an update
costs. Both daemons are this checkout's.
"""

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


def main(nodes: int) -> None:
    with tempfile.TemporaryDirectory() as name, Place(Path(name)) as place:
        place.start()
        with place.client() as client:
            fill(client, nodes)
        file = program(Path(name) / "ours")
        times = sorted(measured(place, file) for _ in range(UPDATES))
    shown = " ".join(f"{1000 * each:.0f}" for each in times)
    print(f"{nodes} nodes: longest wait in {UPDATES} updates: {shown} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
