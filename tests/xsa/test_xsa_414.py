"""XSA-414: a node with others on the way to it, of which one cannot be made."""

from typing import Final

import pytest

from tests.xsa.support import World

NAMES: Final = [f"level{number}" for number in range(8)]

LEVELS: Final = len(NAMES)

DEEP: Final = "/".join(NAMES)

SIZE: Final = 250

LARGEST: Final = SIZE - 16 - 8 - 1
"""Longest name below a node of this size with one permission and nothing else."""


@pytest.mark.parametrize(
    ("there", "fitting"),
    [(there, more) for there in range(LEVELS) for more in range(LEVELS - there)],
)
@pytest.mark.parametrize("op", ["write", "mkdir"])
def test_a_quota_met_at_any_level_leaves_nothing(
    world: World, there: int, fitting: int, op: str
) -> None:
    """However many levels there were before, and however many still fit."""
    world.play(f"""
        {f"mkdir {'/'.join(NAMES[:there])}" if there else "enter 1"}
        watch / t; limit nodes {1 + there + fitting}; note
        {op} {DEEP} -> ENOSPC; same still; hear -> -
        limit nodes {1 + LEVELS}; {op} {DEEP}; hear -> ~1/{DEEP}:t
    """)


@pytest.mark.parametrize("level", range(LEVELS))
def test_a_node_too_big_at_any_level_leaves_nothing(
    world: World, level: int, inside: bool
) -> None:
    """A name counts for the size of the node above it; one byte less fits."""
    path = DEEP.replace(NAMES[level], "x" * (LARGEST + 1))
    mkdir = f"mkdir {path} -> ENOSPC"
    world.play(f"""
        limit node-size {SIZE}; enter 1; note
        {f"start t1; t1 {mkdir}; t1 commit -> ENOMEM" if inside else mkdir}
        same {"" if inside else "still"}
        mkdir {path.replace("xx", "x", 1)}
    """)


RULES: Final[dict[str, str]] = {
    "a value too big, the last thing that can go wrong": f"""
        enter 1; note; write {DEEP} v*3000 -> ENOSPC; same
    """,
    "a right that is missing at the nearest node": f"""
        enter 1; 0 mkdir ~1/level0/level1; 0 set ~1/level0/level1 r0; note
        write {DEEP} -> EACCES; same
    """,
}


@pytest.mark.parametrize("rule", RULES)
def test_what_cannot_be_made_leaves_nothing(world: World, rule: str) -> None:
    """Of the levels above it."""
    world.play(RULES[rule])
