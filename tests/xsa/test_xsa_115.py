"""XSA-115: watches that tell what the watcher may not read."""

from typing import Final

import pytest

from tests.xsa.support import World

CHANGES: Final[dict[str, str]] = {
    **{
        f"what cannot be read is not told to a watch on {watched}": f"""
            watch {watched} t
            0* write /secret value; hear -> -
            0* write /secret other; hear -> -
            0* set /secret n0 r2; hear -> -
            0* write /secret/below value; hear -> -
            0* write /secret/below other; hear -> -
            0* set /secret/below n0 r2; hear -> -
            0* rm /secret/below; hear -> -
            0* mkdir /secret/below; hear -> -
            0* rm /secret; hear -> -
        """
        for watched in ("/", "/secret", "/secret/below")
    },
    "a right that is given is told, and one taken away one last time": """
        watch / t
        0* write /secret value; hear -> -
        0* set /secret n0 r1; hear -> /secret:t
        0* write /secret value; hear -> /secret:t
        0* set /secret n0; hear -> /secret:t
        0* write /secret value; hear -> -
        0* rm /secret; hear -> -
    """,
    "a removal is told by the permissions that were, below what is hidden too": """
        enter 1; 0 make /secret; 0 make /secret/below n0 r1; watch /secret/below t
        0* rm /secret; hear -> /secret/below:t
    """,
    "children of a readable node are told: who may list it sees them anyway": """
        enter 1; 0 make /open n0 r1; 0 make /open/x n0; watch / t
        0* write /open/x value; hear -> /open/x:t
        0* write /open/x/deeper value; hear -> -
        0* rm /open/x; hear -> /open/x:t
    """,
    # Removal makes the parent smaller, so it is not held to the parent's size.
    "a node goes although its parent is over quota": """
        enter 1; 0 mkdir ~1/d/{10..59}*30; mkdir d/new -> ENOSPC
        1* rm d/{10..59}*30; dir d -> -
    """,
}
"""Each change is made in a transaction of its own, or in none."""

RULES: Final[dict[str, str]] = {
    "neither what was refused is told nor what was dropped": """
        watch / t; write /secret value -> EACCES
        0 start t1; t1 write ~1/x value; t1 abort
        hear -> -
    """,
    "the coming of domains can be watched by all, and is told to whom dom0 allows": """
        watch @introduceDomain t; 0 introduce 30 1 1; hear -> -
        get @introduceDomain -> EACCES; set @introduceDomain n1 -> EACCES
        0 set @introduceDomain n0 r1
        0 introduce 31 1 1; hear -> @introduceDomain:t
    """,
    **{
        f"the end of domains is told until dom0 forbids it, as {name}": f"""
            watch {name} t; 0 introduce 30 1 1; 0 release 30; hear -> {name}:t
            0 set @releaseDomain n0
            0 introduce 30 1 1; 0 release 30; hear -> -
        """
        for name in ("@releaseDomain", "@releaseDomain/30")
    },
    # WATCH and UNWATCH only echo it.
    "a transaction id does not matter to watches, of one that is open or over": """
        start t1; t1 watch data t; t1 abort; t1 watch data u
        0 write ~1/data value; hear -> data:t data:u
        t1 unwatch data t; t1 unwatch data u; 0 write ~1/data value; hear -> -
    """,
    "guests cannot ask which domains there are, not even about themselves": """
        is-introduced 0 -> EACCES; is-introduced 1 -> EACCES; is-introduced 7 -> EACCES
        is-introduced 30 -> EACCES; is-introduced 32752 -> EACCES
    """,
}


@pytest.mark.parametrize("rule", CHANGES)
def test_a_change_is_told_to_whom_may_see_it(
    world: World, rule: str, inside: bool
) -> None:
    """In a transaction or not."""
    world.play(CHANGES[rule], inside=inside)


@pytest.mark.parametrize("rule", RULES)
def test_nothing_else_is_told(world: World, rule: str) -> None:
    """Of failures and domains."""
    world.play(RULES[rule])
