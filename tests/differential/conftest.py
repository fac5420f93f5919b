"""Tells at the end which differences came up that are meant."""

from collections import Counter

import pytest

from tests.differential.compare import ROWS
from tests.differential.peers import USED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print each row with the number of cases that it explained."""
    if not USED:
        return
    count = Counter(USED)
    terminalreporter.section("differences from C xenstored that are meant")
    for row in ROWS:
        terminalreporter.write_line(f"{count[row.row]:6} {row.row}: {row.why}")
