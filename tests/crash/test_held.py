"""The real process is killed, and a service manager holds its clients' sockets."""

from pathlib import Path

import pytest

from tests.crash.held import run

KILLS = 20


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_who_asks_nothing_notices_nothing(directory: Path) -> None:
    """It stays connected, hears of every change, and its transaction is what it was.

    Whoever asks is answered or closed, and nothing is done twice.
    """
    faults, _what = run(directory, KILLS, seed=20261130)

    assert faults == []
