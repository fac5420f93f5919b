"""xsd.engine.progress: a transaction commits in the end, however others write."""

import pytest

from tests.engine.support import OK, Client, give, guest_at_home, guest_of, home, run
from xsd.engine import Engine
from xsd.engine.progress import PROTECT_AFTER, PROTECT_MS
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op


def attempt(reader: Client, writer: Client) -> bool:
    """Read a node in a transaction that another client writes; does it commit?"""
    tx = reader.start()
    reader.ask(Op.READ, b"/a\0", tx)
    reader.ok(Op.WRITE, b"/b\0v", tx)
    writer.post(Op.WRITE, b"/a\0other")
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


def protected(engine: Engine) -> tuple[Client, Client, int]:
    """The same, when a transaction of the first one is protected."""
    reader, writer = two(engine)
    fail_often_enough(reader, writer)
    return reader, writer, reader.start()


def guests_of(engine: Engine) -> tuple[Client, Client]:
    """Two guests that may write the node of `attempt`."""
    dom0 = Client(engine)
    reader, writer = guest_of(engine, 1), guest_of(engine, 2)
    for node in (b"/a", b"/b"):
        give(dom0, node, b"b0\0")
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
    assert reader.connection.conflicts == 0


def test_the_write_that_waited_is_carried_out_afterwards(engine: Engine) -> None:
    """It is neither refused nor lost, and the requests behind it keep their order."""
    reader, writer, tx = protected(engine)
    reader.ask(Op.READ, b"/a\0", tx)
    writer.post(Op.WRITE, b"/a\0late")
    writer.post(Op.READ, b"/a\0")

    assert writer.take() == []
    assert not engine.busy
    reader.ok(Op.TRANSACTION_END, b"T\0", tx)
    assert [payload for _, payload in writer.take()] == [OK, b"late"]


@pytest.mark.parametrize(
    ("op", "payload", "waits"),
    [
        # What broke the last attempt waits from the start: the same is read again.
        (Op.WRITE, b"/a\0v", True),
        (Op.RM, b"/a\0", True),
        (Op.SET_PERMS, b"/a\0n0\0", True),
        (Op.WRITE, b"/elsewhere\0v", False),
        (Op.READ, b"/a\0", False),
        (Op.WRITE, b"/a/below\0v", False),
        (Op.WRITE, b"//\0v", False),
    ],
)
def test_what_can_break_it_waits_and_nothing_else(
    engine: Engine, op: int, payload: bytes, *, waits: bool
) -> None:
    """Only writes into what it read, or what its last attempt read."""
    _, writer, _ = protected(engine)
    writer.post(op, payload)

    assert len(writer.take()) == (0 if waits else 1)


def test_a_commit_of_another_waits_too(engine: Engine) -> None:
    """What it has changed is what counts."""
    reader, writer = two(engine)
    fail_often_enough(reader, writer)
    harmless, harmful = writer.start(), writer.start()
    writer.ok(Op.WRITE, b"/c\0v", harmless)
    writer.ok(Op.WRITE, b"/a\0v", harmful)
    reader.start()

    writer.ok(Op.TRANSACTION_END, b"T\0", harmless)
    writer.post(Op.TRANSACTION_END, b"T\0", harmful)
    assert writer.take() == []


def test_nobody_waits_longer_than_the_limit(engine: Engine) -> None:
    """And the slow client has to fail as often again first."""
    reader, writer, _ = protected(engine)
    writer.post(Op.WRITE, b"/a\0late")
    assert engine.next_ms == PROTECT_MS

    run(engine, PROTECT_MS - 1)
    assert writer.take() == []
    run(engine, PROTECT_MS)
    assert writer.take() == [(Op.WRITE, OK)]
    assert reader.connection.conflicts == 0


@pytest.mark.parametrize(
    "end", ["commits", "aborts", "resets", "leaves", "anew", "ends", "broken"]
)
def test_nobody_waits_for_a_client_that_is_through(engine: Engine, end: str) -> None:
    """However its transaction ended, others go on before any time has passed."""
    reader, writer = guests_of(engine)
    fail_often_enough(reader, writer)
    tx = reader.start()
    reader.ask(Op.READ, b"/a\0", tx)
    writer.post(Op.WRITE, b"/a\0late")
    assert writer.take() == []
    if end in ("commits", "aborts"):
        reader.ok(Op.TRANSACTION_END, b"T\0" if end == "commits" else b"F\0", tx)
    elif end == "resets":
        reader.ok(Op.RESET_WATCHES, b"\0")
    elif end == "leaves":
        engine.disconnect(reader.connection)
    elif end == "anew":
        engine.restart(reader.connection)
    elif end == "ends":
        engine.domains_changed([1], [])
    else:
        # Its link reads the end of the stream and ends it when all is sent.
        reader.send(b"\xff" * 16)
        engine.disconnect(reader.connection)
    run(engine)

    assert writer.take() == [(Op.WRITE, OK)]
    assert engine.core.now_ms == 0


def test_a_guest_cannot_make_dom0_wait(engine: Engine) -> None:
    """It waits for other guests only."""
    guest, other = guests_of(engine)
    dom0 = Client(engine)
    fail_often_enough(guest, dom0)
    guest.start()

    dom0.ok(Op.WRITE, b"/a\0v")
    other.post(Op.WRITE, b"/a\0v")
    assert other.take() == []


def test_nobody_waits_at_what_a_guest_has_no_right_to(engine: Engine) -> None:
    """It may name any node, and rely on its being refused."""
    guest, other = guests_of(engine)
    fail_often_enough(guest, other)
    give(Client(engine), b"/secret", b"n2\0")
    tx = guest.start()
    assert guest.errno(Op.READ, b"/secret\0", tx) is Errno.EACCES

    other.ok(Op.WRITE, b"/secret\0v")


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


def test_dom0_does_not_wait_until_a_guests_protection_is_over(engine: Engine) -> None:
    """Its own takes that one's place, and guests wait for it."""
    guest, other = guests_of(engine)
    fail_often_enough(guest, other)
    dom0 = Client(engine)
    fail_often_enough(dom0, other)
    guest.start()
    waiting = guest_of(engine, 3)
    waiting.post(Op.WRITE, b"/a\0late")
    tx = dom0.start()
    dom0.ask(Op.READ, b"/a\0", tx)
    for each in (waiting, other):
        each.post(Op.WRITE, b"/a\0later")
        assert each.take() == []

    dom0.ok(Op.TRANSACTION_END, b"T\0", tx)
    assert (len(waiting.take()), len(other.take())) == (2, 1)


def test_a_guest_waits_for_every_protection_of_dom0(engine: Engine) -> None:
    """Also a request that has waited for a guest's before."""
    guest, other = guests_of(engine)
    fail_often_enough(guest, other)
    dom0 = Client(engine)
    fail_often_enough(dom0, other)
    guest.ask(Op.READ, b"/a\0", guest.start())
    other.post(Op.WRITE, b"/a\0late")
    tx = dom0.start()
    dom0.ask(Op.READ, b"/a\0", tx)
    run(engine)
    assert other.take() == []
    dom0.ok(Op.WRITE, b"/b\0v", tx)

    assert dom0.reply(Op.TRANSACTION_END, b"T\0", tx)[1] == OK
    assert other.take() == [(Op.WRITE, OK)]


def test_a_guests_request_waits_for_one_guest_only(engine: Engine) -> None:
    """Or two of them could make it wait for ever."""
    guest, other = guests_of(engine)
    third = guest_of(engine, 3)
    fail_often_enough(guest, other)
    fail_often_enough(third, other)
    tx = guest.start()
    guest.ask(Op.READ, b"/a\0", tx)
    other.post(Op.WRITE, b"/a\0late")
    assert other.take() == []
    # Both at once: the next is protected before the one that waits has its turn.
    end = guest.frame(Op.TRANSACTION_END, b"F\0", tx)
    start = third.frame(Op.TRANSACTION_START, b"\0")
    engine.core.schedule.queue(other.connection)
    for client, data in ((guest, end), (third, start)):
        engine.feed(client.connection, data)
    engine.core.schedule.guests.rotate(-1)
    run(engine)

    assert engine.core.protection is not None
    assert engine.core.protection.connection is third.connection
    assert other.take() == [(Op.WRITE, OK)]


def test_a_commit_in_between_begins_the_count_anew(engine: Engine) -> None:
    """Only conflicts in a row are a sign of starving."""
    reader, writer = two(engine)
    for _ in range(PROTECT_AFTER - 1):
        attempt(reader, writer)
    reader.ok(Op.TRANSACTION_END, b"T\0", reader.start())

    assert reader.connection.conflicts == 0
    assert not attempt(reader, writer)


def test_reset_watches_begins_the_count_anew(engine: Engine) -> None:
    """Or a guest could have one transaction after another protected (XSA-206)."""
    guest, other = guests_of(engine)
    fail_often_enough(guest, other)
    waited = []
    for _ in range(3):
        guest.ask(Op.READ, b"/a\0", guest.start())
        other.post(Op.WRITE, b"/a\0new")
        waited.append(other.take() == [])
        guest.ok(Op.RESET_WATCHES, b"\0")
        other.take()

    assert waited == [True, False, False]


@pytest.mark.parametrize("how", ["write", "commit", "rm", "relative"])
def test_conflicts_with_ones_own_writes_earn_no_protection(
    engine: Engine, how: str
) -> None:
    """Nobody else is the cause of them, and others would pay."""
    guest, other = guest_at_home(engine, 1), guest_at_home(engine, 2)
    path = home(1) + b"/x\0"
    for _ in range(PROTECT_AFTER + 2):
        guest.ok(Op.WRITE, path + b"0")
        tx = guest.start()
        guest.ask(Op.READ, path, tx)
        if how == "commit":
            inner = guest.start()
            guest.ok(Op.WRITE, path + b"1", inner)
            guest.ok(Op.TRANSACTION_END, b"T\0", inner)
        elif how == "rm":
            guest.ok(Op.RM, path)
        else:
            guest.ok(Op.WRITE, (b"x\0" if how == "relative" else path) + b"1")
        assert guest.errno(Op.TRANSACTION_END, b"T\0", tx) is Errno.EAGAIN

    assert guest.connection.conflicts == 0
    guest.start()
    assert engine.core.protection is None
    other.ok(Op.WRITE, b"own\0v")


def test_ones_own_writes_elsewhere_do_not_hide_a_conflict(engine: Engine) -> None:
    """What others break counts, though the client has written meanwhile."""
    reader, writer = two(engine)
    for _ in range(PROTECT_AFTER):
        tx = reader.start()
        reader.ask(Op.READ, b"/a\0", tx)
        reader.ok(Op.WRITE, b"/c\0v")
        writer.ok(Op.WRITE, b"/a\0v")
        reader.ok(Op.WRITE, b"/b\0v", tx)
        assert reader.errno(Op.TRANSACTION_END, b"T\0", tx) is Errno.EAGAIN

    assert attempt(reader, writer)


@pytest.mark.parametrize("late", [False, True])
def test_who_failed_although_protected_is_protected_again(
    engine: Engine, *, late: bool
) -> None:
    """Unless it took too long, and so made others wait for nothing."""
    reader, writer, tx = protected(engine)
    reader.ask(Op.READ, b"/a\0", tx)
    reader.ok(Op.WRITE, b"/b\0v", tx)
    # What must not happen as long as others wait: here it does.
    engine.core.protection, kept = None, engine.core.protection
    writer.ok(Op.WRITE, b"/a\0other")
    engine.core.protection = kept
    if late:
        run(engine, PROTECT_MS)
    assert reader.errno(Op.TRANSACTION_END, b"T\0", tx) is Errno.EAGAIN
    count = 1
    while not attempt(reader, writer):
        count += 1
        writer.take()

    assert count == (PROTECT_AFTER if late else 1)


def test_a_protection_that_is_over_keeps_nobody_busy(engine: Engine) -> None:
    """Though its client is held up for another reason."""
    guest, other = guests_of(engine)
    fail_often_enough(guest, other)
    guest.start()
    for _ in range(100):
        guest.post(Op.GET_DOMAIN_PATH, b"1\0")
    assert not guest.connection.wants_input
    assert engine.next_ms == PROTECT_MS
    run(engine, PROTECT_MS + 1)

    assert not engine.busy
    assert engine.next_ms > PROTECT_MS + 1


def test_who_waits_goes_on_waiting_when_it_is_asked_again(engine: Engine) -> None:
    """By an event that has nothing to do with it; only the end lets it go on."""
    guest, other = guests_of(engine)
    fail_often_enough(guest, other)
    tx = guest.start()
    other.post(Op.WRITE, b"/a\0late")
    for value in (1, 2, 3):
        engine.set_limit(2, "nodes", value)
        assert engine.busy
        run(engine)
        assert (other.take(), engine.busy) == ([], False)

    guest.ok(Op.TRANSACTION_END, b"F\0", tx)
    assert other.take() == [(Op.WRITE, OK)]
