"""XSA-330: watches that are reset and stay in some index."""

import gc
from collections.abc import Callable

import pytest

from tests.support.hosts import Host, wait_ignored
from tests.xsa.support import World, home, message_of
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.store.quota import DEFAULTS, WATCHES
from xsd.testing import Session
from xsd.testing.session import event

LIMIT = DEFAULTS[WATCHES]

PATHS = [b"/", b"@releaseDomain", b"@releaseDomain/3", b"a", b"a/b/c", b"no/such/x"]


def watch_all(client: Session) -> None:
    """As many watches as a guest may have, in all places."""
    for number in range(LIMIT):
        path = PATHS[number % len(PATHS)]
        client.ok(Op.WATCH, path + b"\0t%d\0" % number)


def unwatch_all(client: Session) -> None:
    """Take them out one by one, the last first."""
    for number in reversed(range(LIMIT)):
        path = PATHS[number % len(PATHS)]
        client.ok(Op.UNWATCH, path + b"\0t%d\0" % number)


def reset(client: Session) -> None:
    """Take all of them out."""
    client.ok(Op.RESET_WATCHES, b"\0")


@pytest.mark.parametrize("clear", [reset, unwatch_all])
def test_watches_leave_nothing_however_often_they_come(
    world: World, hostile: Session, clear: Callable[[Session], None]
) -> None:
    """The quota is as free as before, and no more objects are there."""
    world.stop_tape()
    watch_all(hostile)
    clear(hostile)
    before = world.counts()
    gc.collect()
    objects = len(gc.get_objects())
    for _ in range(30):
        watch_all(hostile)
        assert hostile.refused(Op.WATCH, b"one/more\0t\0") == Errno.ENOSPC
        clear(hostile)

        assert world.counts() == before
    gc.collect()
    assert len(gc.get_objects()) - objects < LIMIT


@pytest.mark.parametrize("clear", [reset, unwatch_all])
def test_watches_that_are_gone_are_not_told(
    dom0: Session, hostile: Session, clear: Callable[[Session], None]
) -> None:
    """Of a change, a removal, a commit or the end of a domain."""
    watch_all(hostile)
    clear(hostile)
    dom0.ok(Op.WRITE, home(1) + b"/a/b/c\0value")
    with dom0.transaction() as number:
        dom0.ok(Op.WRITE, home(1) + b"/a/b/c\0other", number)
    dom0.ok(Op.RM, home(1) + b"/a\0")
    dom0.ok(Op.INTRODUCE, b"3\x001\x001\0")
    dom0.ok(Op.RELEASE, b"3\0")

    assert hostile.take() == []


def test_others_watches_outlast_a_reset(
    dom0: Session, world: World, hostile: Session
) -> None:
    """Those at the same places, with the same tokens."""
    for client in (hostile, dom0):
        client.ok(Op.WATCH, b"/local/domain/1/a\0t\0")
        client.ok(Op.WATCH, b"/\0u\0")
    reset(hostile)

    assert world.store.watches.count == 2
    for op in (Op.WRITE, Op.RM):
        hostile.ok(op, b"a\0")
        assert dom0.take() == [
            event(b"/local/domain/1/a", b"t"),
            event(b"/local/domain/1/a", b"u"),
        ]


@pytest.mark.parametrize("way", ["release", "kill", "offend", "introduce"])
def test_watches_go_with_whoever_had_them(host: Host, way: str) -> None:
    """By whichever way a connection ends or begins anew."""
    before = host.counts()
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
            assert host.watches() == (len(PATHS) if way == "release" else 0)
        if way == "release":
            host.dom0.release(1)
        host.end(1)

        assert host.counts() == before
