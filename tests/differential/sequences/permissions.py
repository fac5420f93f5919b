"""Permission lists: their syntax, inheritance, and the special names."""

from typing import Final

from tests.differential.model import ask, said, scripts, sequence

_GOOD: Final = (
    *("n0", "r0", "w0", "b0", "n 0", "n-0", "n+0", "n00", "n0x0", "n4294967296"),
    *("n\t0", "n\n0", "n\v0", "n\f0", "n\r0"),
)
_BAD: Final = (
    *("", "n", "0", "x0", "N0", "nn0", "rw0", "n0x", "n0 ", "n0,r5", "n--0", "n+-0"),
    *("n08", "n0b1", "n0o1", "n0_0", "n1_0", "n0x", "n0x 0", "n 0 ", "na", "n0x0g"),
)
_SECOND: Final = (
    *("r5", "w5", "b5", "n5", "r0x10", "r0X1f", "r05", "r010", "r 5", "r+5"),
    *("r65535", "r65536", "r32752", "r32757", "r2147483647", "r1000000000"),
)
_LARGE: Final = (
    *("r-1", "r-5", "r4294967295", "r2147483648", "r-2147483648", "r-999999999"),
    *("r99999999999", "r9223372036854775807", "r9223372036854775808"),
    *("r-9223372036854775809", "r-1000000000", "r-0x5"),
)
_PAYLOADS: Final = (
    *(b"", b"\0", b"/a", b"/a\0", b"/a\0n0", b"/a\0n0\0r5", b"/a\0n0\0\0", b"\0n0\0"),
    *(b"/a/\0n0\0", b"a b\0n0\0", b"/missing\0n0\0", b"/missing/x\0n0\0", b"/a\0\0"),
)
_SHOW: Final = said("get_perms /a")

_SCRIPTS: Final = f"""
lists keep their order and what they have twice
    write /a; set_perms /a w0 n7 r7 b7; get_perms /a; set_perms /a n0 n0; get_perms /a
    set_perms /a n0 w5 w5 n5; get_perms /a
    set_perms /a n0 {" ".join(f"r{n}" for n in range(600))}; get_perms /a
new nodes inherit the list
    write /a; set_perms /a r0 w5 b6; write /a/b/c; get_perms /a/b; get_perms /a/b/c
    mkdir /a/d; get_perms /a/d; set_perms /a n0; get_perms /a/b; write /a/e
    get_perms /a/e
permissions stay when a value is written and go with the node
    write /a/b; set_perms /a/b n0 r5; write /a/b v; get_perms /a/b; rm /a/b; write /a/b
    get_perms /a/b
an owner that nobody knows
    write /a; set_perms /a n77; set_perms /a n77 r0; set_perms /a n32752
    set_perms /a n65536; set_perms /a n-1; get_perms /a; set_perms /missing n77
    set_perms // n77; set_perms /a x0 n77
all domains as the owner
    write /a; set_perms /a n32757
permissions in a transaction
    write /a/b; start t; t: set_perms /a n0 r5; t: get_perms /a; 1 get_perms /a
    t: write /a/c; t: get_perms /a/c; t: set_perms /a/b x0; t: set_perms /a/zz n0
    commit t; 1 get_perms /a; 1 get_perms /a/c
setting the permissions of special names
    set_perms @introduceDomain n0 r5; set_perms @introduceDomain n0
    set_perms @introduceDomain x0; set_perms @introduceDomain n77
    set_perms @introduceDomain; set_perms @releaseDomain n0 r5
    set_perms @releaseDomain n0 r32757; start t; t: set_perms @releaseDomain n0 r32757
    commit t
setting the permissions of an unknown special name
    set_perms @other n0; set_perms @releaseDomain/5 n0; set_perms @other x0
    set_perms @other n77; set_perms @other
"""
_WITH_5: Final = """
an owner that is introduced
    write /a/x; introduce 5; set_perms /a n5 r6; get_perms /a; write /a/b
    get_perms /a/b; get_perms /a/x; set_perms /a n0
"""

SEQUENCES: Final = (
    *scripts(_SCRIPTS),
    *scripts(_WITH_5, domains=(5,)),
    *[
        sequence(
            f"a first entry {entry!r}",
            *("write /a", ask(0, "set_perms", "/a", entry), _SHOW),
        )
        for entry in _GOOD
    ],
    sequence(
        "first entries that are none",
        "write /a",
        *[ask(0, "set_perms", "/a", entry) for entry in _BAD],
        _SHOW,
    ),
    sequence(
        "second entries that are none",
        "write /a",
        *[ask(0, "set_perms", "/a", "n0", entry) for entry in _BAD],
        _SHOW,
    ),
    *[
        sequence(
            title,
            "write /a",
            *[
                step
                for entry in entries
                for step in (ask(0, "set_perms", "/a", "n0", entry), _SHOW)
            ],
        )
        for title, entries in (
            ("second entries", _SECOND),
            ("numbers that do not fit", _LARGE),
        )
    ],
    sequence(
        "payloads of SET_PERMS that are not well formed",
        "write /a",
        *[step for p in _PAYLOADS for step in (ask(0, "SET_PERMS", p), _SHOW)],
    ),
    *[
        sequence(
            f"permissions of the special name {name}",
            f"get_perms {name}; read {name}; ls {name}; write {name} v; mkdir {name}",
            f"rm {name}",
        )
        for name in ("@introduceDomain", "@releaseDomain", "@other", "@")
    ],
)
