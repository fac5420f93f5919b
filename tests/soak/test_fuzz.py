"""Three hostile guests on rings, for a few steps; `make fuzz` is the long form."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.fuzz.test_fuzz import FIRST_SEED
from tests.soak.bystander import Seen, Times
from tests.soak.fuzz import (
    GROWTH_MAX,
    GUESTS,
    PEAK_MAX,
    PEAK_OF_EACH,
    SLOWER_MAX,
    WORST_MAX_S,
    Round,
    Run,
    judge,
)
from tests.soak.observe import events
from xsd.client import Client

pytestmark = pytest.mark.slow

STEPS: Final = 60
"""Of each hostile guest."""


@pytest.fixture
def run(directory: Path) -> Iterator[Run]:
    """A daemon with a polite guest; no hostile ones yet."""
    with Run(directory, FIRST_SEED) as run:
        yield run


def test_hostile_guests_hurt_nobody(run: Run) -> None:
    """Others are answered; the store, the counters and the log are as they must be."""
    run.round(steps=STEPS)
    run.end()
    assert run.faults == []
    assert run.steps == STEPS * GUESTS
    assert run.checked > 0


def test_what_is_not_as_it_was_is_a_fault(run: Run, directory: Path) -> None:
    """A node more, a domain that still is known, events that guests cannot cause."""
    with Client(str(directory / "socket")) as dom0:
        dom0.write("/more", b"")
        dom0.introduce(1, 1, 1)
        dom0.control("print", "something")
        run.settle()
    run.end()
    still_known, counted, seen, logged = run.faults
    assert still_known.startswith("dom1 is still known")
    assert counted.startswith("dom0 had")
    assert seen == "nodes are left or gone: [b'/more n0']"
    assert logged == "logged 1 times: control.print"


def test_a_line_that_is_no_event_is_seen(directory: Path) -> None:
    """As when Python itself has something to say."""
    log = directory / "log"
    log.write_text('{"event": "one"}\nTraceback\n{"event": "one"}\n[]\n')
    assert events(log) == {"one": 2, "Traceback": 1, "[]": 1}


def seen(p99: float, worst: float = 0.0) -> Seen:
    """What is measured beside an idle daemon with round trips of one second."""
    return Seen(Times(0, p99, worst), Times(0, 1, 0))


def test_growth_and_delay_are_judged_after_a_warm_up() -> None:
    """By the last three quarters, by the round in the middle, and the worst moment."""
    first = Round(memory=0, peak=0, load=1, quiet=seen(0), busy=seen(1))
    warm = first._replace(memory=GROWTH_MAX)
    slow = warm._replace(busy=seen(SLOWER_MAX + 1))
    grown = warm._replace(memory=2 * GROWTH_MAX + 1)
    large = warm._replace(peak=PEAK_MAX + GUESTS * PEAK_OF_EACH + 1)
    stalled = first._replace(busy=seen(1, WORST_MAX_S + 0.001))
    assert judge([first, slow, *[warm] * 2, *[slow] * 3, warm]) == []
    assert judge([*[warm] * 7, large], GUESTS + 1) == []
    assert len(judge([warm, *[slow] * 7])) == 1
    assert len(judge([*[warm] * 7, grown])) == 1
    assert len(judge([*[warm] * 7, large])) == 1
    assert len(judge([stalled, *[warm] * 7])) == 1
    # The machine was as slow, at the same time or just before.
    busy = slow._replace(quiet=seen(2), busy=seen(6))
    assert judge([busy] * 8) == []
