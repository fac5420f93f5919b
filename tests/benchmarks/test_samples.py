"""What is kept of a run, and the tables that are made of it."""

from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.cases import CASES, UNITS, chosen
from benchmarks.report import SPEED, how, shown, table, telling, times
from benchmarks.samples import ONE_CORE, Row, Samples
from benchmarks.sides import BASE, OURS

META = {
    "date": "2026-11-30",
    "cpu": "2 processors",
    "python": "xsd 0.1.0, compiled",
    "rounds": "2",
    "seconds": "0.5",
    "load": "0.1 to 0.3",
}


@pytest.fixture
def samples() -> Samples:
    found = Samples(META)
    for base, ours in ((1000.0, 1500.0), (100.0, 250.0)):
        found.add(ONE_CORE, "read-sync", OURS, {"ops_per_s": ours, "pid": 4.0})
        found.add(ONE_CORE, "read-sync", BASE, {"ops_per_s": base})
    return found


def test_a_ratio_is_the_median_of_the_rounds_own(samples: Samples) -> None:
    """Not that of the medians: what else the machine does falls on both sides."""
    row = Row("read-sync", "ops_per_s")

    assert samples.figure(ONE_CORE, row, OURS) == 875
    assert samples.ratios(ONE_CORE, row, OURS) == [1.5, 2.5]
    assert samples.ratio(ONE_CORE, row, OURS) == 2.0


def test_what_is_saved_is_what_is_loaded(samples: Samples, tmp_path: Path) -> None:
    """Of what was measured, the figures that the tables show."""
    samples.failures["oxenstored"] = "it is missing"
    samples.micro["frame: made"] = 0.1
    samples.save(tmp_path / "speed.json")
    again = Samples.load((tmp_path / "speed.json").read_text(encoding="utf-8"))

    assert again.__dict__ == samples.__dict__
    assert again.rounds[ONE_CORE]["read-sync"][OURS][0] == {"ops_per_s": 1500.0}


def test_the_table_has_a_line_for_each_figure(samples: Samples) -> None:
    """And none for what was not measured."""
    assert list(table(samples, ONE_CORE)) == [
        "| case | unit | C 4.17 | xsd | xsd x |",
        "|---|---|---:|---:|---:|",
        "| read-sync | requests/s | 550 | 875 | 2 |",
    ]


def test_the_short_table_is_for_people(samples: Samples) -> None:
    """In words, and with the ratio."""
    assert list(telling(samples))[2] == (
        "| one client reads, requests a second | 550 | 875 | 2 x |"
    )
    assert "compiled" in how(samples)
    assert "load of the machine 0.1 to 0.3" in how(samples)


def test_a_daemon_that_is_not_there_is_said_to_be_missing(samples: Samples) -> None:
    """The table has no column of it then, and the page says why."""
    samples.failures["oxenstored"] = "apt-get install xen-utils-4.17"
    text = "\n".join(report.page(samples))

    assert "- oxenstored: apt-get install xen-utils-4.17" in text
    assert "| case | unit | C 4.17 | xsd | xsd x |" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0, "0"),
        (0.01234, "0.0123"),
        (1.234, "1.23"),
        (12.34, "12.3"),
        (54321.0, "54,321"),
    ],
)
def test_figures_are_short(value: float | None, text: str) -> None:
    """Three digits, or all before the point."""
    assert shown(value) == text


def test_ratios_are_shorter() -> None:
    """Nobody needs more of a factor of a hundred."""
    assert [times(each) for each in (None, 0.98765, 17.04, 543.2)] == [
        *("-", "0.988", "17", "543")
    ]


def test_each_figure_has_a_unit() -> None:
    """Each case is measured by something, and each unit is used."""
    used = {metric for case in CASES.values() for metric in case.metrics}

    assert used == set(UNITS)
    assert all(case.metrics for case in CASES.values())


def test_cases_are_chosen_by_set_group_and_name() -> None:
    """Each once, in the order of the words."""
    assert chosen("whole") == list(CASES)
    assert chosen("boot,read-sync,domain-boot-1") == [
        *("domain-boot-1", "domain-boot-8", "read-sync")
    ]
    assert {"read-sync", "start"} <= set(chosen("quick")) < set(CASES)
    with pytest.raises(ValueError, match="no case, group or set 'fast'"):
        chosen("fast")


def test_the_committed_table_is_that_of_the_committed_figures() -> None:
    """What README shows is compared with them by the test of `make tables`."""
    committed = Samples.load(SPEED.read_text(encoding="utf-8"))
    written = SPEED.with_suffix(".md").read_text(encoding="utf-8")

    assert written == "".join(f"{line}\n" for line in report.page(committed))
    assert SPEED.with_suffix(".png").is_file()
    assert {BASE, OURS} <= set(committed.daemons())
    assert {"read-sync", "write-sync", "tx-rmw"} <= set(committed.cases(ONE_CORE))
