"""Rests: a guest that has asked for much work is left alone for a while."""

import pytest

from tests.engine.support import Client
from tests.xsa.support import guest_at_home, home
from xsd.engine import Engine
from xsd.engine.engine import EFFORT_FREE, EFFORT_PER_MS, REST_MAX_MS
from xsd.protocol.ops import Op


def path_of(levels: int) -> bytes:
    """A relative path of so many levels."""
    return b"/".join([b"x"] * levels)


def rest_of(guest: Client) -> int:
    """How long a guest rests, in milliseconds."""
    return guest.connection.rests_until_ms


@pytest.mark.parametrize("more", [0, EFFORT_PER_MS - 1, EFFORT_PER_MS, 500])
def test_a_rest_is_as_long_as_the_work_was_much(engine: Engine, more: int) -> None:
    """In proportion to the nodes and events beyond what is free."""
    guest = guest_at_home(engine, 1)
    guest.ok(Op.WRITE, path_of(EFFORT_FREE + more) + b"\0v")

    assert rest_of(guest) == more // EFFORT_PER_MS


def test_usual_requests_need_no_rest(engine: Engine) -> None:
    """However many there are: a driver's, and the commit of a device."""
    guest = guest_at_home(engine, 1)
    guest.ok(Op.WATCH, home(1) + b"\0t\0")
    for device in range(50):
        number = guest.start()
        for node in range(40):
            guest.ok(Op.WRITE, b"device/vif/%d/%d\0v" % (device, node % 15), number)
        guest.ok(Op.TRANSACTION_END, b"T\0", number)
        guest.ok(Op.RM, b"device/vif/%d\0" % device)

    assert rest_of(guest) == 0


def test_who_rests_is_served_afterwards(engine: Engine, dom0: Client) -> None:
    """Its requests wait and keep their order; others' are answered meanwhile."""
    guest, other = guest_at_home(engine, 1), guest_at_home(engine, 2)
    guest.ok(Op.WRITE, path_of(900) + b"\0v")
    until_ms = rest_of(guest)
    assert until_ms > 100
    frames = guest.frame(Op.WRITE, b"a\0v") + guest.frame(Op.READ, b"a\0")
    engine.receive(guest.connection, frames, until_ms - 1)

    assert guest.take() == []
    assert not engine.has_room(guest.connection)
    assert engine.held_until_ms == until_ms
    engine.look_at_clock(until_ms - 1)
    assert engine.take_ready() == []
    engine.receive(other.connection, other.frame(Op.READ, b"no\0"), until_ms - 1)
    assert len(other.take()) == 1
    dom0.ok(Op.WRITE, b"/a\0v")
    engine.look_at_clock(until_ms)
    assert engine.take_ready() == [guest.connection]
    engine.resume(guest.connection, until_ms)
    assert guest.take() == [(Op.WRITE, b"OK\0"), (Op.READ, b"v")]
    assert engine.held_until_ms == 0


def test_no_rest_is_longer_than_the_longest(engine: Engine) -> None:
    """A thousand nodes told to a hundred watches."""
    guest = guest_at_home(engine, 1)
    for number in range(20):
        guest.ok(Op.WATCH, home(1) + b"\0%d\0" % number)
    number = guest.start()
    for node in range(500):
        guest.ok(Op.MKDIR, b"%d\0" % node, number)
    before = rest_of(guest)
    guest.ok(Op.TRANSACTION_END, b"T\0", number)

    assert rest_of(guest) - before == REST_MAX_MS


def test_nodes_that_are_removed_are_less_work(engine: Engine) -> None:
    """Four of them as one that is made."""
    guest = guest_at_home(engine, 1)
    for node in range(900):
        guest.ok(Op.MKDIR, b"d/%d/%d\0" % (node // 100, node))
    assert rest_of(guest) == 0
    guest.ok(Op.RM, b"d\0")

    assert rest_of(guest) == (910 // 4 - EFFORT_FREE) // EFFORT_PER_MS


def test_privileged_clients_do_not_rest(engine: Engine, dom0: Client) -> None:
    """A toolstack removes whole domains."""
    dom0.ok(Op.WRITE, b"/" + path_of(900) + b"\0v")
    dom0.ok(Op.RM, b"/x\0")

    assert rest_of(dom0) == 0
    assert engine.has_room(dom0.connection)


def test_two_who_rest_are_woken_in_their_time(engine: Engine) -> None:
    """The one whose rest ends first, and then the other."""
    short, long = guest_at_home(engine, 1), guest_at_home(engine, 2)
    long.ok(Op.WRITE, path_of(900) + b"\0v")
    short.ok(Op.WRITE, path_of(400) + b"\0v")
    assert engine.held_until_ms == rest_of(short) < rest_of(long)
    engine.look_at_clock(rest_of(short))
    assert engine.take_ready() == [short.connection]

    assert engine.held_until_ms == rest_of(long)
    engine.look_at_clock(rest_of(long))
    assert engine.take_ready() == [long.connection]
