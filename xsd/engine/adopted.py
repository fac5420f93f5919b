"""Clients that another process has served until now, and where they are found."""

from typing import final

from xsd.engine.connection import Connection
from xsd.protocol.records import ConnectionData, GlobalData, Record


@final
class Adopted:
    """A client that goes on.

    What it has sent and what it is to be sent is in the connection already; its link
    has to be made: by `record.fd` of a socket, by `record.domid` and `record.port` of
    a ring.

    Attributes:
        connection: It, in the engine.
        record: What is known of it.
    """

    __slots__ = ("connection", "record")

    def __init__(self, connection: Connection, record: ConnectionData) -> None:
        self.connection = connection
        self.record = record

    @property
    def is_ring(self) -> bool:
        """Whether it is at the other end of a ring rather than of a socket."""
        return self.record.domid >= 0


@final
class Takeover:
    """What transports need to go on where another process has stopped.

    Attributes:
        clients: In the order in which they came.
        socket_fd: The listening socket, or -1.
        evtchn_fd: The open device of event channels, or -1.
    """

    __slots__ = ("clients", "evtchn_fd", "socket_fd")

    def __init__(
        self, connections: dict[int, Connection], records: list[Record]
    ) -> None:
        """Find out.

        Args:
            connections: Those of the engine that was made of the records, by number.
            records: What the other process has told.
        """
        self.clients: list[Adopted] = []
        self.socket_fd = -1
        self.evtchn_fd = -1
        for record in records:
            if isinstance(record, GlobalData):
                self.socket_fd = record.socket_fd
                self.evtchn_fd = record.evtchn_fd
            elif isinstance(record, ConnectionData):
                connection = connections.get(record.number)
                if connection is not None:
                    self.clients.append(Adopted(connection, record))
