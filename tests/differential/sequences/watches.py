"""Watches: which fire, with what path, in what order; and how they are set."""

from typing import Final

from tests.differential.model import ask, scripts, sequence

_ODD_PAYLOADS: Final = (
    *(b"", b"\0", b"\0\0", b"/a", b"/a\0", b"/a\0t", b"\0t\0", b"a/\0t\0", b"/a/\0t\0"),
    *(b"//\0t\0", b"/a//b\0t\0", b"/a b\0t\0", b"/a.b\0t\0", b"/a\xff\0t\0"),
)
_ODD_UNWATCH: Final = (
    *(b"", b"\0", b"/a\0", b"/a\0t", b"/a\0t\0\0", b"/a\0t\0x\0", b"/a\0other\0"),
)

_SCRIPTS: Final = rf"""
the first event comes after the reply, also for a missing node
    watch /a t; watch /missing/deep t; watch / t; watch @introduceDomain t
an event of a write comes before the writer's own reply
    watch /a t; write /a 1; write /a 1; mkdir /a/b; set_perms /a n0 r5; rm /a; rm /a
    write /b 1
watches at, above and below what is written
    watch_each / /a /a/b /a/b/c /a/x /ab; 1 write /a/b 1; 1 write /a/b/c 1; 1 write /a 1
    1 write /ab 1; 1 write / 1; 1 mkdir /a/b; 1 mkdir /a/new
parents made on the way have no event of their own
    watch_each / /a /a/p /a/p/q /a/p/q/r /a/p/other; 1 write /a/p/q/r 1; 1 rm /a/p
    1 mkdir /a/p/q/r
a removed tree: children first, only nodes that were there
    1 write /a/b/c/e; 1 write /a/b/c/f; 1 write /a/b/d/g; 1 write /a/b/i
    watch_each /a/b/c /a / /a/b /a/b/c/e /a/b/missing
    watch_each /a/b/d /a/b/d/g /a/b/i /a/z /a/b/c/f; 2 watch /a/b/c/e leaf
    2 watch /a above; 1 rm /a/b; 1 rm /a/b
a removed tree in the order of making, not of watching or of names
    1 write /a/m; 1 write /a/z/y; 1 write /a/b; 1 write /a/z/c; 1 write /a/q
    watch_each /a/q /a/b /a/z/c /a/z /a/m /a/z/y; 1 rm /a
a removed tree of which some was made again
    1 write /a/m; 1 write /a/z; 1 write /a/b; 1 write /a/c; 1 rm /a/z; 1 write /a/z
    1 write /a/m again; watch_each /a/z /a/c /a/m /a/b; 1 rm /a
a watcher removes the tree that it watches
    write /a/b/c; watch_each /a/b/c /a/b /a; rm /a; write /a/b/c again
equal events are told once, with one token for nested watches
    watch / same; watch /a same; watch /a/b same; watch /a/b other; 1 write /a/b 1
    1 write /a/b 2; 1 rm /a
relative watches are told relative paths
    watch rel t; watch /local/domain/0/rel t; watch /local/domain/0/rel u
    watch /local/domain/0 t; watch rel/sub s; 1 write /local/domain/0/rel/sub/x v
    1 write rel v; 1 rm /local/domain/0/rel; 1 rm /local
a relative watch can be given up by its absolute path
    watch rel t; watch rel u; unwatch /local/domain/0/rel t; unwatch rel t
    unwatch rel u; unwatch rel u
two watches with the same path and token
    watch /a t; watch /a t; watch /a u; 1 watch /a t; unwatch /a t; watch /a t
    1 write /a 1
the second of three watches is given up
    watch /a one; watch /a two; watch /a three; unwatch /a two; 1 write /a 1
    unwatch /a one; 1 write /a 2; unwatch /a two; unwatch /b three; 1 write /a 3
order of registration, not of place, decides
    watch /a/b late; watch / root; watch /a middle; watch /a/b again; 1 write /a/b 1
    unwatch / root; watch / root; 1 write /a/b 1
tokens of any bytes and of none
    watch /a ''; watch /a ''; watch /a 'with blank\xff\x01'; watch /a /a; 1 write /a 1
    unwatch /a 'with blank\xff\x01'; unwatch /a ''; 1 write /a 1
bytes after the token's NUL do not matter
    WATCH /a\0t\0x; watch /a t; UNWATCH /a\0t\0x; 1 write /a 1
special names may be anything
    watch @other t; watch @releaseDomain/5 t; watch @ t; watch @introduceDomain t
    watch @introduceDomain t; unwatch @other t; unwatch @other t
    unwatch @introduceDomain u
a watch with four strings
    watch /a t 1 2
the transaction of a WATCH does not matter and is echoed
    77: watch /a t; 77: unwatch /a t; 77: unwatch /a t; start t; t: watch /a t; abort t
    1 write /a 1
RESET_WATCHES ends all watches and only the caller's
    watch_each / /a @introduceDomain; 1 watch /a t; RESET_WATCHES \0; 2 write /a 1
    unwatch /a 'at /a'; watch /a 'at /a'; 2 write /a 1; RESET_WATCHES
    RESET_WATCHES any\0thing; 2 write /a 1
the relative path counts for an event that is too long
    watch rel {"t" * 4080}; 1 write rel/1234567890 v; 1 write rel/12345678901 v
    1 rm rel
the longest token
    watch /a {"t" * 4092}; 1 write /a v; 1 write /a/b v; unwatch /a {"t" * 4092}
the watches of a client that goes are gone
    watch /a t; 1 watch /a t; close; 2 write /a 1; watch /a t; 2 write /a 2
failing requests have no events
    watch / t; 1 rm /; 1 rm /a/b; 1 set_perms /a n0; 1 set_perms /tool x0; 1 write /a/ 1
    1 mkdir /tool; 1 rm /missing
"""
_WITH_5: Final = """
a watch on the root sees everything but special names
    watch / root; watch @introduceDomain in; 1 write /x/y/z 1; 1 write / 1
    1 introduce 5; 1 rm /x
"""

SEQUENCES: Final = (
    *scripts(_SCRIPTS),
    *scripts(_WITH_5, domains=(5,)),
    sequence(
        "payloads of WATCH that are no two strings or no path",
        *[ask(0, "WATCH", payload) for payload in _ODD_PAYLOADS],
        "1 write /a 1",
    ),
    sequence(
        "payloads of UNWATCH that are no two strings, and no such watch",
        "watch /a t",
        *[ask(0, "UNWATCH", payload) for payload in _ODD_UNWATCH],
        "1 write /a 1",
    ),
    *[
        sequence(f"unwatch of {path!r}, which is no path", ask(0, "unwatch", path, "t"))
        for path in (b"", b"/a/", b"/a b", b"//", b"a//b")
    ],
    *[
        sequence(
            f"a watch on {name!r}",
            *[ask(0, v, name, "t") for v in ("watch", "unwatch")],
        )
        for name in (b"@a b", b"@a.b", b"@a/", b"@a//b", b"@\xff", b"@releaseDomain/")
    ],
    *[
        sequence(f"a watch with depth {depth!r}", f"watch /a t '{depth}'; 1 write /a 1")
        for depth in ("", "0", "1", "x", "-1")
    ],
    *[
        sequence(
            f"an event of {length + 2102} bytes",
            f"watch /a {'t' * 2100}; 1 write /a/{'p' * (length - 3)} v",
        )
        for length in (1990, 1993, 1994, 1995, 2040)
    ],
    sequence(
        "many watches of one connection",
        *[ask(0, "watch", f"/a/{n}", "t") for n in range(140)],
        "1 write /a/139 v; 1 rm /a",
    ),
)
