"""What is under way with guests on rings, where it outlives the process.

A guest's ring outlives the daemon, so its requests and replies have to, too: what was
taken off the ring and not answered, and what is half on it. The transport notes that in
a slot of the guest's, each time before it moves an index of the ring; what was noted
last is there after any end of the process, and together with the tape it says what the
guest is still owed (see owed.py).
"""

from abc import ABC, abstractmethod

from mypy_extensions import mypyc_attr

from xsd.engine.connection import Connection


@mypyc_attr(allow_interpreted_subclasses=True)
class Slot(ABC):
    """What is under way with one guest.

    Attributes:
        room: How many bytes can be taken off the ring now.
        taken: Consumer index of the requests: all before it is noted here, or answered.
        size: Bytes of the message that was noted last.
        is_emptied: Whether the ring was about to be emptied.
    """

    __slots__ = ("is_emptied", "room", "size", "taken")

    def __init__(self) -> None:
        self.room = 0
        self.taken = 0
        self.size = 0
        self.is_emptied = False

    @abstractmethod
    def sent(self, produced: int) -> int:
        """How many bytes of that are on the ring.

        Args:
            produced: Producer index of the responses.
        """

    @abstractmethod
    def begin(self, connection: Connection, taken: int, produced: int) -> bool:
        """Note what waits at a connection that has not been noted here yet.

        Args:
            connection: It.
            taken: Consumer index of the requests.
            produced: Producer index of the responses.

        Returns:
            Whether there is room for it; without it nothing is noted.
        """

    @abstractmethod
    def empty(self) -> None:
        """Note that the ring is about to be emptied, until `begin`."""

    @abstractmethod
    def take(self, data: bytes, taken: int) -> None:
        """Note bytes that are about to be taken off the ring.

        Args:
            data: No more than there is room for.
            taken: The consumer index behind them.
        """

    @abstractmethod
    def put(self, message: bytes, produced: int, told: int) -> None:
        """Note a message that is about to be put on the ring: all before it is there.

        Args:
            message: The whole of it. A reply is that to the oldest request.
            produced: Producer index where it begins.
            told: The pulse of the store, if nothing else waits; else 0.
        """

    @abstractmethod
    def free(self) -> None:
        """Forget everything; the connection has ended."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Ledger(ABC):
    """The slots of all guests."""

    __slots__ = ()

    @abstractmethod
    def slot_of(self, connection: Connection) -> tuple[Slot, bool] | None:
        """The slot of a connection.

        Returns:
            The slot, and whether something is noted there; None if there is no room
            for another one.
        """
