"""xsd.engine.connection: ids of transactions, paths, and a new beginning."""

import pytest

from xsd.engine import Connection
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.frame import Frame, encode_frame
from xsd.protocol.ops import Op
from xsd.protocol.perms import Caller
from xsd.store import Store, Transaction
from xsd.store.usage import Usage


@pytest.fixture
def connection() -> Connection:
    """The connection of domain 5."""
    return Connection(7, Caller(5, privileged=False), Usage())


@pytest.fixture
def store() -> Store:
    """A store to open transactions in."""
    return Store()


def opened(store: Store) -> Transaction:
    """A new transaction."""
    return store.start(store.privileged.caller)


def test_connection_shows_its_number_and_domain(connection: Connection) -> None:
    """For the log and for debugging."""
    assert repr(connection) == "Connection(#7, dom5)"


def test_relative_path_begins_at_the_domains_home(connection: Connection) -> None:
    """Every client has the home of its domain."""
    path = (b"", b"local", b"domain", b"5", b"data")

    assert connection.resolve(b"data", limit=0) == path
    assert connection.resolve(b"/local/domain/5/data", limit=0) == path


def test_special_name_is_a_path_where_it_may_stand(connection: Connection) -> None:
    """Elsewhere it is EINVAL."""
    assert connection.resolve(b"@a", limit=0, special=True) == (b"@a",)

    with pytest.raises(XenStoreError) as caught:
        connection.resolve(b"@a", limit=0)

    assert caught.value.errno is Errno.EINVAL


def test_path_over_the_limit_is_einval(connection: Connection) -> None:
    """The home is not counted."""
    assert len(connection.resolve(b"x" * 10, limit=10)) == 5

    with pytest.raises(XenStoreError) as caught:
        connection.resolve(b"x" * 11, limit=10)

    assert caught.value.errno is Errno.EINVAL


def test_transaction_ids_begin_at_1_and_go_up(
    connection: Connection, store: Store
) -> None:
    """An id that was given up is not taken up again (C xenstored)."""
    first, second, third = opened(store), opened(store), opened(store)

    assert connection.keep(first) == 1
    assert connection.keep(second) == 2
    connection.drop(first)
    connection.drop(second)
    assert connection.keep(third) == 3
    assert connection.transactions == {3: third}


def test_transaction_ids_go_round_without_0_and_those_in_use(
    connection: Connection, store: Store
) -> None:
    """They are 32 bits wide, and 0 means no transaction."""
    connection.keep(opened(store))
    connection.keep(opened(store))
    connection._last_transaction = 2**32 - 2

    assert connection.keep(opened(store)) == 2**32 - 1
    assert connection.keep(opened(store)) == 3


def test_dropping_an_unknown_transaction_does_nothing(
    connection: Connection, store: Store
) -> None:
    """RESET_WATCHES may have dropped it already."""
    connection.keep(opened(store))
    connection.drop(opened(store))

    assert list(connection.transactions) == [1]


def test_restart_forgets_input_and_output(connection: Connection) -> None:
    """A domain that is introduced again has an empty ring (C: domain_conn_reset)."""
    request = encode_frame(Op.READ, 1, 0, b"/a\0")
    connection.decoder.feed(request[:10])
    connection.backlog = connection.decoder.feed(b"")
    connection.backlog.append(Frame(request[:16], Op.READ, 1, 0, b"/a\0"))
    connection.outbox.append(b"half a reply")

    connection.restart()

    assert connection.backlog == []
    assert connection.outbox.size == 0
    assert connection.decoder.feed(request) == [
        Frame(request[:16], Op.READ, 1, 0, b"/a\0")
    ]


def test_restart_leaves_a_broken_connection_broken(connection: Connection) -> None:
    """C never listens to an ignored domain again (XSA-325)."""
    connection.decoder.feed(b"\xff" * 16)
    connection.closing = True

    connection.restart()

    assert connection.closing
    assert connection.decoder.error is not None
