"""XSA-415: a creation that fails in a transaction which is committed all the same."""

from typing import Final

import pytest

from tests.xsa.support import World

DEEP: Final = "level0/level1/level2/level3/level4/level5"

RULES: Final[dict[str, str]] = {
    # What it did before and after is lost with it; the client is told.
    **{
        f"{fitting} levels fit, then {after}": f"""
            watch / t; limit nodes {2 + fitting}; note
            start t1; t1 mkdir first; t1 mkdir {DEEP} -> ENOSPC
            t1 dir ~1 -> first; {after}
            t1 commit -> ENOMEM; same; hear -> -
            mkdir first; hear
        """
        for fitting in range(6)
        for after in (
            "t1 read first -> -",
            "t1 write o v -> ENOMEM",
            "t1 rm first -> ENOMEM",
        )
    },
    **{
        f"{limit}, {request}": f"""
            limit {limit}; enter 1; note; start t1; t1 mkdir first
            t1 {request} -> ENOSPC
            t1 commit -> ENOMEM; same
        """
        for limit, request in (
            ("node-size 200", "write a/b v*300"),
            ("node-size 200", "mkdir a/n*300"),
            ("transaction-nodes 3", "write a/b/c/d v; t1 read x"),
        )
    },
    "a failed transaction can be dropped; the next begins without the failure": f"""
        limit nodes 3; enter 1; note; start t1; t1 mkdir {DEEP} -> ENOSPC
        t1 abort -> OK; same
        start t2; t2 mkdir a; t2 commit -> OK
    """,
    "a right that is missing fails no transaction: nothing of it was done": """
        start t1; t1 mkdir first; t1 mkdir /no/right -> EACCES; t1 commit -> OK
        read first -> -
    """,
}


@pytest.mark.parametrize("rule", RULES)
def test_a_transaction_in_which_a_creation_failed_does_nothing(
    world: World, rule: str
) -> None:
    """Its commit is ENOMEM, and it can be dropped."""
    world.play(RULES[rule])
