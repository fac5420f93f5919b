"""How long it takes from exec until a daemon without a state answers, and its memory.

    python -m benchmarks.start [--starts N] [--c XENSTORED]

With `--c`, the same of a C xenstored, started as `XENSTORED -N` with XENSTORED_RUNDIR
and XENSTORED_PATH. The processor's time is what the daemon has worked until then; it
does not depend on what else the machine does. With `XSD_TEST_PYTHON=` the interpreter
of another build runs ours.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from signal import SIGKILL
from typing import Final, NamedTuple, final

from tests.support.processes import Place, end

STARTS: Final = 9
_NS_PER_MS: Final = 1_000_000


@final
class Start(NamedTuple):
    """What one start has taken.

    Attributes:
        waited_ms: Until the first answer.
        worked_ms: Of a processor until then.
        resident_mb: Memory, with what is shared with others.
        own_mb: Memory that no other process has.
    """

    waited_ms: float
    worked_ms: float
    resident_mb: float
    own_mb: float


def once(place: Place, command: list[str]) -> Start:
    """Start a daemon and end it."""
    environ = place.environ(XENSTORED_PATH=str(place.socket))
    place.rundir.mkdir(exist_ok=True)
    begun = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603  it is ours, or named by who calls
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environ
    )
    while True:
        try:
            with place.client() as client:
                client.directory("/")
                break
        except OSError:
            if process.poll() is not None:
                raise SystemExit(f"{command[0]} has ended") from None
            time.sleep(0.0005)
    waited_s = time.perf_counter() - begun
    entry = Path(f"/proc/{process.pid}")
    worked_ns = int((entry / "schedstat").read_text(encoding="ascii").split()[0])
    kib = dict(re.findall(r"(\w+): +(\d+) kB", (entry / "smaps_rollup").read_text()))
    own = int(kib["Private_Clean"]) + int(kib["Private_Dirty"])
    end(process, SIGKILL)
    place.socket.unlink(missing_ok=True)
    return Start(
        1000 * waited_s, worked_ns / _NS_PER_MS, int(kib["Rss"]) / 1024, own / 1024
    )


def measure(name: str, command: list[str], starts: int) -> None:
    """Print the medians, of starts with nothing kept each."""
    taken = []
    for _ in range(starts):
        with (
            tempfile.TemporaryDirectory(dir="/dev/shm") as directory,
            Place(Path(directory)) as place,
        ):
            taken.append(once(place, command))
    waited, worked, resident, own = (
        statistics.median(each) for each in zip(*taken, strict=True)
    )
    print(
        f"{name}: {waited:.0f} ms until it answers, {worked:.0f} ms of a processor;"
        f" {resident:.1f} MB, {own:.1f} MB of its own"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--starts", type=int, default=STARTS)
    parser.add_argument("--c", metavar="XENSTORED", help="a C xenstored")
    chosen = parser.parse_args()
    python = os.environ.get("XSD_TEST_PYTHON", sys.executable)
    measure(
        "this one",
        [python, "-m", "xsd.daemon.xenstored", "-N", "--hypervisor", "emulated"],
        chosen.starts,
    )
    if chosen.c:
        measure("C xenstored", [chosen.c, "-N"], chosen.starts)


if __name__ == "__main__":
    main()
