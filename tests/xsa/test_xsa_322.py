"""XSA-322: a new domain inherits what its domid's last bearer was given."""

from typing import Final

import pytest

from tests.support.hosts import AnyHost

WAYS: Final[dict[str, str]] = {
    "the daemon has seen the end of the first": "end 5; enter 5",
    "the toolstack has said that it ended, and then it did": """
        0 release 5; end 5; enter 5
    """,
    "the daemon sees both at once: there is a domain, yet another one": """
        replace 5; 0 make ~5; 0 set ~5 n5; admit 5; enter 5
    """,
}
"""How there is another domain of the same id."""

RULES: Final[dict[str, str]] = {
    "rights on others' nodes end, those set and those inherited": """
        enter 5; 0 write /x secret; 0 set /x n0 r3 b5; 0 write /x/below secret
        read /x -> secret; read /x/below -> secret
        NEXT
        read /x -> EACCES; write /x mine -> EACCES; get /x -> EACCES
        read /x/below -> EACCES; write /x/below mine -> EACCES; get /x/below -> EACCES
        0 get /x -> n0 r3; 0 get /x/below -> n0 r3
        mkdir /x/mine -> EACCES
    """,
    "nodes do not pass to the next domain, neither in its home nor elsewhere": """
        write data/secret 1; 0 make /backend n5; write /backend/secret 1
        NEXT
        dir ~5 -> -; read /backend/secret -> EACCES; 0 read /backend -> ENOENT
    """,
    **{
        f"rights on {name} end: it is watched, and nothing is told": f"""
            enter 5; 0 set {name} n0 r5; watch {name} t
            enter 20; end 20; hear -> {name}:t
            NEXT
            watch {name} t; enter 20; end 20; hear -> -
            0 get {name} -> n0
        """
        for name in ("@releaseDomain", "@introduceDomain")
    },
    "a special name that a guest owned is dom0's again, and not removed": """
        enter 5; 0 set @releaseDomain n5
        NEXT
        set @releaseDomain r5 -> EACCES; 0 get @releaseDomain -> n0
    """,
    "rights given in a transaction are not those of the next domain": """
        enter 5; 0 write /x secret; 0 start t1; t1 set /x n0 r5
        t1 write /y secret; t1 set /y n5
        NEXT
        t1 commit -> EAGAIN; read /x -> EACCES; 0 read /y -> ENOENT
    """,
    "transactions and watches end; the next domain's ids begin anew": """
        watch data t; start t1 -> 1; t1 write data 1
        NEXT
        write data 2; hear -> -; transactions -> 0
        start t2 -> 1; t2 read data -> 2
    """,
    "who worked for a domain does not work for the next": """
        write data 1; enter 6; 0 target 6 5; 6 start t1; t1 write ~5/data 2
        NEXT
        write data 3; 6 read ~5/data -> EACCES; 6 rm ~5/data -> EACCES
        t1 read ~5/data -> EACCES; t1 commit -> EACCES|EAGAIN
        read data -> 3
    """,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rule", RULES)
def test_nothing_is_inherited(anywhere: AnyHost, rule: str, way: str) -> None:
    """Whichever way domain 5 is followed by another one."""
    anywhere.play(RULES[rule].replace("NEXT", WAYS[way]), who=5)
