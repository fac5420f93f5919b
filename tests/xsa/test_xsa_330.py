"""XSA-330: watches that are reset and stay in some index."""

import gc
from collections.abc import Callable

import pytest

from tests.support.hosts import WAYS, Host, end_by
from tests.xsa.support import World
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.store.quota import DEFAULTS, WATCHES
from xsd.testing import Session

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
    world: World, hostile: Session, clear: Callable[[Session], None]
) -> None:
    """Of a change, a removal, a commit or the end of a domain."""
    watch_all(hostile)
    clear(hostile)
    world.play("""
        0 write ~1/a/b/c value; 0 start t1; t1 write ~1/a/b/c other; t1 commit -> OK
        0 rm ~1/a; 0 introduce 3 1 1; 0 release 3
    """)

    assert hostile.take() == []


def test_others_watches_outlast_a_reset(world: World) -> None:
    """Those at the same places, with the same tokens."""
    world.play("""
        watch ~1/a t; watch / u; 0 watch ~1/a t; 0 watch / u
        reset; watches -> 2
        write a; 0 hear -> ~1/a:t ~1/a:u
        rm a; 0 hear -> ~1/a:t ~1/a:u
    """)


@pytest.mark.parametrize("way", WAYS)
def test_watches_go_with_whoever_had_them(host: Host, way: str) -> None:
    """By whichever way a connection ends or begins anew."""
    before = host.counts()
    for _ in range(3):
        guest = host.guest(1)
        for path in PATHS:
            guest.watch(path, "t")
        assert host.watches() == len(PATHS)
        end_by(host, guest, way)
        assert host.watches() == 0
        if way != "kill":
            host.end(1)

        assert host.counts() == before
