"""The part of a state that is of one domain."""

from typing import Final

from xsd.cli.common import CommandError
from xsd.engine.unread import RINGS, OnRings, rings_of
from xsd.protocol.perms import Entry
from xsd.protocol.records import (
    ConnectionData,
    DomainData,
    NodeData,
    QuotaData,
    Record,
    TransactionData,
    UnknownData,
    WatchData,
)

_HOME: Final = b"/local/domain/%d"


def home_of(domid: int) -> bytes:
    """The path of what is a domain's."""
    return _HOME % domid


def part_of(records: list[Record], domid: int) -> list[Record]:
    """What a state has of a domain, as a state.

    That is its home with the nodes above it, its limits and features, and, if it has a
    ring, its target, its watches, and what it has sent and is to be sent, what is on
    the ring included.

    Raises:
        CommandError: If there is no such domain, or it has an open transaction.
    """
    links = [
        record
        for record in records
        if isinstance(record, ConnectionData) and record.domid == domid
    ]
    numbers = {record.number for record in links}
    found: list[Record] = []
    rings = _on_rings(records)
    for link in links:
        requests, replies = rings.get(domid, (b"", b""))
        # There the ring begins empty. What was sent before ends messages as well.
        link.pending += requests
        link.unsent = replies + link.unsent
        link.begun += len(replies)
        # They mean nothing in another place.
        link.port = 0
        link.unique_id = None
        found.append(link)
    is_known = False
    for record in records:
        if isinstance(record, TransactionData) and record.connection in numbers:
            raise CommandError(f"domain {domid} is in the middle of a transaction")
        is_its_watch = isinstance(record, WatchData) and record.connection in numbers
        is_itself = isinstance(record, DomainData) and record.domid == domid
        is_known = is_known or is_itself
        if is_its_watch or is_itself or _is_of(record, home_of(domid)):
            found.append(record)
    if not is_known:
        raise CommandError(f"there is no domain {domid}")
    return found


def _on_rings(records: list[Record]) -> OnRings:
    for record in records:
        if isinstance(record, UnknownData) and record.kind == RINGS:
            try:
                return rings_of(record)
            except ValueError as error:
                raise CommandError(
                    f"what is on rings cannot be read: {error}"
                ) from error
    return {}


def _is_of(record: Record, home: bytes) -> bool:
    """Tell whether it is a node below a domain's home, or above it."""
    if not isinstance(record, NodeData) or record.connection:
        return False
    path = record.path.rstrip(b"/") + b"/"
    return path.startswith(home + b"/") or (home + b"/").startswith(path)


def domain_of(records: list[Record]) -> int | None:
    """Whose part of a state it is, or None if it is of more than one domain."""
    domids = [each.domid for each in records if isinstance(each, DomainData)]
    is_whole = any(isinstance(record, QuotaData) for record in records)
    return domids[0] if len(domids) == 1 and not is_whole else None


def moved(records: list[Record], domid: int) -> list[Record]:
    """A domain's part of a state as it is for another domain id.

    Its home, permissions and watches are; what is in values stays.

    Raises:
        CommandError: If it is of no domain, or of several.
    """
    old = domain_of(records)
    if old is None:
        raise CommandError("it is not of one domain")
    return [_moved(record, old, domid) for record in records]


def _moved(record: Record, old: int, new: int) -> Record:
    if isinstance(record, ConnectionData | DomainData):
        record.domid = new
    elif isinstance(record, WatchData):
        record.path = _moved_path(record.path, old, new)
    elif isinstance(record, NodeData):
        record.path = _moved_path(record.path, old, new)
        record.entries = tuple(
            [
                Entry(each.rights, new, stale=each.stale) if each.domid == old else each
                for each in record.entries
            ]
        )
    return record


def _moved_path(path: bytes, old: int, new: int) -> bytes:
    before, after = home_of(old), home_of(new)
    is_inside = path == before or path.startswith(before + b"/")
    return after + path[len(before) :] if is_inside else path
