"""The shared page of a domain: two rings of bytes and a few fields.

The page is `xenstore_domain_interface` of ``xs_wire.h``. Both rings hold 1,024
bytes and are described by two free-running 32-bit indexes: byte x of a stream
stands at x modulo 1,024, and the difference of the indexes, modulo 2**32, is
what waits. Whoever writes bytes moves the producer index, whoever takes them
the consumer index; the other side may change anything at any time (XSA-38).

Nothing here waits or notifies: mapping the page and its event channel are the
business of the caller, who must notify the peer after every move of an index.

The data is copied before the index is moved. On x86 the other side sees both
in that order; a machine with a weaker memory order needs a barrier between.
"""

from typing import Final, final

from xsd.protocol.limits import RING_SIZE, UINT_MAX

PAGE_SIZE: Final = 4096

ERROR_NONE: Final = 0
ERROR_COMMUNICATION: Final = 1
ERROR_RING_INDEX: Final = 2
ERROR_PROTOCOL: Final = 3
"""Values of `Ring.error`; the connection is dead unless it is ERROR_NONE."""

CONNECTED: Final = 0
RECONNECT: Final = 1
"""Values of `Ring.connection`; the guest sets RECONNECT, the server clears it."""

_REQUESTS: Final = 0
_RESPONSES: Final = RING_SIZE
_FIELDS: Final = 2 * RING_SIZE

REQ_CONS: Final = 0
REQ_PROD: Final = 1
RSP_CONS: Final = 2
RSP_PROD: Final = 3
SERVER_FEATURES: Final = 4
CONNECTION: Final = 5
ERROR: Final = 6
EVTCHN_PORT: Final = 7
"""Fields by their number, 4 bytes each, beginning at byte 2048."""

_FIELD_COUNT: Final = 8


@final
class RingError(Exception):
    """The indexes of a ring say that it holds more than it can.

    Attributes:
        ring: ``request`` or ``response``.
        cons: Consumer index as it was read.
        prod: Producer index as it was read.
    """

    def __init__(self, ring: str, cons: int, prod: int) -> None:
        super().__init__(ring, cons, prod)
        self.ring = ring
        self.cons = cons
        self.prod = prod

    def __str__(self) -> str:
        return f"impossible {self.ring} indexes: {self.cons} to {self.prod}"


@final
class Ring:
    """One domain's page, seen by the server or, mirrored, by the guest."""

    __slots__ = ("_fields", "_page")

    def __init__(self, page: memoryview) -> None:
        """Look at a page.

        Args:
            page: 4,096 writable bytes in one piece. Views of it are kept until
                `release`; a mapping cannot be closed before.

        Raises:
            ValueError: If it is anything else.
        """
        if page.nbytes != PAGE_SIZE or page.readonly or not page.c_contiguous:
            raise ValueError("a ring needs a writable page of 4096 bytes")
        self._page = page.cast("B")
        # A cast view reads and writes a field with one access of 32 bits; the
        # other side can never see one half changed.
        self._fields = self._page[_FIELDS : _FIELDS + 4 * _FIELD_COUNT].cast("I")

    def release(self) -> None:
        """Give the views up; the ring cannot be used any more."""
        self._fields.release()
        self._page.release()

    # The server's side.

    def read_requests(self, limit: int) -> bytes:
        """Take up to `limit` bytes that the guest wrote; ``b""`` if none wait.

        Raises:
            RingError: On impossible indexes. Nothing was taken.
        """
        return self._take("request", _REQUESTS, REQ_CONS, REQ_PROD, limit)

    def look_at_requests(self, limit: int) -> tuple[bytes, int]:
        """Look at up to `limit` bytes that the guest wrote, and take none of them.

        Returns:
            The bytes, and the value of `taken` that takes them.

        Raises:
            RingError: On impossible indexes.
        """
        return self._look("request", _REQUESTS, REQ_CONS, REQ_PROD, limit)

    @property
    def taken(self) -> int:
        """Consumer index of the requests: those before it are taken."""
        return self._fields[REQ_CONS]

    @taken.setter
    def taken(self, index: int) -> None:
        self._fields[REQ_CONS] = index

    @property
    def produced(self) -> int:
        """Producer index of the responses."""
        return self._fields[RSP_PROD]

    def write_responses(self, data: bytes) -> int:
        """Hand bytes to the guest; return how many there was room for.

        Raises:
            RingError: On impossible indexes. Nothing was written.
        """
        return self._put("response", _RESPONSES, RSP_CONS, RSP_PROD, data)

    def reset(self) -> None:
        """Empty both rings by setting all four indexes to 0, as INTRODUCE does.

        The other fields stay: an error once told to the guest is not taken
        back by INTRODUCE of a domain that is known already.
        """
        fields = self._fields
        fields[REQ_CONS] = 0
        fields[REQ_PROD] = 0
        fields[RSP_CONS] = 0
        fields[RSP_PROD] = 0

    def unread(self) -> tuple[bytes, bytes]:
        """What both sides have written and the other has not read; it stays there.

        Raises:
            RingError: On impossible indexes.
        """
        requests = self._held("request", _REQUESTS, REQ_CONS, REQ_PROD)
        return requests, self._held("response", _RESPONSES, RSP_CONS, RSP_PROD)

    # The guest's side.

    def read_responses(self, limit: int) -> bytes:
        """Take up to `limit` bytes that the server wrote; ``b""`` if none wait.

        Raises:
            RingError: On impossible indexes. Nothing was taken.
        """
        return self._take("response", _RESPONSES, RSP_CONS, RSP_PROD, limit)

    def write_requests(self, data: bytes) -> int:
        """Hand bytes to the server; return how many there was room for.

        Raises:
            RingError: On impossible indexes. Nothing was written.
        """
        return self._put("request", _REQUESTS, REQ_CONS, REQ_PROD, data)

    # Fields beside the rings.

    @property
    def server_features(self) -> int:
        """FEATURE bits that the server offers this domain."""
        return self._fields[SERVER_FEATURES]

    @server_features.setter
    def server_features(self, bits: int) -> None:
        self._fields[SERVER_FEATURES] = bits

    @property
    def connection(self) -> int:
        """State of the connection: CONNECTED or RECONNECT."""
        return self._fields[CONNECTION]

    @connection.setter
    def connection(self, state: int) -> None:
        self._fields[CONNECTION] = state

    @property
    def error(self) -> int:
        """Why the server no longer serves this domain, or ERROR_NONE."""
        return self._fields[ERROR]

    @error.setter
    def error(self, code: int) -> None:
        self._fields[ERROR] = code

    @property
    def evtchn_port(self) -> int:
        """Event channel port that Xen filled in for a dom0less guest, or 0."""
        return self._fields[EVTCHN_PORT]

    @evtchn_port.setter
    def evtchn_port(self, port: int) -> None:
        self._fields[EVTCHN_PORT] = port

    def _held(self, ring: str, base: int, cons_at: int, prod_at: int) -> bytes:
        cons = self._fields[cons_at]
        prod = self._fields[prod_at]
        size = (prod - cons) & UINT_MAX
        if size > RING_SIZE:
            raise RingError(ring, cons, prod)
        start = cons % RING_SIZE
        return (bytes(self._page[base : base + RING_SIZE]) * 2)[start : start + size]

    def _take(
        self, ring: str, base: int, cons_at: int, prod_at: int, limit: int
    ) -> bytes:
        data, taken = self._look(ring, base, cons_at, prod_at, limit)
        if data:
            self._fields[cons_at] = taken
        return data

    def _look(
        self, ring: str, base: int, cons_at: int, prod_at: int, limit: int
    ) -> tuple[bytes, int]:
        fields = self._fields
        # Read each index once: only the value that was checked may be used.
        cons = fields[cons_at]
        prod = fields[prod_at]
        size = (prod - cons) & UINT_MAX
        if size > RING_SIZE:
            raise RingError(ring, cons, prod)
        size = min(size, limit)
        if size <= 0:
            return b"", cons
        page = self._page
        start = cons % RING_SIZE
        if start + size <= RING_SIZE:
            data = bytes(page[base + start : base + start + size])
        else:
            wrapped = start + size - RING_SIZE
            data = bytes(page[base + start : base + RING_SIZE]) + bytes(
                page[base : base + wrapped]
            )
        return data, (cons + size) & UINT_MAX

    def _put(
        self, ring: str, base: int, cons_at: int, prod_at: int, data: bytes
    ) -> int:
        fields = self._fields
        cons = fields[cons_at]
        prod = fields[prod_at]
        used = (prod - cons) & UINT_MAX
        if used > RING_SIZE:
            raise RingError(ring, cons, prod)
        size = min(RING_SIZE - used, len(data))
        if size == 0:
            return 0
        page = self._page
        start = prod % RING_SIZE
        first = min(size, RING_SIZE - start)
        page[base + start : base + start + first] = data[:first]
        page[base : base + size - first] = data[first:size]
        fields[prod_at] = (prod + size) & UINT_MAX
        return size
