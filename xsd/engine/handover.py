"""A whole engine as the records that Xen's C daemon takes over.

It demands more than the format does: the ring of the privileged domain before any
node, special nodes, limits only of domains that it has met, and nothing that is not
committed. What it has no room for is left out: open transactions, whose ids it does not
know then, the depths of watches, which see more then, and numbers of nodes.

Of several requests of a client that wait, 4.17 carries the last one out first; so all
that can be carried out should be, before.
"""

from collections.abc import Iterator
from typing import Final

from xsd.engine.connection import Connection
from xsd.engine.engine import Engine
from xsd.engine.image import End, image
from xsd.protocol.limits import DOMID_ANY, DOMID_INVALID, DOMID_MAX
from xsd.protocol.perms import READ, WRITE, Entry
from xsd.protocol.records import (
    ConnectionData,
    DomainData,
    GlobalData,
    NodeData,
    QuotaData,
    Record,
    WatchData,
)
from xsd.protocol.stream import VERSION_MAX
from xsd.store.quota import DEFAULTS, SOFT_PREFIX
from xsd.store.store import INTRODUCE_DOMAIN, RELEASE_DOMAIN

_SPECIAL: Final = (RELEASE_DOMAIN, INTRODUCE_DOMAIN)


class HandoverError(Exception):
    """The C daemon would not take this over."""


def crowded(engine: Engine) -> list[Connection]:
    """Clients of which several requests wait, which C might carry out out of order."""
    return [each for each in engine.connections if len(each.backlog) > 1]


def for_c(
    engine: Engine,
    ends: dict[int, End],
    shared: GlobalData,
    version: int = VERSION_MAX,
) -> Iterator[Record]:
    """All that the C daemon can go on with, in the order in which it wants it.

    Left out are clients without an end: it could not find them.

    Args:
        engine: Of which; it must not carry anything out meanwhile.
        ends: Where clients are, by the numbers of their connections.
        shared: The descriptors that all clients share.
        version: Of the stream that it reads; Xen 4.17 reads 1 only.

    Raises:
        HandoverError: If the privileged domain has no ring.
    """
    store = engine.store
    records = list(image(engine, ends))
    yield shared
    for record in records:
        if isinstance(record, QuotaData):
            yield _in_its_order(record)
    clients = _clients(engine, records)
    met: set[int] = set()
    for link, watches in clients:
        if link.domid >= 0:
            met.update((link.domid, link.target))
            domain = store.domains.get(link.domid)
            if version > 1 and domain is not None and domain.unique_id:
                link.unique_id = domain.unique_id
        yield link
        for watch in watches:
            yield WatchData(watch.connection, watch.path, watch.token)
    privileged = store.privileged.domid
    for node in _nodes(records):
        node.entries = _entries(node.entries, privileged)
        met.add(node.entries[0].domid)
        yield node
    for record in records:
        if isinstance(record, DomainData) and record.domid in met:
            yield record


def _clients(
    engine: Engine, records: list[Record]
) -> list[tuple[ConnectionData, list[WatchData]]]:
    """Who can go on, the privileged domain's ring first, with their watches."""
    connections = engine.core.connections
    privileged = engine.store.privileged.domid
    found: list[tuple[ConnectionData, list[WatchData]]] = []
    known: dict[int, list[WatchData]] = {}
    for record in records:
        if isinstance(record, ConnectionData):
            connection = connections[record.number]
            if _can_go_on(engine, connection, record):
                known[record.number] = []
                place = 0 if record.domid == privileged else len(found)
                found.insert(place, (record, known[record.number]))
        elif isinstance(record, WatchData) and record.connection in known:
            known[record.connection].append(record)
    if not found or found[0][0].domid != privileged:
        raise HandoverError("the privileged domain has no ring")
    return found


def _can_go_on(engine: Engine, connection: Connection, record: ConnectionData) -> bool:
    """Tell whether the C daemon can find a client, and would take it for what it is."""
    if connection.lost:
        return False
    if record.domid >= 0:
        return record.port > 0
    # Whoever has a socket there is of the daemon's own domain.
    return connection.caller is engine.store.own.caller and record.fd >= 0


def _nodes(records: list[Record]) -> Iterator[NodeData]:
    """The nodes of the store from the root down, and the special ones."""
    special: dict[bytes, NodeData] = {}
    for record in records:
        if isinstance(record, NodeData) and not record.connection:
            if record.path[:1] == b"/":
                yield record
            else:
                special[record.path] = record
    for name in _SPECIAL:
        yield special[name]


def _entries(entries: tuple[Entry, ...], privileged: int) -> tuple[Entry, ...]:
    """Permissions that mean there what they mean here, as far as that can be.

    Numbers that are nobody's and do not fit would be cut to somebody's; and every
    node has an owner there, whose it is.
    """
    first = entries[0]
    if first.domid == DOMID_ANY:
        first = Entry(READ | WRITE, privileged)
    elif not any(entry.domid > DOMID_MAX for entry in entries):
        return entries
    return (first, *[_narrow(entry) for entry in entries[1:]])


def _narrow(entry: Entry) -> Entry:
    if entry.domid <= DOMID_MAX:
        return entry
    return Entry(entry.rights, DOMID_INVALID, stale=True)


def _in_its_order(quotas: QuotaData) -> QuotaData:
    """Soft limits behind the hard ones of the same."""
    limits = quotas.of_domains
    ordered: dict[str, int] = {}
    for name in DEFAULTS:
        for each in (name, SOFT_PREFIX + name):
            if each in limits:
                ordered[each] = limits[each]
    return QuotaData(ordered, {})
