"""xsd.persistence.ledger: what is noted is there for another process, no more."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.support import guest_of
from xsd.engine import Connection, Engine
from xsd.persistence.directory import Directory
from xsd.persistence.ledger import (
    MESSAGE_MAX,
    NAME,
    REQUESTS_BYTES,
    MappedLedger,
    MappedSlot,
)
from xsd.protocol.frame import encode_frame
from xsd.protocol.limits import UINT_MAX
from xsd.protocol.ops import Op
from xsd.store import Store

REQUEST = encode_frame(Op.WRITE, 1, 0, b"a\0v")
REPLY = encode_frame(Op.WRITE, 1, 0, b"OK\0")
BOOT_AT = 16
"""Where the head has the boot_id."""

EVENT = encode_frame(Op.WATCH_EVENT, 0, 0, b"a\0token\0")


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Directory]:
    """Where the ledger is."""
    found = Directory(tmp_path / "journal", make=True)
    yield found
    found.close()


@pytest.fixture
def connection() -> Connection:
    """A guest's, of which one request was carried out."""
    guest = guest_of(Engine(Store()), 5)
    guest.ask(Op.READ, b"none\0")
    return guest.connection


def slot_of(ledger: MappedLedger, connection: Connection) -> MappedSlot:
    """A slot that is begun."""
    found = ledger.slot_of(connection)
    assert found is not None
    slot, is_known = found
    assert not is_known
    assert isinstance(slot, MappedSlot)
    assert slot.begin(connection, 7, 9)
    return slot


def noted(directory: Directory, *, taken: bool = False) -> list[tuple[object, ...]]:
    """What another process finds."""
    other = MappedLedger(directory, taken=taken)
    found: list[tuple[object, ...]] = [
        (each.connection, each.first, each.base, each.requests, each.rest, each.told)
        for each in other.slips()
    ]
    other.close()
    return found


def test_what_is_noted_is_found_at_once(
    directory: Directory, connection: Connection
) -> None:
    """After each step, by who opens the file."""
    ledger = MappedLedger(directory)
    number = connection.id
    slot = slot_of(ledger, connection)
    assert noted(directory) == [(number, 2, 2, b"", b"", 0)]

    slot.take(REQUEST + REQUEST[:5], 42)
    assert (slot.taken, slot.size) == (42, 0)
    assert noted(directory) == [(number, 2, 2, REQUEST + REQUEST[:5], b"", 0)]

    slot.put(EVENT, UINT_MAX, 0)
    assert noted(directory) == [(number, 2, 2, REQUEST + REQUEST[:5], EVENT, 0)]
    slot.put(REPLY, 3, 77)
    assert noted(directory) == [(number, 3, 3, REQUEST[:5], REPLY, 77)]

    slot.take(REQUEST[5:], 50)
    slot.put(REPLY, 99, 0)
    assert noted(directory) == [(number, 4, 4, b"", REPLY, 77)]

    slot.empty()
    assert slot.is_emptied
    assert noted(directory) == []
    assert slot.begin(connection, 0, 0)
    assert noted(directory) == [(number, 2, 2, b"", b"", 0)]

    slot.free()
    assert noted(directory) == []
    ledger.close()


@pytest.mark.parametrize("begun", [0, 9, UINT_MAX - 3])
def test_how_much_of_a_message_is_on_the_ring(
    directory: Directory, connection: Connection, begun: int
) -> None:
    """The ring's own index tells; who spoils it is taken to have got all."""
    ledger = MappedLedger(directory)
    slot = slot_of(ledger, connection)
    slot.put(REPLY, begun, 0)

    counts = [slot.sent((begun + count) & UINT_MAX) for count in (0, 5, 19, 20, -1)]

    assert counts == [0, 5, 19, 19, 19]
    ledger.close()


def test_requests_go_round(directory: Directory, connection: Connection) -> None:
    """As long as there is room, wherever they lie; the largest has always some."""
    ledger = MappedLedger(directory)
    slot = slot_of(ledger, connection)
    largest = encode_frame(Op.WRITE, 2, 0, bytes(range(256)) * 16)
    assert len(largest) == MESSAGE_MAX
    for _ in range(5):
        slot.take(largest[:4000], 1)
        slot.take(largest[4000:] + REQUEST, 2)
        assert slot.room == REQUESTS_BYTES - len(largest + REQUEST)
        (found,) = ledger.slips()
        assert found.requests == largest + REQUEST
        slot.put(REPLY, 1, 0)
        (found,) = ledger.slips()
        assert found.requests == REQUEST
        slot.put(REPLY, 1, 0)
    assert slot.room == REQUESTS_BYTES
    ledger.close()


def test_what_waits_at_a_connection_is_noted_with_it(directory: Directory) -> None:
    """As when another daemon is taken over from."""
    engine = Engine(Store())
    guest = guest_of(engine, 5)
    connection = guest.connection
    connection.served = 10
    connection.outbox.restore(REPLY[4:] + EVENT + REPLY + REPLY, len(REPLY) - 4, None)
    engine.feed(connection, REQUEST + REQUEST[:3])
    ledger = MappedLedger(directory)

    slot = slot_of(ledger, connection)

    waiting = REQUEST + REQUEST[:3]
    assert noted(directory) == [(connection.id, 9, 11, waiting, REPLY[4:], 0)]
    slot.put(REPLY, 0, 0)
    assert noted(directory) == [(connection.id, 10, 11, waiting, REPLY, 0)]
    ledger.close()


def test_what_does_not_fit_is_not_noted(
    directory: Directory, connection: Connection
) -> None:
    """Another daemon may have taken more off a ring than is kept here."""
    ledger = MappedLedger(directory)
    found = ledger.slot_of(connection)
    assert found is not None
    connection.backlog = []
    while len(connection.pending) <= REQUESTS_BYTES:
        connection.backlog += connection.decoder.feed(REQUEST)

    assert not found[0].begin(connection, 0, 0)
    assert noted(directory) == []
    ledger.close()


def test_slots_are_found_again_and_used_again(directory: Directory) -> None:
    """By the number of the connection; those of connections that are gone are free."""
    engine = Engine(Store())
    guests = [guest_of(engine, domid).connection for domid in range(1, 40)]
    ledger = MappedLedger(directory)
    for each in guests:
        slot_of(ledger, each).take(REQUEST, each.id)
    size = os.stat(directory.path / NAME).st_size  # noqa: PTH116
    ledger.close()

    ledger = MappedLedger(directory)
    assert {slip.connection for slip in ledger.slips()} == {each.id for each in guests}
    found = ledger.slot_of(guests[20])
    assert found is not None
    assert found[1]
    assert found[0].taken == guests[20].id
    ledger.retain({guests[20].id: guests[20]})
    assert [slip.connection for slip in ledger.slips()] == [guests[20].id]
    for each in guests[21:]:
        slot_of(ledger, each)
    assert os.stat(directory.path / NAME).st_size == size  # noqa: PTH116
    ledger.close()


def test_without_room_for_a_slot_there_is_none(
    directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Met when it is made: in the mapping it would end the process."""
    engine = Engine(Store())
    ledger = MappedLedger(directory)
    guests = [guest_of(engine, domid).connection for domid in range(1, 18)]
    for each in guests[:16]:
        slot_of(ledger, each)

    def refuse(*_words: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    assert ledger.slot_of(guests[16]) is None
    ledger.close()


def test_what_another_start_of_the_machine_left_is_not_believed(
    directory: Directory, connection: Connection
) -> None:
    """Its guests are gone, and their indexes would spoil others' rings."""
    ledger = MappedLedger(directory)
    slot_of(ledger, connection)
    ledger.close()
    assert len(noted(directory)) == 1
    with (directory.path / NAME).open("r+b") as file:
        file.seek(BOOT_AT)
        file.write(b"x" * 36)

    assert noted(directory) == []


def test_a_state_that_was_taken_over_goes_with_what_its_process_has_noted(
    directory: Directory, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process keeps its number when it becomes another program."""
    ledger = MappedLedger(directory)
    slot_of(ledger, connection)
    ledger.close()

    assert len(noted(directory, taken=True)) == 1
    monkeypatch.setattr(os, "getpid", lambda: 1)
    assert noted(directory, taken=True) == []


@pytest.mark.parametrize("content", [b"", b"xsdledg\n", b"something else" * 9999])
def test_what_is_no_ledger_is_begun_anew(directory: Directory, content: bytes) -> None:
    """It is of use for one process only."""
    (directory.path / NAME).write_bytes(content)

    assert noted(directory) == []
    status = os.stat(directory.path / NAME)  # noqa: PTH116
    assert status.st_mode & 0o7777 == 0o600
    assert status.st_blocks * 512 >= status.st_size
