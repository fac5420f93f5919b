"""XSA-483: what a dead domain used, counted against the next one of its id."""

from typing import Final

import pytest

from tests.support.hosts import AnyHost
from tests.xsa.support import World
from xsd.store.quota import NODES, TRANSACTIONS, WATCHES

LIMITS: Final = {NODES: 20, WATCHES: 8, TRANSACTIONS: 4}

SET: Final = "; ".join([f"0 quota {name} {limit}" for name, limit in LIMITS.items()])

FILL: Final[dict[str, str]] = {
    "nodes": "mkdir n{1..19}; mkdir more -> ENOSPC",
    "nodes in a transaction that is left open": """
        start t; t mkdir n{1..19}; t mkdir more -> ENOSPC
    """,
    "watches": "watch w {1..8}; watch w more -> ENOSPC",
    "transactions": "start t{1..4}; start more -> ENOSPC",
}
"""What a domain uses up, its home being a node already."""


@pytest.mark.parametrize("use", FILL)
def test_a_full_quota_is_free_again_for_the_next_domain(world: World, use: str) -> None:
    """Whatever was used up: the next one can use as much, ten times over."""
    before = world.counts()
    again = f"{FILL[use]}; 0 release 1; same;"
    world.play(f"{SET}; note; {again * 10}")
    assert world.counts() == before


def test_limits_of_its_own_end_with_a_domain(world: World) -> None:
    """The next one has those of all domains."""
    world.play(f"""
        0 quota nodes 20
        enter 1; 0 quota 1 nodes 5; 0 release 1; {FILL["nodes"]}; 0 release 1
        enter 1; 0 quota 1 nodes 50; 0 release 1; {FILL["nodes"]}
    """)


@pytest.mark.parametrize("end", ["end 1", "0 release 1; end 1"])
def test_a_domain_that_is_killed_leaves_its_quota(anywhere: AnyHost, end: str) -> None:
    """With nodes, watches and transactions at their limits."""
    before = anywhere.counts()
    for _ in range(5):
        anywhere.play(f"""
            {SET}; {FILL["nodes"]}; {FILL["watches"]}; {FILL["transactions"]}; {end}
        """)
        assert anywhere.counts() == before
