"""Sequences by hand, on Xen's C daemon and on ours."""

from importlib import import_module

import pytest

from tests.differential.model import Sequence
from tests.differential.peers import Pair

TOPICS = (
    *("commits", "conflicts", "control", "directories", "domains", "frames", "nodes"),
    *("paths", "permissions", "transactions", "watches"),
)
ALL = [
    pytest.param(each, id=f"{topic}: {each.title}")
    for topic in TOPICS
    for each in import_module(f"tests.differential.sequences.{topic}").SEQUENCES
]


@pytest.mark.parametrize("each", ALL)
def test_ours_does_what_c_does(both: Pair, each: Sequence) -> None:
    """Every reply, event and their order are the same, or a row says why not."""
    report = both.compare(each)

    assert not report.text, report.text
