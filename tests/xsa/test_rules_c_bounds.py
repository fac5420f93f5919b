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
from tests.engine.support import Client, guest_at_home, home
from tests.xsa.support import World
from xsd.engine.progress import PROTECT_AFTER
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.store.check import verify
from xsd.store.events import EVENTS_MAX
from xsd.store.quota import DEFAULTS, EVENTS, MEMORY, TRANSACTIONS
from xsd.store.snapshots import DISPLACED_MAX
from xsd.testing import Session

ROUNDS: Final = 10

SLACK: Final = 1024 * 1024
"""Bytes beside twice what is counted: what nodes take beside their records, and tables
of our own that may grow, whoever fills them."""

LINES_FREE: Final = 1500
LINES_PER_WORK: Final = 250
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


# What used to cost everybody.


def lines_of(stage: Stage, op: int, payload: bytes, tx: int = 0) -> int:
    """Lines that a request of dom0's, or in a transaction one of the guest's, takes."""
    lines, traced = Lines(), sys.gettrace()
    sys.settrace(lines)
    try:
        if tx:
            stage.ask(op, payload, tx)
        else:
            stage.dom0.ask(op, payload)
    finally:
        sys.settrace(traced)
    return lines.count


def others(stage: Stage, count: int, watches: int, path: bytes) -> list[Client]:
    """Guests, domain 3 and up, with so many watches each."""
    guests = [guest_at_home(stage.engine, domid) for domid in range(3, 3 + count)]
    for guest in guests:
        for number in range(watches):
            guest.ask(Op.WATCH, path + b"\0%d\0" % number)
    return guests


def rewritten(stage: Stage) -> int:
    """A directory with 300 nodes, made anew in a transaction that is left open."""
    nodes = [b"b/%d\0" % number for number in range(300)]
    for node in nodes:
        stage.ask(Op.WRITE, node)
    tx = stage.start()
    for op, node in [(Op.RM, b"b\0"), *[(Op.WRITE, node) for node in nodes]]:
        stage.ask(op, node, tx)
    return tx


@pytest.mark.pure_only
def test_watches_that_are_told_nothing_cost_nothing_noticeable() -> None:
    """The right is looked up once for those who watch, not for each node and watch."""
    taken = []
    for count, watches, path in ((1, 1, b"/c"), (20, 1, b"/"), (20, 100, b"/")):
        stage = Stage()
        others(stage, count, watches, path)
        taken.append(lines_of(stage, Op.TRANSACTION_END, b"T\0", rewritten(stage)))

    assert taken[2] == taken[1] < 1.5 * taken[0]


@pytest.mark.pure_only
def test_a_special_name_costs_nothing_where_nobody_may_read_it() -> None:
    """However many watch it."""
    taken = []
    for watches in (1, 100):
        stage = Stage()
        stage.dom0.ok(Op.SET_PERMS, b"@releaseDomain\0n0\0")
        others(stage, 10, watches, b"@releaseDomain")
        stage.dom0.ok(Op.INTRODUCE, b"99\0" + b"1\0" * 2)
        taken.append(lines_of(stage, Op.RELEASE, b"99\0"))

    assert taken[1] == taken[0]


@pytest.mark.pure_only
def test_the_end_of_a_domain_costs_nothing_of_what_others_have() -> None:
    """Chains of a thousand levels, if it has left nothing."""
    taken = []
    for deep in (False, True):
        stage = Stage()
        if deep:
            stage.prepare("deep")
        stage.dom0.ok(Op.INTRODUCE, b"99\0" + b"1\0" * 2)
        taken.append(lines_of(stage, Op.RELEASE, b"99\0"))

    assert taken[1] == taken[0]


@pytest.mark.parametrize(("guests", "nodes"), [(4, 300), (20, 1)])
def test_a_request_tells_guests_of_so_much_and_no_more(guests: int, nodes: int) -> None:
    """Or it would hold everybody up; it is logged, and dom0 is told all."""
    stage = Stage()
    stage.guest.ok(Op.MKDIR, b"b\0")
    stage.guest.ok(Op.SET_PERMS, b"b\0r1\0")
    watchers = others(stage, guests, 120, home(1) + b"/b")
    stage.dom0.ask(Op.WATCH, home(1) + b"/b\0t\0")
    for guest in watchers:
        guest.take()
    tx = stage.start() if nodes > 1 else 0
    for number in range(nodes):
        stage.guest.ok(Op.WRITE, b"b/%d\0" % number, tx)
    if tx:
        stage.guest.ok(Op.TRANSACTION_END, b"T\0", tx)
    (notice,) = [
        each for each in stage.engine.take_notices() if each.event == "quota.exceeded"
    ]

    told = sum(len(guest.take()) for guest in watchers)
    assert EVENTS_MAX <= told < EVENTS_MAX + 120
    assert len(stage.dom0.take()) == nodes
    assert (notice.fields["quota"], notice.fields["domid"]) == (EVENTS, 1)
    # A commit has no path of its own.
    assert notice.fields["request"] == ("TRANSACTION_END" if tx else "WRITE")
    assert notice.fields.get("path") == (None if tx else b"b/0")


def test_nothing_is_kept_of_transactions_that_have_failed(
    world: World, dom0: Session, hostile: Session
) -> None:
    """However often in a row, and though the next one is protected."""
    world.stop_tape()
    names = [b"%d" % number + b"x" * 1000 + b"\0" for number in range(500)]

    def fail() -> None:
        tx = hostile.start()
        for name in [b"data\0", *names]:
            hostile.errno(Op.READ, name, tx)
        hostile.ok(Op.WRITE, b"data\0mine", tx)
        dom0.ok(Op.WRITE, home(1) + b"/data\0v")
        assert hostile.commit(tx) is Errno.EAGAIN

    hostile.ok(Op.WRITE, b"data\0")
    fail()
    world.xenstore.take_notices()
    tracemalloc.start()
    try:
        before = kept()
        for _ in range(PROTECT_AFTER):
            fail()
        world.xenstore.take_notices()
        growth = kept() - before
    finally:
        tracemalloc.stop()

    assert growth <= SLACK
