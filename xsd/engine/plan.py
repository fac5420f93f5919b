"""A live update that an operator has asked for, and who carries it out."""

from abc import ABC, abstractmethod
from typing import final

from mypy_extensions import mypyc_attr

from xsd.engine.connection import Connection
from xsd.protocol.frame import Frame
from xsd.protocol.ops import Op


@final
class Plan:
    """What an update is to be.

    Attributes:
        connection: Number of the connection that has asked for it.
        file: The program that takes over.
        arguments: Its arguments, with blanks between; None for our own.
        begun: The update is under way, until it is answered.
        timeout_s: Seconds that it may be waited for transactions, where it has to be.
        force: Go on without them then.
        version: Of the stream for C xenstored, see `protocol.stream`: all releases
            read the first, and Xen 4.17 ends at another one.
        drains: No transactions are begun by who has none: it waits for those that are
            open.
        held: Numbers of the connections that wait for that.
    """

    __slots__ = (
        "arguments",
        "begun",
        "connection",
        "drains",
        "file",
        "force",
        "held",
        "timeout_s",
        "version",
    )

    def __init__(self, connection: int, file: bytes) -> None:
        self.connection = connection
        self.file = file
        self.arguments: bytes | None = None
        self.begun = False
        self.timeout_s = 0
        self.force = False
        self.version = 1
        self.drains = False
        self.held: list[int] = []

    def keeps_waiting(self, connection: Connection, frame: Frame) -> bool:
        """Have a client wait if its request begins a transaction and none may begin."""
        is_start = frame.op == Op.TRANSACTION_START
        if not self.drains or not is_start or connection.transactions:
            return False
        self.held.append(connection.id)
        return True


@mypyc_attr(allow_interpreted_subclasses=True)
class Updater(ABC):
    """Replaces the process by another that goes on with all that the engine has."""

    __slots__ = ()

    @abstractmethod
    def fault(self, file: bytes) -> str:
        """Tell in a sentence why a program cannot take over; empty if it may."""

    @abstractmethod
    def begin(self, plan: Plan) -> None:
        """Update as soon as this turn is over.

        If that fails, `update.answer_later` is called with the reason.
        """

    @abstractmethod
    def cancel(self) -> None:
        """Do not update, if it has not come to that yet."""


@final
class NoUpdater(Updater):
    """There is no process to be replaced."""

    def fault(self, file: bytes) -> str:
        """It never may."""
        return "This is no process that could be updated."

    def begin(self, plan: Plan) -> None:
        """It does not come to that."""

    def cancel(self) -> None:
        """There is nothing to be called off."""
