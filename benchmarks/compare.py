"""`make bench`: this daemon beside Xen's own, in one run.

    python -m benchmarks.compare [--set quick|whole|GROUP|CASE,...] [--rounds N]

The daemons take turns in each round of each case, freshly started each time. A quick
or a whole run writes `speed.md`, `speed.json` and `speed.png` into the results; of any
other the table is printed only, unless --out names a directory for them.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from benchmarks import plot, report
from benchmarks.cases import CASES, chosen
from benchmarks.samples import ONE_CORE, Samples
from benchmarks.sides import ROOT, STARTS, FailedError, load_generator, measure, missing
from tests.support.daemons import environment, interpreter

SETS: Final = frozenset({"quick", "whole"})
_MICRO: Final = """
import sys
sys.path.append(sys.argv[1])  # behind those of the build
from benchmarks.micro import main
main(["--json"])
"""
TWO_CORES: Final = "0,1"


def cores_of(words: str) -> tuple[int, int]:
    """Return the daemon's core and the load's: `0,1`."""
    server, client = words.split(",")
    return int(server), int(client)


def measure_all(
    samples: Samples,
    names: Iterable[str],
    daemons: list[str],
    cores: str,
    rounds: int,
    seconds: float,
) -> None:
    """Add so many rounds of cases to what has been measured."""
    for name in names:
        for number in range(rounds):
            turn = number % len(daemons)
            for daemon in daemons[turn:] + daemons[:turn]:
                try:
                    result = measure(daemon, CASES[name], cores_of(cores), seconds)
                except FailedError as error:
                    result = {}
                    reason = str(error).strip().splitlines()[-1]
                    samples.failures[f"{name}, {daemon}"] = reason
                samples.add(cores, name, daemon, result)
                first = CASES[name].metrics[0]
                figure = report.shown(result.get(first))
                _tell(f"{cores} {name} #{number + 1} {daemon}: {figure}")


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def present(samples: Samples) -> list[str]:
    """Return the daemons that can be run here; what is missing is noted."""
    found = []
    for name in STARTS:
        reason = missing(name)
        if reason:
            samples.failures[name] = reason
            _tell(f"{name} is left out: {reason}")
        else:
            found.append(name)
    return found


def described(rounds: int, seconds: float) -> dict[str, str]:
    """Say what is measured on what machine."""
    words = [*interpreter(), "-m", "xsd", "--version"]
    version = subprocess.check_output(words, text=True, env=environment())  # noqa: S603
    processors = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    models = [
        line.partition(":")[2].strip()
        for line in processors.splitlines()
        if line.startswith("model name")
    ]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": f"{os.cpu_count()} processors ({models[0] if models else 'unknown'})",
        "python": ", ".join(version.strip().splitlines()),
        "rounds": str(rounds),
        "seconds": f"{seconds:g}",
    }


def micro() -> dict[str, float]:
    """Return what the parts of our build cost by themselves, in microseconds."""
    words = [*interpreter(), "-c", _MICRO, str(ROOT)]
    printed = subprocess.check_output(words, text=True)  # noqa: S603
    found: dict[str, float] = json.loads(printed)
    return found


def write(samples: Samples, directory: Path) -> None:
    """Write table, figures and plot."""
    directory.mkdir(parents=True, exist_ok=True)
    samples.save(directory / report.SPEED.name)
    if ONE_CORE in samples.rounds:
        plot.ratios(samples, directory / "speed.png")
    lines = "".join(f"{line}\n" for line in report.page(samples))
    (directory / "speed.md").write_text(lines, encoding="utf-8")
    _tell(f"written: {directory}/speed.md")


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.compare")
    parser.add_argument("--set", default="quick", help="quick, whole, groups, cases")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each round")
    parser.add_argument("--cores", help="0,0 or 0,1; both by default, see the table")
    parser.add_argument("--out", type=Path, help="a directory for the results")
    parser.add_argument("--list", action="store_true", help="print the cases")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Measure and write the results."""
    options = _arguments(words)
    if options.list:
        for name, case in CASES.items():
            print(f"{case.group:8} {name:24} {case.words}")
        return 0
    try:
        names = chosen(options.set)
        load_generator()
    except (ValueError, FailedError) as error:
        sys.exit(f"benchmarks.compare: {error}")
    load = [os.getloadavg()[0]]
    samples = Samples(described(options.rounds, options.seconds))
    daemons = present(samples)
    runs = {options.cores: names} if options.cores else {ONE_CORE: names}
    if not options.cores and len(os.sched_getaffinity(0)) > 1:
        runs[TWO_CORES] = [name for name in names if CASES[name].wakes]
    for cores, each in runs.items():
        measure_all(samples, each, daemons, cores, options.rounds, options.seconds)
        load.append(os.getloadavg()[0])
    samples.meta["load"] = f"{min(load):.1f} to {max(load):.1f}"
    if options.set in SETS:
        samples.micro = micro()
    out = options.out or (report.RESULTS if options.set in SETS else None)
    if out:
        write(samples, out)
    for cores in samples.rounds:
        print(f"\n{cores}\n\n" + "\n".join(report.table(samples, cores)))
    for what, why in samples.failures.items():
        print(f"{what}: {why}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
