"""`make bench-check`: no row has become slower than the committed table says.

    python -m benchmarks.check [--set quick|whole|GROUP|CASE,...] [--rounds N]

The C daemon is measured in the same run, and what is compared are the ratios to it. A
row that seems to have lost is measured again, with more rounds each time, and has lost
if the median of all of them has.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from statistics import median
from typing import Final, NamedTuple

from benchmarks import report
from benchmarks.cases import CASES, UNITS, chosen
from benchmarks.compare import measure_all
from benchmarks.samples import ONE_CORE, Row, Samples
from benchmarks.sides import BASE, OURS, ROOT, FailedError, load_generator, missing

LOSS_MAX: Final = 0.10
"""Part of a ratio that may be lost."""

ROUNDS: Final = 3
AGAIN: Final = (4, 8)
"""Further rounds of rows under suspicion."""

Measure = Callable[[list[str], int], None]
"""Adds so many rounds of cases to the samples."""


class Loss(NamedTuple):
    """A row that has become worse.

    Attributes:
        row: Which.
        then: Its ratio in the committed table.
        now: Its ratio now.
    """

    row: Row
    then: float
    now: float


def judged(names: Iterable[str]) -> list[Row]:
    """Return the rows of cases whose ratios decide."""
    return [
        Row(name, metric)
        for name in names
        for metric in CASES[name].metrics
        if UNITS[metric].judged
    ]


def losses(rows: Iterable[Row], then: Samples, now: Samples) -> list[Loss]:
    """Return the rows that lost more than is allowed.

    What the table does not have is no loss; what it has and could not be measured now
    is one.
    """
    found = []
    for row in rows:
        before = then.ratio(ONE_CORE, row, OURS)
        if before is None:
            continue
        ratios = now.ratios(ONE_CORE, row, OURS)
        after = median(ratios) if ratios else 0.0
        if after < before * (1 - LOSS_MAX):
            found.append(Loss(row, before, after))
    return found


def check(
    names: list[str], then: Samples, now: Samples, measure: Measure
) -> list[Loss]:
    """Measure cases, those under suspicion again, and return what stays of them."""
    found: list[Loss] = []
    rows = judged(names)
    for rounds in (ROUNDS, *AGAIN):
        measure(names, rounds)
        found = losses(rows, then, now)
        # Only what seemed lost at first may be lost at the end.
        rows = [loss.row for loss in found]
        names = list(dict.fromkeys(row.case for row in rows))
        if not found:
            break
    return found


def committed() -> Samples:
    """Return the results of the last commit.

    Raises:
        FailedError: If there are none.
    """
    path = report.SPEED.relative_to(ROOT)
    words = ["git", "-C", str(ROOT), "show", f"HEAD:{path}"]
    done = subprocess.run(words, check=False, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        raise FailedError(f"no table is committed: {done.stderr.strip()}")
    return Samples.load(done.stdout)


def main(words: list[str] | None = None) -> int:
    """Compare and say what is lost; 1 if anything is."""
    parser = argparse.ArgumentParser(prog="benchmarks.check")
    parser.add_argument("--set", default="quick", help="quick, whole, groups, cases")
    parser.add_argument("--seconds", type=float, default=0.5, help="of each round")
    options = parser.parse_args(words)
    try:
        names, then = chosen(options.set), committed()
        load_generator()
    except (ValueError, FailedError) as error:
        sys.exit(f"benchmarks.check: {error}")
    for daemon in (BASE, OURS):
        if reason := missing(daemon):
            sys.exit(f"benchmarks.check: {daemon} cannot be run: {reason}")
    now = Samples()

    def measure(cases: list[str], rounds: int) -> None:
        measure_all(now, cases, [BASE, OURS], ONE_CORE, rounds, options.seconds)

    measured = [name for name in names if name in then.cases(ONE_CORE)]
    found = check(measured, then, now, measure)
    for loss in found:
        text = f"{loss.row.case}, {UNITS[loss.row.metric].text}"
        print(f"{text}: {loss.now:.2f} times {BASE}, {loss.then:.2f} in the table")
    count = len(judged(measured))
    print(f"{len(found)} of {count} rows have lost more than {LOSS_MAX:.0%}")
    if found:
        print(f"the machine's load is {os.getloadavg()[0]:.1f}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
