"""What has been measured, and the ratios that follow from it."""

import json
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from benchmarks.cases import CASES, UNITS
from benchmarks.sides import BASE, Result

ONE_CORE: Final = "0,0"
"""Daemon and load on one core: the steady figures, which `make bench-check` judges."""

DIGITS: Final = 4
"""Significant digits that are kept of a figure."""


class Row(NamedTuple):
    """One figure of a case."""

    case: str
    metric: str


class Samples:
    """All figures of a run: cores, case, daemon and round -> metric -> number.

    A round that failed has no figures, and its place is kept. `micro` has what parts
    of our build cost, in microseconds.
    """

    def __init__(self, meta: dict[str, str] | None = None) -> None:
        self.meta = {} if meta is None else meta
        self.rounds: dict[str, dict[str, dict[str, list[Result]]]] = {}
        self.failures: dict[str, str] = {}
        self.micro: dict[str, float] = {}

    def add(self, cores: str, case: str, daemon: str, result: Result) -> None:
        """Keep one round of a case; nothing of it but what the table shows."""
        kept = {
            metric: float(f"{result[metric]:.{DIGITS}g}")
            for metric in CASES[case].metrics
            if metric in result
        }
        daemons = self.rounds.setdefault(cores, {}).setdefault(case, {})
        daemons.setdefault(daemon, []).append(kept)

    def cases(self, cores: str) -> list[str]:
        """Return the names of what has been measured, in the order of the table."""
        return [name for name in CASES if name in self.rounds.get(cores, {})]

    def daemons(self) -> list[str]:
        """Return who has been measured, whom the others are compared with first."""
        found = [
            name
            for cases in self.rounds.values()
            for daemons in cases.values()
            for name in daemons
        ]
        return sorted(dict.fromkeys(found), key=lambda name: name != BASE)

    def values(self, cores: str, row: Row, daemon: str) -> list[float]:
        """Return a daemon's figures of all rounds."""
        rounds = self.rounds.get(cores, {}).get(row.case, {}).get(daemon, [])
        return [each[row.metric] for each in rounds if row.metric in each]

    def figure(self, cores: str, row: Row, daemon: str) -> float | None:
        """Return the median over the rounds."""
        found = self.values(cores, row, daemon)
        return median(found) if found else None

    def ratios(self, cores: str, row: Row, daemon: str) -> list[float]:
        """Return how much better a daemon is than the base, in each round.

        Above 1 it is better, whatever the unit. What else the machine does falls on
        both sides of a round.
        """
        daemons = self.rounds.get(cores, {}).get(row.case, {})
        found = []
        for own, base in zip(
            daemons.get(daemon, []), daemons.get(BASE, []), strict=False
        ):
            a, b = own.get(row.metric), base.get(row.metric)
            if a and b:
                found.append(a / b if UNITS[row.metric].more_is_better else b / a)
        return found

    def ratio(self, cores: str, row: Row, daemon: str) -> float | None:
        """Return the median of the rounds' own ratios."""
        found = self.ratios(cores, row, daemon)
        return median(found) if found else None

    def save(self, path: Path) -> None:
        """Write a file that `load` reads, a line for each case."""
        lines = []
        for cores, cases in self.rounds.items():
            inner = ",\n".join(
                f"  {json.dumps(name)}: {json.dumps(cases[name])}"
                for name in self.cases(cores)
            )
            lines.append(f" {json.dumps(cores)}: {{\n{inner}\n }}")
        rounds = ",\n".join(lines)
        meta = json.dumps(self.meta, ensure_ascii=False)
        failures = json.dumps(self.failures, ensure_ascii=False)
        micro = json.dumps(self.micro, ensure_ascii=False)
        head = f'"meta": {meta},\n"failures": {failures},\n"micro": {micro},'
        path.write_text(f'{{{head}\n"rounds": {{\n{rounds}\n}}}}\n', encoding="utf-8")

    @classmethod
    def load(cls, text: str) -> "Samples":
        """Return what was saved; cases that there are no more are left out."""
        read: dict[str, Any] = json.loads(text)
        found = cls(read["meta"])
        found.failures = read["failures"]
        found.micro = read["micro"]
        found.rounds = {
            cores: {name: each for name, each in cases.items() if name in CASES}
            for cores, cases in read["rounds"].items()
        }
        return found
