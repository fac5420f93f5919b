"""Rules about what is kept of what a guest repeats: no more than it is charged with."""

import gc
import tracemalloc
from collections.abc import Callable
from typing import Final

import pytest

from tests.xsa.support import World, home
from xsd.protocol.ops import Op
from xsd.store.quota import DEFAULTS, MEMORY
from xsd.testing import Session

ROUNDS: Final = 25

SLACK: Final = 256 * 1024
"""Bytes that tables of our own may grow by, whoever fills them."""

Attack = Callable[[Session, int, int], None]
"""Asks for something in a transaction (or none), the round having a number."""


def probes(guest: Session, tx: int, number: int) -> None:
    """Reads names that are not there, of 2 KB each."""
    for each in range(30):
        guest.errno(Op.READ, b"%06d" % (number * 30 + each) + b"x" * 2000 + b"\0", tx)


def probes_what_it_may_not_read(guest: Session, tx: int, number: int) -> None:
    """The same where it has no rights."""
    for each in range(30):
        path = b"/tool/%06d" % (number * 30 + each) + b"x" * 2000
        guest.errno(Op.READ, path + b"\0", tx)


def makes_and_removes_deep_paths(guest: Session, tx: int, number: int) -> None:
    """Each of 490 levels, which are gone again."""
    guest.errno(Op.WRITE, b"%d" % number + b"/x" * 490 + b"\0", tx)
    guest.errno(Op.RM, b"%d\0" % number, tx)


def makes_and_removes_one_deep_path(guest: Session, tx: int, _number: int) -> None:
    """Always the same one."""
    guest.errno(Op.WRITE, b"n" + b"/x" * 490 + b"\0", tx)
    guest.errno(Op.RM, b"n\0", tx)


def makes_and_removes_many(guest: Session, tx: int, number: int) -> None:
    """Names that never come again."""
    for each in range(30):
        path = b"d/%d\0" % (number * 30 + each)
        guest.errno(Op.MKDIR, path, tx)
        guest.errno(Op.RM, path, tx)


def changes_its_mind(guest: Session, tx: int, number: int) -> None:
    """Values and permissions of one node."""
    for each in range(30):
        guest.errno(Op.WRITE, b"data\0" + bytes([each]) * 1500, tx)
        guest.errno(Op.SET_PERMS, b"data\0n1\0r%d\0" % (number * 30 + each), tx)


def watches_and_unwatches(guest: Session, tx: int, number: int) -> None:
    """Places that never come again."""
    for each in range(30):
        watch = b"w/%06d" % (number * 30 + each) + b"/y" * 200 + b"\0t\0"
        guest.errno(Op.WATCH, watch, tx)
        guest.errno(Op.UNWATCH, watch, tx)
    guest.take()


def fills_and_resets(guest: Session, tx: int, number: int) -> None:
    """As many watches as it may have, with long tokens."""
    for each in range(30):
        token = b"%d" % each + b"t" * 1000
        guest.errno(Op.WATCH, b"w%d\0" % number + token + b"\0", tx)
    guest.take()
    if not tx:
        guest.errno(Op.RESET_WATCHES, b"\0")


def starts_and_ends(guest: Session, tx: int, number: int) -> None:
    """Transactions, of which some have something in them and some have failed."""
    del tx
    for each in range(10):
        inner = guest.start()
        guest.errno(Op.WRITE, b"data\0%d" % each, inner)
        guest.errno(Op.WRITE, b"data\0" + b"v" * (3000 if each % 3 else 10), inner)
        end = b"T\0" if number % 2 else b"F\0"
        guest.errno(Op.TRANSACTION_END, end, inner)


ATTACKS: Final[list[Attack]] = [
    probes,
    probes_what_it_may_not_read,
    makes_and_removes_deep_paths,
    makes_and_removes_one_deep_path,
    makes_and_removes_many,
    changes_its_mind,
    watches_and_unwatches,
    fills_and_resets,
    starts_and_ends,
]


def kept() -> int:
    """Bytes that are allocated, of what was allocated since this began."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_kept_of_what_a_guest_repeats_is_bounded(
    world: World, dom0: Session, hostile: Session, attack: Attack, inside: bool
) -> None:
    """By its quota of memory: it is charged with what is kept, and refused more.

    Dom0 writes into its home meanwhile, so that the transaction is a former version.
    """
    world.stop_tape()
    hostile.ok(Op.WRITE, b"data\0")
    tx = hostile.start() if inside else 0
    attack(hostile, tx, 0)
    world.xenstore.take_notices()
    tracemalloc.start()
    try:
        before = kept()
        for number in range(1, ROUNDS):
            attack(hostile, tx, number)
            dom0.ok(Op.WRITE, home(1) + b"/of-dom0\0%d" % number)
            world.xenstore.take_notices()
        growth = kept() - before
    finally:
        tracemalloc.stop()

    assert world.memory(1) <= DEFAULTS[MEMORY]
    assert growth <= world.memory(1) + SLACK
