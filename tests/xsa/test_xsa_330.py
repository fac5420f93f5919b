"""XSA-330: watches that are reset and stay in some index."""

import gc
from collections.abc import Callable

import pytest

from tests.engine.support import Client, event
from tests.xsa.hosts import Host, wait_ignored
from tests.xsa.support import Bystander, Counts, home, message_of
from xsd.engine import Engine
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.store.quota import DEFAULTS, WATCHES

LIMIT = DEFAULTS[WATCHES]

PATHS = [b"/", b"@releaseDomain", b"@releaseDomain/3", b"a", b"a/b/c", b"no/such/x"]


def watch_all(client: Client) -> None:
    """As many watches as a guest may have, in all places."""
    for number in range(LIMIT):
        path = PATHS[number % len(PATHS)]
        client.ok(Op.WATCH, path + b"\0t%d\0" % number)


def unwatch_all(client: Client) -> None:
    """Take them out one by one, the last first."""
    for number in reversed(range(LIMIT)):
        path = PATHS[number % len(PATHS)]
        client.ok(Op.UNWATCH, path + b"\0t%d\0" % number)


def reset(client: Client) -> None:
    """Take all of them out."""
    client.ok(Op.RESET_WATCHES, b"\0")


@pytest.mark.parametrize("clear", [reset, unwatch_all])
def test_watches_leave_nothing_however_often_they_come(
    engine: Engine,
    hostile: Client,
    bystander: Bystander,
    clear: Callable[[Client], None],
) -> None:
    """The quota is as free as before, and no more objects are there."""
    assert bystander.is_served()
    watch_all(hostile)
    clear(hostile)
    before = Counts(engine.store)
    gc.collect()
    objects = len(gc.get_objects())
    for _ in range(30):
        watch_all(hostile)
        assert hostile.errno(Op.WATCH, b"one/more\0t\0") == Errno.ENOSPC
        clear(hostile)

        assert Counts(engine.store) == before
    gc.collect()
    assert len(gc.get_objects()) - objects < LIMIT
    assert bystander.is_served()


@pytest.mark.parametrize("clear", [reset, unwatch_all])
def test_watches_that_are_gone_are_not_told(
    dom0: Client,
    hostile: Client,
    bystander: Bystander,
    clear: Callable[[Client], None],
) -> None:
    """Of a change, a removal, a commit or the end of a domain."""
    watch_all(hostile)
    clear(hostile)
    dom0.ok(Op.WRITE, home(1) + b"/a/b/c\0value")
    number = dom0.start()
    dom0.ok(Op.WRITE, home(1) + b"/a/b/c\0other", number)
    dom0.ok(Op.TRANSACTION_END, b"T\0", number)
    dom0.ok(Op.RM, home(1) + b"/a\0")
    dom0.ok(Op.INTRODUCE, b"3\x001\x001\0")
    dom0.ok(Op.RELEASE, b"3\0")

    assert hostile.take() == []
    assert bystander.is_served()


def test_others_watches_outlast_a_reset(
    dom0: Client, engine: Engine, hostile: Client, bystander: Bystander
) -> None:
    """Those at the same places, with the same tokens."""
    for client in (hostile, dom0):
        client.ok(Op.WATCH, b"/local/domain/1/a\0t\0")
        client.ok(Op.WATCH, b"/\0u\0")
    reset(hostile)

    assert engine.store.watches.count == 2
    for op in (Op.WRITE, Op.RM):
        hostile.ok(op, b"a\0")
        assert dom0.take() == [
            event(b"/local/domain/1/a", b"t"),
            event(b"/local/domain/1/a", b"u"),
        ]
    assert bystander.is_served()


@pytest.mark.parametrize("way", ["release", "kill", "offend", "introduce"])
def test_watches_go_with_whoever_had_them(host: Host, way: str) -> None:
    """By whichever way a connection ends or begins anew."""
    before = host.run(lambda: Counts(host.engine.store))
    for _ in range(3):
        guest = host.guest(1)
        for path in PATHS:
            guest.watch(path, "t")
        if way == "offend":
            guest.send_bytes(message_of(5000))
            wait_ignored(guest, 3)
        elif way == "introduce":
            host.dom0.introduce(1, 1, guest.port)
        if way != "kill":
            assert host.run(lambda: host.engine.store.watches.count) == (
                len(PATHS) if way == "release" else 0
            )
        if way == "release":
            host.dom0.release(1)
        host.end(1)

        assert host.run(lambda: Counts(host.engine.store)) == before
    assert host.is_served()
