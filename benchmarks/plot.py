"""Plots of results: needs matplotlib, which the extra `bench` has."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.cases import CASES, UNITS
from benchmarks.samples import ONE_CORE, Row, Samples
from benchmarks.sides import BASE

COLOURS: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
"""Okabe and Ito's, which colour-blind people tell apart, too."""

MARKS: Final = ("o", "D", "s", "^")
TICKS: Final = (0.01, 0.03, 0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)


def _pyplot() -> Any:
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    return plt


def _number(value: float, _: int = 0) -> str:
    return f"{value:,g}"


def ratios(samples: Samples, target: Path) -> None:
    """Draw each case's most telling ratio to the base, on a logarithmic axis."""
    plt = _pyplot()
    names = samples.cases(ONE_CORE)
    others = [each for each in reversed(samples.daemons()) if each != BASE]
    height = 1.3 + 0.27 * len(names)
    figure, axes = plt.subplots(figsize=(9, height), layout="constrained")
    for daemon, colour, mark in zip(others, COLOURS, MARKS, strict=False):
        points = [
            (ratio, place)
            for place, name in enumerate(names)
            if (ratio := _headline(samples, name, daemon)) is not None
        ]
        x, y = zip(*points, strict=True) if points else ((), ())
        axes.plot(x, y, mark, color=colour, label=daemon, markersize=7)
    axes.axvline(1, color="black", linewidth=1, label=BASE)
    axes.set_xscale("log")
    axes.set_xticks(TICKS, labels=[_number(each) for each in TICKS])
    axes.set_xticks([], minor=True)
    axes.set_yticks(
        range(len(names)),
        labels=[f"{name}  ({UNITS[CASES[name].metrics[0]].text})" for name in names],
        fontsize=8,
    )
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel(f"times as good as {BASE} (further right is better)")
    axes.grid(color="0.88")
    axes.set_axisbelow(True)
    axes.legend(loc="lower right")
    figure.savefig(target, dpi=110)
    plt.close(figure)


def _headline(samples: Samples, name: str, daemon: str) -> float | None:
    return samples.ratio(ONE_CORE, Row(name, CASES[name].metrics[0]), daemon)


def growth(
    panels: Mapping[str, Mapping[str, Sequence[tuple[int, float]]]],
    dashed: frozenset[str],
    target: Path,
) -> None:
    """Draw what grows with the number of domains.

    Args:
        panels: Title -> line -> number of domains and figure.
        dashed: The lines that are drawn so.
        target: The picture.
    """
    plt = _pyplot()
    figure, all_axes = plt.subplots(
        1, len(panels), figsize=(4.4 * len(panels), 4), layout="constrained"
    )
    for axes, (title, lines) in zip(all_axes, panels.items(), strict=True):
        solid = -1
        for name, points in lines.items():
            solid += name not in dashed
            axes.plot(
                *zip(*points, strict=True),
                "--" if name in dashed else "-",
                marker=MARKS[solid],
                color=COLOURS[solid],
                label=name,
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("domains")
        axes.xaxis.set_major_formatter(_number)
        axes.yaxis.set_major_formatter(_number)
        axes.grid(color="0.88")
        axes.legend(fontsize=8)
    figure.savefig(target, dpi=110)
    plt.close(figure)
