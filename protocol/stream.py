"""Xen's migration stream: the bytes in which a XenStore's state is handed on.

A stream is a preamble, records, and END. Each record is a header (type and length of
the body, 32 bits each), the body, and zeros up to a multiple of 8 bytes. The preamble
says in which byte order all that follows is. Source: Xen's design document
``xenstore-migration``, versions 1 and 2, and what C xenstored writes in practice.
"""

import struct
from collections.abc import Callable, Iterable
from typing import Final, final

from xsd.protocol.limits import DOMID_INVALID, DOMID_MAX
from xsd.protocol.perms import Entry
from xsd.protocol.records import (
    WRITTEN,
    ConnectionData,
    DomainData,
    GlobalData,
    NodeData,
    QuotaData,
    Record,
    TransactionData,
    UnknownData,
    WatchData,
)
from xsd.protocol.request import UNLIMITED

IDENT: Final = b"xenstore"
VERSION_MAX: Final = 2
PREAMBLE_SIZE: Final = 16

_RING: Final = 0
_SOCKET: Final = 1

_END: Final = 0
_GLOBAL: Final = 1
_CONNECTION: Final = 2
_WATCH: Final = 3
_TRANSACTION: Final = 4
_NODE: Final = 5
_QUOTA: Final = 6
_DOMAIN: Final = 7
_DEEP_WATCH: Final = 8

_UNIT: Final = 8
_BIG: Final = 1
_HAS_UNIQUE_ID: Final = 1
_STALE: Final = 1
_NO_DEPTH: Final = 0xFFFF
_BUFFERS: Final = 24
_NODE_HEAD: Final = 16
_LETTERS: Final = b"nrwb"
_FIRST: Final = (b"/", b"@", b"-", b"_")


@final
class StreamError(Exception):
    """A stream is not what it must be; nothing of it may be used.

    Attributes:
        reason: What is wrong.
        offset: Bytes of the stream before the record at fault.
    """

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(reason, offset)
        self.reason = reason
        self.offset = offset

    def __str__(self) -> str:
        return f"{self.reason} (record at byte {self.offset})"


# Writing.


@final
class StreamWriter:
    """Turns records into the bytes of a stream.

    Attributes:
        version: Of the format: 1 or 2. Version 1 has neither features nor depths.
        order: ``<`` or ``>``, as for `struct`.
    """

    __slots__ = ("_lists", "_node_head", "order", "version")

    def __init__(self, version: int = VERSION_MAX, *, big_endian: bool = False) -> None:
        self.version = version
        self.order = ">" if big_endian else "<"
        self._node_head = struct.Struct(self.order + "IIIIHHHH")
        # Nodes share permissions: these and how they are written, by their identity.
        self._lists: dict[int, tuple[tuple[Entry, ...], bytes]] = {}

    def preamble(self) -> bytes:
        """What a stream begins with."""
        flags = _BIG if self.order == ">" else 0
        return IDENT + struct.pack(">II", self.version, flags)

    def end(self) -> bytes:
        """What a stream ends with."""
        return self._record(_END, b"")

    def record(self, record: Record) -> bytes:
        """One record with header and padding.

        Raises:
            ValueError: If something in it is larger than the format has room for.
        """
        try:
            if isinstance(record, NodeData):
                return self._node(record)
            if isinstance(record, WatchData):
                return self._watch(record)
            if isinstance(record, ConnectionData):
                return self._record(_CONNECTION, self._connection(record))
            return self._other(record)
        except struct.error as error:
            raise ValueError(f"no room for it in a record: {error}") from error

    def _other(self, record: Record) -> bytes:
        order = self.order
        if isinstance(record, DomainData):
            features = record.features if self.version > 1 else 0
            head = struct.pack(
                order + "HHI", record.domid, len(record.quotas), features
            )
            return self._record(_DOMAIN, head + self._limits([*record.quotas.items()]))
        if isinstance(record, TransactionData):
            body = struct.pack(order + "II", record.connection, record.number)
            return self._record(_TRANSACTION, body)
        if isinstance(record, QuotaData):
            counts = len(record.of_domains), len(record.of_all)
            both = [*record.of_domains.items(), *record.of_all.items()]
            body = struct.pack(order + "HH", *counts) + self._limits(both)
            return self._record(_QUOTA, body)
        if isinstance(record, GlobalData):
            body = struct.pack(order + "ii", record.socket_fd, record.evtchn_fd)
            return self._record(_GLOBAL, body)
        assert isinstance(record, UnknownData)  # noqa: S101  there are no others
        return self._record(record.kind, record.body)

    def _connection(self, record: ConnectionData) -> bytes:
        order = self.order
        fields = 0 if record.unique_id is None else _HAS_UNIQUE_ID
        if record.domid >= 0:
            target = DOMID_INVALID if record.target < 0 else record.target
            ends = struct.pack(order + "HHI", record.domid, target, record.port)
            kind = _RING
        else:
            ends = struct.pack(order + "iI", record.fd, 0)
            kind = _SOCKET
        body = (
            struct.pack(order + "IHH", record.number, kind, fields)
            + ends
            + struct.pack(
                order + "HHI", len(record.pending), record.begun, len(record.unsent)
            )
            + record.pending
            + record.unsent
        )
        if record.unique_id is not None:
            body = _padded(body) + struct.pack(order + "Q", record.unique_id)
        return body

    def _watch(self, record: WatchData) -> bytes:
        path = record.path + b"\0"
        token = record.token + b"\0"
        head = (record.connection, len(path), len(token))
        if record.depth == UNLIMITED or self.version == 1:
            body = struct.pack(self.order + "IHH", *head) + path + token
            return self._record(_WATCH, body)
        depth = min(record.depth, _NO_DEPTH - 1)
        body = struct.pack(self.order + "IHHHxx", *head, depth) + path + token
        return self._record(_DEEP_WATCH, body)

    def _node(self, record: NodeData) -> bytes:
        entries = record.entries
        if id(entries) not in self._lists:
            # Kept with them: so nothing else can have their identity.
            self._lists[id(entries)] = entries, self._entries(entries)
        written = self._lists[id(entries)][1]
        path, value = record.path, record.value
        size = len(written) + _NODE_HEAD + len(path) + 1 + len(value)
        padding = -size % _UNIT
        head = self._node_head.pack(
            _NODE,
            size + padding,
            record.connection,
            record.transaction,
            len(path) + 1,
            len(value),
            record.access,
            len(entries),
        )
        return b"".join((head, written, path, b"\0", value, bytes(padding)))

    def _entries(self, entries: tuple[Entry, ...]) -> bytes:
        parts = []
        for entry in entries:
            flags = _STALE if entry.stale else 0
            # Larger numbers name nobody, and there is room for 16 bits.
            row = _LETTERS[entry.rights], flags, entry.domid & DOMID_MAX
            parts.append(struct.pack(self.order + "BBH", *row))
        return b"".join(parts)

    def _limits(self, limits: list[tuple[str, int]]) -> bytes:
        numbers = [value for _name, value in limits]
        values = struct.pack(f"{self.order}{len(numbers)}I", *numbers)
        return values + b"".join([name.encode() + b"\0" for name, _ in limits])

    def _record(self, kind: int, body: bytes) -> bytes:
        # As C does: the length has the padding in it.
        body = _padded(body)
        return struct.pack(self.order + "II", kind, len(body)) + body


def write_stream(records: Iterable[Record], writer: StreamWriter) -> bytes:
    """The bytes of a whole stream."""
    parts = [writer.preamble()]
    parts.extend([writer.record(record) for record in records])
    parts.append(writer.end())
    return b"".join(parts)


def _padded(body: bytes) -> bytes:
    return body + bytes(-len(body) % _UNIT)


# Reading.


@final
class StreamReader:
    """Takes a stream apart, record by record.

    Attributes:
        version: Of the format.
        big_endian: Byte order of the records.
        offset: Where the next record is.
    """

    __slots__ = (
        "_data",
        "_ended",
        "_lists",
        "_order",
        "big_endian",
        "offset",
        "version",
    )

    def __init__(self, data: bytes) -> None:
        """Begin to read.

        Args:
            data: The whole stream.

        Raises:
            StreamError: If it is none, or of a version that is not known.
        """
        if len(data) < PREAMBLE_SIZE or not data.startswith(IDENT):
            raise StreamError("no stream of a XenStore's state", 0)
        version, flags = struct.unpack_from(">II", data, len(IDENT))
        if not 1 <= version <= VERSION_MAX:
            raise StreamError(f"version {version}, known are 1 to {VERSION_MAX}", 0)
        if flags & ~_BIG:
            raise StreamError(f"unknown flags {flags:#x}", 0)
        self._data = data
        self._ended = False
        self.version: int = version
        self.big_endian = flags == _BIG
        self._order = ">" if self.big_endian else "<"
        # Permissions by how they are written: most nodes share theirs with others.
        self._lists: dict[bytes, tuple[Entry, ...]] = {}
        self.offset = PREAMBLE_SIZE

    def next(self) -> Record | None:
        """The next record, None at the end.

        Raises:
            StreamError: If it is not what it must be, or the stream ends without END.
        """
        if self._ended:
            return None
        start = self.offset
        kind, size = self._header(start)
        begin = start + _UNIT
        stop = begin + size
        if stop > len(self._data):
            raise StreamError(f"cut off: {size} bytes announced", start)
        self.offset = begin + _rounded(size)
        if kind == _END:
            if self._data[stop:].strip(b"\0"):
                raise StreamError("something follows the end", start)
            self._ended = True
            return None
        try:
            return self._record(kind, begin, stop)
        except struct.error:
            raise StreamError(f"too short: {size} bytes", start) from None
        except _BadRecordError as error:
            raise StreamError(str(error), start) from None

    def _header(self, at: int) -> tuple[int, int]:
        if at + _UNIT > len(self._data):
            raise StreamError("cut off", at)
        kind, size = struct.unpack_from(self._order + "II", self._data, at)
        return kind, size

    def _record(self, kind: int, begin: int, stop: int) -> Record:
        if kind == _NODE:
            return self._node(begin, stop)
        if kind == _DEEP_WATCH:
            # It may be longer than it says what it is.
            return self._deep_watch(begin, stop)
        body = self._data[begin:stop]
        read = _READERS.get(kind)
        return UnknownData(kind, body) if read is None else read(body, self._order)

    def _node(self, begin: int, stop: int) -> NodeData:
        data = self._data
        path_at = begin + _NODE_HEAD
        head = struct.unpack_from(self._order + "IIHHHH", data, begin)
        number, transaction, path_size, size, access, count = head
        written = data[path_at : path_at + 4 * count]
        if written not in self._lists:
            self._lists[written] = self._entries(written)
        entries = self._lists[written]
        path_at += 4 * count
        value_at = path_at + path_size
        end = value_at + size
        nul = data.find(b"\0", path_at, value_at)
        if end > stop or not path_size or nul != value_at - 1:
            raise _BadRecordError("a node without path or value")
        if not entries and not (number and not access & WRITTEN):
            raise _BadRecordError("a node without permissions")
        path = data[path_at : value_at - 1]
        return NodeData(path, data[value_at:end], entries, number, transaction, access)

    def _entries(self, written: bytes) -> tuple[Entry, ...]:
        found: list[Entry] = []
        for letter, flags, domid in struct.iter_unpack(self._order + "BBH", written):
            rights = _LETTERS.find(letter)
            if rights < 0:
                raise _BadRecordError(f"permission with letter {letter:#x}")
            found.append(Entry(rights, domid, stale=flags & _STALE != 0))
        return tuple(found)

    def _deep_watch(self, begin: int, stop: int) -> WatchData:
        """A watch with a depth, in any of the three ways in which C has them.

        By the document the texts begin at byte 12. C reads them at byte 10, and writes
        them at byte 8 without any depth: a watch that sees too much is better than one
        that sees too little. What it writes is then at times shorter by 8 bytes than
        it says.
        """
        body = self._data[begin:stop]
        order = self._order
        number, path_size, token_size = struct.unpack_from(order + "IHH", body)
        for place in (12, 10, 8):
            if not _are_texts(body, place, path_size, token_size):
                continue
            path, token = _texts(body, place, path_size, token_size)
            depth = UNLIMITED
            if place > 8:
                (told,) = struct.unpack_from(order + "H", body, 8)
                depth = UNLIMITED if told == _NO_DEPTH else told
            written = begin + _rounded(place + path_size + token_size)
            if written < self.offset and self._is_header(written):
                self.offset = written
            return WatchData(number, path, token, depth)
        raise _BadRecordError("a watch without path and token")

    def _is_header(self, at: int) -> bool:
        """Tell whether a record may begin here, rather than padding be there."""
        kind, size = self._header(at)
        if kind == _END:
            return size == 0 and at + _UNIT == len(self._data)
        return size > 0 and at + _UNIT + size <= len(self._data)


def read_stream(data: bytes) -> list[Record]:
    """All records of a stream.

    Raises:
        StreamError: If anything in it is wrong; it is refused as a whole then.
    """
    reader = StreamReader(data)
    records: list[Record] = []
    while True:
        record = reader.next()
        if record is None:
            return records
        records.append(record)


class _BadRecordError(Exception):
    """The body of a record is wrong."""


def _rounded(size: int) -> int:
    return size + -size % _UNIT


def _texts(body: bytes, at: int, first: int, second: int) -> tuple[bytes, bytes]:
    """Two strings, one behind the other, whose sizes have a NUL in them."""
    if not first or not second or at + first + second > len(body):
        raise _BadRecordError("too short for path and token")
    one = body[at : at + first]
    two = body[at + first : at + first + second]
    if one.find(b"\0") != first - 1 or two.find(b"\0") != second - 1:
        raise _BadRecordError("path or token without one NUL at its end")
    return one[:-1], two[:-1]


def _are_texts(body: bytes, at: int, first: int, second: int) -> bool:
    """Tell whether path and token may be there."""
    try:
        path, _token = _texts(body, at, first, second)
    except _BadRecordError:
        return False
    return path[:1].isalnum() or path[:1] in _FIRST


def _connection(body: bytes, order: str) -> ConnectionData:
    number, kind, fields = struct.unpack_from(order + "IHH", body)
    pending, begun, unsent = struct.unpack_from(order + "HHI", body, 16)
    if not number:
        raise _BadRecordError("a connection of number 0")
    record = ConnectionData(number)
    if kind == _RING:
        record.domid, target, record.port = struct.unpack_from(order + "HHI", body, 8)
        record.target = -1 if target == DOMID_INVALID else target
    elif kind == _SOCKET:
        (record.fd,) = struct.unpack_from(order + "i", body, 8)
    else:
        raise _BadRecordError(f"a connection of kind {kind}")
    end = _BUFFERS + pending + unsent
    if end > len(body) or begun > unsent:
        raise _BadRecordError("a connection without what it has read and not written")
    record.pending = body[_BUFFERS : _BUFFERS + pending]
    record.unsent = body[_BUFFERS + pending : end]
    record.begun = begun
    if fields & _HAS_UNIQUE_ID:
        (record.unique_id,) = struct.unpack_from(order + "Q", body, _rounded(end))
    return record


def _watch(body: bytes, order: str) -> WatchData:
    number, path_size, token_size = struct.unpack_from(order + "IHH", body)
    path, token = _texts(body, 8, path_size, token_size)
    return WatchData(number, path, token)


def _domain(body: bytes, order: str) -> DomainData:
    domid, count, features = struct.unpack_from(order + "HHI", body)
    return DomainData(domid, features, dict(_limits(body, 8, count, order)))


def _quotas(body: bytes, order: str) -> QuotaData:
    of_domains, of_all = struct.unpack_from(order + "HH", body)
    limits = _limits(body, 4, of_domains + of_all, order)
    return QuotaData(dict(limits[:of_domains]), dict(limits[of_domains:]))


def _transaction(body: bytes, order: str) -> TransactionData:
    number, transaction = struct.unpack_from(order + "II", body)
    return TransactionData(number, transaction)


def _global(body: bytes, order: str) -> GlobalData:
    socket_fd, evtchn_fd = struct.unpack_from(order + "ii", body)
    return GlobalData(socket_fd, evtchn_fd)


def _limits(body: bytes, at: int, count: int, order: str) -> list[tuple[str, int]]:
    """Numbers, and then the names of all of them."""
    values = struct.unpack_from(f"{order}{count}I", body, at)
    at += 4 * count
    found: list[tuple[str, int]] = []
    for value in values:
        stop = body.find(b"\0", at)
        if stop < 0:
            raise _BadRecordError("a limit without a name")
        found.append((body[at:stop].decode("latin-1"), value))
        at = stop + 1
    return found


_READERS: Final[dict[int, Callable[[bytes, str], Record]]] = {
    _GLOBAL: _global,
    _CONNECTION: _connection,
    _WATCH: _watch,
    _TRANSACTION: _transaction,
    _QUOTA: _quotas,
    _DOMAIN: _domain,
}
