"""XSA-419: nodes of domains that have ended, left to dom0, which has no quota."""

from pathlib import Path
from typing import Final

import pytest

from tests.support.hosts import AnyHost
from tests.support.processes import Place
from tests.xsa.support import World

LIVE: Final = """
    1 write /shared/{1..30}/below value; 1 set /shared/{1..30} n1 b0
    1 write data/{1..30} value; 0 release 1
"""
"""A domain comes, makes nodes in and outside its home, and goes."""

RULES: Final[dict[str, str]] = {
    "domains that come and go leave nothing, wherever their nodes were": f"""
        0 make /shared b0; {LIVE}; note
        {50 * (LIVE + "; same")}
        0 dir /shared -> -
    """,
    "others' nodes below those of a dead domain go with them, and are told": """
        enter 2; make mine b1; 2 write ~1/mine/theirs value; 2 watch ~1/mine/theirs t
        nodes 2 -> 2; 0 release 1; nodes 2 -> 1
        2 hear -> ~1/mine/theirs:t
    """,
}


@pytest.mark.parametrize("rule", RULES)
def test_a_domains_nodes_go_with_it(world: World, rule: str) -> None:
    """However often."""
    world.play(RULES[rule])


def test_domains_that_are_killed_leave_nothing(anywhere: AnyHost) -> None:
    """On rings, as a guest that reboots all the time."""
    anywhere.play("0 make /shared b0")
    before = anywhere.counts()
    for _ in range(10):
        anywhere.play("write /shared/{0..9}/below value; end 1")
        assert anywhere.counts() == before


def test_orphans_are_kept_if_the_operator_wants_it(world: World) -> None:
    """They are dom0's then: the counters stay right, and nothing limits them.

    The home is one more; seven nodes are dom0's anyway.
    """
    world.xenstore.engine.keep_orphans(keep=True)
    world.play("""
        0 make /shared b0; enter 1; nodes 0 -> 8
        write /shared/1-{1..30} value; 0 release 1; nodes 0 -> 39; nodes 1 -> 0
        write /shared/2-{1..30} value; 0 release 1; nodes 0 -> 69; nodes 1 -> 0
        write /shared/3-{1..30} value; 0 release 1; nodes 0 -> 99; nodes 1 -> 0
    """)


def test_keeping_orphans_is_called_unsafe_where_it_is_offered(place: Place) -> None:
    """In the usage text and where the trust model is written down."""
    lines = place.run("--help").stdout.splitlines()
    (line,) = [line for line in lines if "--keep-orphans" in line]
    page = Path(__file__).resolve().parents[2] / "docs" / "security.md"

    assert "unsafe" in line
    assert "--keep-orphans" in page.read_text(encoding="utf-8")
