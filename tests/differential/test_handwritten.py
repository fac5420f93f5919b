"""Sequences by hand, on Xen's C daemon and on ours."""

from collections.abc import Iterator

import pytest

from tests.differential.model import Sequence
from tests.differential.peers import Pair, pair
from tests.differential.sequences import (
    commits,
    conflicts,
    control,
    directories,
    domains,
    frames,
    nodes,
    paths,
    permissions,
    transactions,
    watches,
)

TOPICS = (
    *(commits, conflicts, control, directories, domains, frames, nodes, paths),
    *(permissions, transactions, watches),
)
ALL = [
    pytest.param(each, id=f"{topic.__name__.rpartition('.')[2]}: {each.title}")
    for topic in TOPICS
    for each in topic.SEQUENCES
]


@pytest.fixture(scope="module")
def both() -> Iterator[Pair]:
    """C and ours."""
    with pair() as daemons:
        yield daemons


@pytest.mark.parametrize("each", ALL)
def test_ours_does_what_c_does(both: Pair, each: Sequence) -> None:
    """Every reply, event and their order are the same, or a row says why not."""
    report = both.compare(each)

    assert not report.text, report.text
