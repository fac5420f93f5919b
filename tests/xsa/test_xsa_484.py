"""XSA-484: a request that ends the transaction it is made in."""

from typing import Final

import pytest

from tests.support.hosts import WAYS, AnyHost, Host, end_by
from tests.xsa.support import World, message_of
from xsd.protocol.errors import Errno
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op
from xsd.testing import Session
from xsd.testing.session import OK, event, refusal

GONE: Final = """
    {0} read data -> ENOENT; {0} reset -> ENOENT; {0} commit -> ENOENT
    {0} start no -> ENOENT
"""

RULES: Final[dict[str, str]] = {
    "RESET_WATCHES in a transaction is OK and ends it, and any other": f"""
        enter 1; note; start t1; start t2; start t3; t2 write data value; watch data t
        t2 reset -> OK
        {GONE.format("t1")}; {GONE.format("t2")}; {GONE.format("t3")}
        same; read data -> ENOENT
    """,
    **{
        f"RESET_WATCHES gives all transactions back, in {place}": f"""
            start t{{1..10}}; start no -> ENOSPC; {place} reset -> OK; transactions -> 0
            start t{{1..10}}; start no -> ENOSPC; {place} reset -> OK; transactions -> 0
        """
        for place in ("1", "t1", "t5", "t10")
    },
    **{
        f"a transaction ends once, a second {end} finds and counts nothing": f"""
            start t1; t1 write data value; t1 {end} -> OK
            t1 {end} -> ENOENT; transactions -> 0
        """
        for end in ("commit", "abort")
    },
    "transactions do not nest; the one that is open goes on": """
        start t1; t1 start no -> EBUSY; transactions -> 1; t1 commit -> OK
    """,
    "dom0 resets its watches in a transaction of its own": """
        start t1; t1 write data value
        0 start t2; t2 write ~1/data value; t2 reset; t2 commit -> ENOENT
        transactions 0 -> 0
    """,
    # One reply; the store is in order whichever transactions are left.
    **{
        f"dom0 does {request} in a transaction of its own": f"""
            start t1; t1 write data value
            0 start t2; t2 write ~1/data value; t2 {request}
            t2 commit -> OK|EAGAIN; transactions 0 -> 0
        """
        for request in ("release 1", "introduce 1 1 1", "target 1 7", "resume 1")
    },
}


@pytest.mark.parametrize("rule", RULES)
def test_any_request_may_end_a_transaction(world: World, rule: str) -> None:
    """Its own, or those of others."""
    world.play(RULES[rule])


@pytest.mark.parametrize("payload", [b"", b"\0", b"T", b"x\0", b"T\0\0", b"F\0T\0"])
def test_a_malformed_end_ends_nothing(hostile: Session, payload: bytes) -> None:
    """EINVAL, and the transaction goes on."""
    number = hostile.start()

    assert hostile.refused(Op.TRANSACTION_END, payload, number) == Errno.EINVAL
    hostile.ok(Op.WRITE, b"data\0value", number)
    hostile.ok(Op.TRANSACTION_END, b"T\0", number)
    assert hostile.reply(Op.READ, b"data\0") == (Op.READ, b"value")


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


@pytest.mark.parametrize("way", WAYS)
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
    end_by(host, guest, way)

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
