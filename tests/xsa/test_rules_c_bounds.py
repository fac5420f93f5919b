"""Rules about what a guest can repeat: what is kept of it, and what it is as work.

All kinds of requests at all kinds of places in all kinds of transactions; see
`tests.bounds.attacks`.
"""

import gc
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from types import FrameType
from typing import Any, Final

import pytest

from tests.bounds.attacks import CONTEXTS, KINDS, PLACES, Stage, attack_at_random
from tests.engine.support import home
from xsd.protocol.ops import Op
from xsd.store.check import verify
from xsd.store.quota import DEFAULTS, MEMORY, TRANSACTIONS
from xsd.store.snapshots import DISPLACED_MAX

ROUNDS: Final = 10

SLACK: Final = 1024 * 1024
"""Bytes beside twice what is counted: what nodes take beside their records, and tables
of our own that may grow, whoever fills them."""

LINES_FREE: Final = 1500
LINES_PER_WORK: Final = 200
"""Lines of ours that a request may take, in the least and for each thing that counts as
work; some 50 ns each, and compiled a fraction of that."""

OURS: Final = ("/xsd/store/", "/xsd/engine/", "/protocol/")


def kept() -> int:
    """Bytes that are allocated, of what was allocated since this began."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@contextmanager
def measured(stage: Stage) -> Iterator[None]:
    """Check what is kept in the end of what is done, against what is counted."""
    stage.engine.take_notices()
    tracemalloc.start()
    try:
        before = kept() - stage.memory()
        yield
        assert kept() - before - stage.memory() <= stage.memory() + SLACK
    finally:
        tracemalloc.stop()
    assert stage.store.usage.memory_of(1) <= DEFAULTS[MEMORY]
    assert verify(stage.store) == []


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("context", CONTEXTS)
def test_what_is_kept_of_what_a_guest_repeats_is_counted(
    context: str, place: str
) -> None:
    """The process grows by at most twice that; dom0 writes into its home meanwhile."""
    stage = Stage()
    stage.prepare(place)
    prepare, commit = CONTEXTS[context]
    with measured(stage):
        prepare(stage)
        for kind in KINDS:
            for _ in range(ROUNDS):
                stage.attack(kind, place, commit=commit)
            stage.dom0.ok(Op.WRITE, home(1) + b"/of-dom0\0%d" % stage.rounds)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_what_is_kept_of_any_of_it_in_any_order_is_counted(seed: int) -> None:
    """With several transactions left open."""
    stage = Stage()
    stage.prepare("dom0's wide, seen by others, deep")
    random = Random(seed)  # noqa: S311
    with measured(stage):
        for _ in range(400):
            attack_at_random(stage, random)


@pytest.mark.slow
def test_what_open_transactions_keep_of_the_past_is_counted() -> None:
    """Each with a version of all that the guest has and writes anew."""
    stage = Stage()
    with measured(stage):
        for _ in range(DEFAULTS[TRANSACTIONS] + 1):
            for node in range(250):
                stage.ask(Op.WRITE, b"v/%d\0" % node + b"v" * 1900)
            stage.ask(Op.READ, b"v\0", stage.start())
        assert stage.store.usage.past_of(1) > DISPLACED_MAX // 2


class Lines:
    """Counts the lines of ours that are run."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, frame: FrameType, event: str, arg: object) -> Any:
        del event, arg
        name = frame.f_code.co_filename
        return self._line if any(part in name for part in OURS) else None

    def _line(self, frame: FrameType, event: str, arg: object) -> Any:
        del frame, arg
        self.count += event == "line"
        return self._line


@pytest.mark.slow
@pytest.mark.pure_only
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("context", CONTEXTS)
def test_what_a_request_takes_is_counted_as_work(context: str, place: str) -> None:
    """Each one: lines that are run for it, beside what its client rests for."""
    stage = Stage()
    stage.prepare(place)
    prepare, commit = CONTEXTS[context]
    prepare(stage)
    usage = stage.store.usage
    asked = stage.ask
    found: list[tuple[int, int, str, int]] = []

    def ask(op: int, payload: bytes, tx: int = 0) -> None:
        lines, before, traced = Lines(), usage.work, sys.gettrace()
        sys.settrace(lines)
        try:
            asked(op, payload, tx)
        finally:
            sys.settrace(traced)
        found.append((lines.count, usage.work - before, kind, op))

    stage.ask = ask  # type: ignore[method-assign]
    for kind in KINDS:
        for _ in range(2):
            stage.attack(kind, place, commit=commit)

    assert [
        each for each in found if each[0] > LINES_FREE + LINES_PER_WORK * each[1]
    ] == []
