"""Python's cyclic collector, kept from making anybody wait.

Whatever the daemon lets go of is freed at once, by the count of its references: no
connection, domain or node that is gone is part of a cycle. So there is nothing for the
collector to find, and a full pass, which looks at every node of the store, would hold
up everybody for nothing, 20 ms and more. The young generations are still looked at, in
the time of a request or two, for what an exception may have tied together.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

YOUNG: Final = 700
"""Containers that are made, less those freed, between two looks at the newest ones."""

YOUNG_PASSES: Final = 10
"""Such looks between two at what has survived one."""

NEVER: Final = 1_000_000_000


@contextmanager
def paused() -> Iterator[None]:
    """Look at nothing until `restrain`, or the end: what is made for a start stays."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def restrain() -> None:
    """Look at new objects only from now on, and at those that are there never again."""
    gc.freeze()
    gc.enable()
    gc.set_threshold(YOUNG, YOUNG_PASSES, NEVER)
