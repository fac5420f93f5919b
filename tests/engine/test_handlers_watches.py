"""xsd.engine.handlers: WATCH, UNWATCH and RESET_WATCHES."""

import pytest

from tests.engine.support import OK, Client, Step, ask, event, guest_of, hear, play
from xsd.engine import Engine
from xsd.protocol.errors import Errno
from xsd.protocol.ops import FEATURE_ERROR, Op

EINVAL, EEXIST, ENOENT = Errno.EINVAL, Errno.EEXIST, Errno.ENOENT
ENOSPC = Errno.ENOSPC
WATCH, UNWATCH, WRITE, RESET = Op.WATCH, Op.UNWATCH, Op.WRITE, Op.RESET_WATCHES


def watch(who: int, path: bytes, token: bytes, *depth: bytes) -> Step:
    """WATCH, which is answered first and then told its first event."""
    payload = b"".join([part + b"\0" for part in (path, token, *depth)])
    return ask(who, WATCH, payload, OK, event(path, token))


RULES: dict[str, list[Step]] = {
    # Whether or not the node exists, and whoever may read it.
    "first event has path and token as they were given": [
        step
        for who in (0, 1)
        for path in b"/|/tool|/no/such/node|rel|@releaseDomain|@|@a b".split(b"|")
        for token in (b"t", b"", b"tok en\xff\x01")
        for step in (
            watch(who, path, token),
            ask(who, UNWATCH, path + b"\0" + token + b"\0"),
        )
    ],
    # Strings are counted by their NULs, as by C.
    "bytes after the last nul are ignored": [
        ask(0, WATCH, b"/a\0t\0x", OK, event(b"/a", b"t")),
        ask(0, UNWATCH, b"/a\0t\0x"),
    ],
    # The depth does not tell them apart; another token or connection does.
    "second watch with same path and token is eexist": [
        watch(0, b"/a", b"t"),
        ask(0, WATCH, b"/a\0t\0", EEXIST),
        ask(0, WATCH, b"/a\0t\x001\0", EEXIST),
        watch(0, b"/a", b"u"),
        watch(-1, b"/a", b"t"),
    ],
    "a watch is known by its path and token together, and given up once": [
        watch(0, b"/a", b"t"),
        ask(0, UNWATCH, b"/a\0u\0", ENOENT),
        ask(0, UNWATCH, b"/b\0t\0", ENOENT),
        ask(0, UNWATCH, b"/a\0t\0"),
        ask(0, UNWATCH, b"/a\0t\0", ENOENT),
        ask(0, UNWATCH, b"@no\0t\0", ENOENT),
    ],
    # The spelling of the first decides how events are told.
    "relative and absolute name are the same watch": [
        watch(0, b"rel", b"t"),
        ask(0, WATCH, b"/local/domain/0/rel\0t\0", EEXIST),
        ask(-1, WRITE, b"rel/x\0v"),
        hear(0, event(b"rel/x", b"t")),
        ask(0, UNWATCH, b"/local/domain/0/rel\0t\0"),
        ask(-1, WRITE, b"rel/x\0v"),
        hear(0),
    ],
    "watches of one path and of those above are told in order of registration": [
        *[watch(0, path, path) for path in (b"/a/b", b"/", b"/a")],
        ask(-1, WRITE, b"/a/b\0v"),
        hear(0, *[event(b"/a/b", token) for token in (b"/a/b", b"/", b"/a")]),
    ],
    "second of three watches can be given up, and the others are told on": [
        *[watch(0, b"/a", token) for token in (b"1", b"2", b"3")],
        ask(0, UNWATCH, b"/a\x002\0"),
        ask(-1, WRITE, b"/a\0v"),
        hear(0, event(b"/a", b"1"), event(b"/a", b"3")),
    ],
    # Those begin with an at sign, not with the root.
    "watch of the root sees all nodes and no special names": [
        watch(0, b"/", b"t"),
        ask(-1, WRITE, b"/\0v"),
        ask(-1, WRITE, b"/a/b\0v"),
        ask(-1, Op.INTRODUCE, b"5\x001\x001\0"),
        ask(-1, Op.SET_PERMS, b"@releaseDomain\0n0\0"),
        hear(0, event(b"/", b"t"), event(b"/a/b", b"t")),
    ],
    "depth limits what is told, and 0 is the node alone": [
        *[watch(0, b"/a", depth, depth) for depth in (b"0", b"1", b"2")],
        ask(-1, WRITE, b"/a\0v"),
        hear(0, *[event(b"/a", token) for token in (b"0", b"1", b"2")]),
        ask(-1, WRITE, b"/a/b\0v"),
        hear(0, event(b"/a/b", b"1"), event(b"/a/b", b"2")),
        ask(-1, WRITE, b"/a/b/c\0v"),
        hear(0, event(b"/a/b/c", b"2")),
        ask(-1, WRITE, b"/a/b/c/d\0v"),
        hear(0),
    ],
    # By the permissions of the node or of its parent (XSA-115).
    "guest is told only of what it may read": [
        ask(0, WRITE, b"/open\0v"),
        ask(0, Op.SET_PERMS, b"/open\0n0\0r5\0"),
        watch(5, b"/", b"t"),
        ask(0, WRITE, b"/closed\0v"),
        ask(0, WRITE, b"/open\0v"),
        hear(5, event(b"/open", b"t")),
    ],
    "guest has at most 128 watches, dom0 as many as it likes": [
        *[watch(1, b"/a", b"%d" % number) for number in range(128)],
        *[watch(0, b"/a", b"%d" % number) for number in range(200)],
        ask(1, WATCH, b"/a\0more\0", ENOSPC),
        ask(1, UNWATCH, b"/a\x0064\0"),
        watch(1, b"/a", b"more"),
        ask(1, WATCH, b"/a\0more\0", EEXIST),
    ],
    "refused watch leaves nothing, and can be registered later": [
        ask(0, Op.SET_QUOTA, b"1\0watches\x001\0"),
        watch(1, b"/a", b"t"),
        ask(1, WATCH, b"/b\0t\0", ENOSPC),
        ask(1, UNWATCH, b"/b\0t\0", ENOENT),
        ask(0, Op.SET_QUOTA, b"1\0watches\x002\0"),
        watch(1, b"/b", b"t"),
    ],
    # Whatever its payload; ids of transactions go on from the last one.
    "reset_watches drops watches and transactions": [
        step
        for number, payload in enumerate((b"", b"\0", b"any\0thing"), start=1)
        for step in (
            watch(0, b"/a", b"t"),
            watch(0, b"@releaseDomain", b"t"),
            ask(0, Op.TRANSACTION_START, b"\0", b"%d\0" % number),
            ask(0, WRITE, b"/a\0v", tx=number),
            ask(0, RESET, payload),
            ask(0, Op.TRANSACTION_END, b"T\0", ENOENT, tx=number),
            ask(0, UNWATCH, b"/a\0t\0", ENOENT),
            ask(0, Op.READ, b"/a\0", ENOENT),
        )
    ],
    # With all others of the connection, and nothing is used after it (XSA-484).
    "reset_watches inside a transaction ends it": [
        watch(0, b"/a", b"t"),
        watch(-1, b"/a", b"t"),
        ask(0, Op.TRANSACTION_START, b"\0", b"1\0"),
        ask(0, Op.TRANSACTION_START, b"\0", b"2\0"),
        ask(0, WRITE, b"/a\x001", tx=1),
        ask(0, WRITE, b"/a\x002", tx=2),
        ask(0, RESET, b"\0", tx=1),
        ask(0, Op.READ, b"/a\0", ENOENT, tx=1),
        ask(0, Op.TRANSACTION_END, b"T\0", ENOENT, tx=2),
        ask(-1, WRITE, b"/a\0v", event(b"/a", b"t"), OK),
        hear(0),
    ],
    # They happened before; the stream must stay whole.
    "reset_watches keeps the events that wait": [
        watch(0, b"/a", b"t"),
        ask(-1, WRITE, b"/a\0v"),
        ask(0, RESET, b"", event(b"/a", b"t"), OK),
    ],
}


@pytest.mark.parametrize("rule", RULES)
def test_watches(engine: Engine, rule: str) -> None:
    """Each rule as the dialogue that shows it."""
    play(engine, RULES[rule])


def test_depth_is_einval_for_a_domain_that_is_not_offered_it(engine: Engine) -> None:
    """SET_FEATURE can hide it; before the path is looked at."""
    engine.connect(5)
    Client(engine).ok(Op.SET_FEATURE, b"5\0%d\0" % FEATURE_ERROR)
    guest = guest_of(engine, 5)

    assert guest.errno(WATCH, b"/a/\0t\x001\0") is EINVAL
    assert guest.errno(WATCH, b"/a\0t\x001\0") is EINVAL
    guest.ok(WATCH, b"/a\0t\0")
    Client(engine).ok(WATCH, b"/a\0t\x001\0")
