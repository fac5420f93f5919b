"""xsd.engine.handlers: what each request does, through whole frames."""

from itertools import product

import pytest

from tests.engine.script import play
from tests.engine.support import Client, guest_of
from xsd.engine import Engine
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op

EINVAL, ENOENT = Errno.EINVAL, Errno.ENOENT

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
    Op.TRANSACTION_END: b"|\0|T|F|X\0|t\0|T\0x|T\0F\0",
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


SPECIAL_NAMES = [b"@", b"@releaseDomain", b"@releaseDomain/5", b"@x"]
"""Only watches and permissions know them."""


@pytest.mark.parametrize(
    ("op", "path"),
    [*product([*PLAIN, *SPECIAL], NO_PATHS), *product(PLAIN, SPECIAL_NAMES)],
)
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
            client.ok(Op.TRANSACTION_END, b"T\0", tx)


LONGEST = "/" + "x" * 2047

RULES: dict[str, str] = {
    # The domain's home is not counted.
    "path over 2048 bytes is einval for a guest and not for dom0": f"""
        1 read {LONGEST} -> EACCES; 1 read {LONGEST}x -> EINVAL
        1 read /local/domain/1{LONGEST} -> EACCES; 1 watch @{LONGEST} t -> EINVAL
        read {LONGEST}x -> ENOENT; write /{"x" * 4094}""",
    "any bytes are written and read, up to a payload less the path": f"""
        write /a; read /a -> ''; write /a \0; read /a -> ,
        write /a a\0b\xff; read /a -> a,b\xff
        write /a {"x" * 4093}; read /a -> {"x" * 4093}""",
    "relative path is below the home of the client's domain": """
        write name zero; write /local/domain/7; perms /local/domain/7 n7
        7 write name seven; read /local/domain/0/name -> zero
        read /local/domain/7/name -> seven; 7 read name -> seven""",
    "special name that does not exist has no permissions": "\n".join(
        f"{request} -> ENOENT"
        for name in ("@", "@x", "@a/b", "@releaseDomain/5")
        for request in (f"get_perms {name}", f"perms {name} n0", f"unwatch {name} t")
    ),
    # The order of checks of C (do_set_perms).
    "set_perms looks at entries, then the owner, then the path": """
        perms @x x7 -> EINVAL; perms @x n7 -> ENOENT; perms /a/ n7 -> ENOENT
        perms /a/ n0 -> EINVAL; perms /no n0 -> ENOENT""",
    # Before a malformed entry, owner or path (measured on C).
    "too many permissions of a guest come first": """
        1 perms a n1 r1 r2 r3 r4 r5 -> ENOSPC; 1 perms a x1 r1 r2 r3 r4 r5 -> ENOSPC
        1 perms a n77 r1 r2 r3 r4 r5 -> ENOSPC; 1 perms a/ n1 r1 r2 r3 r4 r5 -> ENOSPC
    """,
    # A NUL more at the end; the generation is that of the directory.
    "directory_part has generation and names from the offset": """
        mkdir /d/one; mkdir /d/two; directory_part /d 0 -> 9,one,two,,
        directory_part /d 4 -> 9,two,,; directory_part /d 8 -> 9,,
        directory_part /d -1 -> 9,,; directory_part /no 0 -> ENOENT
        start -> 1,; t1 rm /d; t1 directory_part /d 0 -> ENOENT""",
    # C ends with a null pointer here, since a socket has no domain.
    "domid_any from a socket is for every domain": """
        write /a v; 9 read /a -> EACCES; perms /a n0 r32757; get_perms /a -> n0,r32757,
        9 read /a -> v; 9 write /a v -> EACCES; perms /a n0 b32757
        get_perms /a -> n0,b32757,; 9 read /a -> v""",
    "domid_any may own a node, and every domain has all rights then": """
        write /a v; perms /a n32757; 9 write /a w; read /a -> w""",
    "requests in a transaction see it and others do not": """
        a watch /a t -> OK /a:t; start -> 1,; t1 write /a/x 1; t1 mkdir /a/y
        t1 mkdir /a/z; t1 rm /a/z; t1 perms /a/x n0 r5; t1 read /a/x -> 1
        t1 directory /a -> x,y,; t1 get_perms /a/x -> n0,r5,; read /a/x -> ENOENT
        a hear -> -; t1 end T; a hear -> /a/x:t /a/y:t; a get_perms /a/x -> n0,r5,""",
    "refused request does not spoil its transaction (measured on C)": """
        start -> 1,; t1 read /bad␣path -> EINVAL; t1 rm / -> EINVAL; t1 end X -> EINVAL
        t1 write /a v; t1 end T; read /a -> v""",
    "discarded transaction leaves nothing, and its id is unknown then": """
        watch / t -> OK /:t; start -> 1,; t1 write /a v; t1 end F; read /a -> ENOENT
        t1 end F -> ENOENT""",
    # The client begins anew with another id.
    "conflict is eagain and the transaction is gone": """
        start -> 1,; t1 read /tool -> ''; write /tool v; t1 end T -> EAGAIN
        t1 end T -> ENOENT; start -> 2,""",
    "end without a transaction is enoent, after a look at what to do": """
        end T -> ENOENT; end F -> ENOENT; end X -> EINVAL""",
    "payload of transaction_start does not matter": """
        start -> 1,; start '' -> 2,; start ~x -> 3,; start abc def -> 4,""",
    "an id is not used by what is refused for a quota": """
        limit 1 transactions 1; 1 start -> 1,; 1 start -> ENOSPC; 1 t1 end F
        1 start -> 2,""",
    "transactions do not nest, and the one that is open goes on": """
        start -> 1,; t1 start -> EBUSY; t1 end T""",
}


@pytest.mark.parametrize("rule", RULES)
def test_nodes_and_transactions(engine: Engine, rule: str) -> None:
    """Each rule as the script that shows it."""
    play(engine, RULES[rule])
