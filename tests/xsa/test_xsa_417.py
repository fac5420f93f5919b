"""XSA-417: permissions that name a domain which does not exist yet."""

from typing import Final

import pytest

from tests.support.hosts import AnyHost

DENIED: Final = """
    read /x -> EACCES; write /x mine -> EACCES; dir /x -> EACCES; mkdir /x/me -> EACCES
"""

RULES: Final[dict[str, str]] = {
    # The entry stays in the list, as in C, and gives nothing.
    **{
        f"a right for nobody is nobody's later, {letter}": f"""
            0 write /x secret; 0* set /x n0 {letter}8; 0 write /x/y secret
            0 get /x -> n0 {letter}8
            enter 8; {DENIED}; {DENIED.replace("/x", "/x/y")}
        """
        for letter in "rwb"
    },
    "a right is given when the domain is there, by the same list": f"""
        0 write /x shared; 0* set /x n0 r8
        create 8; admit 8; {DENIED}; 0 get /x -> n0 r8; 0* set /x n0 r8
        read /x -> shared; end 8
        0* set /x n0 r8
        create 8; admit 8; {DENIED}; 0 get /x -> n0 r8; 0* set /x n0 r8
        read /x -> shared; end 8
    """,
    "a domain that the hypervisor has is named before it is introduced": """
        create 8; 0 write /x shared; 0* set /x n0 r8; 0 write ~8/data 1; 0* set ~8 n8
        admit 8; read /x -> shared; write mine 2
    """,
    "a domain that ends before it was introduced has left nothing": f"""
        create 8; 0 write /x secret; 0* set /x n0 r8; 0 mkdir ~8; 0* set ~8 n8
        end 8; 0 read ~8 -> ENOENT
        enter 8; {DENIED}
    """,
    "an owner that does not exist is ENOENT, for dom0 and for guests": """
        0 mkdir /x; 1 mkdir data
        0* set /x n8 -> ENOENT; 0* set /x n32752 -> ENOENT; 0* set /x n32756 -> ENOENT
        1* set data n8 -> ENOENT; 1* set data n32752 -> ENOENT
        1* set data n32756 -> ENOENT
        0 get /x -> n0
    """,
}


@pytest.mark.parametrize("rule", RULES)
def test_who_is_not_there_yet_has_no_right(
    anywhere: AnyHost, rule: str, inside: bool
) -> None:
    """In a transaction or not; domain 8 comes after it was named, but for the last."""
    anywhere.play(RULES[rule], who=8, inside=inside)
