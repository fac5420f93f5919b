"""Sequences by chance, on Xen's C daemon and on ours."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.differential.generate import minimal, sequences
from tests.differential.model import Sequence
from tests.differential.peers import Pair

EXAMPLES = 300


def run_many(daemons: Pair, examples: int) -> Counter[str]:
    """Compare sequences that are always the same; count what came up in them."""
    seen: Counter[str] = Counter()

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(sequences())
    def compare(each: Sequence) -> None:
        report = daemons.compare(each)
        if report.text:
            # Hypothesis cannot leave out steps as freely.
            shorter = minimal(each, lambda other: bool(daemons.compare(other).text))
            pytest.fail(daemons.compare(shorter).text or report.text, pytrace=False)
        seen["steps"] += report.compared
        seen["events"] += report.events
        seen["refused"] += report.refused

    compare()
    return seen


@pytest.mark.slow
@pytest.mark.timeout(500)  # what fails is made short, which takes a while
def test_ours_does_what_c_does(both: Pair) -> None:
    """Nobody thought of these sequences beforehand."""
    seen = run_many(both, EXAMPLES)

    assert seen["steps"] > 30 * EXAMPLES
    assert seen["events"] > 10 * EXAMPLES
    assert seen["refused"] > EXAMPLES // 2


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_c_does_what_c_does(twins: Pair) -> None:
    """Nothing in the comparison depends on chance or time."""
    run_many(twins, 50)
