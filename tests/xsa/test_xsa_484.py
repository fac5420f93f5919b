"""XSA-484: a request that ends the transaction it is made in."""

import pytest

from tests.support.hosts import AnyHost, Host, wait_ignored
from tests.xsa.support import World, message_of
from xsd.protocol.errors import Errno
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op
from xsd.store.quota import DEFAULTS, TRANSACTIONS
from xsd.testing import Session
from xsd.testing.session import OK, event, refusal


def test_reset_watches_in_a_transaction_ends_it(world: World, hostile: Session) -> None:
    """It is OK; the transaction is not there any more, nor is any other."""
    before = world.counts()
    numbers = [hostile.start() for _ in range(3)]
    hostile.ok(Op.WRITE, b"data\0value", numbers[1])
    hostile.ok(Op.WATCH, b"data\0t\0")

    assert hostile.ask(Op.RESET_WATCHES, b"\0", numbers[1]) == [(Op.RESET_WATCHES, OK)]
    for number in numbers:
        for op, payload in (
            (Op.READ, b"data\0"),
            (Op.RESET_WATCHES, b"\0"),
            (Op.TRANSACTION_END, b"T\0"),
            (Op.TRANSACTION_START, b"\0"),
        ):
            assert hostile.refused(op, payload, number) == Errno.ENOENT
    assert world.counts() == before
    assert hostile.refused(Op.READ, b"data\0") == Errno.ENOENT


def test_reset_watches_gives_all_transactions_back(
    world: World, hostile: Session
) -> None:
    """As often as it is done, in any of them or in none."""
    limit = DEFAULTS[TRANSACTIONS]
    for round_ in range(10):
        numbers = [hostile.start() for _ in range(limit)]
        assert hostile.refused(Op.TRANSACTION_START, b"\0") == Errno.ENOSPC
        hostile.ok(Op.RESET_WATCHES, b"\0", [0, *numbers][round_])
        assert world.transactions() == {}


@pytest.mark.parametrize("end", [b"T\0", b"F\0"])
def test_a_transaction_ends_once(world: World, hostile: Session, end: bytes) -> None:
    """A second end finds nothing, and counts nothing."""
    number = hostile.start()
    hostile.ok(Op.WRITE, b"data\0value", number)
    hostile.ok(Op.TRANSACTION_END, end, number)

    assert hostile.refused(Op.TRANSACTION_END, end, number) == Errno.ENOENT
    assert world.transactions() == {}


@pytest.mark.parametrize("payload", [b"", b"\0", b"T", b"x\0", b"T\0\0", b"F\0T\0"])
def test_a_malformed_end_ends_nothing(hostile: Session, payload: bytes) -> None:
    """EINVAL, and the transaction goes on."""
    number = hostile.start()

    assert hostile.refused(Op.TRANSACTION_END, payload, number) == Errno.EINVAL
    hostile.ok(Op.WRITE, b"data\0value", number)
    hostile.ok(Op.TRANSACTION_END, b"T\0", number)
    assert hostile.reply(Op.READ, b"data\0") == (Op.READ, b"value")


def test_transactions_do_not_nest(world: World, hostile: Session) -> None:
    """EBUSY; the one that is open goes on."""
    with hostile.transaction() as number:
        assert hostile.refused(Op.TRANSACTION_START, b"\0", number) == Errno.EBUSY
        assert world.transactions() == {1: 1}


@pytest.mark.parametrize(
    ("op", "payload"),
    [
        (Op.RELEASE, b"1\0"),
        (Op.INTRODUCE, b"1\x001\x001\0"),
        (Op.SET_TARGET, b"1\x007\0"),
        (Op.RESUME, b"1\0"),
        (Op.RESET_WATCHES, b"\0"),
    ],
)
def test_dom0_does_it_to_others_in_a_transaction_of_its_own(
    world: World, dom0: Session, hostile: Session, op: int, payload: bytes
) -> None:
    """One reply; the store is in order whichever transactions are left."""
    theirs = hostile.start()
    hostile.ok(Op.WRITE, b"data\0value", theirs)
    mine = dom0.start()
    dom0.ok(Op.WRITE, b"/local/domain/1/data\0value", mine)
    dom0.ok(op, payload, mine)
    dom0.ask(Op.TRANSACTION_END, b"T\0", mine)

    assert 0 not in world.transactions()


def test_a_caller_is_gone_before_its_reply(
    world: World, dom0: Session, hostile: Session
) -> None:
    """What it still had to send is not answered, and what was due is dropped."""
    number = hostile.start()
    for path in (b"a", b"b"):
        hostile.ok(Op.WATCH, path + b"\0t\0")
    requests = hostile.frame(Op.WRITE, b"a\0value", number) * 10
    dom0.ok(Op.RELEASE, b"1\0")
    hostile.send(requests)

    assert hostile.take() == []
    assert world.transactions() == {}
    assert world.store.watches.count == 0


@pytest.mark.parametrize("way", ["release", "kill", "offend", "introduce"])
def test_a_connection_ends_in_the_middle_of_its_requests(host: Host, way: str) -> None:
    """With a transaction open in which it asks, on a ring."""
    guest = host.guest(1)
    transaction = guest.transaction()
    transaction.write("data", b"value")
    with host.frozen():
        for _ in range(5):
            guest.send_bytes(encode_frame(Op.READ, 1, transaction.id, b"data\0"))
        if way == "offend":
            guest.send_bytes(message_of(5000))
    if way == "offend":
        wait_ignored(guest, 3)
    elif way == "release":
        host.dom0.release(1)
    elif way == "introduce":
        host.dom0.introduce(1, 1, guest.port)
    else:
        host.end(1)

    assert host.transactions() == {}


def test_reset_watches_in_the_middle_of_requests(anywhere: AnyHost) -> None:
    """The next request of the same piece finds no transaction."""
    session = anywhere.session(anywhere.guest(1))
    number = session.start()
    asked = [
        session.frame(Op.WATCH, b"data\0t\0", number),
        session.frame(Op.RESET_WATCHES, b"\0", number),
        session.frame(Op.READ, b"data\0", number),
        session.frame(Op.TRANSACTION_END, b"T\0", number),
    ]
    session.send(b"".join(asked))

    assert session.ask(Op.WATCH, b"data\0u\0") == [
        (Op.WATCH, OK),
        event(b"data", b"t"),
        (Op.RESET_WATCHES, OK),
        refusal(Errno.ENOENT),
        refusal(Errno.ENOENT),
        (Op.WATCH, OK),
        event(b"data", b"u"),
    ]
