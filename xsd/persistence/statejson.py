"""A state as JSON, for people and scripts: an object with a line for each record.

Nothing is lost on the way there and back. Bytes are text as UTF-8 has it; those that
are no UTF-8 are what Python calls surrogate escapes. Records that only one daemon knows
are text where they are, and else hexadecimal.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, final

from xsd.protocol.errors import XenStoreError
from xsd.protocol.perms import Entry, parse_permissions
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

_STALE: Final = "?"


@final
class StateJsonError(Exception):
    """A text is no state; it says where."""


def to_json(
    records: Iterable[Record], version: int, *, big_endian: bool
) -> Iterator[str]:
    """The text of a state, in pieces.

    Args:
        records: What is in it.
        version: Of the stream that it is from, or is to become.
        big_endian: Byte order of that.
    """
    order = json.dumps(big_endian)
    yield f'{{"version": {version}, "big_endian": {order}, "records": ['
    between = "\n"
    for record in records:
        yield between + json.dumps(_described(record))
        between = ",\n"
    yield "\n]}\n"


def from_json(text: bytes) -> tuple[list[Record], int, bool]:
    """Read what `to_json` has written.

    Returns:
        The records, the version, and whether the byte order is big endian.

    Raises:
        StateJsonError: If it is something else.
    """
    try:
        whole = json.loads(text)
        rows = whole["records"]
        version, big_endian = whole["version"], whole["big_endian"]
    except (LookupError, TypeError, ValueError) as error:
        raise StateJsonError(f"no state in JSON: {error}") from error
    if not isinstance(version, int) or not isinstance(rows, list):
        raise StateJsonError("no state in JSON: no version or no records")
    records: list[Record] = []
    for number, row in enumerate(rows, 1):
        try:
            records.append(_record(row))
        except (LookupError, TypeError, ValueError, XenStoreError) as error:
            raise StateJsonError(f"record {number}: {error!r}") from error
    return records, version, bool(big_endian)


def shown_entry(entry: Entry) -> str:
    """A permission as text; one that is stale has a question mark."""
    return entry.text.decode() + _STALE * entry.stale


# There.


def _described(record: Record) -> dict[str, object]:
    if isinstance(record, NodeData):
        return _described_node(record)
    if isinstance(record, WatchData):
        return {
            "type": "watch",
            "connection": record.connection,
            "path": _shown(record.path),
            "token": _shown(record.token),
            "depth": record.depth,
        }
    if isinstance(record, ConnectionData):
        return {
            "type": "connection",
            "number": record.number,
            "domid": record.domid,
            "target": record.target,
            "port": record.port,
            "fd": record.fd,
            "pending": _shown(record.pending),
            "unsent": _shown(record.unsent),
            "begun": record.begun,
            "unique_id": record.unique_id,
        }
    return _described_other(record)


def _described_other(record: Record) -> dict[str, object]:
    if isinstance(record, DomainData):
        return {
            "type": "domain",
            "domid": record.domid,
            "features": record.features,
            "quotas": record.quotas,
        }
    if isinstance(record, QuotaData):
        return {
            "type": "quotas",
            "of_domains": record.of_domains,
            "of_all": record.of_all,
        }
    if isinstance(record, TransactionData):
        return {
            "type": "transaction",
            "connection": record.connection,
            "number": record.number,
        }
    if isinstance(record, GlobalData):
        return {
            "type": "global",
            "socket_fd": record.socket_fd,
            "evtchn_fd": record.evtchn_fd,
        }
    assert isinstance(record, UnknownData)  # noqa: S101  there are no others
    text = record.body.rstrip(b"\0")
    if text.isascii() and text.decode("ascii").isprintable():
        body = {"text": record.body.decode("ascii")}
    else:
        body = {"hex": record.body.hex()}
    return {"type": "private", "kind": record.kind, **body}


def _described_node(record: NodeData) -> dict[str, object]:
    row: dict[str, object] = {
        "type": "node",
        "path": _shown(record.path),
        "value": _shown(record.value),
        "perms": [shown_entry(entry) for entry in record.entries],
    }
    if record.connection:
        row["connection"] = record.connection
        row["transaction"] = record.transaction
        row["access"] = record.access
    return row


def _shown(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")


# And back.


def _record(row: dict[str, Any]) -> Record:
    read = _READERS.get(row["type"])
    if read is None:
        raise ValueError(f"unknown type {row['type']!r}")
    return read(row)


def _node(row: dict[str, Any]) -> NodeData:
    return NodeData(
        _bytes(row["path"]),
        _bytes(row["value"]),
        tuple([_entry(text) for text in row["perms"]]),
        _number(row.get("connection", 0)),
        _number(row.get("transaction", 0)),
        _number(row.get("access", 0)),
    )


def _watch(row: dict[str, Any]) -> WatchData:
    return WatchData(
        _number(row["connection"]),
        _bytes(row["path"]),
        _bytes(row["token"]),
        _number(row["depth"]),
    )


def _domain(row: dict[str, Any]) -> DomainData:
    domid, features = _number(row["domid"]), _number(row["features"])
    return DomainData(domid, features, _limits(row["quotas"]))


def _quotas(row: dict[str, Any]) -> QuotaData:
    return QuotaData(_limits(row["of_domains"]), _limits(row["of_all"]))


def _transaction(row: dict[str, Any]) -> TransactionData:
    return TransactionData(_number(row["connection"]), _number(row["number"]))


def _global(row: dict[str, Any]) -> GlobalData:
    return GlobalData(_number(row["socket_fd"]), _number(row["evtchn_fd"]))


def _private(row: dict[str, Any]) -> UnknownData:
    text = row.get("text")
    body = bytes.fromhex(row["hex"]) if text is None else _bytes(text)
    return UnknownData(_number(row["kind"]), body)


def _connection(row: dict[str, Any]) -> ConnectionData:
    record = ConnectionData(_number(row["number"]))
    record.domid = _number(row["domid"])
    record.target = _number(row["target"])
    record.port = _number(row["port"])
    record.fd = _number(row["fd"])
    record.pending = _bytes(row["pending"])
    record.unsent = _bytes(row["unsent"])
    record.begun = _number(row["begun"])
    unique_id = row["unique_id"]
    record.unique_id = None if unique_id is None else _number(unique_id)
    return record


def _entry(text: str) -> Entry:
    [entry] = parse_permissions([text.removesuffix(_STALE).encode()]).entries
    return Entry(entry.rights, entry.domid, stale=text.endswith(_STALE))


def _limits(limits: dict[str, Any]) -> dict[str, int]:
    return {name: _number(value) for name, value in limits.items()}


def _bytes(text: Any) -> bytes:
    if not isinstance(text, str):
        raise TypeError(f"not text: {text!r}")
    return text.encode("utf-8", "surrogateescape")


def _number(value: Any) -> int:
    if not isinstance(value, int):
        raise TypeError(f"not a number: {value!r}")
    return value


_READERS: Final[dict[str, Callable[[dict[str, Any]], Record]]] = {
    "node": _node,
    "watch": _watch,
    "connection": _connection,
    "domain": _domain,
    "quotas": _quotas,
    "transaction": _transaction,
    "global": _global,
    "private": _private,
}
