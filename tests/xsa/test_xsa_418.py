"""XSA-418: a tree so deep that walking it takes more stack than there is."""

from collections.abc import Iterator
from typing import Final

import pytest

from tests.support.hosts import Host
from tests.xsa.support import World, home, shallow_stack
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.store.check import count_nodes
from xsd.store.quota import NODES, TRANSACTION_NODES
from xsd.testing import Session
from xsd.testing.session import OK, event

LEVELS: Final = 1024
"""Of a guest's longest path if each name is one letter: 2,047 bytes."""

DEEP: Final = b"/".join([b"d"] * LEVELS)

DEEPER: Final = b"/d" * 2000
"""Nearly as deep as a message can hold; only dom0 may use it."""


@pytest.fixture(autouse=True)
def little_stack(world: World) -> Iterator[None]:
    """Room for far fewer calls than there are levels."""
    world.limit(NODES, 2 * LEVELS)
    world.limit(TRANSACTION_NODES, 3 * LEVELS)
    with shallow_stack():
        yield


def test_a_guests_deepest_path_is_made_listed_and_removed(
    world: World, dom0: Session, hostile: Session
) -> None:
    """Level by level and all at once; all of it is counted."""
    hostile.ok(Op.WRITE, DEEP + b"\0value")
    assert world.nodes(1) == 1 + LEVELS
    assert hostile.reply(Op.READ, DEEP + b"\0") == (Op.READ, b"value")
    names, path = 0, b"d"
    while hostile.reply(Op.DIRECTORY, path + b"\0") != (Op.DIRECTORY, b""):
        names, path = names + 1, path + b"/d"
    assert names == LEVELS - 1
    hostile.ok(Op.RM, b"d\0")

    assert world.nodes(1) == 1
    dom0.ok(Op.CONTROL, b"check\0")


@pytest.mark.parametrize("others", [False, True])
def test_a_transaction_goes_as_deep(
    world: World, dom0: Session, hostile: Session, others: bool
) -> None:
    """Whether or not others have changed something before the commit."""
    with hostile.transaction() as number:
        hostile.ok(Op.WRITE, DEEP + b"\0value", number)
        if others:
            dom0.ok(Op.WRITE, b"/other\0value")
    assert world.nodes(1) == 1 + LEVELS
    with hostile.transaction() as number:
        hostile.ok(Op.RM, b"d\0", number)
        if others:
            dom0.ok(Op.WRITE, b"/other\0value")

    assert world.nodes(1) == 1


@pytest.mark.parametrize(("op", "path"), [(Op.READ, DEEP), (Op.RM, b"d/d")])
def test_a_conflict_is_found_at_the_bottom(
    dom0: Session, hostile: Session, op: int, path: bytes
) -> None:
    """However many levels lead there; who removed the tree had not seen the change."""
    hostile.ok(Op.WRITE, DEEP + b"\0value")
    number = hostile.start()
    hostile.ok(Op.WRITE, b"x\0value", number)
    hostile.get(op, path + b"\0", number)
    dom0.ok(Op.WRITE, home(1) + b"/" + DEEP + b"\0other")

    assert hostile.commit(number) is Errno.EAGAIN


def test_watches_as_deep_are_told(world: World, hostile: Session) -> None:
    """Of a change at the bottom, and of the removal of the top."""
    for path in (b"d", DEEP):
        hostile.ok(Op.WATCH, path + b"\0t\0")
    written = hostile.ask(Op.WRITE, DEEP + b"\0value")
    assert written == [event(DEEP, b"t"), (Op.WRITE, OK)]
    assert hostile.ask(Op.RM, b"d\0") == [
        event(DEEP, b"t"),
        event(b"d", b"t"),
        (Op.RM, OK),
    ]
    hostile.ok(Op.RESET_WATCHES, b"\0")

    assert world.store.watches.spots() == 1


def test_the_deepest_path_of_dom0_is_no_trouble(world: World, dom0: Session) -> None:
    """A message has room for twice as many levels as a guest may make."""
    watch_both(dom0)
    written = dom0.ask(Op.WRITE, DEEPER + b"\0value")
    assert written == [*CHANGED, (Op.WRITE, OK)]
    dom0.ok(Op.SET_PERMS, DEEPER + b"\0n0\0")
    assert dom0.get(Op.READ, DEEPER + b"\0") == b"value"
    assert dom0.get(Op.DIRECTORY, DEEPER[:-2] + b"\0") == b"d\0"
    assert count_nodes(world.store, (b"", b"d")) == 2000
    assert dom0.ask(Op.RM, b"/d\0") == [*REMOVED, (Op.RM, OK)]

    assert count_nodes(world.store, (b"", b"d")) == 0


CHANGED: Final = [event(DEEPER, b"root"), event(DEEPER, b"leaf")]

REMOVED: Final = [event(DEEPER, b"leaf"), event(b"/d", b"root")]


def watch_both(client: Session) -> None:
    """Watch the root and a leaf far below."""
    client.watch(b"/", b"root")
    client.watch(DEEPER, b"leaf")


@pytest.mark.parametrize("others", [False, True])
def test_commits_as_deep_are_told(dom0: Session, world: World, others: bool) -> None:
    """Made, changed, removed and made again, and removed."""
    watch_both(dom0)
    other = world.client()
    for requests, told in (
        ([(Op.WRITE, DEEPER + b"\0value")], CHANGED),
        ([(Op.SET_PERMS, DEEPER + b"\0r0\0")], CHANGED),
        ([(Op.RM, b"/d\0"), (Op.WRITE, DEEPER + b"\0other")], CHANGED),
        ([(Op.RM, b"/d\0")], [event(b"/d", b"root"), event(DEEPER, b"leaf")]),
    ):
        number = dom0.start()
        for request in requests:
            dom0.ok(*request, number)
        if others:
            other.ok(Op.WRITE, home(7) + b"/other\0")
            dom0.take()
        end = dom0.ask(Op.TRANSACTION_END, b"T\0", number)
        assert end == [*told, (Op.TRANSACTION_END, OK)]


def test_a_deep_tree_goes_with_its_domain(
    world: World, dom0: Session, hostile: Session
) -> None:
    """Its nodes are found and removed, and rights on others' nodes too."""
    hostile.ok(Op.WRITE, DEEP + b"\0value")
    dom0.ok(Op.WRITE, DEEPER + b"\0value")
    dom0.ok(Op.SET_PERMS, DEEPER + b"\0n1\0")
    dom0.ok(Op.SET_PERMS, DEEPER[:-2] + b"\0n0\0r1\0")
    dom0.watch(DEEPER)
    dom0.get(Op.RELEASE, b"1\0")

    assert dom0.events() == [(DEEPER, b"t")]
    assert world.nodes(1) == 0
    assert dom0.reply(Op.GET_PERMS, DEEPER[:-2] + b"\0") == (Op.GET_PERMS, b"n0\0")
    dom0.ok(Op.RM, b"/d\0")


def test_a_ring_carries_the_deepest_path(host: Host) -> None:
    """It is longer than the ring itself."""
    host.dom0.set_quota("nodes", 2 * LEVELS)
    guest = host.guest(1)
    guest.watch("d", "t")
    guest.write(DEEP, b"value")
    assert guest.read(DEEP) == b"value"
    with guest.transaction() as transaction:
        transaction.rm("d")

    assert host.nodes_of(1) == 1
