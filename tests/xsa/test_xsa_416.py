"""XSA-416: what a request needed is kept until its reply has been read."""

import gc
import tracemalloc
from typing import Final

import pytest

from tests.engine.support import Client, take_bytes
from tests.xsa.support import Bystander
from xsd.engine import Connection, Engine
from xsd.protocol.frame import encode_frame
from xsd.protocol.limits import PAYLOAD_MAX
from xsd.protocol.ops import Op

COUNT: Final = 1000

REPLY_MAX: Final = 700
"""Bytes of memory that a short reply may take, with all that is known of it."""


@pytest.fixture
def reader(engine: Engine) -> Connection:
    """A privileged connection, which has no limit on requests under way."""
    return engine.connect(engine.store.privileged.caller)


def growth(engine: Engine, connection: Connection, requests: list[bytes]) -> int:
    """Bytes of memory that answering takes when nothing of it is read."""
    engine.take_notices()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for request in requests:
            engine.receive(connection, request, 0)
        gc.collect()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert connection.backlog == []
    return after - before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("op", "beginning"),
    [
        (Op.WRITE, b"/data\0"),
        (Op.READ, b"/"),
        (Op.RM, b"/no/such/"),
        (Op.UNWATCH, b"/data\0"),
        (Op.GET_PERMS, b"@"),
    ],
)
def test_only_the_reply_is_kept_of_a_large_request(
    engine: Engine, reader: Connection, bystander: Bystander, op: int, beginning: bytes
) -> None:
    """Neither its payload nor what was made of it."""
    filling = b"x" * (PAYLOAD_MAX - len(beginning) - 1) + b"\0"
    requests = [encode_frame(op, n, 0, beginning + filling) for n in range(COUNT)]

    assert growth(engine, reader, requests) < COUNT * REPLY_MAX + 2 * PAYLOAD_MAX
    assert bystander.is_served()
    assert len(take_bytes(reader)) < COUNT * 32


@pytest.mark.slow
def test_only_the_changes_are_kept_of_transactions(
    engine: Engine, reader: Connection, bystander: Bystander
) -> None:
    """Nothing of those that are over, committed or dropped."""
    requests = []
    for number in range(1, COUNT // 4 + 1):
        end = b"T\0" if number % 2 else b"F\0"
        requests += [
            encode_frame(Op.TRANSACTION_START, 1, 0, b"\0"),
            encode_frame(Op.WRITE, 2, number, b"/data/a\0" + b"x" * 4000),
            encode_frame(Op.WRITE, 3, number, b"/data/b\0" + b"x" * 4000),
            encode_frame(Op.TRANSACTION_END, 4, number, end),
        ]
    kept = growth(engine, reader, requests)

    assert engine.store.usage.transactions.used == {}
    assert kept < len(requests) * REPLY_MAX + 4 * PAYLOAD_MAX
    assert bystander.is_served()
    assert take_bytes(reader).count(b"OK\0") == 3 * COUNT // 4


def test_unfinished_messages_take_no_more_than_a_message(
    engine: Engine, hostile: Client, bystander: Bystander
) -> None:
    """A byte at a time, and never the last one."""
    message = encode_frame(Op.WRITE, 1, 0, b"data\0" + b"x" * (PAYLOAD_MAX - 5))
    for byte in message[:-1]:
        engine.receive(hostile.connection, bytes([byte]), 0)
        assert hostile.connection.backlog == []

    assert hostile.connection.decoder.pending == message[:-1]
    assert hostile.take() == []
    assert bystander.is_served()
