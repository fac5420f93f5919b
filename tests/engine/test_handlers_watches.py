"""xsd.engine.handlers: WATCH, UNWATCH and RESET_WATCHES."""

import pytest

from tests.engine.support import OK, Client, event, guest_of
from xsd.engine import Engine
from xsd.protocol.errors import Errno
from xsd.protocol.ops import FEATURE_ERROR, Op

EINVAL, EEXIST, ENOENT = Errno.EINVAL, Errno.EEXIST, Errno.ENOENT


def write(client: Client, path: bytes) -> None:
    """WRITE of any value."""
    client.ok(Op.WRITE, path + b"\0v")


def watch(client: Client, path: bytes, token: bytes, *rest: bytes) -> None:
    """WATCH, which is answered first and then told its first event."""
    payload = b"".join([part + b"\0" for part in (path, token, *rest)])

    assert client.ask(Op.WATCH, payload) == [(Op.WATCH, OK), event(path, token)]


@pytest.mark.parametrize(
    "path", [b"/", b"/tool", b"/no/such/node", b"rel", b"@releaseDomain", b"@", b"@a b"]
)
@pytest.mark.parametrize("token", [b"t", b"", b"tok en\xff\x01"])
def test_first_event_has_path_and_token_as_they_were_given(
    engine: Engine, path: bytes, token: bytes
) -> None:
    """Whether or not the node exists, and whoever may read it."""
    for client in (Client(engine), guest_of(engine)):
        watch(client, path, token)
        assert client.reply(Op.UNWATCH, path + b"\0" + token + b"\0") == (
            Op.UNWATCH,
            OK,
        )


def test_bytes_after_the_last_nul_are_ignored(dom0: Client) -> None:
    """Strings are counted by their NULs, as by C."""
    assert dom0.ask(Op.WATCH, b"/a\0t\0x") == [(Op.WATCH, OK), event(b"/a", b"t")]
    assert dom0.reply(Op.UNWATCH, b"/a\0t\0x") == (Op.UNWATCH, OK)


def test_second_watch_with_same_path_and_token_is_eexist(dom0: Client) -> None:
    """The depth does not tell them apart; another token or connection does."""
    watch(dom0, b"/a", b"t")

    assert dom0.errno(Op.WATCH, b"/a\0t\0") is EEXIST
    assert dom0.errno(Op.WATCH, b"/a\0t\x001\0") is EEXIST
    watch(dom0, b"/a", b"u")
    watch(Client(dom0.engine), b"/a", b"t")


def test_relative_and_absolute_name_are_the_same_watch(dom0: Client) -> None:
    """The spelling of the first decides how events are told."""
    watch(dom0, b"rel", b"t")

    assert dom0.errno(Op.WATCH, b"/local/domain/0/rel\0t\0") is EEXIST
    write(other := Client(dom0.engine), b"rel/x")
    assert dom0.take() == [event(b"rel/x", b"t")]
    dom0.ok(Op.UNWATCH, b"/local/domain/0/rel\0t\0")
    write(other, b"rel/x")
    assert dom0.take() == []


def test_watches_are_told_in_the_order_of_registration(engine: Engine) -> None:
    """Of one path and of those above it."""
    reader, writer = Client(engine), Client(engine)
    for path in (b"/a/b", b"/", b"/a"):
        watch(reader, path, path)
    write(writer, b"/a/b")

    assert reader.take() == [
        event(b"/a/b", b"/a/b"),
        event(b"/a/b", b"/"),
        event(b"/a/b", b"/a"),
    ]


def test_second_of_three_watches_can_be_given_up(engine: Engine) -> None:
    """The others are told on."""
    reader, writer = Client(engine), Client(engine)
    for token in (b"1", b"2", b"3"):
        watch(reader, b"/a", token)
    reader.ok(Op.UNWATCH, b"/a\x002\0")
    write(writer, b"/a")

    assert reader.take() == [event(b"/a", b"1"), event(b"/a", b"3")]


def test_watch_of_the_root_sees_all_nodes_and_no_special_names(engine: Engine) -> None:
    """Those begin with an at sign, not with the root."""
    reader, writer = Client(engine), Client(engine)
    watch(reader, b"/", b"t")
    write(writer, b"/")
    write(writer, b"/a/b")
    writer.ok(Op.INTRODUCE, b"5\x001\x001\0")
    writer.ok(Op.SET_PERMS, b"@releaseDomain\0n0\0")

    assert reader.take() == [event(b"/", b"t"), event(b"/a/b", b"t")]


def test_depth_limits_what_is_told(engine: Engine) -> None:
    """Levels below the path of the watch; 0 is the node alone."""
    reader, writer = Client(engine), Client(engine)
    for depth in (b"0", b"1", b"2"):
        watch(reader, b"/a", depth, depth)
    told = {}
    for path in (b"/a", b"/a/b", b"/a/b/c", b"/a/b/c/d"):
        write(writer, path)
        told[path] = reader.take()

    assert told == {
        b"/a": [event(b"/a", token) for token in (b"0", b"1", b"2")],
        b"/a/b": [event(b"/a/b", token) for token in (b"1", b"2")],
        b"/a/b/c": [event(b"/a/b/c", b"2")],
        b"/a/b/c/d": [],
    }


def test_depth_is_einval_for_a_domain_that_is_not_offered_it(engine: Engine) -> None:
    """SET_FEATURE can hide it; before the path is looked at."""
    engine.connect(5)
    Client(engine).ok(Op.SET_FEATURE, b"5\0%d\0" % FEATURE_ERROR)
    guest = guest_of(engine, 5)

    assert guest.errno(Op.WATCH, b"/a/\0t\x001\0") is EINVAL
    assert guest.errno(Op.WATCH, b"/a\0t\x001\0") is EINVAL
    watch(guest, b"/a", b"t")
    watch(Client(engine), b"/a", b"t", b"1")


def test_guest_is_told_only_of_what_it_may_read(engine: Engine) -> None:
    """By the permissions of the node or of its parent (XSA-115)."""
    guest, dom0 = guest_of(engine, 5), Client(engine)
    dom0.ok(Op.WRITE, b"/open\0v")
    dom0.ok(Op.SET_PERMS, b"/open\0n0\0r5\0")
    watch(guest, b"/", b"t")
    write(dom0, b"/closed")
    write(dom0, b"/open")

    assert guest.take() == [event(b"/open", b"t")]


def test_guest_has_at_most_128_watches(engine: Engine) -> None:
    """ENOSPC for one more, until one is given up; dom0 as many as it likes."""
    guest, dom0 = guest_of(engine), Client(engine)
    for number in range(128):
        watch(guest, b"/a", b"%d" % number)
    for number in range(200):
        watch(dom0, b"/a", b"%d" % number)

    assert guest.errno(Op.WATCH, b"/a\0more\0") is Errno.ENOSPC
    guest.ok(Op.UNWATCH, b"/a\x0064\0")
    watch(guest, b"/a", b"more")
    assert guest.errno(Op.WATCH, b"/a\0more\0") is EEXIST


def test_refused_watch_leaves_nothing(engine: Engine) -> None:
    """It can be registered later, with another connection's number of watches."""
    guest, dom0 = guest_of(engine), Client(engine)
    engine.set_limit(1, "watches", 1)
    watch(guest, b"/a", b"t")
    assert guest.errno(Op.WATCH, b"/b\0t\0") is Errno.ENOSPC
    assert guest.errno(Op.UNWATCH, b"/b\0t\0") is ENOENT

    dom0.ok(Op.SET_QUOTA, b"1\0watches\x002\0")
    watch(guest, b"/b", b"t")


@pytest.mark.parametrize("payload", [b"", b"\0", b"any\0thing"])
def test_reset_watches_drops_watches_and_transactions(
    dom0: Client, payload: bytes
) -> None:
    """Whatever its payload; ids of transactions go on from the last one."""
    watch(dom0, b"/a", b"t")
    watch(dom0, b"@releaseDomain", b"t")
    tx = dom0.start()
    dom0.ok(Op.WRITE, b"/a\0v", tx)

    assert dom0.reply(Op.RESET_WATCHES, payload) == (Op.RESET_WATCHES, OK)
    assert dom0.errno(Op.TRANSACTION_END, b"T\0", tx) is ENOENT
    assert dom0.errno(Op.UNWATCH, b"/a\0t\0") is ENOENT
    assert dom0.errno(Op.READ, b"/a\0") is ENOENT
    assert dom0.start() == tx + 1


def test_reset_watches_inside_a_transaction_ends_it(engine: Engine) -> None:
    """With all others of the connection, and nothing is used after it (XSA-484)."""
    mine, other = Client(engine), Client(engine)
    watch(mine, b"/a", b"t")
    watch(other, b"/a", b"t")
    first, second = mine.start(), mine.start()
    mine.ok(Op.WRITE, b"/a\x001", first)
    mine.ok(Op.WRITE, b"/a\x002", second)

    assert mine.reply(Op.RESET_WATCHES, b"\0", first) == (Op.RESET_WATCHES, OK)
    assert mine.errno(Op.READ, b"/a\0", first) is ENOENT
    assert mine.errno(Op.TRANSACTION_END, b"T\0", second) is ENOENT
    assert engine.store.usage.transactions.of(0) == 0
    write(other, b"/a")
    assert mine.take() == []


def test_reset_watches_keeps_the_events_that_wait(engine: Engine) -> None:
    """They happened before; the stream must stay whole."""
    reader, writer = Client(engine), Client(engine)
    watch(reader, b"/a", b"t")
    write(writer, b"/a")

    assert reader.ask(Op.RESET_WATCHES) == [event(b"/a", b"t"), (Op.RESET_WATCHES, OK)]
