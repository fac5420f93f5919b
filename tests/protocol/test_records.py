"""What the records of a stream are when nobody has said more of them."""

from xsd.protocol.records import ConnectionData, NodeData, WatchData
from xsd.protocol.request import UNLIMITED


def test_a_connection_begins_as_a_socket_with_nothing_under_way() -> None:
    """Whoever makes one says what is otherwise."""
    record = ConnectionData(7)

    assert (record.domid, record.target, record.fd, record.port) == (-1, -1, -1, 0)
    assert (record.pending, record.unsent, record.begun) == (b"", b"", 0)
    assert record.unique_id is None


def test_a_node_is_the_stores_unless_a_transaction_is_named() -> None:
    """As most are."""
    record = NodeData(b"/a", b"", ())

    assert (record.connection, record.transaction, record.access) == (0, 0, 0)


def test_a_watch_sees_everything_below_unless_a_depth_is_given() -> None:
    """As in the protocol."""
    assert WatchData(1, b"/a", b"t").depth == UNLIMITED
