"""Watches: which fire, with what path, in what order; and how they are set."""

from typing import Final

from tests.differential.model import Sequence, Step, c0, c1, c2, sequence
from xsd.protocol.ops import Op

_ODD_PAYLOADS: Final = (
    *(b"", b"\0", b"\0\0", b"/a", b"/a\0", b"/a\0t", b"\0t\0", b"a/\0t\0", b"/a/\0t\0"),
    *(b"//\0t\0", b"/a//b\0t\0", b"/a b\0t\0", b"/a.b\0t\0", b"/a\xff\0t\0"),
)
_ODD_UNWATCH: Final = (
    *(b"", b"\0", b"/a\0", b"/a\0t", b"/a\0t\0\0", b"/a\0t\0x\0", b"/a\0other\0"),
)


def _watch_all(*paths: str) -> list[Step]:
    """The first connection watches each path with a token of its own."""
    return [c0.watch(path, f"at {path}") for path in paths]


def _depth(depth: str) -> Sequence:
    return sequence(
        f"a watch with depth {depth!r}",
        c0.watch("/a", "t", depth),
        c1.write("/a", "1"),
    )


SEQUENCES: Final = (
    sequence(
        "the first event comes after the reply, also for a missing node",
        c0.watch("/a", "t"),
        c0.watch("/missing/deep", "t"),
        c0.watch("/", "t"),
        c0.watch("@introduceDomain", "t"),
    ),
    sequence(
        "an event of a write comes before the writer's own reply",
        c0.watch("/a", "t"),
        c0.write("/a", "1"),
        c0.write("/a", "1"),
        c0.mkdir("/a/b"),
        c0.set_perms("/a", "n0", "r5"),
        c0.rm("/a"),
        c0.rm("/a"),
        c0.write("/b", "1"),
    ),
    sequence(
        "watches at, above and below what is written",
        *_watch_all("/", "/a", "/a/b", "/a/b/c", "/a/x", "/ab"),
        c1.write("/a/b", "1"),
        c1.write("/a/b/c", "1"),
        c1.write("/a", "1"),
        c1.write("/ab", "1"),
        c1.write("/", "1"),
        c1.mkdir("/a/b"),
        c1.mkdir("/a/new"),
    ),
    sequence(
        "parents made on the way have no event of their own",
        *_watch_all("/", "/a", "/a/p", "/a/p/q", "/a/p/q/r", "/a/p/other"),
        c1.write("/a/p/q/r", "1"),
        c1.rm("/a/p"),
        c1.mkdir("/a/p/q/r"),
    ),
    sequence(
        "a removed tree: children first, only nodes that were there",
        c1.write("/a/b/c/e"),
        c1.write("/a/b/c/f"),
        c1.write("/a/b/d/g"),
        c1.write("/a/b/i"),
        *_watch_all("/a/b/c", "/a", "/", "/a/b", "/a/b/c/e", "/a/b/missing"),
        *_watch_all("/a/b/d", "/a/b/d/g", "/a/b/i", "/a/z", "/a/b/c/f"),
        c2.watch("/a/b/c/e", "leaf"),
        c2.watch("/a", "above"),
        c1.rm("/a/b"),
        c1.rm("/a/b"),
    ),
    sequence(
        "a removed tree in the order of making, not of watching or of names",
        *[c1.write(f"/a/{name}") for name in ("m", "z/y", "b", "z/c", "q")],
        *_watch_all("/a/q", "/a/b", "/a/z/c", "/a/z", "/a/m", "/a/z/y"),
        c1.rm("/a"),
    ),
    sequence(
        "a removed tree of which some was made again",
        *[c1.write(f"/a/{name}") for name in ("m", "z", "b", "c")],
        c1.rm("/a/z"),
        c1.write("/a/z"),
        c1.write("/a/m", "again"),
        *_watch_all("/a/z", "/a/c", "/a/m", "/a/b"),
        c1.rm("/a"),
    ),
    sequence(
        "a watcher removes the tree that it watches",
        c0.write("/a/b/c"),
        *_watch_all("/a/b/c", "/a/b", "/a"),
        c0.rm("/a"),
        c0.write("/a/b/c", "again"),
    ),
    sequence(
        "equal events are told once, with one token for nested watches",
        c0.watch("/", "same"),
        c0.watch("/a", "same"),
        c0.watch("/a/b", "same"),
        c0.watch("/a/b", "other"),
        c1.write("/a/b", "1"),
        c1.write("/a/b", "2"),
        c1.rm("/a"),
    ),
    sequence(
        "relative watches are told relative paths",
        c0.watch("rel", "t"),
        c0.watch("/local/domain/0/rel", "t"),
        c0.watch("/local/domain/0/rel", "u"),
        c0.watch("/local/domain/0", "t"),
        c0.watch("rel/sub", "s"),
        c1.write("/local/domain/0/rel/sub/x", "v"),
        c1.write("rel", "v"),
        c1.rm("/local/domain/0/rel"),
        c1.rm("/local"),
    ),
    sequence(
        "a relative watch can be given up by its absolute path",
        c0.watch("rel", "t"),
        c0.watch("rel", "u"),
        c0.unwatch("/local/domain/0/rel", "t"),
        c0.unwatch("rel", "t"),
        c0.unwatch("rel", "u"),
        c0.unwatch("rel", "u"),
    ),
    sequence(
        "two watches with the same path and token",
        c0.watch("/a", "t"),
        c0.watch("/a", "t"),
        c0.watch("/a", "u"),
        c1.watch("/a", "t"),
        c0.unwatch("/a", "t"),
        c0.watch("/a", "t"),
        c1.write("/a", "1"),
    ),
    sequence(
        "the second of three watches is given up",
        c0.watch("/a", "one"),
        c0.watch("/a", "two"),
        c0.watch("/a", "three"),
        c0.unwatch("/a", "two"),
        c1.write("/a", "1"),
        c0.unwatch("/a", "one"),
        c1.write("/a", "2"),
        c0.unwatch("/a", "two"),
        c0.unwatch("/b", "three"),
        c1.write("/a", "3"),
    ),
    sequence(
        "order of registration, not of place, decides",
        c0.watch("/a/b", "late"),
        c0.watch("/", "root"),
        c0.watch("/a", "middle"),
        c0.watch("/a/b", "again"),
        c1.write("/a/b", "1"),
        c0.unwatch("/", "root"),
        c0.watch("/", "root"),
        c1.write("/a/b", "1"),
    ),
    sequence(
        "a watch on the root sees everything but special names",
        c0.watch("/", "root"),
        c0.watch("@introduceDomain", "in"),
        c1.write("/x/y/z", "1"),
        c1.write("/", "1"),
        c1.introduce(5),
        c1.rm("/x"),
        domains=(5,),
    ),
    sequence(
        "tokens of any bytes and of none",
        c0.watch("/a", ""),
        c0.watch("/a", ""),
        c0.watch("/a", b"with blank\xff\x01"),
        c0.watch("/a", "/a"),
        c1.write("/a", "1"),
        c0.unwatch("/a", b"with blank\xff\x01"),
        c0.unwatch("/a", ""),
        c1.write("/a", "1"),
    ),
    sequence(
        "payloads of WATCH that are no two strings or no path",
        *[c0.request(Op.WATCH, payload) for payload in _ODD_PAYLOADS],
        c1.write("/a", "1"),
    ),
    sequence(
        "bytes after the token's NUL do not matter",
        c0.request(Op.WATCH, b"/a\0t\0x"),
        c0.watch("/a", "t"),
        c0.request(Op.UNWATCH, b"/a\0t\0x"),
        c1.write("/a", "1"),
    ),
    sequence(
        "payloads of UNWATCH that are no two strings, and no such watch",
        c0.watch("/a", "t"),
        *[c0.request(Op.UNWATCH, payload) for payload in _ODD_UNWATCH],
        c1.write("/a", "1"),
    ),
    *[
        sequence(f"unwatch of {path!r}, which is no path", c0.unwatch(path, "t"))
        for path in (b"", b"/a/", b"/a b", b"//", b"a//b")
    ],
    sequence(
        "special names may be anything",
        c0.watch("@other", "t"),
        c0.watch("@releaseDomain/5", "t"),
        c0.watch("@", "t"),
        c0.watch("@introduceDomain", "t"),
        c0.watch("@introduceDomain", "t"),
        c0.unwatch("@other", "t"),
        c0.unwatch("@other", "t"),
        c0.unwatch("@introduceDomain", "u"),
    ),
    *[
        sequence(f"a watch on {name!r}", c0.watch(name, "t"), c0.unwatch(name, "t"))
        for name in (b"@a b", b"@a/", b"@a//b", b"@\xff")
    ],
    *[_depth(depth) for depth in ("", "0", "1", "x", "-1")],
    sequence("a watch with four strings", c0.watch("/a", "t", "1", "2")),
    sequence(
        "the transaction of a WATCH does not matter and is echoed",
        c0.request(Op.WATCH, b"/a\0t\0", tx=77),
        c0.request(Op.UNWATCH, b"/a\0t\0", tx=77),
        c0.request(Op.UNWATCH, b"/a\0t\0", tx=77),
        c0.start("t"),
        c0.request(Op.WATCH, b"/a\0t\0", tx="t"),
        c0.abort("t"),
        c1.write("/a", "1"),
    ),
    sequence(
        "RESET_WATCHES ends all watches and only the caller's",
        *_watch_all("/", "/a", "@introduceDomain"),
        c1.watch("/a", "t"),
        c0.reset_watches(),
        c2.write("/a", "1"),
        c0.unwatch("/a", "at /a"),
        c0.watch("/a", "at /a"),
        c2.write("/a", "1"),
        c0.request(Op.RESET_WATCHES, b""),
        c0.request(Op.RESET_WATCHES, b"any\0thing"),
        c2.write("/a", "1"),
    ),
    sequence(
        "the watches of a client that goes are gone",
        c0.watch("/a", "t"),
        c1.watch("/a", "t"),
        c0.close(),
        c2.write("/a", "1"),
        c0.watch("/a", "t"),
        c2.write("/a", "2"),
    ),
    sequence(
        "failing requests have no events",
        c0.watch("/", "t"),
        c1.rm("/"),
        c1.rm("/a/b"),
        c1.set_perms("/a", "n0"),
        c1.set_perms("/tool", "x0"),
        c1.write("/a/", "1"),
        c1.mkdir("/tool"),
        c1.rm("/missing"),
    ),
    *[
        sequence(
            f"an event of {length + 2102} bytes",
            c0.watch("/a", "t" * 2100),
            c1.write("/a/" + "p" * (length - 3), "v"),
        )
        for length in (1990, 1993, 1994, 1995, 2040)
    ],
    sequence(
        "the relative path counts for an event that is too long",
        c0.watch("rel", "t" * 4080),
        c1.write("rel/1234567890", "v"),
        c1.write("rel/12345678901", "v"),
        c1.rm("rel"),
    ),
    sequence(
        "the longest token",
        c0.watch("/a", "t" * 4092),
        c1.write("/a", "v"),
        c1.write("/a/b", "v"),
        c0.unwatch("/a", "t" * 4092),
    ),
    sequence(
        "many watches of one connection",
        *[c0.watch(f"/a/{n}", "t") for n in range(140)],
        c1.write("/a/139", "v"),
        c1.rm("/a"),
    ),
)
