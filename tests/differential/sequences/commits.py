"""Which events a commit causes, and in what order."""

from typing import Final

from tests.differential.model import scripts

_TREE: Final = (
    "2 write /a/b/c/e 3; 2 write /a/b/c/f; 2 write /a/b/d/g; 2 write /a/b/d/h; "
    "2 write /a/b/i; watch_each /a/b /a/b/c /a/b/c/e /a/b/c/f /a/b/d /a/b/d/g; "
    "watch_each /a/b/d/h /a/b/i /a / /a/b/missing; 1 start t"
)

_SCRIPTS: Final = f"""
events of a commit come before its reply, none before
    write /a 0; watch /a own; 1 watch / other; start t; t: write /a 1; t: write /b 1
    t: rm /a; commit t
a removed tree
    {_TREE}; 1 t: rm /a/b; 1 commit t
a removed tree of which some was read before
    {_TREE}; 1 t: read /a/b/d/h; 1 t: read /a/b/c; 1 t: rm /a/b; 1 commit t
a removed tree in the order of making
    2 write /a/m; 2 write /a/z/y; 2 write /a/b; 2 write /a/z/c; 2 write /a/q
    watch_each /a/q /a/b /a/z/c /a/z /a/m /a/z/y; 1 start t; 1 t: read /d; 1 t: rm /a
    1 t: write /d 1; 1 commit t
a removed tree and then the parent written
    {_TREE}; 1 t: rm /a/b; 1 t: write /; 1 t: write /a x; 1 commit t
a removed child and then its parent removed
    {_TREE}; 1 t: rm /a/b/c; 1 t: rm /a/b; 1 commit t
something written, then the tree removed
    {_TREE}; 1 t: write /a/b/c/e new; 1 t: write /a/b/new new; 1 t: rm /a/b; 1 commit t
two separate trees removed
    {_TREE}; 1 t: rm /a/b/d; 1 t: rm /a/b/c; 1 commit t
removed, then written again further down
    {_TREE}; 1 t: rm /a/b; 1 t: write /a/b/c/e new; 1 commit t
removed, then something new written below
    {_TREE}; 1 t: rm /a/b; 1 t: write /a/b/c/new/leaf new; 1 commit t; 1 ls /a/b
removed twice with something written in between
    {_TREE}; 1 t: rm /a/b; 1 t: write /a/b/c 2; 1 t: write /a/b/n 2; 1 t: rm /a/b
    1 commit t
removed and made again by mkdir
    {_TREE}; 1 t: rm /a/b; 1 t: mkdir /a/b; 1 commit t; 1 ls /a
removed child, removed parent, child again
    {_TREE}; 1 t: rm /a/b/c; 1 t: rm /a/b; 1 t: write /a/b/c new; 1 commit t
a removed tree with a value at every level, made again with none
    2 write /a/b 1; 2 write /a/b/c 2; 2 write /a/b/c/d 3
    watch_each /a /a/b /a/b/c /a/b/c/d; 1 start t; 1 t: rm /a/b; 1 t: mkdir /a/b/c/d
    1 commit t; 1 read /a/b/c
order of writing
    2 write /a/x; 2 write /a/y; 2 write /a/z; watch_each /a /; 1 start t
    1 t: write /a/z 1; 1 t: write /a/x 1; 1 t: write /a/y 1; 1 t: write /a/z 2
    1 commit t
what was read first comes first
    2 write /a/x; 2 write /a/y; 2 write /a/z; watch_each /a; 1 start t; 1 t: read /a/z
    1 t: read /a/y; 1 t: read /a/x; 1 t: write /a/x 1; 1 t: write /a/y 1
    1 t: write /a/z 1; 1 commit t
what was looked for first comes first
    2 write /a/x; watch_each /a; 1 start t; 1 t: ls /a; 1 t: read /a/r; 1 t: rm /a/s
    1 t: set_perms /a/q n0; 1 t: write /a/p/deep 1; 1 t: write /a/q 1; 1 t: write /a/s 1
    1 t: write /a/r 1; 1 commit t; 1 ls /a
missing parents are looked at from below
    watch_each /; 1 start t; 1 t: write /a/p/q/r 1; 1 t: write /; 1 t: write /a/p/q 1
    1 t: write /a 1; 1 t: write /a/p 1; 1 commit t
one event for a node however often it changed
    2 write /a/x 0; watch_each /a /a/x; 1 start t; 1 t: write /a/x 1
    1 t: set_perms /a/x n0 r5; 1 t: rm /a/x; 1 t: write /a/x 2; 1 t: mkdir /a/x
    1 commit t; 1 read /a/x; 1 get_perms /a/x
a node made and removed inside has no event
    2 write /a; watch_each /a /a/n/m; 1 start t; 1 t: write /a/n/m/o 1; 1 t: rm /a/n
    1 t: write /a/q 1; 1 t: rm /a/q; 1 commit t; 1 ls /a
made, removed, and made again inside
    2 write /a; watch_each /a /a/n; 1 start t; 1 t: write /a/n 1; 1 t: rm /a/n
    1 t: write /a/n 2; 1 commit t; 1 read /a/n
mkdir of what exists has no event
    2 write /a/x 1; watch_each /a; 1 start t; 1 t: mkdir /a/x; 1 t: rm /a/missing
    1 t: mkdir /a/y; 1 commit t
permissions alone, and equal ones, have an event
    2 write /a/x 1; watch_each /a; 1 start t; 1 t: set_perms /a/x n0; 1 commit t
    1 start u; 1 u: write /a/x 1; 1 commit u
equal events of one commit are told once
    watch / same; watch /a same; 1 start t; 1 t: write /a/b 1; 1 t: write /a 1
    1 commit t
a watch made while the transaction is open
    write /a 0; 1 start t; 1 t: write /a 1; watch /a w; 1 commit t
a refused commit has no events
    write /a 0; watch /a w; 1 start t; 1 t: write /a 1; write /a 2; 1 commit t; read /a
relative and nested watches of three connections
    watch x relative; 1 watch /local above; 2 watch x/y below
    2 watch /local/domain/0/x absolute; 1 start t; 1 t: write x/y/z 1
    1 t: write /local/domain/0/x 1; 1 commit t; 2 start u; 2 u: rm x; 2 commit u
"""

SEQUENCES: Final = tuple(scripts(_SCRIPTS))
