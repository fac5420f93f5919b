"""xsd.engine.handlers: what each request does, through whole frames."""

import pytest

from tests.engine.support import (
    OK,
    Client,
    Step,
    ask,
    event,
    guest_of,
    hear,
    play,
)
from xsd.engine import Engine
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op

EINVAL, EACCES, EAGAIN = Errno.EINVAL, Errno.EACCES, Errno.EAGAIN
ENOENT, ENOSPC, EBUSY, EPERM = Errno.ENOENT, Errno.ENOSPC, Errno.EBUSY, Errno.EPERM
START, END = Op.TRANSACTION_START, Op.TRANSACTION_END

# Payloads, with | between them.
_PATH = b"|\0|/a|/a\0x|/a\0x\0|/a\0\0"
_DOMID = b"|\0|5|5\0x|5\0x\0|x\0|-1\0|65536\0"
MALFORMED: dict[Op, bytes] = {
    **dict.fromkeys((Op.DIRECTORY, Op.READ, Op.GET_PERMS, Op.MKDIR, Op.RM), _PATH),
    **dict.fromkeys((Op.RELEASE, Op.RESUME), _DOMID),
    **dict.fromkeys((Op.IS_DOMAIN_INTRODUCED, Op.GET_DOMAIN_PATH), _DOMID),
    Op.WRITE: b"|/a|\0v",
    Op.WATCH: b"|\0|/a\0|/a\0t|/a\0t\0-1\0|/a\0t\x001\0x\0",
    Op.UNWATCH: b"|\0|/a\0|/a\0t|/a\0t\0x\0|/a\0t\0\0",
    END: b"|\0|T|F|X\0|t\0|T\0x|T\0F\0",
    Op.INTRODUCE: (
        b"|7\0|7\x001\0|7\x001\x002|7\x001\x000\0|7\x001\0-1\0|7\x001\0x\0|"
        b"x\x001\x002\0|65536\x001\x002\0|32752\x001\x002\0|32757\x001\x002\0"
    ),
    Op.SET_PERMS: (b"|/a\0|/a\0n0|/a\0\0|/a\0n0\0\0|/a\0x0\0|/a\0n\0|/a\0n0\0r08\0"),
    Op.SET_TARGET: b"|5\0|5\x006|5\0x\0|x\x005\0",
    Op.DIRECTORY_PART: b"|/\0|/\x000|/\x000\0x\0|\x000\0",
    Op.GET_FEATURE: b"\0|x\0|0\0x\0|65536\0",
    Op.SET_FEATURE: b"|5\0|5\x000|x\x000\0|5\x000\x000\0",
    Op.GET_QUOTA: b"\0|no\0|x\0nodes\0|0\0\0",
    Op.SET_QUOTA: (
        b"|nodes\0|nodes\x005|no\x005\0|nodes\x004294967295\0|x\0nodes\x005\0"
    ),
}


@pytest.mark.parametrize(
    ("op", "payload"),
    [(op, each) for op, all_of in MALFORMED.items() for each in all_of.split(b"|")],
)
def test_malformed_payload_is_einval(dom0: Client, op: Op, payload: bytes) -> None:
    """A string too few, too many or without its NUL, a number that is none."""
    dom0.ok(Op.WRITE, b"/a\0v")

    assert dom0.errno(op, payload) is EINVAL


def naming(op: Op, path: bytes) -> bytes:
    """A payload with this path that is right apart from it."""
    rest = {
        Op.WRITE: b"v",
        Op.SET_PERMS: b"n0\0",
        Op.WATCH: b"t\0",
        Op.UNWATCH: b"t\0",
        Op.DIRECTORY_PART: b"0\0",
    }
    return path + b"\0" + rest.get(op, b"")


PLAIN = [Op.READ, Op.DIRECTORY, Op.DIRECTORY_PART, Op.WRITE, Op.MKDIR, Op.RM]
SPECIAL = [Op.GET_PERMS, Op.SET_PERMS, Op.WATCH, Op.UNWATCH]
NO_PATHS = (
    b"/local/domain/|//|///|/a/|a/|/a//b||/a b|/a.b|../a|/a:b|/\xc3\xa9|/a\n"
).split(b"|")


@pytest.mark.parametrize("op", [*PLAIN, *SPECIAL])
@pytest.mark.parametrize("path", NO_PATHS)
@pytest.mark.parametrize("inside", [False, True])
def test_what_is_no_path_is_einval(
    engine: Engine, op: Op, path: bytes, *, inside: bool
) -> None:
    """From a guest too, and in a transaction, which goes on (XSA-481)."""
    for client in (Client(engine), guest_of(engine)):
        # A guest may not name dom0 as the owner; that comes after the path.
        tx = client.start() if inside else 0
        for _ in range(2):
            assert client.errno(op, naming(op, path), tx) is EINVAL
        if tx:
            client.ok(END, b"T\0", tx)


@pytest.mark.parametrize("op", PLAIN)
@pytest.mark.parametrize("path", [b"@", b"@releaseDomain", b"@releaseDomain/5", b"@x"])
def test_special_name_is_einval_where_it_may_not_stand(
    dom0: Client, op: Op, path: bytes
) -> None:
    """Only watches and permissions know such names."""
    assert dom0.errno(op, naming(op, path)) is EINVAL


@pytest.mark.parametrize("path", [b"@", b"@x", b"@a b", b"@a//b/", b"@releaseDomain/5"])
def test_special_name_that_does_not_exist(dom0: Client, path: bytes) -> None:
    """It has no permissions; but any of them may be watched."""
    for op in (Op.GET_PERMS, Op.SET_PERMS, Op.UNWATCH):
        assert dom0.errno(op, naming(op, path)) is ENOENT
    assert dom0.ask(Op.WATCH, path + b"\0t\0") == [(Op.WATCH, OK), event(path, b"t")]
    assert dom0.reply(Op.UNWATCH, path + b"\0t\0") == (Op.UNWATCH, OK)


LONGEST = b"/" + b"x" * 2047
ANYBODY = b"n0\0r32757\0"

NODES: dict[str, list[Step]] = {
    # The domain's home is not counted.
    "path over 2048 bytes is einval for a guest and not for dom0": [
        ask(1, Op.READ, LONGEST + b"\0", EACCES),
        ask(1, Op.READ, LONGEST + b"x\0", EINVAL),
        ask(1, Op.READ, b"/local/domain/1" + LONGEST + b"\0", EACCES),
        ask(1, Op.WATCH, b"@" + LONGEST + b"\0t\0", EINVAL),
        ask(0, Op.READ, LONGEST + b"x\0", ENOENT),
        ask(0, Op.WRITE, b"/" + b"x" * 4094 + b"\0"),
    ],
    "any bytes are written and read, up to a payload less the path": [
        step
        for value in (b"", b"\0", b"a\0b\xff", b"x" * 4093)
        for step in (
            ask(0, Op.WRITE, b"/a\0" + value),
            ask(0, Op.READ, b"/a\0", value),
        )
    ],
    "relative path is below the home of the client's domain": [
        ask(0, Op.WRITE, b"name\0zero"),
        ask(0, Op.WRITE, b"/local/domain/7\0"),
        ask(0, Op.SET_PERMS, b"/local/domain/7\0n7\0"),
        ask(7, Op.WRITE, b"name\0seven"),
        ask(0, Op.READ, b"/local/domain/0/name\0", b"zero"),
        ask(0, Op.READ, b"/local/domain/7/name\0", b"seven"),
        ask(7, Op.READ, b"name\0", b"seven"),
    ],
    "names of children are listed in the order of creation, each with a NUL": [
        *[ask(0, Op.MKDIR, path) for path in (b"/d/b\0", b"/d/a\0", b"/d/c/x\0")],
        ask(0, Op.DIRECTORY, b"/d\0", b"b\0a\0c\0"),
        ask(0, Op.DIRECTORY, b"/d/a\0", b""),
        ask(0, Op.DIRECTORY, b"/d/no\0", ENOENT),
    ],
    "mkdir of an existing node changes nothing": [
        ask(0, Op.WATCH, b"/a\0t\0", OK, event(b"/a", b"t")),
        ask(0, Op.MKDIR, b"/a\0", event(b"/a", b"t"), OK),
        ask(0, Op.WRITE, b"/a\0v", event(b"/a", b"t"), OK),
        ask(0, Op.MKDIR, b"/a\0"),
        ask(0, Op.READ, b"/a\0", b"v"),
    ],
    "rm of the root is einval, so nobody can empty the store": [
        ask(0, Op.RM, b"/\0", EINVAL),
        ask(0, Op.READ, b"/tool/xenstored\0", b""),
    ],
    # With the parent it is OK without event.
    "rm of a missing node needs its parent": [
        ask(0, Op.WATCH, b"/\0t\0", OK, event(b"/", b"t")),
        ask(0, Op.RM, b"/no\0"),
        ask(0, Op.RM, b"/no/no\0", ENOENT),
    ],
    "rm tells watches below from the leaves up, the one above the top": [
        ask(0, Op.WRITE, b"/a/b/c\0v"),
        ask(0, Op.WATCH, b"/a/b/c\0low\0", OK, event(b"/a/b/c", b"low")),
        ask(0, Op.WATCH, b"/a\0high\0", OK, event(b"/a", b"high")),
        ask(0, Op.RM, b"/a/b\0", event(b"/a/b/c", b"low"), event(b"/a/b", b"high"), OK),
    ],
    "permissions are shown as they were set, which watches are told": [
        ask(0, Op.WRITE, b"/a\0v"),
        ask(0, Op.WATCH, b"/a\0t\0", OK, event(b"/a", b"t")),
        ask(0, Op.SET_PERMS, b"/a\0n0\0r5\0b7\0", event(b"/a", b"t"), OK),
        ask(0, Op.GET_PERMS, b"/a\0", b"n0\0r5\0b7\0"),
        ask(0, Op.GET_PERMS, b"/no\0", ENOENT),
        ask(0, Op.SET_PERMS, b"/no\0n0\0", ENOENT),
    ],
    "two special names have permissions, also inside a transaction": [
        ask(0, Op.GET_PERMS, b"@introduceDomain\0", b"n0\0"),
        ask(0, Op.GET_PERMS, b"@releaseDomain\0", ANYBODY),
        ask(0, START, b"\0", b"1\0"),
        ask(0, Op.SET_PERMS, b"@releaseDomain\0n0\0r5\0", tx=1),
        ask(0, Op.GET_PERMS, b"@releaseDomain\0", b"n0\0r5\0", tx=1),
        ask(0, Op.GET_PERMS, b"@releaseDomain\0", ANYBODY),
        ask(0, END, b"T\0", tx=1),
        ask(0, Op.GET_PERMS, b"@releaseDomain\0", b"n0\0r5\0"),
    ],
    # The order of checks of C (do_set_perms).
    "set_perms looks at entries, then the owner, then the path": [
        ask(0, Op.SET_PERMS, b"@x\0x7\0", EINVAL),
        ask(0, Op.SET_PERMS, b"@x\0n7\0", ENOENT),
        ask(0, Op.SET_PERMS, b"/a/\0n7\0", ENOENT),
        ask(0, Op.SET_PERMS, b"/a/\0n0\0", EINVAL),
        ask(0, Op.SET_PERMS, b"/no\0n0\0", ENOENT),
    ],
    # Before a malformed entry, owner or path (measured on C).
    "too many permissions of a guest come first": [
        ask(1, Op.SET_PERMS, first + b"r1\0r2\0r3\0r4\0r5\0", ENOSPC)
        for first in (b"a\0n1\0", b"a\0x1\0", b"a\0n77\0", b"a/\0n1\0")
    ],
    # So that nobody pays for what others made (XSA-352).
    "guest may not give its node away": [
        ask(0, Op.WRITE, b"/a\0"),
        ask(0, Op.SET_PERMS, b"/a\0n1\0"),
        ask(1, Op.SET_PERMS, b"/a\0n0\0", EPERM),
        ask(1, Op.SET_PERMS, b"/a\0b1\0r0\0"),
    ],
    # C ends with a null pointer here, since a socket has no domain.
    "domid_any from a socket is for every domain": [
        ask(0, Op.WRITE, b"/a\0v"),
        ask(9, Op.READ, b"/a\0", EACCES),
        ask(0, Op.SET_PERMS, b"/a\0" + ANYBODY),
        ask(0, Op.GET_PERMS, b"/a\0", ANYBODY),
        ask(9, Op.READ, b"/a\0", b"v"),
        ask(9, Op.WRITE, b"/a\0v", EACCES),
        ask(0, Op.SET_PERMS, b"/a\0n0\0b32757\0"),
        ask(0, Op.GET_PERMS, b"/a\0", b"n0\0b32757\0"),
        ask(9, Op.READ, b"/a\0", b"v"),
    ],
    "domid_any may own a node, and every domain has all rights then": [
        ask(0, Op.WRITE, b"/a\0v"),
        ask(0, Op.SET_PERMS, b"/a\0n32757\0"),
        ask(9, Op.WRITE, b"/a\0w"),
        ask(0, Op.READ, b"/a\0", b"w"),
    ],
    # ENOENT is only for those who may read the nearest node there is.
    "guest is not told what it may not know": [
        ask(0, Op.WRITE, b"/open\0"),
        ask(0, Op.SET_PERMS, b"/open\0r0\0"),
        ask(1, Op.READ, b"/closed/x\0", EACCES),
        ask(1, Op.READ, b"/open/x\0", ENOENT),
        ask(1, Op.WRITE, b"/open/x\0v", EACCES),
        ask(1, Op.READ, b"/tool\0", EACCES),
    ],
}

TRANSACTIONS: dict[str, list[Step]] = {
    "requests in a transaction see it and others do not": [
        ask(-1, Op.WATCH, b"/a\0t\0", OK, event(b"/a", b"t")),
        ask(0, START, b"\0", b"1\0"),
        ask(0, Op.WRITE, b"/a/x\x001", tx=1),
        ask(0, Op.MKDIR, b"/a/y\0", tx=1),
        ask(0, Op.MKDIR, b"/a/z\0", tx=1),
        ask(0, Op.RM, b"/a/z\0", tx=1),
        ask(0, Op.SET_PERMS, b"/a/x\0n0\0r5\0", tx=1),
        ask(0, Op.READ, b"/a/x\0", b"1", tx=1),
        ask(0, Op.DIRECTORY, b"/a\0", b"x\0y\0", tx=1),
        ask(0, Op.GET_PERMS, b"/a/x\0", b"n0\0r5\0", tx=1),
        ask(0, Op.READ, b"/a/x\0", ENOENT),
        hear(-1),
        ask(0, END, b"T\0", tx=1),
        hear(-1, event(b"/a/x", b"t"), event(b"/a/y", b"t")),
        ask(-1, Op.GET_PERMS, b"/a/x\0", b"n0\0r5\0"),
    ],
    "refused request does not spoil its transaction (measured on C)": [
        ask(0, START, b"\0", b"1\0"),
        ask(0, Op.READ, b"/bad path\0", EINVAL, tx=1),
        ask(0, Op.RM, b"/\0", EINVAL, tx=1),
        ask(0, END, b"X\0", EINVAL, tx=1),
        ask(0, Op.WRITE, b"/a\0v", tx=1),
        ask(0, END, b"T\0", tx=1),
        ask(0, Op.READ, b"/a\0", b"v"),
    ],
    "discarded transaction leaves nothing, and its id is unknown then": [
        ask(0, Op.WATCH, b"/\0t\0", OK, event(b"/", b"t")),
        ask(0, START, b"\0", b"1\0"),
        ask(0, Op.WRITE, b"/a\0v", tx=1),
        ask(0, END, b"F\0", tx=1),
        ask(0, Op.READ, b"/a\0", ENOENT),
        ask(0, END, b"F\0", ENOENT, tx=1),
    ],
    # The client begins anew with another id.
    "conflict is eagain and the transaction is gone": [
        ask(0, START, b"\0", b"1\0"),
        ask(0, Op.READ, b"/tool\0", b"", tx=1),
        ask(0, Op.WRITE, b"/tool\0v"),
        ask(0, END, b"T\0", EAGAIN, tx=1),
        ask(0, END, b"T\0", ENOENT, tx=1),
        ask(0, START, b"\0", b"2\0"),
    ],
    "end without a transaction is enoent, after a look at what to do": [
        ask(0, END, b"T\0", ENOENT),
        ask(0, END, b"F\0", ENOENT),
        ask(0, END, b"X\0", EINVAL),
    ],
    "payload of transaction_start does not matter": [
        ask(0, START, payload, b"%d\0" % number)
        for number, payload in enumerate([b"", b"\0", b"x", b"abc\0def\0"], start=1)
    ],
    "transactions do not nest, and the one that is open goes on": [
        ask(0, START, b"\0", b"1\0"),
        ask(0, START, b"\0", EBUSY, tx=1),
        ask(0, END, b"T\0", tx=1),
    ],
    "guest has at most 10 transactions, dom0 as many as it likes": [
        *[ask(1, START, b"\0", b"%d\0" % number) for number in range(1, 11)],
        *[ask(0, START, b"\0", b"%d\0" % number) for number in range(1, 21)],
        ask(1, START, b"\0", ENOSPC),
        ask(1, END, b"F\0", tx=3),
        ask(1, START, b"\0", b"11\0"),
    ],
}


@pytest.mark.parametrize("rule", [*NODES, *TRANSACTIONS])
def test_nodes_and_transactions(engine: Engine, rule: str) -> None:
    """Each rule as the dialogue that shows it."""
    play(engine, {**NODES, **TRANSACTIONS}[rule])


def test_directory_part_has_the_generation_and_the_names_from_the_offset(
    dom0: Client,
) -> None:
    """A NUL more at the end; the generation changes with the names."""
    for name in (b"one", b"two"):
        dom0.ok(Op.MKDIR, b"/d/" + name + b"\0")
    op, payload = dom0.reply(Op.DIRECTORY_PART, b"/d\x000\0")
    generation, _, names = payload.partition(b"\0")

    assert op == Op.DIRECTORY_PART
    assert generation.isdigit()
    assert names == b"one\0two\0\0"
    head = generation + b"\0"
    assert dom0.reply(op, b"/d\x004\0") == (op, head + b"two\0\0")
    for offset in (b"8", b"-1"):
        assert dom0.reply(op, b"/d\0" + offset + b"\0") == (op, head + b"\0")
    assert dom0.errno(op, b"/no\x000\0") is ENOENT
    dom0.ok(Op.MKDIR, b"/d/three\0")
    assert not dom0.reply(op, b"/d\x000\0")[1].startswith(head)
    tx = dom0.start()
    dom0.ok(Op.MKDIR, b"/d/four\0", tx)
    assert dom0.reply(op, b"/d\x008\0", tx)[1].endswith(b"\0three\0four\0\0")
