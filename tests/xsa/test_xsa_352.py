"""XSA-352: a guest gives its nodes away, and with them what they count for."""

from typing import Final

import pytest

from tests.xsa.support import World

RULES: Final[dict[str, str]] = {
    **{
        f"a guest cannot give a node to {owner}, or say what others may": f"""
            enter 2; mkdir gift; note
            1* set gift n{owner} b1 -> {errno}; 1* set gift r{owner} b1 -> {errno}
            1* set gift w{owner} b1 -> {errno}; 1* set gift b{owner} b1 -> {errno}
            same; get gift -> n1
        """
        for owner, errno in [
            *[(owner, "EPERM") for owner in (0, 2, 7, 32757)],
            # Reserved numbers are no domains, so they cannot own anything.
            *[(owner, "ENOENT") for owner in (32752, -1)],
        ]
    },
    "who works for another cannot move nodes between them, and can do all else": """
        2 mkdir theirs; mkdir mine; 0 target 1 2
        1* set mine n2 -> EPERM; 1* set ~2/theirs n1 -> EPERM
        1* set ~2/theirs n2 r1; nodes 1 -> 2; nodes 2 -> 2
    """,
    "dom0 gives nodes to whom it likes, who cannot give them back": """
        enter 1; nodes 1 -> 1; nodes 0 -> 7; 0 mkdir /given; nodes 0 -> 8
        0* set /given n1; nodes 0 -> 7; nodes 1 -> 2
        set /given n0 -> EPERM
    """,
    "what a guest makes in another's directory counts for itself": """
        enter 1; 2 set ~2 b2; nodes 2 -> 1; mkdir ~2/x{1..20}
        nodes 2 -> 1; nodes 1 -> 21
        0 get ~2/x1 -> b1
    """,
}


@pytest.mark.parametrize("rule", RULES)
def test_only_dom0_changes_who_pays_for_a_node(
    world: World, rule: str, inside: bool
) -> None:
    """In a transaction or not."""
    world.play(RULES[rule], inside=inside)
