"""XSA-206: a guest writes all the time, so that others' transactions never commit."""

from typing import Final

import pytest

from tests.support.hosts import Host
from tests.xsa.support import World, busily
from xsd.engine.contest import TURN_MS
from xsd.engine.engine import TURN
from xsd.engine.progress import PROTECT_AFTER
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.ops import Op
from xsd.testing import Session
from xsd.testing.session import OK

TEXT: Final = "/shared"

SHARED: Final = TEXT.encode()

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


def protected(domid: int, path: str, name: str = "t", reply: str = "value") -> str:
    """Have dom0 break a guest's transactions until one of them is protected."""
    begin = f"{domid} start {name}; {name} read {path} -> {reply}"
    fail = f"{name} read data; 0 write ~{domid}/data value; {name} commit -> EAGAIN"
    return f"{domid} write data value; {f'{begin}; {fail};' * PROTECT_AFTER} {begin}"


WAITS: Final = f"0 make {TEXT} b0; 0 write {TEXT} value; {protected(1, TEXT)}"

RULES: Final[dict[str, str]] = {
    "a guest does not hold dom0 up, however often its transactions fail": f"""
        {protected(1, "data")}
        0 write ~1/data {{1..3}}; 0 rm ~1/data
        t commit -> EAGAIN
    """,
    # It can ask for them in its transaction, and is told nothing but EACCES.
    **{
        f"a guest holds nobody up at nodes that it may not read, {path}": f"""
            {protected(1, path, reply="EACCES")}; served -> True
        """
        for path in ("~7", "~7/data", "~7/data/below", "~7/new")
    },
    "a request waits for one transaction only, though guests take turns": f"""
        0 make {TEXT} b0; 0 write {TEXT} value
        {protected(1, TEXT, "t1")}; {protected(2, TEXT, "t2")}
        3 post write {TEXT} value; 3 answered -> 0
        t1 abort; t2 abort; {protected(2, TEXT, "t3")}
        3 answered -> 1
        3 post write {TEXT} value; 3 answered -> 0
    """,
    "nobody waits longer than the limit, also if it is never ended": f"""
        {WAITS}; 2 post write {TEXT} value; 2 answered -> 0
        advance {TURN_MS - 1}; 2 answered -> 0
        advance 1; 2 answered -> 1
    """,
    **{
        f"nobody waits for a transaction that is gone, by {way}": f"""
            {WAITS}; 2 post write {TEXT} value; 2 answered -> 0
            {way}; 2 answered -> 1
        """
        for way in ("1 reset", "0 release 1", "0 introduce 1 1 1", "1 close")
    },
}


@pytest.mark.parametrize("rule", RULES)
def test_nobody_waits_for_long(world: World, rule: str) -> None:
    """For one protected transaction, while it is there, and not at all for some."""
    world.play(RULES[rule])


@pytest.mark.parametrize("domid", [0, 4])
def test_a_client_commits_whatever_others_write(
    world: World, writers: list[Session], domid: int
) -> None:
    """After a bounded number of attempts, each time; dom0, and a guest.

    Writes that had to wait are carried out when the transaction has ended.
    """
    client = world.guest(domid) if domid else world.client()
    for _ in range(1 if domid else 5):
        attempts = 1
        while not attempt(client, writers):
            attempts += 1
        assert attempts <= PROTECT_AFTER + 1
        for writer in writers:
            writer.take()
            assert writer.unanswered == 0


def test_who_has_sent_many_requests_is_not_forgotten(
    world: World, dom0: Session, writers: list[Session]
) -> None:
    """When others have had their turn, the next request is one that waits."""
    holder = world.client()
    for _ in range(PROTECT_AFTER):
        assert not attempt(holder, writers)
    number = holder.start()
    requests = [dom0.frame(Op.GET_DOMAIN_PATH, b"0\0") for _ in range(TURN)]
    dom0.send(b"".join([*requests, dom0.frame(Op.WRITE, SHARED + b"\0value")]))
    assert len(dom0.take()) == TURN
    assert dom0.take() == []
    holder.ok(Op.TRANSACTION_END, b"F\0", number)

    assert dom0.take() == [(Op.WRITE, OK)]


@pytest.mark.slow
def test_dom0_commits_beside_guests_that_write_without_pause(host: Host) -> None:
    """On rings, as fast as they can; the bystander is served meanwhile."""
    host.dom0.mkdir("/shared")
    host.dom0.set_permissions("/shared", ["b0"])
    guests = [host.guest(domid) for domid in (1, 2)]

    def write() -> None:
        for guest in guests:
            guest.write("/shared", b"value")

    with busily(write):
        attempts = [commit(host) for _ in range(3)]
        assert host.is_served()

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
