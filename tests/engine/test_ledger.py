"""xsd.engine.ledger: what of a guest with a slot is on the tape."""

import pytest

from tests.engine.support import Client
from xsd.engine import Engine
from xsd.engine.inputs import MemoryTape
from xsd.protocol.ops import Op


@pytest.fixture
def guest(engine: Engine) -> Client:
    """A client whose requests change nothing, in a transaction or not."""
    client = Client(engine)
    client.ok(Op.WRITE, b"/a\0v")
    return client


def taped(engine: Engine, client: Client) -> list[int]:
    """Which of some requests that change nothing are on the tape."""
    tape = engine.tape
    assert isinstance(tape, MemoryTape)
    number = client.start()
    for _ in range(2):
        client.ask(Op.READ, b"/a\0", number)
    before = len(tape.inputs)
    client.ask(Op.MKDIR, b"/a\0")
    client.ask(Op.UNWATCH, b"/a\0none\0")
    client.ask(Op.READ, b"/a\0", number)
    client.ask(Op.READ, b"/a\0")
    client.ask(Op.DIRECTORY, b"/\0")
    client.ask(Op.CONTROL, b"help\0")
    client.ask(99, b"")
    return [each.frame.op for each in tape.inputs[before:] if each.frame is not None]


def test_what_might_have_changed_something_is_taped_with_a_slot(
    engine: Engine, guest: Client
) -> None:
    """Elsewhere it could, if it were carried out once more for its reply."""
    guest.connection.has_slot = True

    assert taped(engine, guest) == [Op.MKDIR, Op.UNWATCH, Op.READ]


def test_without_a_slot_only_changes_are_taped(engine: Engine, guest: Client) -> None:
    """Nobody asks for such a reply once more."""
    assert taped(engine, guest) == []
