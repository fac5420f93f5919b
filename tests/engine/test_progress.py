"""xsd.engine.progress: a transaction commits in the end, however others write."""

import pytest

from tests.engine.support import Client, guest_of
from xsd.engine import Engine
from xsd.engine.progress import PROTECT_AFTER, PROTECT_MS
from xsd.protocol.errors import Errno
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op
from xsd.protocol.reply import OK


def attempt(reader: Client, writer: Client) -> bool:
    """Read a node in a transaction that another client writes; does it commit?"""
    tx = reader.start()
    reader.ask(Op.READ, b"/a\0", tx)
    reader.ok(Op.WRITE, b"/b\0v", tx)
    writer.send(writer.frame(Op.WRITE, b"/a\0other"))
    return reader.reply(Op.TRANSACTION_END, b"T\0", tx)[0] == Op.TRANSACTION_END


def fail_often_enough(reader: Client, writer: Client) -> None:
    """Bring a client to where its next transaction is protected."""
    for _ in range(PROTECT_AFTER):
        assert not attempt(reader, writer)
        writer.take()


def two(engine: Engine) -> tuple[Client, Client]:
    """Two clients of dom0 and a node that both know."""
    reader, writer = Client(engine), Client(engine)
    writer.ok(Op.WRITE, b"/a\0v")
    return reader, writer


def test_a_transaction_commits_after_a_bounded_number_of_conflicts(
    engine: Engine,
) -> None:
    """Whoever writes between all its reads and its end is made to wait."""
    reader, writer = two(engine)
    attempts = 1
    while not attempt(reader, writer):
        attempts += 1

    assert attempts == PROTECT_AFTER + 1


def test_the_write_that_waited_is_carried_out_afterwards(engine: Engine) -> None:
    """It is neither refused nor lost, and the requests behind it keep their order."""
    reader, writer = two(engine)
    fail_often_enough(reader, writer)
    tx = reader.start()
    reader.ask(Op.READ, b"/a\0", tx)
    writer.send(writer.frame(Op.WRITE, b"/a\0late"))
    writer.send(writer.frame(Op.READ, b"/a\0"))

    assert writer.take() == []
    assert not engine.is_ready(writer.connection)
    assert engine.take_ready() == []

    reader.ok(Op.TRANSACTION_END, b"T\0", tx)
    assert engine.take_ready() == [writer.connection]
    engine.resume(writer.connection, 0)
    assert [payload for _, payload in writer.take()] == [OK, b"late"]


@pytest.mark.parametrize(
    ("op", "payload"),
    [
        (Op.WRITE, b"/elsewhere\0v"),
        (Op.READ, b"/a\0"),
        (Op.WRITE, b"/a/below\0v"),
        (Op.WRITE, b"//\0v"),
    ],
)
def test_what_cannot_break_it_does_not_wait(
    engine: Engine, op: int, payload: bytes
) -> None:
    """Only writes into what it read, or what its last attempt read, have to."""
    reader, writer = two(engine)
    fail_often_enough(reader, writer)
    reader.start()
    writer.send(writer.frame(op, payload))

    assert len(writer.take()) == 1


@pytest.mark.parametrize(
    ("op", "payload"),
    [
        (Op.WRITE, b"/a\0v"),
        (Op.RM, b"/a\0"),
        (Op.SET_PERMS, b"/a\0n0\0"),
    ],
)
def test_what_broke_the_last_attempt_waits_from_the_start(
    engine: Engine, op: int, payload: bytes
) -> None:
    """The client is about to read the same again."""
    reader, writer = two(engine)
    fail_often_enough(reader, writer)
    reader.start()
    writer.send(writer.frame(op, payload))

    assert writer.take() == []


def test_a_commit_of_another_waits_too(engine: Engine) -> None:
    """What it has changed is what counts."""
    reader, writer = two(engine)
    fail_often_enough(reader, writer)
    harmless, harmful = writer.start(), writer.start()
    writer.ok(Op.WRITE, b"/c\0v", harmless)
    writer.ok(Op.WRITE, b"/a\0v", harmful)
    reader.start()

    writer.ok(Op.TRANSACTION_END, b"T\0", harmless)
    writer.send(writer.frame(Op.TRANSACTION_END, b"T\0", harmful))
    assert writer.take() == []


def test_nobody_waits_longer_than_the_limit(engine: Engine) -> None:
    """And the slow client has to fail as often again first."""
    reader, writer = two(engine)
    fail_often_enough(reader, writer)
    reader.start()
    writer.send(writer.frame(Op.WRITE, b"/a\0late"))
    assert engine.held_until_ms == PROTECT_MS

    engine.look_at_clock(PROTECT_MS - 1)
    assert engine.take_ready() == []
    engine.look_at_clock(PROTECT_MS)
    assert engine.take_ready() == [writer.connection]
    assert engine.held_until_ms == 0
    assert reader.connection.conflicts == 0


@pytest.mark.parametrize("end", ["aborts", "leaves"])
def test_nobody_waits_for_a_client_that_gives_up(engine: Engine, end: str) -> None:
    """With its transaction or with its connection."""
    reader, writer = two(engine)
    fail_often_enough(reader, writer)
    tx = reader.start()
    writer.send(writer.frame(Op.WRITE, b"/a\0late"))
    if end == "aborts":
        reader.ok(Op.TRANSACTION_END, b"F\0", tx)
    else:
        engine.disconnect(reader.connection)

    assert engine.take_ready() == [writer.connection]


def test_a_guest_cannot_make_dom0_wait(engine: Engine) -> None:
    """It waits for other guests only."""
    guest, other, dom0 = guest_of(engine, 5), guest_of(engine, 6), Client(engine)
    dom0.ok(Op.WRITE, b"/a\0v")
    dom0.ok(Op.SET_PERMS, b"/a\0b0\0")
    for _ in range(PROTECT_AFTER):
        tx = guest.start()
        guest.ask(Op.READ, b"/a\0", tx)
        dom0.ok(Op.WRITE, b"/a\0v")
        assert guest.errno(Op.TRANSACTION_END, b"T\0", tx) == Errno.EAGAIN
    guest.start()

    dom0.ok(Op.WRITE, b"/a\0v")
    other.send(encode_frame(Op.WRITE, 9, 0, b"/a\0v"))
    assert other.take() == []


def test_one_transaction_is_protected_at_a_time(engine: Engine) -> None:
    """Two that wait for each other would do so until the limit."""
    reader, writer = two(engine)
    third = Client(engine)
    fail_often_enough(reader, writer)
    fail_often_enough(third, writer)
    first = reader.start()
    third.start()

    reader.ok(Op.WRITE, b"/a\0v", first)
    reader.ok(Op.TRANSACTION_END, b"T\0", first)


def test_a_commit_in_between_begins_the_count_anew(engine: Engine) -> None:
    """Only conflicts in a row are a sign of starving."""
    reader, writer = two(engine)
    for _ in range(PROTECT_AFTER - 1):
        attempt(reader, writer)
    tx = reader.start()
    reader.ok(Op.TRANSACTION_END, b"T\0", tx)

    assert reader.connection.conflicts == 0
    assert not attempt(reader, writer)


def guests_of(engine: Engine) -> tuple[Client, Client]:
    """Two guests that may write the node of `attempt`."""
    dom0 = Client(engine)
    reader, writer = guest_of(engine, 1), guest_of(engine, 2)
    for node in (b"/a", b"/b"):
        dom0.ok(Op.WRITE, node + b"\0v")
        dom0.ok(Op.SET_PERMS, node + b"\0b0\0")
    return reader, writer


def test_dom0_does_not_wait_until_a_guests_protection_is_over(engine: Engine) -> None:
    """Its own takes that one's place, and guests wait for it."""
    guest, other = guests_of(engine)
    fail_often_enough(guest, other)
    dom0 = Client(engine)
    fail_often_enough(dom0, other)
    guest.start()
    waiting = guest_of(engine, 3)
    waiting.send(waiting.frame(Op.WRITE, b"/a\0late"))
    assert attempt(dom0, other)
    dom0.take()

    assert len(other.take()) == 0
    engine.look_at_clock(0)
    assert other.connection in engine.take_ready()


def test_a_guest_waits_for_every_protection_of_dom0(engine: Engine) -> None:
    """Also a request that has waited for a guest's before."""
    guest, other = guests_of(engine)
    fail_often_enough(guest, other)
    dom0 = Client(engine)
    fail_often_enough(dom0, other)
    tx = guest.start()
    guest.ask(Op.READ, b"/a\0", tx)
    other.send(other.frame(Op.WRITE, b"/a\0late"))
    assert other.take() == []
    protected = dom0.start()
    dom0.ask(Op.READ, b"/a\0", protected)
    engine.resume(other.connection, 0)
    assert other.take() == []
    dom0.ok(Op.WRITE, b"/b\0v", protected)

    assert dom0.reply(Op.TRANSACTION_END, b"T\0", protected)[1] == OK
    engine.resume(other.connection, 0)
    assert other.take() == [(Op.WRITE, OK)]


def test_a_guests_request_waits_for_one_guest_only(engine: Engine) -> None:
    """Or two of them could make it wait for ever."""
    guest, other = guests_of(engine)
    third = guest_of(engine, 3)
    fail_often_enough(guest, other)
    fail_often_enough(third, other)
    tx = guest.start()
    guest.ask(Op.READ, b"/a\0", tx)
    other.send(other.frame(Op.WRITE, b"/a\0late"))
    assert other.take() == []
    guest.ok(Op.TRANSACTION_END, b"F\0", tx)
    tx = third.start()
    third.ask(Op.READ, b"/a\0", tx)
    engine.resume(other.connection, 0)

    assert other.take() == [(Op.WRITE, OK)]


@pytest.mark.parametrize(("late", "attempts"), [(False, 1), (True, PROTECT_AFTER + 1)])
def test_who_failed_although_protected_is_protected_again(
    engine: Engine, attempts: int, *, late: bool
) -> None:
    """Unless it took too long, and so made others wait for nothing."""
    reader, writer = two(engine)
    fail_often_enough(reader, writer)
    tx = reader.start()
    reader.ask(Op.READ, b"/a\0", tx)
    reader.ok(Op.WRITE, b"/b\0v", tx)
    # What must not happen as long as others wait: here it does.
    writer.connection.waited_for = engine.core.protection
    engine.core.protection, kept = None, engine.core.protection
    writer.ok(Op.WRITE, b"/a\0other")
    engine.core.protection = kept
    end = reader.frame(Op.TRANSACTION_END, b"T\0", tx)
    engine.receive(reader.connection, end, PROTECT_MS if late else 0)
    assert reader.take() == [(Op.ERROR, b"EAGAIN\0")]
    count = 1
    while not attempt(reader, writer):
        count += 1
        writer.take()

    assert count == attempts - late


def test_a_protection_that_is_over_wakes_nobody_again_and_again(
    engine: Engine,
) -> None:
    """Though who is held up for another reason has not asked anything since."""
    guest, other = guests_of(engine)
    fail_often_enough(guest, other)
    guest.start()
    for _ in range(100):
        guest.send(guest.frame(Op.GET_DOMAIN_PATH, b"1\0"))
    assert not engine.has_room(guest.connection)
    assert engine.held_until_ms == PROTECT_MS
    engine.look_at_clock(PROTECT_MS + 1)

    assert engine.take_ready() == []
    assert engine.held_until_ms == 0
