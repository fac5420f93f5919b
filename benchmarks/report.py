"""The tables of a comparison, in markdown."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from benchmarks.cases import CASES, UNITS
from benchmarks.samples import ONE_CORE, Row, Samples
from benchmarks.sides import BASE, OURS

RESULTS: Final = Path(__file__).with_name("results")
SPEED: Final = RESULTS / "speed.json"

_NO_RATIO: Final = frozenset({"eagain_pct", "delivered_pct"})


def shown(value: float | None) -> str:
    """Return a figure as tables have it."""
    if value is None:
        return "-"
    if value == 0:
        return "0"
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 1 else f"{value:.3g}"


def times(ratio: float | None) -> str:
    """Return a ratio as tables have it."""
    if ratio is None:
        return "-"
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def table(samples: Samples, cores: str) -> Iterator[str]:
    """Write a table of all figures that were measured on certain cores."""
    daemons = samples.daemons()
    others = [name for name in daemons if name != BASE] if BASE in daemons else []
    titles = [*daemons, *(f"{name} x" for name in others)]
    yield _line(["case", "unit", *titles])
    yield "|---|---|" + "---:|" * len(titles)
    for name in samples.cases(cores):
        for metric in CASES[name].metrics:
            row = Row(name, metric)
            figures = [samples.figure(cores, row, daemon) for daemon in daemons]
            if not any(each is not None for each in figures):
                continue
            ratios = [
                None if metric in _NO_RATIO else samples.ratio(cores, row, daemon)
                for daemon in others
            ]
            cells = [*map(shown, figures), *map(times, ratios)]
            yield _line([name, UNITS[metric].text, *cells])


def telling(samples: Samples) -> Iterator[str]:
    """Write the short table, one figure of a case, for people."""
    daemons = samples.daemons()
    yield _line(["", *daemons, f"{OURS} beside C"])
    yield "|---|" + "---:|" * (len(daemons) + 1)
    for name in samples.cases(ONE_CORE):
        case = CASES[name]
        row = Row(name, case.metrics[0])
        if not case.told:
            continue
        figures = [samples.figure(ONE_CORE, row, daemon) for daemon in daemons]
        ratio = samples.ratio(ONE_CORE, row, OURS)
        beside = "-" if ratio is None else f"{times(ratio)} x"
        yield _line([case.told, *map(shown, figures), beside])


def how(samples: Samples) -> str:
    """Say in a sentence what the figures come from."""
    meta = samples.meta
    return (
        f"{meta['date']}, {meta['cpu']}, {meta['python']}, {meta['rounds']} rounds of"
        f" {meta['seconds']} s; load of the machine {meta['load']}."
    )


def page(samples: Samples) -> Iterator[str]:
    """Write the page of a whole run."""
    yield "# Speed, beside Xen's own daemons"
    yield ""
    yield "Written by `make bench`; see [the benchmarks](../README.md)."
    yield ""
    yield how(samples)
    yield ""
    yield (
        "Medians over the rounds, in which the daemons take turns, freshly started each"
        f" time. A column x is the median of the rounds' own ratios to {BASE}: above"
        " 1 is better, whatever the unit."
    )
    if (SPEED.parent / "speed.png").is_file():
        yield ""
        yield "![The ratios of one core, each to the C daemon's](speed.png)"
    for cores in samples.rounds:
        yield ""
        if cores == ONE_CORE:
            yield "## Daemon and load on one core"
        else:
            yield f"## Daemon and load on two cores ({cores})"
            yield ""
            yield "A round trip of one client is mostly two wake-ups here."
        yield ""
        yield from table(samples, cores)
    if samples.micro:
        yield ""
        yield "## The parts by themselves"
        yield ""
        yield "Without sockets, µs of one core each (`benchmarks/micro.py`)."
        yield ""
        yield "| part | µs |"
        yield "|---|---:|"
        for name, cost in samples.micro.items():
            yield _line([name, f"{cost:.2f}"])
    if samples.failures:
        yield ""
        yield "## What could not be measured"
        yield ""
        for what, why in samples.failures.items():
            yield f"- {what}: {why}"


def committed_block() -> Iterator[str]:
    """Write what README shows of the results that are part of the tree."""
    yield from _block(telling)


def committed_table() -> Iterator[str]:
    """Write all of them that were measured on one core."""
    yield from _block(lambda samples: table(samples, ONE_CORE))


def _block(of: Callable[[Samples], Iterator[str]]) -> Iterator[str]:
    samples = Samples.load(SPEED.read_text(encoding="utf-8"))
    yield ""
    yield from of(samples)
    yield ""
    yield f"One core, journal on. {how(samples)}"
    yield ""
