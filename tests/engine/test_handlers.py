"""xsd.engine.handlers: what each request does, through whole frames."""

import pytest

from tests.engine.support import OK, Client, event, guest_of, refusal
from xsd.engine import Engine
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op

EINVAL, EACCES, EEXIST = Errno.EINVAL, Errno.EACCES, Errno.EEXIST
ENOENT, ENOSPC, EBUSY = Errno.ENOENT, Errno.ENOSPC, Errno.EBUSY

MALFORMED: list[tuple[Op, bytes]] = [
    *[
        (op, payload)
        for op in (Op.DIRECTORY, Op.READ, Op.GET_PERMS, Op.MKDIR, Op.RM)
        for payload in (b"", b"\0", b"/a", b"/a\0x", b"/a\0x\0", b"/a\0\0")
    ],
    *[
        (op, payload)
        for op in (
            Op.RELEASE,
            Op.RESUME,
            Op.IS_DOMAIN_INTRODUCED,
            Op.GET_DOMAIN_PATH,
        )
        for payload in (
            b"",
            b"\0",
            b"5",
            b"5\0x",
            b"5\0x\0",
            b"x\0",
            b"-1\0",
            b"65536\0",
        )
    ],
    *[(Op.WRITE, payload) for payload in (b"", b"/a", b"\0v")],
    *[
        (Op.WATCH, payload)
        for payload in (
            b"",
            b"\0",
            b"/a\0",
            b"/a\0t",
            b"/a\0t\0-1\0",
            b"/a\0t\x001\0x\0",
        )
    ],
    *[
        (Op.UNWATCH, payload)
        for payload in (b"", b"\0", b"/a\0", b"/a\0t", b"/a\0t\0x\0", b"/a\0t\0\0")
    ],
    *[
        (Op.TRANSACTION_END, payload)
        for payload in (b"", b"\0", b"T", b"F", b"X\0", b"t\0", b"T\0x", b"T\0F\0")
    ],
    *[
        (Op.INTRODUCE, payload)
        for payload in (
            b"",
            b"7\0",
            b"7\x001\0",
            b"7\x001\x002",
            b"7\x001\x000\0",
            b"7\x001\0-1\0",
            b"7\x001\0x\0",
            b"x\x001\x002\0",
            b"65536\x001\x002\0",
            b"32752\x001\x002\0",
            b"32757\x001\x002\0",
        )
    ],
    *[
        (Op.SET_PERMS, payload)
        for payload in (
            b"",
            b"/a\0",
            b"/a\0n0",
            b"/a\0\0",
            b"/a\0n0\0\0",
            b"/a\0x0\0",
            b"/a\0n\0",
            b"/a\0n0\0r08\0",
        )
    ],
    *[
        (Op.SET_TARGET, payload)
        for payload in (b"", b"5\0", b"5\x006", b"5\0x\0", b"x\x005\0")
    ],
    *[
        (Op.DIRECTORY_PART, payload)
        for payload in (b"", b"/\0", b"/\x000", b"/\x000\0x\0", b"\x000\0")
    ],
    *[(Op.GET_FEATURE, payload) for payload in (b"\0", b"x\0", b"0\0x\0", b"65536\0")],
    *[
        (Op.SET_FEATURE, payload)
        for payload in (b"", b"5\0", b"5\x000", b"x\x000\0", b"5\x000\x000\0")
    ],
    *[(Op.GET_QUOTA, payload) for payload in (b"\0", b"no\0", b"x\0nodes\0", b"0\0\0")],
    *[
        (Op.SET_QUOTA, payload)
        for payload in (
            b"",
            b"nodes\0",
            b"nodes\x005",
            b"no\x005\0",
            b"nodes\x004294967295\0",
            b"x\0nodes\x005\0",
        )
    ],
]


@pytest.mark.parametrize(("op", "payload"), MALFORMED)
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
NO_PATHS = [
    b"/local/domain/",
    b"//",
    b"///",
    b"/a/",
    b"a/",
    b"/a//b",
    b"",
    b"/a b",
    b"/a.b",
    b"../a",
    b"/a:b",
    b"/\xc3\xa9",
    b"/a\n",
]


@pytest.mark.parametrize("op", [*PLAIN, *SPECIAL])
@pytest.mark.parametrize("path", NO_PATHS)
@pytest.mark.parametrize("where", ["outside", "inside"])
def test_what_is_no_path_is_einval(
    engine: Engine, op: Op, path: bytes, where: str
) -> None:
    """From a guest too, and in a transaction, which goes on (XSA-481)."""
    for client in (Client(engine), guest_of(engine)):
        # A guest may not name dom0 as the owner; that comes after the path.
        tx = client.start() if where == "inside" else 0

        assert client.errno(op, naming(op, path), tx) is EINVAL
        assert client.errno(op, naming(op, path), tx) is EINVAL
        if tx:
            client.ok(Op.TRANSACTION_END, b"T\0", tx)


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
    assert dom0.errno(Op.GET_PERMS, naming(Op.GET_PERMS, path)) is ENOENT
    assert dom0.errno(Op.SET_PERMS, naming(Op.SET_PERMS, path)) is ENOENT
    assert dom0.errno(Op.UNWATCH, naming(Op.UNWATCH, path)) is ENOENT
    assert dom0.ask(Op.WATCH, path + b"\0t\0") == [(Op.WATCH, OK), event(path, b"t")]
    assert dom0.reply(Op.UNWATCH, path + b"\0t\0") == (Op.UNWATCH, OK)


def test_path_over_the_limit_is_einval_for_a_guest(engine: Engine) -> None:
    """2,048 bytes by default, the domain's home not counted; not for dom0."""
    guest, dom0 = guest_of(engine), Client(engine)
    longest = b"/" + b"x" * 2047

    assert guest.errno(Op.READ, longest + b"\0") is EACCES
    assert guest.errno(Op.READ, longest + b"x\0") is EINVAL
    assert guest.errno(Op.READ, b"/local/domain/1" + longest + b"\0") is EACCES
    assert guest.errno(Op.WATCH, b"@" + longest + b"\0t\0") is EINVAL
    assert dom0.errno(Op.READ, longest + b"x\0") is ENOENT
    assert dom0.reply(Op.WRITE, b"/" + b"x" * 4094 + b"\0") == (Op.WRITE, OK)


def test_value_is_written_and_read(dom0: Client) -> None:
    """Any bytes, up to a payload less the path."""
    for value in (b"", b"\0", b"a\0b\xff", b"x" * 4093):
        dom0.ok(Op.WRITE, b"/a\0" + value)

        assert dom0.reply(Op.READ, b"/a\0") == (Op.READ, value)


def test_relative_path_is_below_the_clients_home(engine: Engine) -> None:
    """For dom0 and its tools that is /local/domain/0."""
    guest, dom0 = guest_of(engine, 7), Client(engine)
    dom0.ok(Op.WRITE, b"name\0zero")
    dom0.ok(Op.WRITE, b"/local/domain/7\0")
    dom0.ok(Op.SET_PERMS, b"/local/domain/7\0n7\0")
    guest.ok(Op.WRITE, b"name\0seven")

    assert dom0.reply(Op.READ, b"/local/domain/0/name\0") == (Op.READ, b"zero")
    assert dom0.reply(Op.READ, b"/local/domain/7/name\0") == (Op.READ, b"seven")
    assert guest.reply(Op.READ, b"name\0") == (Op.READ, b"seven")


def test_names_of_children_are_listed_in_the_order_of_creation(dom0: Client) -> None:
    """DIRECTORY; each with a NUL."""
    for path in (b"/d/b", b"/d/a", b"/d/c/x"):
        dom0.ok(Op.MKDIR, path + b"\0")

    assert dom0.reply(Op.DIRECTORY, b"/d\0") == (Op.DIRECTORY, b"b\0a\0c\0")
    assert dom0.reply(Op.DIRECTORY, b"/d/a\0") == (Op.DIRECTORY, b"")
    assert dom0.errno(Op.DIRECTORY, b"/d/no\0") is ENOENT


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
    assert dom0.reply(op, b"/d\x008\0") == (op, head + b"\0")
    assert dom0.reply(op, b"/d\0-1\0") == (op, head + b"\0")
    assert dom0.errno(op, b"/no\x000\0") is ENOENT
    dom0.ok(Op.MKDIR, b"/d/three\0")
    assert not dom0.reply(op, b"/d\x000\0")[1].startswith(head)


def test_mkdir_of_an_existing_node_changes_nothing(dom0: Client) -> None:
    """OK and no event."""
    dom0.ask(Op.WATCH, b"/a\0t\0")
    assert dom0.ask(Op.MKDIR, b"/a\0") == [event(b"/a", b"t"), (Op.MKDIR, OK)]
    dom0.ok(Op.WRITE, b"/a\0v")

    assert dom0.reply(Op.MKDIR, b"/a\0") == (Op.MKDIR, OK)
    assert dom0.reply(Op.READ, b"/a\0") == (Op.READ, b"v")


def test_rm_of_the_root_is_einval(dom0: Client) -> None:
    """So nobody can empty the store."""
    assert dom0.errno(Op.RM, b"/\0") is EINVAL
    assert dom0.reply(Op.READ, b"/tool/xenstored\0") == (Op.READ, b"")


def test_rm_of_a_missing_node_needs_its_parent(dom0: Client) -> None:
    """With the parent it is OK without event, without it ENOENT."""
    dom0.ask(Op.WATCH, b"/\0t\0")

    assert dom0.reply(Op.RM, b"/no\0") == (Op.RM, OK)
    assert dom0.errno(Op.RM, b"/no/no\0") is ENOENT


def test_rm_tells_watches_below_from_the_leaves_up(dom0: Client) -> None:
    """Each its own path; the one above is told the top."""
    dom0.ok(Op.WRITE, b"/a/b/c\0v")
    dom0.ask(Op.WATCH, b"/a/b/c\0low\0")
    dom0.ask(Op.WATCH, b"/a\0high\0")

    assert dom0.ask(Op.RM, b"/a/b\0") == [
        event(b"/a/b/c", b"low"),
        event(b"/a/b", b"high"),
        (Op.RM, OK),
    ]


def test_permissions_are_set_and_shown(dom0: Client) -> None:
    """GET_PERMS shows the list as it was given; SET_PERMS tells watches."""
    dom0.ok(Op.WRITE, b"/a\0v")
    dom0.ask(Op.WATCH, b"/a\0t\0")

    assert dom0.ask(Op.SET_PERMS, b"/a\0n0\0r5\0b7\0") == [
        event(b"/a", b"t"),
        (Op.SET_PERMS, OK),
    ]
    assert dom0.reply(Op.GET_PERMS, b"/a\0") == (Op.GET_PERMS, b"n0\0r5\0b7\0")
    assert dom0.errno(Op.GET_PERMS, b"/no\0") is ENOENT
    assert dom0.errno(Op.SET_PERMS, b"/no\0n0\0") is ENOENT


def test_permissions_of_special_names(dom0: Client) -> None:
    """The two that exist have them, also inside a transaction."""
    text = b"n0\0r32757\0"
    assert dom0.reply(Op.GET_PERMS, b"@introduceDomain\0") == (Op.GET_PERMS, b"n0\0")
    assert dom0.reply(Op.GET_PERMS, b"@releaseDomain\0") == (Op.GET_PERMS, text)

    tx = dom0.start()
    dom0.ok(Op.SET_PERMS, b"@releaseDomain\0n0\0r5\0", tx)
    assert dom0.reply(Op.GET_PERMS, b"@releaseDomain\0", tx)[1] == b"n0\0r5\0"
    assert dom0.reply(Op.GET_PERMS, b"@releaseDomain\0")[1] == text
    dom0.ok(Op.TRANSACTION_END, b"T\0", tx)
    assert dom0.reply(Op.GET_PERMS, b"@releaseDomain\0")[1] == b"n0\0r5\0"


@pytest.mark.parametrize(
    ("payload", "errno"),
    [
        (b"@x\0x7\0", EINVAL),
        (b"@x\0n7\0", ENOENT),
        (b"/a/\0n7\0", ENOENT),
        (b"/a/\0n0\0", EINVAL),
        (b"/no\0n0\0", ENOENT),
    ],
)
def test_set_perms_looks_at_entries_then_owner_then_path(
    dom0: Client, payload: bytes, errno: Errno
) -> None:
    """The order of checks of C (do_set_perms)."""
    assert dom0.errno(Op.SET_PERMS, payload) is errno


def test_too_many_permissions_of_a_guest_come_first(engine: Engine) -> None:
    """ENOSPC before a malformed entry, owner or path (measured on C)."""
    guest = guest_of(engine)
    too_many = b"r1\0r2\0r3\0r4\0r5\0"

    for first in (b"a\0n1\0", b"a\0x1\0", b"a\0n77\0", b"a/\0n1\0"):
        assert guest.errno(Op.SET_PERMS, first + too_many) is ENOSPC


def test_guest_may_not_give_its_node_away(engine: Engine) -> None:
    """EPERM, so that nobody pays for what others made (XSA-352)."""
    guest, dom0 = guest_of(engine), Client(engine)
    dom0.ok(Op.WRITE, b"/a\0")
    dom0.ok(Op.SET_PERMS, b"/a\0n1\0")

    assert guest.errno(Op.SET_PERMS, b"/a\0n0\0") is Errno.EPERM
    assert guest.reply(Op.SET_PERMS, b"/a\0b1\0r0\0") == (Op.SET_PERMS, OK)


@pytest.mark.parametrize("entry", [b"r32757", b"b32757"])
def test_domid_any_from_a_socket_is_for_every_domain(
    engine: Engine, entry: bytes
) -> None:
    """C ends with a null pointer here, since a socket has no domain."""
    guest, dom0 = guest_of(engine, 9), Client(engine)
    dom0.ok(Op.WRITE, b"/a\0v")
    assert guest.errno(Op.READ, b"/a\0") is EACCES

    assert dom0.reply(Op.SET_PERMS, b"/a\0n0\0" + entry + b"\0") == (Op.SET_PERMS, OK)
    assert dom0.reply(Op.GET_PERMS, b"/a\0")[1] == b"n0\0" + entry + b"\0"
    assert guest.reply(Op.READ, b"/a\0") == (Op.READ, b"v")


def test_domid_any_may_own_a_node_that_a_socket_client_gives_away(
    engine: Engine,
) -> None:
    """Every domain then has all rights to it."""
    guest, dom0 = guest_of(engine, 9), Client(engine)
    dom0.ok(Op.WRITE, b"/a\0v")
    dom0.ok(Op.SET_PERMS, b"/a\0n32757\0")

    assert guest.reply(Op.WRITE, b"/a\0w") == (Op.WRITE, OK)
    assert dom0.reply(Op.READ, b"/a\0") == (Op.READ, b"w")


def test_guest_is_not_told_what_it_may_not_know(engine: Engine) -> None:
    """ENOENT is only for those who may read the nearest node there is."""
    guest, dom0 = guest_of(engine), Client(engine)
    dom0.ok(Op.WRITE, b"/open\0")
    dom0.ok(Op.SET_PERMS, b"/open\0r0\0")

    assert guest.errno(Op.READ, b"/closed/x\0") is EACCES
    assert guest.errno(Op.READ, b"/open/x\0") is ENOENT
    assert guest.errno(Op.WRITE, b"/open/x\0v") is EACCES
    assert guest.errno(Op.READ, b"/tool\0") is EACCES


def test_requests_in_a_transaction_see_it_and_others_do_not(engine: Engine) -> None:
    """All node requests take part in it."""
    mine, other = Client(engine), Client(engine)
    other.ask(Op.WATCH, b"/a\0t\0")
    tx = mine.start()
    mine.ok(Op.WRITE, b"/a/x\x001", tx)
    mine.ok(Op.MKDIR, b"/a/y\0", tx)
    mine.ok(Op.MKDIR, b"/a/z\0", tx)
    mine.ok(Op.RM, b"/a/z\0", tx)
    mine.ok(Op.SET_PERMS, b"/a/x\0n0\0r5\0", tx)

    assert mine.reply(Op.READ, b"/a/x\0", tx) == (Op.READ, b"1")
    assert mine.reply(Op.DIRECTORY, b"/a\0", tx) == (Op.DIRECTORY, b"x\0y\0")
    assert mine.reply(Op.DIRECTORY_PART, b"/a\x002\0", tx)[1].endswith(b"\0y\0\0")
    assert mine.reply(Op.GET_PERMS, b"/a/x\0", tx)[1] == b"n0\0r5\0"
    assert mine.errno(Op.READ, b"/a/x\0") is ENOENT
    assert other.take() == []
    assert mine.reply(Op.TRANSACTION_END, b"T\0", tx) == (Op.TRANSACTION_END, OK)
    assert other.take() == [event(b"/a/x", b"t"), event(b"/a/y", b"t")]
    assert other.reply(Op.GET_PERMS, b"/a/x\0")[1] == b"n0\0r5\0"


def test_refused_request_does_not_spoil_its_transaction(dom0: Client) -> None:
    """It can go on and commit (measured on C)."""
    tx = dom0.start()
    dom0.errno(Op.READ, b"/bad path\0", tx)
    dom0.errno(Op.RM, b"/\0", tx)
    dom0.errno(Op.TRANSACTION_END, b"X\0", tx)
    dom0.ok(Op.WRITE, b"/a\0v", tx)

    assert dom0.reply(Op.TRANSACTION_END, b"T\0", tx) == (Op.TRANSACTION_END, OK)
    assert dom0.reply(Op.READ, b"/a\0") == (Op.READ, b"v")


def test_discarded_transaction_leaves_nothing(dom0: Client) -> None:
    """TRANSACTION_END F: no change, no event, and its id is unknown then."""
    dom0.ask(Op.WATCH, b"/\0t\0")
    tx = dom0.start()
    dom0.ok(Op.WRITE, b"/a\0v", tx)

    assert dom0.reply(Op.TRANSACTION_END, b"F\0", tx) == (Op.TRANSACTION_END, OK)
    assert dom0.errno(Op.READ, b"/a\0") is ENOENT
    assert dom0.errno(Op.TRANSACTION_END, b"F\0", tx) is ENOENT


def test_conflict_is_eagain_and_the_transaction_is_gone(dom0: Client) -> None:
    """The client begins anew with another id."""
    tx = dom0.start()
    dom0.reply(Op.READ, b"/tool\0", tx)
    dom0.ok(Op.WRITE, b"/tool\0v")

    assert dom0.errno(Op.TRANSACTION_END, b"T\0", tx) is Errno.EAGAIN
    assert dom0.errno(Op.TRANSACTION_END, b"T\0", tx) is ENOENT
    assert dom0.start() == tx + 1


def test_transaction_end_without_a_transaction_is_enoent(dom0: Client) -> None:
    """Id 0 is none; what to do is looked at before."""
    assert dom0.errno(Op.TRANSACTION_END, b"T\0") is ENOENT
    assert dom0.errno(Op.TRANSACTION_END, b"F\0") is ENOENT
    assert dom0.errno(Op.TRANSACTION_END, b"X\0") is EINVAL


@pytest.mark.parametrize("payload", [b"", b"\0", b"x", b"abc\0def\0"])
def test_payload_of_transaction_start_does_not_matter(
    dom0: Client, payload: bytes
) -> None:
    """The reply is the new id."""
    assert dom0.reply(Op.TRANSACTION_START, payload) == (Op.TRANSACTION_START, b"1\0")
    assert dom0.reply(Op.TRANSACTION_START, payload) == (Op.TRANSACTION_START, b"2\0")


def test_transactions_do_not_nest(dom0: Client) -> None:
    """EBUSY, and the transaction goes on."""
    tx = dom0.start()

    assert dom0.errno(Op.TRANSACTION_START, b"\0", tx) is EBUSY
    assert dom0.reply(Op.TRANSACTION_END, b"T\0", tx) == (Op.TRANSACTION_END, OK)


def test_guest_has_at_most_10_transactions(engine: Engine) -> None:
    """Over all its connections; dom0 as many as it likes."""
    guest, dom0 = guest_of(engine), Client(engine)
    for _ in range(10):
        guest.start()
    for _ in range(20):
        dom0.start()

    assert guest.errno(Op.TRANSACTION_START, b"\0") is ENOSPC
    guest.ok(Op.TRANSACTION_END, b"F\0", 3)
    assert guest.start() == 11


def test_second_unwatch_and_unknown_watch_are_refused(dom0: Client) -> None:
    """A watch is known by its path and token together."""
    dom0.ask(Op.WATCH, b"/a\0t\0")

    assert dom0.errno(Op.UNWATCH, b"/a\0u\0") is ENOENT
    assert dom0.errno(Op.UNWATCH, b"/b\0t\0") is ENOENT
    assert dom0.reply(Op.UNWATCH, b"/a\0t\0") == (Op.UNWATCH, OK)
    assert dom0.errno(Op.UNWATCH, b"/a\0t\0") is ENOENT
    assert refusal(ENOENT) == dom0.reply(Op.UNWATCH, b"@no\0t\0")
