"""How long it takes from a kill until the next daemon answers.

    python -m benchmarks.recovery [NODES]

The daemon is killed, the next one is started at once, and a client asks until it is
answered: that has the start of Python in it. The second number of each pair is what the
daemon has worked itself, whatever else the machine does. Once all of the state is in
the journal's inputs, and once in a checkpoint.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from signal import SIGKILL
from typing import Final

from benchmarks.live_update import fill
from tests.support.processes import Place, end
from xsd.client import Client

KILLS: Final = 5


def answered(place: Place) -> tuple[float, float]:
    """Seconds until a daemon answers that is started now, and of a processor for it."""
    (place.rundir / "journal" / "attempts").unlink(missing_ok=True)
    begun = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603  it is ours
        place.command("-N"), stderr=subprocess.DEVNULL, env=place.environ()
    )
    while True:
        try:
            with place.client() as client:
                client.read("/n")
                break
        except OSError:
            time.sleep(0.002)
    took = time.perf_counter() - begun
    fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").split()
    worked = (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
    end(process, SIGKILL)
    return took, worked


def measure(place: Place, what: str, nodes: int) -> None:
    """Print how long it takes, several times."""
    times = sorted(answered(place) for _ in range(KILLS))
    shown = " ".join(f"{1000 * took:.0f}/{1000 * work:.0f}" for took, work in times)
    kept = sum(each.stat().st_size for each in (place.rundir / "journal").iterdir())
    print(f"{nodes} nodes in {what}: {shown} ms ({kept >> 10} KiB are kept)")


def checkpointed(place: Place, client: Client) -> None:
    """Have the state written as a whole."""
    found = place.rundir / "journal"
    number = 0
    while not list(found.glob("checkpoint.*")):
        # 1 MiB of changes makes one.
        for _ in range(300):
            number += 1
            client.write("/n", b"%d" % number + b"v" * 4000)
        time.sleep(1)
    client.write("/n", b"")


def main(nodes: int) -> None:
    with (
        tempfile.TemporaryDirectory(dir="/dev/shm") as name,
        Place(Path(name)) as place,
    ):
        process = place.start("--journal-checkpoint", "1000")
        with place.client() as client:
            fill(client, nodes)
        end(process, SIGKILL)
        measure(place, "inputs", nodes)
        process = place.start("--journal-checkpoint", "1")
        with place.client() as client:
            checkpointed(place, client)
        end(process, SIGKILL)
        measure(place, "a checkpoint", nodes)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
