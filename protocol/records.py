"""What Xen's migration stream consists of: a record for each thing that is handed on.

How they become bytes is in stream.py. Types that are not known are kept as
`UnknownData`; other daemons skip them as well, so that whoever has more to say may do
so in records of its own.
"""

from typing import Final, final

from xsd.protocol.perms import Entry
from xsd.protocol.request import UNLIMITED

DELETED: Final = 0
SEEN: Final = 1
WRITTEN: Final = 2
"""How a transaction has accessed a node; see `NodeData`."""


@final
class GlobalData:
    """Descriptors that all clients share, in a live update.

    Attributes:
        socket_fd: The listening socket, -1 for none.
        evtchn_fd: The open device of event channels, -1 for none.
    """

    __slots__ = ("evtchn_fd", "socket_fd")

    def __init__(self, socket_fd: int, evtchn_fd: int) -> None:
        self.socket_fd = socket_fd
        self.evtchn_fd = evtchn_fd


@final
class ConnectionData:
    """A client.

    Attributes:
        number: What watches and transactions refer to; not 0.
        domid: Domain at the other end of a ring, -1 for a socket.
        target: Domain whose rights it has too, or -1; of a ring.
        port: Local port of the ring's event channel.
        fd: Descriptor of a socket; of a ring -1.
        pending: What was read and not carried out: whole messages, and the beginning
            of one at most.
        unsent: What is still to be written.
        begun: How many bytes of `unsent` end a message whose beginning is written.
        unique_id: What the hypervisor tells the domain from others by, or None.
    """

    __slots__ = (
        "begun",
        "domid",
        "fd",
        "number",
        "pending",
        "port",
        "target",
        "unique_id",
        "unsent",
    )

    def __init__(self, number: int) -> None:
        self.number = number
        self.domid = -1
        self.target = -1
        self.port = 0
        self.fd = -1
        self.pending = b""
        self.unsent = b""
        self.begun = 0
        self.unique_id: int | None = None


@final
class WatchData:
    """A watch.

    Attributes:
        connection: Number of its connection.
        path: As the client gave it.
        token: As the client gave it.
        depth: Levels below the path, or `request.UNLIMITED`.
    """

    __slots__ = ("connection", "depth", "path", "token")

    def __init__(
        self, connection: int, path: bytes, token: bytes, depth: int = UNLIMITED
    ) -> None:
        self.connection = connection
        self.path = path
        self.token = token
        self.depth = depth


@final
class TransactionData:
    """An open transaction.

    Attributes:
        connection: Number of its connection.
        number: Its id there.
    """

    __slots__ = ("connection", "number")

    def __init__(self, connection: int, number: int) -> None:
        self.connection = connection
        self.number = number


@final
class NodeData:
    """A node of the store, or of a transaction.

    Attributes:
        path: Absolute or special.
        value: Any bytes.
        entries: Permissions; empty only for what a transaction has removed, or seen
            to be missing.
        connection: Number of the transaction's connection, 0 for a node of the store.
        transaction: Id of the transaction.
        access: For a node of a transaction, `DELETED`, or some of `SEEN`, `WRITTEN`.
    """

    __slots__ = ("access", "connection", "entries", "path", "transaction", "value")

    def __init__(
        self,
        path: bytes,
        value: bytes,
        entries: tuple[Entry, ...],
        connection: int = 0,
        transaction: int = 0,
        access: int = 0,
    ) -> None:
        self.path = path
        self.value = value
        self.entries = entries
        self.connection = connection
        self.transaction = transaction
        self.access = access


@final
class QuotaData:
    """Limits that hold for all.

    Attributes:
        of_domains: Limits of each domain by name; 0 is none.
        of_all: Limits of all domains together by name.
    """

    __slots__ = ("of_all", "of_domains")

    def __init__(self, of_domains: dict[str, int], of_all: dict[str, int]) -> None:
        self.of_domains = of_domains
        self.of_all = of_all


@final
class DomainData:
    """A domain, introduced or not.

    Attributes:
        domid: Its number.
        features: Server features that it is offered; 0 in version 1.
        quotas: Its limits by name; 0 is none.
    """

    __slots__ = ("domid", "features", "quotas")

    def __init__(self, domid: int, features: int, quotas: dict[str, int]) -> None:
        self.domid = domid
        self.features = features
        self.quotas = quotas


@final
class UnknownData:
    """A record of a type that is not Xen's.

    Attributes:
        kind: The type, 32 bits.
        body: What was in it, with its padding where its writer counts that in.
    """

    __slots__ = ("body", "kind")

    def __init__(self, kind: int, body: bytes) -> None:
        self.kind = kind
        self.body = body


Record = (
    GlobalData
    | ConnectionData
    | WatchData
    | TransactionData
    | NodeData
    | QuotaData
    | DomainData
    | UnknownData
)
