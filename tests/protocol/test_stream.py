"""Xen's migration stream, written and read.

The bytes are made by hand after Xen's design document, and, where C writes something
else than that says, after C.
"""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xsd.protocol.limits import DOMID_ANY, UINT_MAX
from xsd.protocol.perms import NONE, READ, WRITE, Entry
from xsd.protocol.records import (
    DELETED,
    SEEN,
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
from xsd.protocol.stream import (
    StreamError,
    StreamReader,
    StreamWriter,
    read_stream,
    write_stream,
)

LITTLE = b"xenstore\0\0\0\2\0\0\0\0"
BIG = b"xenstore\0\0\0\2\0\0\0\1"
END = bytes(8)


def _hex(text: str) -> bytes:
    return bytes.fromhex(text)


def _ring() -> ConnectionData:
    record = ConnectionData(3)
    record.domid = 5
    record.target = 4
    record.port = 0x21
    record.pending = b"in"
    record.unsent = b"out"
    record.begun = 2
    record.unique_id = 0x1122334455667788
    return record


def _socket() -> ConnectionData:
    record = ConnectionData(1)
    record.fd = 9
    return record


GOLDEN: list[tuple[str, Record, bytes, bytes]] = [
    (
        "global",
        GlobalData(6, -1),
        _hex("01000000 08000000 06000000 ffffffff"),
        _hex("00000001 00000008 00000006 ffffffff"),
    ),
    (
        "socket",
        _socket(),
        _hex("02000000 18000000 01000000 01000000 09000000 00000000 00000000 00000000"),
        _hex("00000002 00000018 00000001 00010000 00000009 00000000 00000000 00000000"),
    ),
    (
        "ring",
        _ring(),
        _hex(
            """
            02000000 28000000 03000000 00000100 05000400 21000000 02000200 03000000
            696e6f75 74000000 88776655 44332211
            """
        ),
        _hex(
            """
            00000002 00000028 00000003 00000001 00050004 00000021 00020002 00000003
            696e6f75 74000000 11223344 55667788
            """
        ),
    ),
    (
        "watch",
        WatchData(1, b"/a", b"tok"),
        _hex("03000000 10000000 01000000 03000400 2f610074 6f6b0000"),
        _hex("00000003 00000010 00000001 00030004 2f610074 6f6b0000"),
    ),
    (
        "watch with a depth",
        WatchData(1, b"/a", b"t", 2),
        _hex("08000000 18000000 01000000 03000200 02000000 2f610074 00000000 00000000"),
        _hex("00000008 00000018 00000001 00030002 00020000 2f610074 00000000 00000000"),
    ),
    (
        "transaction",
        TransactionData(3, 0x11),
        _hex("04000000 08000000 03000000 11000000"),
        _hex("00000004 00000008 00000003 00000011"),
    ),
    (
        "node",
        NodeData(b"/a", b"v\0w", (Entry(NONE, 0), Entry(READ, 5, stale=True))),
        _hex(
            """
            05000000 20000000 00000000 00000000 03000300 00000200 6e000000 72010500
            2f610076 00770000
            """
        ),
        _hex(
            """
            00000005 00000020 00000000 00000000 00030003 00000002 6e000000 72010005
            2f610076 00770000
            """
        ),
    ),
    (
        "node of a transaction",
        NodeData(b"/", b"", (Entry(READ | WRITE, 1),), 3, 0x11, SEEN | WRITTEN),
        _hex("05000000 18000000 03000000 11000000 02000000 03000100 62000100 2f000000"),
        _hex("00000005 00000018 00000003 00000011 00020000 00030001 62000001 2f000000"),
    ),
    (
        "node that a transaction has removed",
        NodeData(b"/", b"", (), 3, 0x11, DELETED),
        _hex("05000000 18000000 03000000 11000000 02000000 00000000 2f000000 00000000"),
        _hex("00000005 00000018 00000003 00000011 00020000 00000000 2f000000 00000000"),
    ),
    (
        "quotas",
        QuotaData({"nodes": 1000}, {"all": 2}),
        _hex("06000000 18000000 01000100 e8030000 02000000 6e6f6465 7300616c 6c000000"),
        _hex("00000006 00000018 00010001 000003e8 00000002 6e6f6465 7300616c 6c000000"),
    ),
    (
        "domain",
        DomainData(5, 14, {"watches": 3}),
        _hex("07000000 18000000 05000100 0e000000 03000000 77617463 68657300 00000000"),
        _hex("00000007 00000018 00050001 0000000e 00000003 77617463 68657300 00000000"),
    ),
    (
        "unknown",
        UnknownData(0x99, b"12345678"),
        _hex("99000000 08000000 31323334 35363738"),
        _hex("00000099 00000008 31323334 35363738"),
    ),
]
"""Name, record, and its bytes in both orders."""


@pytest.mark.parametrize(
    ("record", "little", "big"),
    [row[1:] for row in GOLDEN],
    ids=[row[0] for row in GOLDEN],
)
def test_each_record_has_the_bytes_of_the_format(
    record: Record, little: bytes, big: bytes
) -> None:
    """In both byte orders, and is read from them again."""
    for head, body, big_endian in ((LITTLE, little, False), (BIG, big, True)):
        writer = StreamWriter(big_endian=big_endian)
        whole = head + body + END
        assert write_stream([record], writer) == whole
        [again] = read_stream(whole)
        assert type(again) is type(record)
        assert writer.record(again) == body


def test_a_length_without_the_padding_is_read_too() -> None:
    """The document means it so; C and we count the padding in."""
    body = b"\3\0\0\0\x0f\0\0\0\1\0\0\0\3\0\4\0/a\0tok\0"

    [watch] = read_stream(LITTLE + body + b"\0" + END)

    assert isinstance(watch, WatchData)
    assert (watch.path, watch.token) == (b"/a", b"tok")


def test_version_1_has_neither_features_nor_depths() -> None:
    """A watch sees more then, never less."""
    writer = StreamWriter(1)

    data = write_stream([DomainData(5, 14, {}), WatchData(1, b"/a", b"t", 0)], writer)
    domain, watch = read_stream(data)

    assert data[8:12] == b"\0\0\0\1"
    assert isinstance(domain, DomainData)
    assert isinstance(watch, WatchData)
    assert domain.features == 0
    assert watch.depth == UNLIMITED


def _deep(path: bytes, token: bytes, *, place: int, depth: int | None) -> bytes:
    """A watch with a depth as C 4.22 has it: what it says is not what it writes."""
    path, token = path + b"\0", token + b"\0"
    size = 12 + len(path) + len(token)
    size += -size % 8
    head = struct.pack("<IIIHH", 8, size, 1, len(path), len(token))
    if depth is not None:
        head += struct.pack("<H", depth) + bytes(place - 10)
    body = head + path + token
    return body + bytes(-len(body) % 8)


@pytest.mark.parametrize("token", [b"t" * n for n in range(9)])
@pytest.mark.parametrize("place", [12, 10, 8])
def test_a_watch_with_a_depth_is_read_in_each_of_cs_layouts(
    place: int, token: bytes
) -> None:
    """C writes 8 bytes too few for some lengths; what follows is found all the same."""
    depth = None if place == 8 else 3
    data = _deep(b"/a/b", token, place=place, depth=depth)
    after = StreamWriter().record(WatchData(2, b"@releaseDomain", b"x"))

    for whole in (LITTLE + data + after + END, LITTLE + data + END):
        watch = read_stream(whole)[0]
        assert isinstance(watch, WatchData)
        assert (watch.connection, watch.path, watch.token) == (1, b"/a/b", token)
        assert watch.depth == (UNLIMITED if depth is None else 3)
    assert len(read_stream(LITTLE + data + after + END)) == 2


def test_no_depth_is_told_by_the_largest_number() -> None:
    """As the document has it."""
    [watch] = read_stream(LITTLE + _deep(b"/a", b"t", place=12, depth=0xFFFF) + END)

    assert isinstance(watch, WatchData)
    assert watch.depth == UNLIMITED


def test_a_depth_that_has_no_room_is_as_large_as_there_is_room_for() -> None:
    """The largest number of all says that there is none."""
    data = write_stream([WatchData(1, b"/a", b"t", 70000)], StreamWriter())

    [watch] = read_stream(data)

    assert isinstance(watch, WatchData)
    assert watch.depth == 0xFFFE


def test_what_has_no_room_cannot_be_written() -> None:
    """Rather than cut short."""
    with pytest.raises(ValueError, match="no room"):
        StreamWriter().record(NodeData(b"/a", bytes(65536), (Entry(NONE, 0),)))


def test_a_stream_that_is_cut_anywhere_is_refused_as_a_whole() -> None:
    """Half a store would look like a store."""
    whole = write_stream([row[1] for row in GOLDEN], StreamWriter())
    read_stream(whole)

    for size in range(len(whole)):
        with pytest.raises(StreamError):
            read_stream(whole[:size])


_NODE = GOLDEN[6][2]
_GONE = GOLDEN[8][2]
_SOCKET = GOLDEN[1][2]

BAD: list[tuple[str, bytes, str]] = [
    ("another file", b"xenstorf" + LITTLE[8:] + END, "no stream"),
    ("version 3", LITTLE.replace(b"\2", b"\3") + END, "version 3"),
    ("version 0", LITTLE.replace(b"\2", b"\0") + END, "version 0"),
    ("a flag", BIG.replace(b"\1", b"\2") + END, "flags 0x2"),
    ("more behind the end", LITTLE + END + b"x", "follows the end"),
    (
        "a letter",
        LITTLE + _NODE.replace(b"n\0\0\0", b"x\0\0\0") + END,
        "letter 0x78",
    ),
    (
        "no permissions",
        LITTLE + _GONE[:8] + bytes(8) + _GONE[16:] + END,
        "without permissions",
    ),
    (
        "a NUL in a path",
        LITTLE + GOLDEN[3][2].replace(b"/a\0tok", b"\0a\0tok") + END,
        "without one NUL",
    ),
    (
        "connection 0",
        LITTLE + _SOCKET[:8] + bytes(4) + _SOCKET[12:] + END,
        "number 0",
    ),
    (
        "kind of connection",
        LITTLE + _SOCKET[:12] + b"\2" + _SOCKET[13:] + END,
        "kind 2",
    ),
    ("too short", LITTLE + _hex("04000000 04000000 01000000 00000000") + END, "short"),
    (
        "a limit without a name",
        LITTLE + GOLDEN[10][2].replace(bytes(5), b"_____") + END,
        "without a name",
    ),
    (
        "a watch with a depth",
        LITTLE + _hex("08000000 10000000 01000000 03000200 31323334 35363738") + END,
        "without path and token",
    ),
]


@pytest.mark.parametrize(
    ("data", "reason"), [row[1:] for row in BAD], ids=[row[0] for row in BAD]
)
def test_what_is_wrong_is_said_with_its_place(data: bytes, reason: str) -> None:
    """Of the record at fault."""
    with pytest.raises(StreamError, match=reason) as caught:
        read_stream(data)

    assert caught.value.offset in (0, 16, 24)
    assert f"record at byte {caught.value.offset}" in str(caught.value)


def test_version_and_byte_order_are_known_before_the_records() -> None:
    """They say what the stream was written for."""
    reader = StreamReader(BIG + END)

    assert (reader.version, reader.big_endian, reader.next()) == (2, True, None)
    assert reader.next() is None


_TEXT = st.binary(max_size=20).map(lambda raw: raw.replace(b"\0", b"_"))
_PATH = _TEXT.map(lambda raw: b"/" + raw)
_U16 = st.integers(0, 0xFFFE)
_U32 = st.integers(0, UINT_MAX)
_ENTRY = st.builds(Entry, st.integers(0, 3), _U16 | st.just(DOMID_ANY),
                   stale=st.booleans())  # fmt: skip
_LIMITS = st.dictionaries(st.sampled_from(["nodes", "watches", "memory"]), _U32)


@st.composite
def _connections(draw: st.DrawFn) -> ConnectionData:
    record = ConnectionData(draw(st.integers(1, UINT_MAX)))
    if draw(st.booleans()):
        record.domid = draw(_U16)
        record.target = draw(st.integers(-1, 0x7FEF))
        record.port = draw(_U32)
    else:
        record.fd = draw(st.integers(-1, 1000))
    record.pending = draw(st.binary(max_size=20))
    record.unsent = draw(st.binary(max_size=20))
    record.begun = draw(st.integers(0, len(record.unsent)))
    record.unique_id = draw(st.none() | st.integers(0, 2**64 - 1))
    return record


_RECORDS = st.lists(
    st.one_of(
        st.builds(GlobalData, st.integers(-1, 99), st.integers(-1, 99)),
        _connections(),
        st.builds(WatchData, _U32, _PATH, _TEXT, st.integers(-1, 0xFFFE)),
        st.builds(TransactionData, _U32, _U32),
        st.builds(
            NodeData, _PATH, st.binary(max_size=40),
            st.lists(_ENTRY, min_size=1, max_size=4).map(tuple),
            _U32, _U32, st.integers(0, 3),
        ),
        st.builds(QuotaData, _LIMITS, _LIMITS),
        st.builds(DomainData, _U16, _U32, _LIMITS),
        st.builds(
            UnknownData, st.integers(9, UINT_MAX),
            st.binary(max_size=5).map(lambda raw: raw * 8),
        ),
    ),
    max_size=8,
)  # fmt: skip


@given(records=_RECORDS, big_endian=st.booleans())
def test_what_is_written_is_read_again(
    records: list[Record], *, big_endian: bool
) -> None:
    """Any records in any order."""
    writer = StreamWriter(big_endian=big_endian)
    data = write_stream(records, writer)

    again = read_stream(data)

    assert [type(each) for each in again] == [type(each) for each in records]
    assert write_stream(again, writer) == data


@given(records=_RECORDS, data=st.data())
def test_damaged_bytes_are_refused_or_read_as_something(
    records: list[Record], data: st.DataObject
) -> None:
    """Nothing else is raised, whatever they are."""
    damaged = bytearray(write_stream(records, StreamWriter()))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(16, len(damaged) - 1))
        damaged[place] = data.draw(st.integers(0, 255))

    with contextlib.suppress(StreamError):
        read_stream(bytes(damaged))
