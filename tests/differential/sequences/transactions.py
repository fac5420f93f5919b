"""Transactions: what they see, how they end, and what is no transaction."""

from typing import Final

from tests.differential.model import ask, scripts, sequence

_ENDS: Final = (
    *(b"", b"\0", b"T", b"F", b"T\0x", b"T\0\0", b"TT\0", b"t\0", b"f\0", b"X\0"),
    *(b"TRUE\0", b"T\0F\0", b"F\0\0", b" T\0", b"0\0", b"1\0"),
)

_SCRIPTS: Final = r"""
write in a transaction is unseen until the commit
    write /a 0; start t; t: write /a 1; t: write /b/c 1; 1 read /a; read /a; read /b
    t: read /a; t: ls /b; commit t; 1 read /a; 1 read /b/c
what is aborted has never been
    write /a 0; 1 watch / w; start t; t: write /a 1; t: write /b 1; t: rm /a
    t: set_perms /b n0 r5; abort t; read /a; read /b; t: read /a
ids count up by connection and are not used again
    start a; start b; 1 start a; abort a; start c; commit b; commit c; start d
    1 start b; abort d; close; start e
a transaction ends only once
    start t; commit t; commit t; abort t; t: read /; start u; abort u; commit u
the payload of a start does not matter
    TRANSACTION_START; TRANSACTION_START \0; TRANSACTION_START x; TRANSACTION_START \0\0
    TRANSACTION_START abc\0def\0
a transaction inside a transaction
    start t; t: TRANSACTION_START \0; t: TRANSACTION_START; 99: TRANSACTION_START \0
    commit t; t: TRANSACTION_START \0
requests in a transaction that nobody started
    write /a; 5: read /a; 5: write /a v; 5: mkdir /a; 5: rm /a; 5: ls /a
    5: get_perms /a; 5: set_perms /a n0; 5: part /a 0; 5: read //; 5: READ
    5: RESET_WATCHES \0; 5: domain_path 0; 5: control help; 5: is_introduced 0
    5: INTRODUCE x\0; 5: release x; 5: resume x; 5: set_target x
    5: TRANSACTION_START \0; commit 5; 5: TRANSACTION_END X\0; 5: type 20; 5: type 99
an id belongs to its connection
    write /a 0; start t; t: write /a 1; 1 1: read /a; 1 commit 1; 1 start u
    1 u: read /a; commit t
requests that have no use for a transaction
    start t; t: domain_path 0; t: is_introduced 0; t: control check; t: type 99
    commit t
a client that goes in a transaction
    1 watch / w; start t; t: write /a 1; close; 1 read /a; read /a
RESET_WATCHES ends all transactions, also the one it is sent in
    write /a 0; watch /a w; start t; start u; 1 start t; t: write /a 1
    t: RESET_WATCHES \0; t: read /a; commit t; u: read /a; commit u; read /a
    1 t: write /a 2; 1 commit t; start v; v: write /a 3; RESET_WATCHES \0; commit v
    start w; 99: RESET_WATCHES \0; commit w
errors inside leave the rest of a transaction good
    write /a 0; start t; t: read //; t: rm /; t: rm /a/b/c; t: WRITE /a
    t: set_perms /a x0; t: set_perms /missing n0; t: write /a 1; commit t; read /a
removed inside is gone inside
    write /a/b/c 1; write /a/d 1; start t; t: rm /a/b; t: read /a/b; t: read /a/b/c
    t: ls /a; t: get_perms /a/b/c; t: set_perms /a/b/c n0; t: rm /a/b; t: rm /a/b/c
    1 read /a/b/c; commit t; 1 read /a/b/c; 1 ls /a
made again after a removal: empty, with new permissions, at the end
    write /a/x 1; write /a/x/k 2; write /a/y 3; set_perms /a/x n0 r7; set_perms /a n0 r9
    start t; t: rm /a/x; t: write /a/x/new m; t: read /a/x; t: ls /a; t: ls /a/x
    t: get_perms /a/x; t: read /a/x/k; commit t; ls /a; ls /a/x; get_perms /a/x
    get_perms /a/x/new
mkdir after a removal is empty
    write /a/b value; write /a/b/c 1; start t; t: rm /a/b; t: mkdir /a/b; t: read /a/b
    t: ls /a/b; commit t; read /a/b
transactions that touch different nodes all commit
    write /a/x 0; write /b/x 0; start t; 1 start t; 2 start t; t: write /a/x 1
    1 t: write /b/x 1; 2 t: read /tool; commit t; 1 commit t; 2 commit t; 2 read /a/x
    2 read /b/x
of two that write the same node the second is refused
    write /a 0; start t; start u; t: write /a t; u: write /a u; commit t; commit u
    read /a; start v; v: read /a; v: write /a v; commit v; read /a
of two that make children of one node
    write /a; start t; 1 start u; t: write /a/t 1; 1 u: write /a/u 1; commit t
    1 commit u
a transaction that did nothing, and one that only read
    write /a 0; start t; start u; start v; u: read /a; v: read /tool; 1 write /a 1
    commit t; commit u; commit v
inside, a node that was read stays as it was
    write /a 0; start t; t: read /a; 1 write /a 1; t: read /a; abort t; read /a
inside, a node that was not read yet
    write /a 0; start t; 1 write /a 1; t: read /a; t: write /b 1; commit t; read /b
a tree removed outside while a node is made in it
    write /a/b/c; start t; t: write /a/b/new 1; 1 rm /a/b; commit t; read /a/b/new
a parent removed and made again outside
    write /a/b/c 1; start t; t: write /a/b/c 2; 1 rm /a/b; 1 write /a/b/c 1; commit t
    read /a/b/c
"""

SEQUENCES: Final = (
    *scripts(_SCRIPTS),
    sequence(
        "many transactions of one connection",
        *[ask(0, "start", f"t{n}") for n in range(20)],
        "t0: write /a/0 v; t1: write /a/1 v; t2: write /a/2 v",
        "commit t0; commit t5; abort t1; start more; ls /a",
    ),
    sequence(
        "ends that are neither T nor F leave the transaction open",
        "write /a 0; start t; t: write /a 1",
        *[ask(0, "TRANSACTION_END", end, tx="t") for end in _ENDS],
        "t: read /a; commit t; read /a",
    ),
    sequence(
        "ends outside a transaction",
        *[ask(0, "TRANSACTION_END", end) for end in _ENDS],
        "commit 0; abort 0",
    ),
)
