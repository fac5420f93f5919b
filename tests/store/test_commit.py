"""Commits: what becomes of the store; what is told of it is in test_net.py."""

from typing import Final

import pytest

from tests.store.script import Play
from xsd.store import Store

RULES: Final[dict[str, str]] = {
    "changes are carried over to a newer state; those of others stay": """
        write /a old; write /b old; write /c/d old; start t1
        t1 write /a mine; t1 set /b r0; t1 rm /c/d; t1 write /new/node mine
        set /a w0; write /b theirs; write /c theirs; write /theirs theirs; t1 commit
        dir / -> tool a b c theirs new; dir /c -> -
        read /a -> mine; get /a -> w0; read /b -> theirs; get /b -> r0
        read /c -> theirs; read /theirs -> theirs
        read /new/node -> mine; read /new -> -""",
    "nodes made on the way are carried over with what became of them": """
        start t1; t1 write /a/b/c 1; t1 write /a 2; t1 set /a/b r0; write /other
        t1 commit; read /a -> 2; get /a/b -> r0; read /a/b/c -> 1""",
    "what comes back on the way is empty, and has the permissions of what is above": """
        write /a/b 1; set /a/b r0; start t1; t1 rm /a; t1 mkdir /a/b/x; t1 commit
        read /a/b -> -; get /a/b -> n0""",
    # Rights that are gone by the time of the commit.
    "a right lost with the target ends a commit, and nothing of it happens": """
        introduce 1; introduce 2; introduce 3; target 2 1
        write /value; set /value n1; write /perms; set /perms n1; write /gone/x
        set /gone/x n1; write /dir; set /dir n1
        2 start t1; t1 write /value x; 2 start t2; t2 set /perms r1
        2 start t3; t3 rm /gone/x; 2 start t4; t4 write /dir/new/x; target 2 3
        t1 commit -> EACCES the right was lost; t2 commit -> EACCES the right was lost
        t3 commit -> EACCES the right was lost; t4 commit -> EACCES the right was lost
        read /value -> -; get /perms -> n1; dir /gone -> x; dir /dir -> -""",
    "permissions for a domain that is gone are not committed (XSA-322)": """
        introduce 5; mkdir /a; mkdir /b; start t1; start t2
        t1 set /a n5; t2 set /b n0 r5; release 5
        t1 commit -> EAGAIN names a domain; t2 commit -> EAGAIN names a domain
        get /a -> n0; get /b -> n0""",
    "nor are they if another one has its id by now": """
        introduce 5; mkdir /a; mkdir /b; start t1; start t2
        t1 set /a n5; t2 set /b n0 r5; release 5; introduce 5
        t1 commit -> EAGAIN names a domain; t2 commit -> EAGAIN names a domain
        get /a -> n0; get /b -> n0""",
    "domains that come and go do not disturb other transactions": """
        introduce 5; introduce 6; mkdir /a; set /a n0 r6; start t1
        t1 write /a/b; t1 set /a/b n6 r32757 r7; t1 write /a x; t1 rm /tool
        release 5; introduce 7; t1 commit; get /a/b -> n6 r32757 r7""",
    # Counts.
    "a node changes hands with its count, alone": """
        introduce 1; write /a/b; start t1; t1 set /a n1; t1 set /a/b n1; t1 write /a/c
        t1 commit; nodes 1 -> 3""",
    "a node changes hands with its count, made again": """
        introduce 1; introduce 2; write /a/b; set /a n1; set /a/b n1; write /a/c
        start t1; t1 set /a n2; t1 set /a/b n2; t1 set /a/c n2; write /other; t1 commit
        nodes 1 -> 0; nodes 2 -> 3""",
    "removing gives the owners their count back, also of what is another one's": """
        1 write a/b/c; set /local/domain/1/a/b n0; 1 start t1; t1 rm a; write /other
        t1 commit; nodes 1 -> 1; nodes 0 -> 8""",
}


@pytest.mark.parametrize("rule", RULES)
def test_commits(store: Store, rule: str) -> None:
    """What the store is afterwards."""
    Play(store).run(RULES[rule])
