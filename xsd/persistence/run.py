"""Runs: requests of one connection on their way into one entry of a journal."""

import struct
from typing import Final, final

from xsd.engine.inputs import REQUEST
from xsd.persistence.entries import (
    ENTRY_MIN,
    RUN_MAX,
    Memory,
    aligned,
    whose_of,
    write_entry,
)
from xsd.protocol.frame import Frame
from xsd.protocol.limits import HEADER_SIZE

_pack_size: Final = struct.Struct("=I").pack

_SIZES: Final = tuple(_pack_size(size) for size in range(256))
"""Sizes of most payloads, as a header has them."""


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

    def goes_on(
        self, connection: int, ordinal: int, generation: int, size: int
    ) -> bool:
        """Tell whether a request may be added.

        Args:
            connection: Its connection.
            ordinal: Its ordinal there.
            generation: Of the store behind it.
            size: Bytes of its payload.
        """
        return not self.count or (
            connection == self._connection
            and ordinal == self._ordinal
            and generation == self._generation
            and self._size + HEADER_SIZE + size <= self._most
        )

    def add(
        self, connection: int, domid: int, ordinal: int, generation: int, frame: Frame
    ) -> None:
        """Add a request; see `goes_on`."""
        payload = frame.payload
        size = len(payload)
        if self._first is None:
            self._first = frame
            if connection != self._connection or domid != self._domid:
                self._connection = connection
                self._domid = domid
                self._whose = b""
        else:
            parts = self._parts
            if not parts:
                parts.append(self._first.payload)
            parts.append(frame.header)
            parts.append(_SIZES[size] if size < len(_SIZES) else _pack_size(size))
            parts.append(payload)
        self.count += 1
        self._ordinal = ordinal + 1
        self._generation = generation + 1
        self._size += HEADER_SIZE + size

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
