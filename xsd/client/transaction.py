"""Transactions, and the pause before one is tried again."""

import os
import time

from xsd.client.connection import Connection
from xsd.client.nodes import NodeOperations
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.lean import Final, Self, TracebackType, final
from xsd.protocol.ops import FALSE, TRUE, Op

FIRST_PAUSE: Final = 0.001
LONGEST_PAUSE: Final = 0.25


@final
class Transaction(NodeOperations):
    """Requests of which the others see all or nothing.

    As a context manager it commits at the end of the block, and aborts if the
    block is left by an exception:

        with client.transaction() as transaction:
            transaction.write("/a", b"1")
            transaction.write("/b", b"2")

    The commit raises EAGAIN if somebody else changed what the transaction had
    read or written. A block cannot run a second time: use
    `Client.run_transaction` where the work should be repeated.

    Attributes:
        id: The daemon's number for it.
    """

    __slots__ = ("_connection", "_open", "id")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # An empty string, not an empty payload: oxenstored wants its NUL.
        reply = connection.call(Op.TRANSACTION_START, b"\0", 0)
        self.id = int(reply.rstrip(b"\0"))
        self._open = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,  # noqa: PYI036  it is that
    ) -> None:
        if not self._open:
            return
        if kind is None:
            self.commit()
            return
        # The block's own exception matters more than that of a lost connection.
        try:  # noqa: SIM105  contextlib takes as long to load as all of this
            self.abort()
        except (XenStoreError, ConnectionError):
            pass

    def request(self, op: Op, payload: bytes) -> bytes:
        """Send one request as part of the transaction."""
        if not self._open:
            raise XenStoreError(Errno.ENOENT, "the transaction has ended")
        return self._connection.call(op, payload, self.id)

    def commit(self) -> None:
        """Make everything visible to the others at once, and end.

        Raises:
            XenStoreError: EAGAIN if somebody else was faster; nothing has
                happened, and the transaction is gone.
        """
        self._end(TRUE)

    def abort(self) -> None:
        """Forget everything, and end."""
        self._end(FALSE)

    def _end(self, payload: bytes) -> None:
        try:
            self.request(Op.TRANSACTION_END, payload)
        finally:
            self._open = False


def back_off(failures: int) -> None:
    """Sleep before the next attempt: at random up to 1, 2, 4 ... 250 ms.

    Two clients that met once would meet again if they waited equally long.

    Args:
        failures: Attempts so far, at least 1.
    """
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (failures - 1))
    # Not from `random`, whose import alone costs as much as a short command.
    time.sleep(longest * int.from_bytes(os.urandom(2)) / 0xFFFF)
