"""Who goes on after another process has stopped, and where they are."""

from tests.engine.support import Client
from xsd.engine import Engine
from xsd.engine.adopted import Takeover
from xsd.protocol.records import ConnectionData, GlobalData
from xsd.store import Store


def test_the_transports_are_told_where_everybody_is() -> None:
    """Sockets by descriptor, rings by domain and port, and what all share."""
    engine = Engine(Store())
    one, two = Client(engine).connection, Client(engine, 5).connection
    socket, ring = ConnectionData(one.id), ConnectionData(two.id)
    socket.fd = 9
    ring.domid, ring.port = 5, 7

    found = Takeover(engine.core.connections, [GlobalData(3, 4), socket, ring])

    assert (found.socket_fd, found.evtchn_fd) == (3, 4)
    first, second = found.clients
    assert (first.connection, first.is_ring, first.record.fd) == (one, False, 9)
    assert (second.connection, second.is_ring, second.record.port) == (two, True, 7)


def test_who_is_no_more_is_left_out() -> None:
    """And without descriptors there are none."""
    engine = Engine(Store())

    found = Takeover(engine.core.connections, [ConnectionData(7)])

    assert found.clients == []
    assert (found.socket_fd, found.evtchn_fd) == (-1, -1)
