"""xsd.engine.owed: what a guest gets after a replay, and what is carried out then."""

from typing import Final

import pytest

from tests.engine.support import Client, guest_at_home, run, take_bytes
from tests.support.replaying import loaded
from xsd.engine import Engine
from xsd.engine.inputs import Input, MemoryTape
from xsd.engine.owed import Owed, Slip
from xsd.engine.replay import drop_output, replay
from xsd.protocol.frame import Frame, FrameDecoder, encode_frame
from xsd.protocol.ops import Op
from xsd.store import Store

REQUESTS: Final = [
    (Op.READ, b"none\0"),
    (Op.WRITE, b"a\0one"),
    (Op.READ, b"a\0"),
    (Op.WRITE, b"a\0two"),
    (Op.READ, b"a\0"),
    (Op.WRITE, b"a\0three"),
]
ANSWERS: Final = [b"ENOENT\0", b"OK\0", b"one", b"OK\0", b"two", b"OK\0"]
COUNT: Final = len(REQUESTS)


def requests(first: int) -> bytes:
    """The bytes of the requests from an ordinal on; the last may still follow."""
    return b"".join(
        encode_frame(op, number, 0, payload)
        for number, (op, payload) in enumerate(REQUESTS, 1)
        if number >= first
    )


class Life:
    """An engine whose guest has been answered some requests."""

    def __init__(self, done: int = 0) -> None:
        self.engine = Engine(Store())
        self.engine.tape = self.tape = MemoryTape()
        self.guest = guest_at_home(self.engine, 5)
        self.number = self.guest.connection.id
        for op, payload in REQUESTS[:done]:
            self.guest.ask(op, payload)

    def slip(self, first: int, base: int = 0, more: bytes = b"") -> Slip:
        """What may be noted of the guest, of whom all events have been begun."""
        base = base or first
        return Slip(self.number, 0, first, base, requests(base) + more, b"", 1 << 40)


def after(
    engine: Engine, inputs: list[Input], slip: Slip, *, refused: bool = False
) -> list[Frame]:
    """What the guest is sent after a replay, and when its requests are carried out."""
    owed = {slip.connection: Owed(slip)}
    drop_output(engine, owed)
    replay(engine, inputs, owed)
    owed[slip.connection].finish(engine, refused=refused)
    run(engine)
    connection = engine.core.connections[slip.connection]
    return FrameDecoder().feed(take_bytes(engine, connection))


def payloads(frames: list[Frame]) -> list[bytes]:
    """What is in them; each has the id of its request."""
    return [frame.payload for frame in frames]


POSSIBLE: Final = [
    (first, done) for done in range(COUNT + 1) for first in range(1, done + 2)
]
"""What is sent first, and how much was carried out."""


@pytest.mark.parametrize(("first", "done"), POSSIBLE)
def test_each_reply_that_was_not_begun_comes_once(first: int, done: int) -> None:
    """By the tape, in the place among it of those that only ask, or anew."""
    life = Life(done)
    engine = Engine(Store())

    frames = after(engine, life.tape.inputs, life.slip(first))

    assert payloads(frames) == ANSWERS[first - 1 :]
    assert [frame.req_id for frame in frames] == [*range(first, COUNT + 1)]
    assert engine.core.connections[life.number].served == COUNT


@pytest.mark.parametrize(("first", "done"), POSSIBLE)
def test_replies_wait_in_a_state_that_was_written(first: int, done: int) -> None:
    """Those that have been begun since do not come; no tape has their requests."""
    life = Life()
    connection = life.guest.connection
    connection.is_channel = True
    for number, (op, payload) in enumerate(REQUESTS[:done], 1):
        life.engine.feed(connection, encode_frame(op, number, 0, payload))
        run(life.engine)

    engine = loaded(life.engine)
    frames = after(engine, [], life.slip(first, done + 1))

    assert payloads(frames) == ANSWERS[first - 1 :]


def test_the_rest_of_a_message_comes_first() -> None:
    """And what of a request is missing may still come."""
    life = Life(COUNT)
    half = encode_frame(Op.READ, 7, 0, b"a\0")
    slip = life.slip(COUNT, more=half[:9])
    slip.rest = encode_frame(Op.READ, 5, 0, b"two")
    engine = Engine(Store())

    assert payloads(after(engine, life.tape.inputs, slip)) == [b"two", b"OK\0"]
    connection = engine.core.connections[life.number]
    engine.feed(connection, half[9:])
    run(engine)
    (frame,) = FrameDecoder().feed(take_bytes(engine, connection))
    assert (frame.req_id, frame.payload) == (7, b"three")


def test_who_has_begun_anew_since_is_owed_nothing() -> None:
    """Neither replies nor requests."""
    life = Life(3)
    life.engine.restart(life.guest.connection)

    assert after(Engine(Store()), life.tape.inputs, life.slip(2)) == []


def test_requests_that_may_end_the_process_are_refused() -> None:
    """Those of which nothing says that they were carried out."""
    life = Life(3)

    frames = after(Engine(Store()), life.tape.inputs, life.slip(2), refused=True)

    assert payloads(frames) == [ANSWERS[1], *[b"EIO\0"] * 4]


@pytest.mark.parametrize("told", ["before", "after"])
def test_who_may_have_lost_an_event_is_known(told: str) -> None:
    """By when all events before had been begun."""
    life = Life()
    life.guest.ask(Op.WATCH, b"a\0token\0")
    pulse = life.engine.store.clock.pulse
    Client(life.engine).ok(Op.WRITE, b"/local/domain/5/a\0v")
    slip = Slip(life.number, 0, 2, 2, b"", b"", pulse + (told == "after") * 100)
    owed = Owed(slip)

    replay(Engine(Store()), life.tape.inputs, {life.number: owed})

    assert owed.is_untold == (told == "before")
