"""XSA-206: a guest writes all the time, so that others' transactions never commit."""

import threading
from typing import Final

import pytest

from tests.engine.support import OK, Client
from tests.xsa.hosts import Host
from tests.xsa.support import Bystander, guest_at_home, home
from xsd.engine import Engine
from xsd.engine.engine import TURN
from xsd.engine.progress import PROTECT_AFTER, PROTECT_MS
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.ops import Op

SHARED: Final = b"/shared"

ATTEMPTS_MAX: Final = 20 * PROTECT_AFTER
"""Enough for a client that cannot make its requests in time again and again."""


@pytest.fixture
def writers(engine: Engine, dom0: Client) -> list[Client]:
    """Three guests that may write into a node of dom0."""
    dom0.ok(Op.MKDIR, SHARED + b"\0")
    dom0.ok(Op.SET_PERMS, SHARED + b"\0b0\0")
    return [guest_at_home(engine, domid) for domid in (1, 2, 3)]


def write_all(writers: list[Client]) -> None:
    """Have each write once more; what came of the last time is read."""
    for writer in writers:
        writer.take()
        writer.send(writer.frame(Op.WRITE, SHARED + b"\0value"))


def attempt(client: Client, writers: list[Client]) -> bool:
    """Make a transaction, with others writing after each step; does it commit?"""
    number = client.start()
    write_all(writers)
    client.ask(Op.READ, SHARED + b"\0", number)
    write_all(writers)
    client.ask(Op.WRITE, SHARED + b"\0mine", number)
    write_all(writers)
    return client.ask(Op.TRANSACTION_END, b"T\0", number)[-1] == (7, OK)


def protect(client: Client, path: bytes = b"data") -> int:
    """Have a guest break transactions of its own until one of them is protected."""
    for _ in range(PROTECT_AFTER):
        number = client.start()
        client.ask(Op.READ, path + b"\0", number)
        client.ask(Op.READ, b"data\0", number)
        client.ok(Op.WRITE, b"data\0value")
        assert client.errno(Op.TRANSACTION_END, b"T\0", number) == Errno.EAGAIN
    number = client.start()
    client.ask(Op.READ, path + b"\0", number)
    return number


def test_dom0_commits_whatever_guests_write(
    dom0: Client, writers: list[Client], bystander: Bystander
) -> None:
    """After a bounded number of attempts, each time."""
    for _ in range(5):
        attempts = 1
        while not attempt(dom0, writers):
            attempts += 1
            assert bystander.is_served()
        assert attempts <= PROTECT_AFTER + 1
        write_all([])
    assert bystander.is_served()


def test_a_guest_commits_whatever_others_write(
    engine: Engine, writers: list[Client], bystander: Bystander
) -> None:
    """Guests are protected from each other as dom0 is from them."""
    guest = guest_at_home(engine, 4)
    attempts = 1
    while not attempt(guest, writers):
        attempts += 1

    assert attempts <= PROTECT_AFTER + 1
    assert bystander.is_served()


def test_no_write_is_lost(
    engine: Engine, dom0: Client, writers: list[Client], bystander: Bystander
) -> None:
    """Those that had to wait are carried out when the transaction has ended."""
    while not attempt(dom0, writers):
        pass
    for connection in engine.take_ready():
        engine.resume(connection, 0)
    for writer in writers:
        writer.take()

        assert writer.unanswered == 0
    assert bystander.is_served()


def test_a_guest_does_not_hold_dom0_up(
    dom0: Client, hostile: Client, bystander: Bystander
) -> None:
    """However often its transactions fail."""
    number = protect(hostile)
    for _ in range(3):
        dom0.ok(Op.WRITE, home(1) + b"/data\0value")
    dom0.ok(Op.RM, home(1) + b"/data\0")

    assert hostile.errno(Op.TRANSACTION_END, b"T\0", number) == Errno.EAGAIN
    assert bystander.is_served()


@pytest.mark.parametrize("path", [b"", b"/data", b"/data/below", b"/new"])
def test_a_guest_holds_nobody_up_at_nodes_that_it_may_not_read(
    hostile: Client, bystander: Bystander, path: bytes
) -> None:
    """It can ask for them in its transaction, and is told nothing but EACCES."""
    protect(hostile, home(7) + path)

    assert bystander.is_served()


def test_a_request_waits_for_one_transaction_only(
    engine: Engine, writers: list[Client], bystander: Bystander
) -> None:
    """Guests that take turns at being protected do not make it wait for ever."""
    *hostile, victim = writers
    numbers = [protect(each, SHARED) for each in hostile]
    victim.send(victim.frame(Op.WRITE, SHARED + b"\0value"))
    assert victim.take() == []
    hostile[0].ok(Op.TRANSACTION_END, b"F\0", numbers[0])
    hostile[1].ok(Op.TRANSACTION_END, b"F\0", numbers[1])
    protect(hostile[1], SHARED)

    assert engine.take_ready() == [victim.connection]
    engine.resume(victim.connection, 0)
    assert victim.take() == [(Op.WRITE, OK)]
    victim.send(victim.frame(Op.WRITE, SHARED + b"\0value"))
    assert victim.take() == []
    assert bystander.is_served()


def test_nobody_waits_longer_than_the_limit(
    engine: Engine, writers: list[Client], bystander: Bystander
) -> None:
    """Also if the transaction is never ended."""
    hostile, victim, _ = writers
    protect(hostile, SHARED)
    victim.send(victim.frame(Op.WRITE, SHARED + b"\0value"))
    assert victim.take() == []
    engine.look_at_clock(PROTECT_MS)

    assert engine.take_ready() == [victim.connection]
    engine.resume(victim.connection, PROTECT_MS)
    assert victim.take() == [(Op.WRITE, OK)]
    assert bystander.is_served()


@pytest.mark.parametrize("way", ["reset", "released", "introduced", "gone"])
def test_nobody_waits_for_a_transaction_that_is_gone(
    engine: Engine,
    dom0: Client,
    writers: list[Client],
    bystander: Bystander,
    way: str,
) -> None:
    """By whatever it went: not until the time is over."""
    hostile, victim, _ = writers
    protect(hostile, SHARED)
    victim.send(victim.frame(Op.WRITE, SHARED + b"\0value"))
    assert victim.take() == []
    if way == "reset":
        hostile.ok(Op.RESET_WATCHES, b"\0")
    elif way == "released":
        dom0.ok(Op.RELEASE, b"1\0")
    elif way == "introduced":
        dom0.ok(Op.INTRODUCE, b"1\x001\x001\0")
    else:
        engine.disconnect(hostile.connection)

    assert engine.take_ready() == [victim.connection]
    engine.resume(victim.connection, 0)
    assert victim.take() == [(Op.WRITE, OK)]
    assert bystander.is_served()


def test_who_has_sent_many_requests_is_not_forgotten(
    engine: Engine, dom0: Client, writers: list[Client], bystander: Bystander
) -> None:
    """When others have had their turn, the next request is one that waits."""
    protected = Client(engine)
    while protected.connection.conflicts < PROTECT_AFTER:
        attempt(protected, writers)
    number = protected.start()
    requests = [dom0.frame(Op.GET_DOMAIN_PATH, b"0\0") for _ in range(TURN)]
    dom0.send(b"".join([*requests, dom0.frame(Op.WRITE, SHARED + b"\0value")]))
    assert len(dom0.take()) == TURN
    assert not engine.is_ready(dom0.connection)
    protected.ok(Op.TRANSACTION_END, b"F\0", number)

    assert dom0.connection in engine.take_ready()
    engine.resume(dom0.connection, 0)
    assert dom0.take() == [(Op.WRITE, OK)]
    assert bystander.is_served()


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
