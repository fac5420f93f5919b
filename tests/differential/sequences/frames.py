"""Message types that are none, frames that are too long, requests in one piece."""

from typing import Final

from tests.differential.model import c0, c1, sequence
from tests.differential.session import announced
from xsd.protocol.ops import Op

_NO_TYPES: Final = (15, 16, 20, 27, 28, 100, 0xFFFF, 0x10000, 0xFFFFFFFF)

SEQUENCES: Final = (
    sequence(
        "types that nobody may call",
        *[c0.request(op) for op in _NO_TYPES],
        *[c0.request(op, b"/a\0") for op in _NO_TYPES],
        *[c0.request(op, b"", tx=7) for op in _NO_TYPES],
        c0.read("/"),
    ),
    *[
        sequence(f"type {op.name} without arguments", c0.request(op))
        for op in (Op.GET_FEATURE, Op.SET_FEATURE, Op.GET_QUOTA, Op.SET_QUOTA)
    ],
    *[
        sequence(f"a header that announces {length} bytes", c0.raw(announced(length)))
        for length in (4097, 65536, 0x7FFFFFFF, 0xFFFFFFFF)
    ],
    sequence(
        "the largest frame",
        c0.write("/a", b"x" * 4093),
        c0.request(Op.READ, b"/" + b"x" * 2000 + b"\0"),
        c0.read("/a"),
    ),
    sequence(
        "a request and a bad header",
        c0.write("/a", "1"),
        c0.raw(announced(4097), c0.read("/a")),
        c1.read("/a"),
    ),
    sequence(
        "two requests and a bad header",
        c0.raw(announced(9999), c0.write("/a", "1"), c0.write("/b", "1")),
        c1.read("/a"),
        c1.read("/b"),
    ),
    sequence(
        "a bad header ends watches and transactions",
        c0.watch("/a", "t"),
        c0.start("t"),
        c0.write("/a", "1", tx="t"),
        c0.raw(announced(5000)),
        c1.write("/a", "2"),
        c0.read("/a"),
    ),
    sequence(
        "requests in one piece are answered in order",
        c0.together(
            c0.write("/a", "1"),
            c0.read("/a"),
            c0.rm("/a"),
            c0.read("/a"),
            c0.request(99),
            c0.mkdir("/a/b"),
            c0.ls("/a"),
        ),
    ),
    sequence(
        "requests in one piece and their events",
        c1.watch("/", "other"),
        c0.watch("/", "own"),
        c0.together(
            c0.write("/a", "1"), c0.write("/b", "1"), c0.rm("/a"), c0.mkdir("/c")
        ),
    ),
    sequence(
        "equal events of requests in one piece",
        c1.watch("/", "other"),
        c0.together(c0.write("/a", "1"), c0.write("/a", "2"), c0.write("/a", "3")),
    ),
    sequence(
        "a watch and writes in one piece",
        c0.together(c0.watch("/a", "t"), c0.write("/a", "1"), c0.write("/a", "2")),
    ),
    sequence(
        "many requests in one piece",
        c0.together(*[c0.write(f"/a/{n}", str(n)) for n in range(100)]),
        c0.ls("/a"),
        c0.together(*[c0.read(f"/a/{n}") for n in range(100)]),
    ),
    sequence(
        "a client closes with its requests unread",
        c0.raw(b"", c0.write("/a", "1")),
        c0.close(),
        c1.read("/a"),
    ),
)
