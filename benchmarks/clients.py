"""How long client commands take, beside the interpreter and Xen's own tools.

    python -m benchmarks.clients [--nodes N] [--rounds N]

A daemon of ours runs, interpreted, with nodes as of many domains. Each command is run
in turn with the others, and the least and the median of its wall-clock times are
printed, and its median beside that of the first.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.support.daemons import client_environment, start_xsd
from xsd.client import Client

PER_DOMAIN: Final = 50
ENTRY: Final = """
import sys
from xsd.cli.main import main
sys.exit(main())
"""


def fill(path: str, count: int) -> None:
    """Make so many nodes, those of a domain with some depth."""
    with Client(path) as dom0:
        for number in range(count):
            domid, key = divmod(number, PER_DOMAIN)
            device = f"device/vif/{key % 3}" if key % 2 else "data"
            dom0.write(f"/local/domain/{domid}/{device}/key-{key}", b"value")


def measure(
    commands: dict[str, list[str]], rounds: int, environment: dict[str, str]
) -> dict[str, list[float]]:
    """Return the seconds that each took in each round."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds + 1):
        for name, words in commands.items():
            start = time.perf_counter()
            subprocess.run(  # noqa: S603  what is to be measured
                words, env=environment, stdout=subprocess.DEVNULL, check=True
            )
            times[name].append(time.perf_counter() - start)
    # The first has read files from the disk, and written bytecode.
    return {name: found[1:] for name, found in times.items()}


def show(times: dict[str, list[float]]) -> None:
    first = statistics.median(next(iter(times.values())))
    for name, found in times.items():
        median = statistics.median(found)
        print(
            f"{name:24} least {1000 * min(found):7.1f} ms, median"
            f" {1000 * median:7.1f} ms, {median / first:5.2f} times the first",
            flush=True,
        )


def main() -> None:
    """Measure short commands, then listings."""
    parser = argparse.ArgumentParser(description="What client commands take.")
    parser.add_argument("--nodes", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    python = sys.executable
    with tempfile.TemporaryDirectory(prefix="xs") as place:
        script = Path(place, "xsd")
        script.write_text(f"#!{python}{ENTRY}")
        script.chmod(0o755)
        directory = Path(place, "run")
        directory.mkdir()
        with start_xsd(directory) as daemon:
            fill(str(daemon.socket), arguments.nodes)
            environment = dict(client_environment(daemon.socket))
            # Else everything is compiled each time.
            environment.pop("PYTHONDONTWRITEBYTECODE", None)
            environment.setdefault("PYTHONPYCACHEPREFIX", str(Path(place, "cache")))
            node = "/local/domain/0/data/key-0"
            short = {
                "python -c pass": [python, "-c", "pass"],
                "xsd read": [str(script), "read", node],
                "xsd write": [str(script), "write", node, "value"],
                "xsd list": [str(script), "list", "/local/domain"],
            }
            long = {"xsd ls -f": [str(script), "ls", "-f"]}
            long["xsd tree"] = [str(script), "tree"]
            if read := shutil.which("xenstore-read", path=os.defpath):
                short["xenstore-read"] = [read, node]
                long = {"xenstore-ls -f": [f"{read[:-4]}ls", "-f"]} | long
            show(measure(short, arguments.rounds, environment))
            print(f"{arguments.nodes} nodes, and those above them:")
            show(measure(long, arguments.rounds, environment))


if __name__ == "__main__":
    main()
