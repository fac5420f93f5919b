"""XSA-416: what a request needed is kept until its reply has been read."""

import contextlib
import gc
import tracemalloc
from typing import Final

import pytest

from tests.xsa.support import World
from xsd.protocol.frame import encode_frame
from xsd.protocol.limits import PAYLOAD_MAX
from xsd.protocol.ops import Op
from xsd.testing import Session

COUNT: Final = 1000

REPLY_MAX: Final = 700
"""Bytes of memory that a short reply may take, with all that is known of it."""


def growth(world: World, requests: list[bytes]) -> tuple[int, bytes]:
    """Bytes of memory that answering takes when nothing of it is read; and the answer.

    It is asked by dom0, which has no limit on requests under way.
    """
    world.stop_tape()
    world.xenstore.take_notices()
    line = world.xenstore.connect()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for request in requests:
            line.send(request, 0)
        gc.collect()
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    received = b""
    with contextlib.suppress(TimeoutError):
        while True:
            received += line.receive(0)
    return after - before, received


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
    world: World, op: int, beginning: bytes
) -> None:
    """Neither its payload nor what was made of it."""
    filling = b"x" * (PAYLOAD_MAX - len(beginning) - 1) + b"\0"
    requests = [encode_frame(op, n, 0, beginning + filling) for n in range(COUNT)]

    kept, received = growth(world, requests)
    assert kept < COUNT * REPLY_MAX + 2 * PAYLOAD_MAX
    assert COUNT * 16 < len(received) < COUNT * 32


@pytest.mark.slow
def test_only_the_changes_are_kept_of_transactions(world: World) -> None:
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
    kept, received = growth(world, requests)

    assert world.transactions() == {}
    assert kept < len(requests) * REPLY_MAX + 4 * PAYLOAD_MAX
    assert received.count(b"OK\0") == 3 * COUNT // 4


def test_unfinished_messages_take_no_more_than_a_message(
    world: World, hostile: Session
) -> None:
    """A byte at a time, and never the last one."""
    message = encode_frame(Op.WRITE, 1, 0, b"data\0" + b"x" * (PAYLOAD_MAX - 5))
    for byte in message[:-1]:
        hostile.send(bytes([byte]))
        assert world.connection(hostile).backlog == []

    assert world.connection(hostile).decoder.pending == message[:-1]
    assert hostile.take() == []
