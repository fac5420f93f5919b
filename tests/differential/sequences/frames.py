"""Message types that are none, frames that are too long, requests in one piece."""

from typing import Final

from tests.differential.model import Step, said, scripts, sequence, together
from tests.differential.session import announced

_NO_TYPES: Final = (15, 16, 20, 27, 28, 100, 0xFFFF, 0x10000, 0xFFFFFFFF)

_SCRIPTS: Final = rf"""
requests in one piece are answered in order
    write /a 1 + read /a + rm /a + read /a + type 99 + mkdir /a/b + ls /a
requests in one piece and their events
    1 watch / other; watch / own; write /a 1 + write /b 1 + rm /a + mkdir /c
equal events of requests in one piece
    1 watch / other; write /a 1 + write /a 2 + write /a 3
a watch and writes in one piece
    watch /a t + write /a 1 + write /a 2
a client closes with its requests unread
    write /a 1; close; 1 read /a
the largest frame
    write /a {"x" * 4093}; READ /{"x" * 2000}\0; read /a
"""

SEQUENCES: Final = (
    *scripts(_SCRIPTS),
    sequence(
        "types that nobody may call",
        *[f"type {op}" for op in _NO_TYPES],
        *[rf"type {op} /a\0" for op in _NO_TYPES],
        *[f"7: type {op}" for op in _NO_TYPES],
        "read /",
    ),
    *[
        sequence(f"type {op} without arguments", op)
        for op in ("GET_FEATURE", "SET_FEATURE", "GET_QUOTA", "SET_QUOTA")
    ],
    *[
        sequence(f"a header that announces {n} bytes", Step(0, raw=announced(n)))
        for n in (4097, 65536, 0x7FFFFFFF, 0xFFFFFFFF)
    ],
    sequence(
        "a request and a bad header",
        "write /a 1",
        together(said("read /a"), raw=announced(4097)),
        "1 read /a",
    ),
    sequence(
        "two requests and a bad header",
        together(said("write /a 1 + write /b 1"), raw=announced(9999)),
        "1 read /a; 1 read /b",
    ),
    sequence(
        "a bad header ends watches and transactions",
        "watch /a t; start t; t: write /a 1",
        Step(0, raw=announced(5000)),
        "1 write /a 2; read /a",
    ),
    sequence(
        "many requests in one piece",
        " + ".join(f"write /a/{n} {n}" for n in range(100)),
        "ls /a",
        " + ".join(f"read /a/{n}" for n in range(100)),
    ),
)
