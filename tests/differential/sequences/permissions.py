"""Permission lists: their syntax, inheritance, and the special names."""

from typing import Final

from tests.differential.model import c0, c1, sequence
from xsd.protocol.ops import Op

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

SEQUENCES: Final = (
    *[
        sequence(
            f"a first entry {entry!r}",
            c0.write("/a"),
            c0.set_perms("/a", entry),
            c0.get_perms("/a"),
        )
        for entry in _GOOD
    ],
    sequence(
        "first entries that are none",
        c0.write("/a"),
        *[c0.set_perms("/a", entry) for entry in _BAD],
        c0.get_perms("/a"),
    ),
    sequence(
        "second entries that are none",
        c0.write("/a"),
        *[c0.set_perms("/a", "n0", entry) for entry in _BAD],
        c0.get_perms("/a"),
    ),
    sequence(
        "second entries",
        c0.write("/a"),
        *[
            step
            for entry in _SECOND
            for step in (c0.set_perms("/a", "n0", entry), c0.get_perms("/a"))
        ],
    ),
    sequence(
        "numbers that do not fit",
        c0.write("/a"),
        *[
            step
            for entry in _LARGE
            for step in (c0.set_perms("/a", "n0", entry), c0.get_perms("/a"))
        ],
    ),
    sequence(
        "payloads of SET_PERMS that are not well formed",
        c0.write("/a"),
        *[
            step
            for payload in _PAYLOADS
            for step in (c0.request(Op.SET_PERMS, payload), c0.get_perms("/a"))
        ],
    ),
    sequence(
        "lists keep their order and what they have twice",
        c0.write("/a"),
        c0.set_perms("/a", "w0", "n7", "r7", "b7"),
        c0.get_perms("/a"),
        c0.set_perms("/a", "n0", "n0"),
        c0.get_perms("/a"),
        c0.set_perms("/a", "n0", "w5", "w5", "n5"),
        c0.get_perms("/a"),
        c0.set_perms("/a", "n0", *[f"r{n}" for n in range(600)]),
        c0.get_perms("/a"),
    ),
    sequence(
        "new nodes inherit the list",
        c0.write("/a"),
        c0.set_perms("/a", "r0", "w5", "b6"),
        c0.write("/a/b/c"),
        c0.get_perms("/a/b"),
        c0.get_perms("/a/b/c"),
        c0.mkdir("/a/d"),
        c0.get_perms("/a/d"),
        c0.set_perms("/a", "n0"),
        c0.get_perms("/a/b"),
        c0.write("/a/e"),
        c0.get_perms("/a/e"),
    ),
    sequence(
        "permissions stay when a value is written and go with the node",
        c0.write("/a/b"),
        c0.set_perms("/a/b", "n0", "r5"),
        c0.write("/a/b", "v"),
        c0.get_perms("/a/b"),
        c0.rm("/a/b"),
        c0.write("/a/b"),
        c0.get_perms("/a/b"),
    ),
    sequence(
        "an owner that nobody knows",
        c0.write("/a"),
        c0.set_perms("/a", "n77"),
        c0.set_perms("/a", "n77", "r0"),
        c0.set_perms("/a", "n32752"),
        c0.set_perms("/a", "n65536"),
        c0.set_perms("/a", "n-1"),
        c0.get_perms("/a"),
        c0.set_perms("/missing", "n77"),
        c0.set_perms("//", "n77"),
        c0.set_perms("/a", "x0", "n77"),
    ),
    sequence(
        "all domains as the owner",
        c0.write("/a"),
        c0.set_perms("/a", "n32757"),
    ),
    sequence(
        "an owner that is introduced",
        c0.write("/a/x"),
        c0.introduce(5),
        c0.set_perms("/a", "n5", "r6"),
        c0.get_perms("/a"),
        c0.write("/a/b"),
        c0.get_perms("/a/b"),
        c0.get_perms("/a/x"),
        c0.set_perms("/a", "n0"),
        domains=(5,),
    ),
    sequence(
        "permissions in a transaction",
        c0.write("/a/b"),
        c0.start("t"),
        c0.set_perms("/a", "n0", "r5", tx="t"),
        c0.get_perms("/a", tx="t"),
        c1.get_perms("/a"),
        c0.write("/a/c", tx="t"),
        c0.get_perms("/a/c", tx="t"),
        c0.set_perms("/a/b", "x0", tx="t"),
        c0.set_perms("/a/zz", "n0", tx="t"),
        c0.commit("t"),
        c1.get_perms("/a"),
        c1.get_perms("/a/c"),
    ),
    sequence(
        "setting the permissions of special names",
        c0.set_perms("@introduceDomain", "n0", "r5"),
        c0.set_perms("@introduceDomain", "n0"),
        c0.set_perms("@introduceDomain", "x0"),
        c0.set_perms("@introduceDomain", "n77"),
        c0.set_perms("@introduceDomain"),
        c0.set_perms("@releaseDomain", "n0", "r5"),
        c0.set_perms("@releaseDomain", "n0", "r32757"),
        c0.start("t"),
        c0.set_perms("@releaseDomain", "n0", "r32757", tx="t"),
        c0.commit("t"),
    ),
    *[
        sequence(
            f"permissions of the special name {name}",
            c0.get_perms(name),
            c0.read(name),
            c0.ls(name),
            c0.write(name, "v"),
            c0.mkdir(name),
            c0.rm(name),
        )
        for name in ("@introduceDomain", "@releaseDomain", "@other", "@")
    ],
    sequence(
        "setting the permissions of an unknown special name",
        c0.set_perms("@other", "n0"),
        c0.set_perms("@releaseDomain/5", "n0"),
        c0.set_perms("@other", "x0"),
        c0.set_perms("@other", "n77"),
        c0.set_perms("@other"),
    ),
)
