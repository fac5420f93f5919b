"""What is a path, how long may it be, and payloads that are not well formed."""

from typing import Final

from tests.differential.model import Sequence, c0, c1, sequence
from xsd.protocol.ops import Op

_ONE_PATH: Final = (Op.READ, Op.DIRECTORY, Op.GET_PERMS, Op.MKDIR, Op.RM)
_PAYLOADS: Final = (b"", b"/a", b"/a\0x", b"/a\0x\0", b"\0", b"/a\0\0", b"/a\0\0\0")
_BAD_PATHS: Final = (
    b"/a/",
    b"//",
    b"/a//b",
    b"/a b",
    b"/a.b",
    b"/a:b",
    b"/a\x80",
    b"/a\n",
    b"a/",
    b"a//b",
    b"..",
    b"@x",
    b"@introduceDomain",
    b"/local/domain/",
)
_ODD_PATHS: Final = (b"/@", b"/a/@x", b"/-", b"/_/A-Z_0@", b"0", b"-", b"/a/b/c/d/e/f")
_LONG: Final = (2046, 2047, 2048)


def _malformed(op: Op) -> Sequence:
    """A missing node is read before each, so that 4.17 has an errno to tell."""
    return sequence(
        f"{op.name} with payloads that are not one string",
        c0.write("/a", "1"),
        *[
            step
            for payload in _PAYLOADS
            for step in (c0.read("/missing"), c0.request(op, payload))
        ],
        c0.read("/a"),
    )


def _bad_paths(op: Op) -> Sequence:
    return sequence(
        f"{op.name} of what is no path",
        c0.write("/a", "1"),
        *[c0.strings(op, path) for path in _BAD_PATHS],
    )


def _odd_paths(op: Op) -> Sequence:
    return sequence(
        f"{op.name} of odd paths",
        *[
            step
            for path in _ODD_PATHS
            for step in (
                c0.strings(op, path),
                c0.write(path, "v"),
                c0.strings(op, path),
                c0.rm(path),
                c0.strings(op, path),
            )
        ],
    )


SEQUENCES: Final = (
    *[_malformed(op) for op in _ONE_PATH],
    *[_bad_paths(op) for op in _ONE_PATH],
    *[_odd_paths(op) for op in _ONE_PATH],
    sequence(
        "WRITE of what is no path",
        *[c0.write(path, "v") for path in _BAD_PATHS],
        c0.ls("/"),
    ),
    sequence(
        "WRITE with payloads that have no NUL or no path",
        c0.write("/a", "1"),
        *[c0.request(Op.WRITE, p) for p in (b"", b"/a", b"\0", b"\0v", b"\0\0")],
        c0.read("/a"),
    ),
    sequence(
        "values keep every byte",
        c0.write("/a", b"a\0b\0"),
        c0.read("/a"),
        c0.write("/a", b"\0"),
        c0.read("/a"),
        c0.write("/a", bytes(range(256))),
        c0.read("/a"),
        c0.write("/a", b""),
        c0.read("/a"),
    ),
    sequence(
        "relative paths are below /local/domain/0",
        c0.write("x", "1"),
        c0.read("/local/domain/0/x"),
        c0.ls("/local/domain"),
        c0.write("/local/domain/0/y/z", "2"),
        c0.read("y/z"),
        c0.ls("y"),
        c0.rm("y"),
        c0.rm("y/z"),
        c0.ls("/local/domain/0"),
        c0.get_perms("x"),
        c0.set_perms("x", "n0", "r1"),
        c0.get_perms("/local/domain/0/x"),
    ),
    *[
        sequence(
            f"paths of {length} bytes",
            c0.read(b"/" + b"x" * (length - 1)),
            c0.write(b"/a/" + b"x" * (length - 3), "v"),
            c0.read(b"/a/" + b"x" * (length - 3)),
            c0.mkdir(b"/a/" + b"y" * (length - 3)),
            c0.watch(b"/a/" + b"x" * (length - 3), "t"),
            c0.unwatch(b"/a/" + b"x" * (length - 3), "t"),
            c0.rm(b"/a/" + b"x" * (length - 3)),
            c0.read(b"x" * length),
            c0.read(b"/local/domain/12345/" + b"x" * length),
        )
        for length in _LONG
    ],
    *[
        sequence(f"a path of {length} bytes is read", c0.read(b"/" + b"x" * length))
        for length in (2048, 2049, 3072, 4000)
    ],
    sequence("a path of 2049 bytes is written", c0.write(b"/" + b"x" * 2048, "v")),
    sequence("a path of 2049 bytes is watched", c0.watch(b"/" + b"x" * 2048, "v")),
    sequence("a path of 2049 bytes is made", c0.mkdir(b"/" + b"x" * 2048)),
    sequence("a path of 2049 bytes is removed", c0.rm(b"/" + b"x" * 2048)),
    sequence(
        "unwatch of long paths that nobody watches",
        c0.unwatch(b"/" + b"x" * 2047, "t"),
        c0.unwatch(b"/" + b"x" * 2048, "t"),
        c0.unwatch(b"/" + b"x" * 4000, "t"),
    ),
    sequence(
        "the largest value that fits beside its path",
        c0.write("/v", b"x" * 4092),
        c0.read("/v"),
        c0.write("/v", b"x" * 4093),
        c0.read("/v"),
        c1.watch("/", "w"),
        c0.write("/long-name-of-a-node", b"x" * 4075),
        c0.read("/long-name-of-a-node"),
    ),
)
