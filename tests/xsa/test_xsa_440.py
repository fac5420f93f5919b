"""XSA-440: counters that go below zero when a commit meets a removal."""

from typing import Final

import pytest

from tests.support.hosts import AnyHost
from tests.xsa.support import World

INSIDE: Final = (
    *("rm ~1/data", "rm ~1"),
    *("write ~1/data other", "write ~1/data/below other", "set ~1/data n2"),
)
"""What dom0 does in a transaction."""

OUTSIDE: Final[dict[str, str]] = {
    "its owner removes the node": "rm data",
    "dom0 removes it": "0 rm ~1/data",
    "it goes with its parent": "0 rm ~1",
    "its owner ends": "0 release 1",
    "it is given to another": "0 set ~1/data n2",
}


@pytest.mark.parametrize("outside", OUTSIDE)
@pytest.mark.parametrize("inside", INSIDE)
def test_what_was_removed_outside_is_a_conflict(
    world: World, inside: str, outside: str
) -> None:
    """Before anything is counted; no counter is negative, or kept at zero."""
    # New nodes below one that was only given away inherit from it.
    inherits = inside.startswith("write") and outside == "it is given to another"
    world.play(f"""
        enter 2; write data/below value; 0 start t1; t1 {inside}
        {OUTSIDE[outside]}
        t1 commit -> {"OK|EAGAIN" if inherits else "EAGAIN"}
    """)
    world.check()
    assert all(count > 0 for count in world.store.usage.nodes.used.values())


def test_a_domain_that_ends_inside_many_transactions(world: World) -> None:
    """All of them tried to take what went with it; each gets its reply."""
    world.play("""
        write data/{1..20} value; 0 start t{1..20}
        t{1..20} rm ~1/data/{1..20}; t{1..20} write /log/{1..20} value
        0 release 1
        t{1..20} commit -> EAGAIN
        0 read /log -> ENOENT
    """)
    assert 1 not in world.store.usage.nodes.used


def test_a_domain_is_killed_inside_a_transaction_about_it(anywhere: AnyHost) -> None:
    """The toolstack gets EAGAIN and finds out why; the daemon goes on."""
    anywhere.play("""
        write data value; 0 start t1; t1 rm ~1/data; t1 set ~1 n0
        end 1; t1 commit -> EAGAIN
    """)
    assert 1 not in anywhere.run(lambda: anywhere.engine.store.usage.nodes.used)
