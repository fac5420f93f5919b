"""Pairs of daemons, and at the end which differences came up that are meant."""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.differential.compare import ROWS
from tests.differential.peers import USED, Pair, pair


@pytest.fixture(scope="module")
def both() -> Iterator[Pair]:
    """C and ours."""
    with pair() as daemons:
        yield daemons


@pytest.fixture(scope="module")
def twins() -> Iterator[Pair]:
    """C and C."""
    with pair(against_itself=True) as daemons:
        yield daemons


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print each row with the number of cases that it explained."""
    if not USED:
        return
    count = Counter(USED)
    terminalreporter.section("differences from C xenstored that are meant")
    for row in ROWS:
        terminalreporter.write_line(f"{count[row.row]:6} {row.row}: {row.why}")
