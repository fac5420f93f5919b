"""xsd.client.transaction: commit, abort, and the pause between attempts."""

import time

import pytest

from tests.support.scripted import ScriptedDaemon
from xsd.client import Client, DisconnectedError
from xsd.client.transaction import LONGEST_PAUSE, back_off
from xsd.protocol.errors import XenStoreError
from xsd.protocol.ops import Op


def test_block_commits_at_its_end(client: Client, second: Client) -> None:
    """Nobody else sees anything before, and everything after."""
    with client.transaction() as transaction:
        transaction.write("/t/a", b"1")
        transaction.write("/t/b", b"2")
        assert transaction.read("/t/a") == b"1"
        assert not second.exists("/t/a")

    assert (second.read("/t/a"), second.read("/t/b")) == (b"1", b"2")


def test_exception_aborts(client: Client) -> None:
    """A block that is not finished leaves nothing behind, and its error is seen."""

    def fail_half_way() -> None:
        with client.transaction() as transaction:
            transaction.write("/t/a", b"1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()

    assert not client.exists("/t/a")


def test_block_may_end_its_transaction_itself(client: Client) -> None:
    """Then the end of the block does nothing more."""
    with client.transaction() as transaction:
        transaction.write("/t/a", b"1")
        transaction.abort()
    with client.transaction() as transaction:
        transaction.write("/t/b", b"1")
        transaction.commit()

    assert client.directory("/t") == [b"b"]


def test_requests_carry_the_id(scripted: ScriptedDaemon) -> None:
    """START goes without, all others with the id of its reply.

    After the end it may be another transaction's: the daemon is not asked any more.
    """
    scripted.answer(Op.TRANSACTION_START, b"7\0")
    scripted.answer(Op.READ, b"", tx_id=7)
    scripted.answer(Op.TRANSACTION_END, b"OK\0", tx_id=7)

    with scripted.client.transaction() as transaction:
        transaction.read("/a")
    with pytest.raises(XenStoreError, match=r"^ENOENT: .*has ended"):
        transaction.read("/a")

    requests = scripted.requests()
    assert [(frame.op, frame.tx_id, frame.payload) for frame in requests] == [
        (Op.TRANSACTION_START, 0, b"\0"),
        (Op.READ, 7, b"/a\0"),
        (Op.TRANSACTION_END, 7, b"T\0"),
    ]


def test_lost_connection_hides_no_other_exception(scripted: ScriptedDaemon) -> None:
    """The abort that is no longer possible is not what went wrong."""
    scripted.answer(Op.TRANSACTION_START, b"7\0")

    def lose_connection() -> None:
        with scripted.client.transaction() as transaction:
            scripted.hang_up()
            transaction.read("/a")

    with pytest.raises(DisconnectedError, match="the daemon has closed"):
        lose_connection()


def test_pause_grows_at_random_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """1, 2, 4 ... ms, never over 250, so that two clients do not meet again."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)

    for failures in (1, 2, 3, 4, 30):
        back_off(failures)

    limits = [0.001, 0.002, 0.004, 0.008, LONGEST_PAUSE]
    assert all(0 <= s <= limit for s, limit in zip(slept, limits, strict=True))
