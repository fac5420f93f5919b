"""Runs: requests of one connection on their way into one entry of a journal."""

from typing import final

from xsd.engine.inputs import REQUEST
from xsd.persistence.entries import (
    ENTRY_MIN,
    RUN_MAX,
    Memory,
    aligned,
    packed_size,
    whose_of,
    write_entry,
)
from xsd.protocol.frame import Frame
from xsd.protocol.limits import HEADER_SIZE


@final
class Run:
    """Requests of one connection that follow each other, for one entry.

    Attributes:
        count: How many there are.
    """

    __slots__ = (
        "_connection",
        "_domid",
        "_first",
        "_generation",
        "_most",
        "_ordinal",
        "_parts",
        "_size",
        "_whose",
        "count",
    )

    def __init__(self, most: int = RUN_MAX) -> None:
        """Have none yet.

        Args:
            most: Bytes of them all, unless there is only one; RUN_MAX is enough.
        """
        self.count = 0
        self._most = min(most, RUN_MAX)
        self._connection = -1
        self._domid = 0
        self._whose = b""
        self._first: Frame | None = None
        # What stands behind the zeros, if there are more than one.
        self._parts: list[bytes] = []
        # Those of the next one.
        self._ordinal = 0
        self._generation = 0
        self._size = 0

    @property
    def size(self) -> int:
        """Bytes that the entry takes."""
        return aligned(ENTRY_MIN - HEADER_SIZE + self._size)

    def add(
        self, connection: int, domid: int, ordinal: int, generation: int, frame: Frame
    ) -> bool:
        """Add a request, if it goes on with those that there are.

        Args:
            connection: Its connection.
            domid: The domain of that.
            ordinal: Its ordinal there.
            generation: Of the store behind it.
            frame: It.

        Returns:
            Whether it was added; if there are none, it always is.
        """
        payload = frame.payload
        size = len(payload)
        count = self.count
        if count == 0:
            self._first = frame
            self._size = HEADER_SIZE + size
            if connection != self._connection or domid != self._domid:
                self._connection = connection
                self._domid = domid
                self._whose = b""
        else:
            together = self._size + HEADER_SIZE + size
            if (
                connection != self._connection
                or ordinal != self._ordinal
                or generation != self._generation
                or together > self._most
            ):
                return False
            parts = self._parts
            if count == 1:
                assert self._first is not None  # noqa: S101  it is the one
                parts.append(self._first.payload)
            parts.append(frame.header)
            parts.append(packed_size(size))
            parts.append(payload)
            self._size = together
        self.count = count + 1
        self._ordinal = ordinal + 1
        self._generation = generation + 1
        return True

    def write(self, into: Memory, at: int, number: int, seed: int) -> None:
        """Write their entry, which takes `size` bytes; there has to be a request.

        Args:
            into: Where.
            at: Offset there; a multiple of 8.
            number: Of the first of them.
            seed: With which checksums begin there, 32 bits.

        Raises:
            ValueError: If a number does not fit.
        """
        connection, domid = self._connection, self._domid
        if not self._whose:
            self._whose = whose_of(connection, domid, REQUEST, 0)
        first = self._first
        assert first is not None  # noqa: S101  there is one
        payload = first.payload
        parts = self._parts
        write_entry(
            into,
            at,
            seed + connection + domid + REQUEST + first.op + first.req_id + first.tx_id,
            number,
            self._generation - self.count,
            self._ordinal - self.count,
            self._whose,
            first.header,
            len(payload),
            b"".join(parts) if parts else payload,
        )

    def clear(self) -> None:
        """Have none again."""
        self.count = 0
        self._size = 0
        self._first = None
        if self._parts:
            self._parts = []
