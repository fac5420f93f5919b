"""XSA-206: a guest writes all the time, so that others' transactions never commit."""

import threading
from typing import Final

import pytest

from tests.support.hosts import Host
from tests.xsa.support import World, home
from xsd.engine.engine import TURN
from xsd.engine.progress import PROTECT_AFTER, PROTECT_MS
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.ops import Op
from xsd.testing import Session
from xsd.testing.session import OK

SHARED: Final = b"/shared"

ATTEMPTS_MAX: Final = 20 * PROTECT_AFTER
"""Enough for a client that cannot make its requests in time again and again."""


@pytest.fixture
def writers(world: World, dom0: Session) -> list[Session]:
    """Three guests that may write into a node of dom0."""
    dom0.make(SHARED, b"b0")
    return [world.guest(domid) for domid in (1, 2, 3)]


def write_all(writers: list[Session]) -> None:
    """Have each write once more; what came of the last time is read."""
    for writer in writers:
        writer.take()
        writer.post(Op.WRITE, SHARED + b"\0value")


def attempt(client: Session, writers: list[Session]) -> bool:
    """Make a transaction, with others writing after each step; does it commit?"""
    number = client.start()
    write_all(writers)
    client.ask(Op.READ, SHARED + b"\0", number)
    write_all(writers)
    client.ask(Op.WRITE, SHARED + b"\0mine", number)
    write_all(writers)
    return client.ask(Op.TRANSACTION_END, b"T\0", number)[-1] == (7, OK)


def protect(client: Session, dom0: Session, path: bytes = b"data") -> int:
    """Have dom0 break a guest's transactions until one of them is protected."""
    for _ in range(PROTECT_AFTER):
        number = client.start()
        client.ask(Op.READ, path + b"\0", number)
        client.ask(Op.READ, b"data\0", number)
        dom0.ok(Op.WRITE, home(client.domid) + b"/data\0value")
        assert client.refused(Op.TRANSACTION_END, b"T\0", number) == Errno.EAGAIN
    number = client.start()
    client.ask(Op.READ, path + b"\0", number)
    return number


def test_dom0_commits_whatever_guests_write(
    dom0: Session, writers: list[Session]
) -> None:
    """After a bounded number of attempts, each time."""
    for _ in range(5):
        attempts = 1
        while not attempt(dom0, writers):
            attempts += 1
        assert attempts <= PROTECT_AFTER + 1
        write_all([])


def test_a_guest_commits_whatever_others_write(
    world: World, writers: list[Session]
) -> None:
    """Guests are protected from each other as dom0 is from them."""
    guest = world.guest(4)
    attempts = 1
    while not attempt(guest, writers):
        attempts += 1

    assert attempts <= PROTECT_AFTER + 1


def test_no_write_is_lost(dom0: Session, writers: list[Session]) -> None:
    """Those that had to wait are carried out when the transaction has ended."""
    while not attempt(dom0, writers):
        pass
    for writer in writers:
        writer.take()

        assert writer.unanswered == 0


def test_a_guest_does_not_hold_dom0_up(dom0: Session, hostile: Session) -> None:
    """However often its transactions fail."""
    number = protect(hostile, dom0)
    for _ in range(3):
        dom0.ok(Op.WRITE, home(1) + b"/data\0value")
    dom0.ok(Op.RM, home(1) + b"/data\0")

    assert hostile.refused(Op.TRANSACTION_END, b"T\0", number) == Errno.EAGAIN


@pytest.mark.parametrize("path", [b"", b"/data", b"/data/below", b"/new"])
def test_a_guest_holds_nobody_up_at_nodes_that_it_may_not_read(
    dom0: Session, hostile: Session, world: World, path: bytes
) -> None:
    """It can ask for them in its transaction, and is told nothing but EACCES."""
    protect(hostile, dom0, home(7) + path)

    assert world.bystander.is_served()


def test_a_request_waits_for_one_transaction_only(
    dom0: Session, writers: list[Session]
) -> None:
    """Guests that take turns at being protected do not make it wait for ever."""
    *hostile, victim = writers
    numbers = [protect(each, dom0, SHARED) for each in hostile]
    victim.post(Op.WRITE, SHARED + b"\0value")
    assert victim.take() == []
    hostile[0].ok(Op.TRANSACTION_END, b"F\0", numbers[0])
    hostile[1].ok(Op.TRANSACTION_END, b"F\0", numbers[1])
    protect(hostile[1], dom0, SHARED)

    assert victim.take() == [(Op.WRITE, OK)]
    victim.post(Op.WRITE, SHARED + b"\0value")
    assert victim.take() == []


def test_nobody_waits_longer_than_the_limit(
    world: World, dom0: Session, writers: list[Session]
) -> None:
    """Also if the transaction is never ended."""
    hostile, victim, _ = writers
    protect(hostile, dom0, SHARED)
    victim.post(Op.WRITE, SHARED + b"\0value")
    assert victim.take() == []
    world.xenstore.advance(PROTECT_MS - 1)
    assert victim.take() == []
    world.xenstore.advance(1)

    assert victim.take() == [(Op.WRITE, OK)]


@pytest.mark.parametrize("way", ["reset", "released", "introduced", "gone"])
def test_nobody_waits_for_a_transaction_that_is_gone(
    dom0: Session, writers: list[Session], way: str
) -> None:
    """By whatever it went: not until the time is over."""
    hostile, victim, _ = writers
    protect(hostile, dom0, SHARED)
    victim.post(Op.WRITE, SHARED + b"\0value")
    assert victim.take() == []
    if way == "reset":
        hostile.ok(Op.RESET_WATCHES, b"\0")
    elif way == "released":
        dom0.ok(Op.RELEASE, b"1\0")
    elif way == "introduced":
        dom0.ok(Op.INTRODUCE, b"1\x001\x001\0")
    else:
        hostile.close()

    assert victim.take() == [(Op.WRITE, OK)]


def test_who_has_sent_many_requests_is_not_forgotten(
    world: World, dom0: Session, writers: list[Session]
) -> None:
    """When others have had their turn, the next request is one that waits."""
    protected = world.client()
    for _ in range(PROTECT_AFTER):
        assert not attempt(protected, writers)
    number = protected.start()
    requests = [dom0.frame(Op.GET_DOMAIN_PATH, b"0\0") for _ in range(TURN)]
    dom0.send(b"".join([*requests, dom0.frame(Op.WRITE, SHARED + b"\0value")]))
    assert len(dom0.take()) == TURN
    assert dom0.take() == []
    protected.ok(Op.TRANSACTION_END, b"F\0", number)

    assert dom0.take() == [(Op.WRITE, OK)]


@pytest.mark.slow
def test_dom0_commits_beside_guests_that_write_without_pause(host: Host) -> None:
    """On rings, as fast as they can; the bystander is served meanwhile."""
    host.dom0.mkdir("/shared")
    host.dom0.set_permissions("/shared", ["b0"])
    guests = [host.guest(domid) for domid in (1, 2)]
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for guest in guests:
                guest.write("/shared", b"value")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        attempts = [commit(host) for _ in range(3)]
        assert host.is_served()
    finally:
        stop.set()
        thread.join()

    assert max(attempts) <= ATTEMPTS_MAX
    assert host.dom0.read("/mine") == b"3"


def commit(host: Host) -> int:
    """Add one to a number, having read what guests write; return the attempts."""
    for made in range(1, ATTEMPTS_MAX + 1):
        transaction = host.dom0.transaction()
        for _ in range(3):
            transaction.read("/shared")
        number = int(transaction.read("/mine")) if transaction.exists("/mine") else 0
        transaction.write("/mine", b"%d" % (number + 1))
        try:
            transaction.commit()
        except XenStoreError as error:
            if error.errno != Errno.EAGAIN:
                raise
        else:
            return made
    raise AssertionError("it never commits")
