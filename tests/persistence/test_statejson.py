"""A state as JSON, there and back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engine.lives import SCENARIOS, World
from xsd.engine.image import image
from xsd.persistence.statejson import StateJsonError, from_json, to_json
from xsd.protocol.perms import Entry
from xsd.protocol.records import (
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
from xsd.protocol.stream import StreamWriter, read_stream, write_stream


def _json(records: list[Record], version: int = 2, *, big_endian: bool = False) -> str:
    return "".join(to_json(records, version, big_endian=big_endian))


def _again(data: bytes) -> bytes:
    """A stream that was JSON in between."""
    records, version, big_endian = from_json(_json(read_stream(data)).encode())
    return write_stream(records, StreamWriter(version, big_endian=big_endian))


def _all() -> list[Record]:
    """One of each, with what is odd in it."""
    ring = ConnectionData(2)
    ring.domid, ring.target, ring.port, ring.unique_id = 5, 6, 7, 2**63
    socket = ConnectionData(3)
    socket.fd, socket.pending, socket.unsent, socket.begun = 9, b"\0\xff", b"abc", 2
    return [
        GlobalData(3, -1),
        QuotaData({"nodes": 7}, {"all": 8}),
        ring,
        socket,
        WatchData(3, b"/a", b"\xfe\x80\xc3\xa4", 4),
        WatchData(3, b"@releaseDomain", b""),
        TransactionData(3, 1),
        NodeData(b"/", b'\0\n"\\', (Entry(0, 0), Entry(3, 0x7FF5, stale=True))),
        NodeData(b"/gone", b"", (), 3, 1, 1),
        DomainData(5, 14, {"nodes": 1}),
        UnknownData(77, b"text\0\0\0\0"),
        UnknownData(78, bytes(range(8))),
    ]  # fmt: skip


def test_nothing_is_lost_on_the_way_there_and_back() -> None:
    """Of any record; a line has each of them."""
    data = write_stream(_all(), StreamWriter())
    lines = _json(read_stream(data)).splitlines()

    assert _again(data) == data
    assert len(lines) == len(_all()) + 2
    assert json.loads(lines[8].rstrip(","))["perms"] == ["n0", "b32757?"]
    assert json.loads(lines[11].rstrip(","))["text"] == "text\0\0\0\0"


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_nor_is_anything_of_what_is_ours_alone(scenario: str) -> None:
    """Byte by byte."""
    data = write_stream(image(World(SCENARIOS[scenario]).engine), StreamWriter())

    assert _again(data) == data


@pytest.mark.parametrize(("version", "big_endian"), [(1, True), (2, False)])
def test_how_the_stream_was_is_kept(version: int, *, big_endian: bool) -> None:
    """So that it can become the same again."""
    text = _json([], version, big_endian=big_endian).encode()

    assert from_json(text) == ([], version, big_endian)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_any_bytes_can_be_in_it(value: bytes, body: bytes) -> None:
    """As in values; Python escapes what is no UTF-8."""
    records: list[Record] = [
        NodeData(b"/", value, (Entry(0, 0),)),
        UnknownData(99, body),
    ]

    [node, private], _version, _order = from_json(_json(records).encode())

    assert isinstance(node, NodeData)
    assert isinstance(private, UnknownData)
    assert (node.value, private.body) == (value, body)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no state in JSON"),
        ("[]", "no state in JSON"),
        ("{}", "no state in JSON"),
        ('{"version": "2", "big_endian": false, "records": []}', "no state"),
        ('{"version": 2, "big_endian": false, "records": {}}', "no state"),
    ],
)
def test_what_is_no_state_is_refused(text: str, reason: str) -> None:
    """Whatever it is."""
    with pytest.raises(StateJsonError, match=reason):
        from_json(text.encode())


@pytest.mark.parametrize(
    "row",
    [
        "7",
        "{}",
        '{"type": "else"}',
        '{"type": "node", "path": "/", "value": "", "perms": ["x0"]}',
        '{"type": "node", "path": "/", "value": 7, "perms": ["n0"]}',
        '{"type": "node", "path": "/", "value": "", "perms": 7}',
        '{"type": "transaction", "connection": "1", "number": 1}',
        '{"type": "transaction", "connection": 1}',
        '{"type": "domain", "domid": 1, "features": 1, "quotas": {"a": "b"}}',
        '{"type": "private", "kind": 1, "hex": "zz"}',
        '{"type": "private", "kind": 1}',
    ],
)
def test_a_record_that_is_none_is_refused_with_its_number(row: str) -> None:
    """The whole state with it."""
    good = _json([GlobalData(1, 2)]).splitlines()[1]
    text = f'{{"version": 2, "big_endian": false, "records": [{good}, {row}]}}'

    with pytest.raises(StateJsonError, match="record 2: "):
        from_json(text.encode())
