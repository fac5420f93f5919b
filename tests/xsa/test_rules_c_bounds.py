"""Rules about what is kept of what a guest repeats: no more than it is charged with."""

import gc
import tracemalloc
from typing import Final

import pytest

from tests.xsa.support import World, home
from xsd.engine.progress import PROTECT_AFTER
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.store.quota import DEFAULTS, MEMORY
from xsd.testing import Session

ROUNDS: Final = 25

SLACK: Final = 256 * 1024
"""Bytes that tables of our own may grow by, whoever fills them."""

Requests = list[tuple[int, bytes]]

STARTS: Final = "starts and ends transactions"

PLACE: Final = b"w/N" + b"/y" * 200 + b"\0t\0"

ATTACKS: Final[dict[str, list[tuple[int, Requests]]]] = {
    "reads names that are not there": [(30, [(Op.READ, b"N" + b"x" * 2000 + b"\0")])],
    "reads names where it has no rights": [
        (30, [(Op.READ, b"/tool/N" + b"x" * 2000 + b"\0")])
    ],
    "makes and removes deep paths": [
        (1, [(Op.WRITE, b"N" + b"/x" * 490 + b"\0"), (Op.RM, b"N\0")])
    ],
    "makes and removes one deep path": [
        (1, [(Op.WRITE, b"n" + b"/x" * 490 + b"\0"), (Op.RM, b"n\0")])
    ],
    "makes and removes names that never come again": [
        (30, [(Op.MKDIR, b"d/N\0"), (Op.RM, b"d/N\0")])
    ],
    "changes value and permissions of one node": [
        (30, [(Op.WRITE, b"data\0" + b"N" * 500), (Op.SET_PERMS, b"data\0n1\0rN\0")])
    ],
    "watches and unwatches places that never come again": [
        (30, [(Op.WATCH, PLACE), (Op.UNWATCH, PLACE)])
    ],
    "watches with long tokens, and resets": [
        (30, [(Op.WATCH, b"wN\0N" + b"t" * 1000 + b"\0")]),
        (1, [(Op.RESET_WATCHES, b"\0")]),
    ],
    STARTS: [],
}
"""How often what is requested in each round, with another number N each time."""


def attack(guest: Session, name: str, tx: int, round_: int) -> None:
    """Make requests in a transaction or in none; what comes is read."""
    for times, requests in ATTACKS[name]:
        for number in range(round_ * times, (round_ + 1) * times):
            for op, payload in requests:
                if op != Op.RESET_WATCHES or not tx:
                    guest.errno(op, payload.replace(b"N", b"%d" % number), tx)
    if name == STARTS:
        start_and_end(guest, round_)
    guest.take()


def start_and_end(guest: Session, round_: int) -> None:
    """Transactions, of which some have something in them and some have failed."""
    for each in range(10):
        inner = guest.start()
        guest.errno(Op.WRITE, b"data\0%d" % each, inner)
        guest.errno(Op.WRITE, b"data\0" + b"v" * (3000 if each % 3 else 10), inner)
        end = b"T\0" if round_ % 2 else b"F\0"
        guest.errno(Op.TRANSACTION_END, end, inner)


def kept() -> int:
    """Bytes that are allocated, of what was allocated since this began."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.slow
@pytest.mark.parametrize("what", ATTACKS)
def test_what_is_kept_of_what_a_guest_repeats_is_bounded(
    world: World, dom0: Session, hostile: Session, what: str, inside: bool
) -> None:
    """By its quota of memory: it is charged with what is kept, and refused more.

    Dom0 writes into its home meanwhile, so that the transaction is a former version.
    """
    world.stop_tape()
    hostile.ok(Op.WRITE, b"data\0")
    tx = hostile.start() if inside else 0
    attack(hostile, what, tx, 0)
    world.xenstore.take_notices()
    tracemalloc.start()
    try:
        before = kept()
        for number in range(1, ROUNDS):
            attack(hostile, what, tx, number)
            dom0.ok(Op.WRITE, home(1) + b"/of-dom0\0%d" % number)
            world.xenstore.take_notices()
        growth = kept() - before
    finally:
        tracemalloc.stop()

    assert world.memory(1) <= DEFAULTS[MEMORY]
    assert growth <= world.memory(1) + SLACK


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
