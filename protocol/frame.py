"""Frames: a 16-byte header and at most 4,096 bytes of payload.

The header is `xsd_sockmsg` of ``xs_wire.h``: type, request id, transaction id
and length, four 32-bit numbers in the byte order of all machines that Xen runs on:
the lowest byte first.
"""

import struct

from xsd.protocol.errors import Errno, FramingError, XenStoreError
from xsd.protocol.lean import Final, final, i64, mypyc_attr
from xsd.protocol.limits import HEADER_SIZE, PAYLOAD_MAX

REPEATED: Final = 12
"""Bytes of a header that its reply repeats: all but the length."""

_pack: Final = struct.Struct("<IIII").pack

_REPR_MAX: Final = 75


# Not acyclic when it is compiled: clients may keep one below a chain of more than 50
# objects, which are freed by means of the collector's that such a class has not.
@final
@mypyc_attr(free_list_len=1)
class Frame:
    """One message.

    Attributes:
        header: The first 12 bytes as they came: a reply repeats them.
        op: Message type, 32 bits; not necessarily a member of `Op`.
        tx_id: Transaction, or 0, 32 bits.
        payload: What follows the header.
    """

    __slots__ = ("header", "op", "payload", "tx_id")

    def __init__(self, header: bytes, op: int, tx_id: int, payload: bytes) -> None:
        self.header = header
        self.op = op
        self.tx_id = tx_id
        self.payload = payload

    @property
    def req_id(self) -> int:
        """Number by which the client finds its reply, 32 bits."""
        return _number(self.header, 4)

    @property
    def whole(self) -> bytes:
        """The message as it came, header and payload."""
        return encode_frame(self.op, self.req_id, self.tx_id, self.payload)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Frame)
            and self.header == other.header
            and self.payload == other.payload
        )

    def __hash__(self) -> int:
        return hash((self.header, self.payload))

    def __repr__(self) -> str:
        text = f"Frame({self.op}, {self.req_id}, {self.tx_id}, {self.payload!r})"
        if len(text) > _REPR_MAX:
            text = text[: _REPR_MAX - 4] + "...)"
        return text


def frame_of(header: bytes, payload: bytes) -> Frame:
    """The message of a kept header and its payload."""
    return Frame(header, _number(header, 0), _number(header, 8), payload)


def message_size(data: bytes, at: int) -> int:
    """Bytes of the whole message that begins there."""
    return HEADER_SIZE + _number(data, at + REPEATED)


def _number(data: bytes, at: i64) -> i64:
    """The 32-bit number that begins there."""
    # Compiled, this takes a tenth of what `struct` does, which makes objects.
    low: i64 = data[at] | (data[at + 1] << 8)
    high: i64 = data[at + 2] | (data[at + 3] << 8)
    return low | (high << 16)


@final
class FrameDecoder:
    """Cuts a byte stream into frames, wherever the stream itself was cut.

    Attributes:
        error: Why the stream cannot be understood any further, or None. It
            cannot be resynchronised: ignore the domain or close the socket
            (XSA-325, XSA-420).
    """

    __slots__ = ("_needed", "_partial", "_position", "error")

    def __init__(self) -> None:
        self.error: FramingError | None = None
        # The unfinished frame and the bytes it needs: those of the header as
        # long as the length is not known. Kept apart from new data, so that a
        # frame that comes in tiny pieces is copied once per piece at most.
        self._partial = bytearray()
        self._needed = HEADER_SIZE
        # Offset in the stream of the unfinished frame.
        self._position = 0

    @property
    def pending(self) -> bytes:
        """The unfinished frame, up to 4,111 bytes; empty after an error."""
        return bytes(self._partial)

    @property
    def is_within(self) -> bool:
        """Whether there is an unfinished frame."""
        return len(self._partial) > 0

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes from the peer and return the frames they complete.

        Never raises: when a header announces a payload over 4,096 bytes, the
        frames before it are returned, `error` is set, and whatever comes
        after is discarded.

        Args:
            data: Any number of bytes, cut anywhere; what is left of an
                unfinished frame is kept for the next call.

        Returns:
            Complete frames in the order of arrival, often empty.
        """
        frames: list[Frame] = []
        if self.error is not None:
            return frames
        at: i64 = 0
        if self._partial:
            at = self._complete(data, frames)
            if at < 0:
                return frames
        start = at
        end: i64 = len(data)
        while end - at >= HEADER_SIZE:
            length = _number(data, at + REPEATED)
            if length > PAYLOAD_MAX:
                self._fail(length, self._position + at - start)
                return frames
            body = at + HEADER_SIZE
            stop = body + length
            if stop > end:
                self._needed = HEADER_SIZE + length
                break
            header = data[at : at + REPEATED]
            op, tx_id = _number(data, at), _number(data, at + 8)
            frames.append(Frame(header, op, tx_id, data[body:stop]))
            at = stop
        self._position += at - start
        if at < end:
            self._partial += data[at:]
        return frames

    def _complete(self, data: bytes, frames: list[Frame]) -> int:
        """Go on with the unfinished frame.

        Returns:
            Bytes of `data` used when the frame is complete and in `frames`;
            -1 when all of them were used up, or the header is bad.
        """
        partial = self._partial
        used = 0
        if self._needed == HEADER_SIZE:
            used = HEADER_SIZE - len(partial)
            partial += data[:used]
            if len(partial) < HEADER_SIZE:
                return -1
            length = _number(bytes(partial), REPEATED)
            if length > PAYLOAD_MAX:
                self._fail(length, self._position)
                return -1
            self._needed = HEADER_SIZE + length
        stop = used + self._needed - len(partial)
        partial += data[used:stop]
        if len(partial) < self._needed:
            return -1
        whole = bytes(partial)
        frames.append(frame_of(whole[:REPEATED], whole[HEADER_SIZE:]))
        self._position += len(whole)
        self._partial = bytearray()
        self._needed = HEADER_SIZE
        return stop

    def _fail(self, length: int, offset: int) -> None:
        self.error = FramingError(
            f"payload of {length} bytes announced, at most {PAYLOAD_MAX} allowed",
            offset,
        )
        self._partial = bytearray()


def encode_frame(op: int, req_id: int, tx_id: int, payload: bytes) -> bytes:
    """Build one message.

    Raises:
        XenStoreError: E2BIG for a payload over 4,096 bytes.
    """
    if len(payload) > PAYLOAD_MAX:
        raise XenStoreError(Errno.E2BIG, f"payload of {len(payload)} bytes")
    return _pack(op, req_id, tx_id, len(payload)) + payload
