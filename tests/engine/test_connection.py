"""xsd.engine.connection: ids of transactions, a new beginning, who wants input."""

import pytest

from xsd.engine import HIGH_WATER, Connection
from xsd.protocol.frame import Frame, encode_frame
from xsd.protocol.ops import Op
from xsd.protocol.perms import Caller
from xsd.store import Store, Transaction
from xsd.store.usage import Usage

READ = encode_frame(Op.READ, 1, 0, b"/a\0")
FRAME = Frame(READ[:12], Op.READ, 0, b"/a\0")


@pytest.fixture
def connection() -> Connection:
    """The connection of domain 5."""
    return Connection(7, Caller(5, privileged=False), Usage(), [])


def opened() -> Transaction:
    """A new transaction."""
    store = Store()
    return store.start(store.privileged.caller)


def test_connection_shows_its_number_and_domain(connection: Connection) -> None:
    """For the log and for debugging; its home is its domain's."""
    assert repr(connection) == "Connection(#7, dom5)"
    assert connection.home == b"/local/domain/5"


def test_ids_go_round_without_0_and_those_in_use(connection: Connection) -> None:
    """They are 32 bits wide, and 0 means no transaction."""
    for _ in range(2):
        connection.keep(opened())
    connection.last_transaction = 2**32 - 2

    assert [connection.keep(opened()) for _ in range(2)] == [2**32 - 1, 3]


def test_restart_leaves_a_broken_connection_broken(connection: Connection) -> None:
    """C never listens to an ignored domain again (XSA-325)."""
    connection.decoder.feed(b"\xff" * 16)
    connection.closing = True

    connection.restart()

    assert connection.closing
    assert connection.decoder.error is not None


@pytest.mark.parametrize("reason", ["backlog", "closing", "lost", "output"])
def test_input_is_wanted_unless_there_is_something_to_do_before(
    connection: Connection, reason: str
) -> None:
    """Or a client could have any amount of it kept; to ask changes nothing."""
    connection.outbox.append(b"x" * HIGH_WATER)
    assert connection.wants_input
    if reason == "backlog":
        connection.backlog = [FRAME]
    elif reason == "output":
        connection.outbox.append(b"x")
    else:
        setattr(connection, reason, True)

    assert [connection.wants_input for _ in range(2)] == [False, False]
