"""An engine made up from what any daemon tells in Xen's records: C's, or oxenstored's.

Its clients go on, with their watches, what they have sent and what they are to be sent.
Watches are not told anything for being loaded. Open transactions are no part of what
other daemons hand on; their ids mean nothing afterwards, which clients are told when
they use them.
"""

import json
import struct
from collections.abc import Iterable

from xsd.engine.adopted import Takeover
from xsd.engine.connection import Connection
from xsd.engine.engine import Engine
from xsd.engine.image import load, restore_buffers
from xsd.protocol.errors import XenStoreError
from xsd.protocol.frame import message_size
from xsd.protocol.limits import HEADER_SIZE
from xsd.protocol.ops import FEATURES
from xsd.protocol.path import parse_path
from xsd.protocol.perms import names_a_domain
from xsd.protocol.records import (
    ConnectionData,
    DomainData,
    NodeData,
    QuotaData,
    Record,
    UnknownData,
    WatchData,
)
from xsd.protocol.stream import VERSION_MAX
from xsd.store import Store, Watch
from xsd.store.domains import Domain
from xsd.store.image import STATE
from xsd.store.load import ImageError
from xsd.store.quota import SOFT_PREFIX
from xsd.store.rebuild import named, rebuild


def adopt(
    engine: Engine, records: list[Record], version: int = VERSION_MAX
) -> Takeover:
    """Make a new engine what another daemon was, ours or somebody else's.

    Args:
        engine: A new one, of a new store. If this fails it is of no use. It asks who
            is attached to it which domains there are.
        records: What the other has told, in its order.
        version: Of the stream in which it was told; 1 has no features.

    Returns:
        Whose links are to be made.

    Raises:
        ImageError: If that cannot be loaded, or not all of it.
    """
    if is_ours(records):
        load(engine, records)
        return Takeover(engine.core.connections, records)
    try:
        _make_up(engine, records, version)
    except (struct.error, XenStoreError) as error:
        raise ImageError(f"the state cannot be read: {error}") from error
    return Takeover(engine.core.connections, records)


def store_for(records: Iterable[Record]) -> Store:
    """A new store of which `adopt` can make an engine what another was.

    It has the control domain and the daemon's own domain that ours had; others do not
    tell, and are taken to have had domain 0.

    Raises:
        ImageError: If that cannot be read.
    """
    for record in records:
        if isinstance(record, UnknownData) and record.kind == STATE:
            try:
                state = json.loads(record.body.rstrip(b"\0"))
                control, own = state["store"]["who"]
                return Store(int(control), own_domid=int(own))
            except (LookupError, TypeError, ValueError) as error:
                raise ImageError(f"the state cannot be read: {error!r}") from error
    return Store()


def is_ours(records: Iterable[Record]) -> bool:
    """Tell whether there is more in records than other daemons tell."""
    return any(
        isinstance(record, UnknownData) and record.kind == STATE for record in records
    )


def _make_up(engine: Engine, records: list[Record], version: int) -> None:
    core = engine.core
    nodes = [
        record
        for record in records
        if isinstance(record, NodeData) and not record.connection
    ]
    rebuild(engine.store, nodes)
    links: list[ConnectionData] = []
    for record in records:
        if isinstance(record, ConnectionData):
            _connect(engine, record)
            links.append(record)
        elif isinstance(record, WatchData):
            _watch(engine, record)
        elif isinstance(record, QuotaData):
            limits = record.of_domains
            engine.store.quotas.restore(limits, _soft(limits), {})
    for record in records:
        if isinstance(record, DomainData):
            _describe(engine, record, version)
    for domid in named(nodes):
        _know(engine, domid)
    core.last = max(core.connections, default=0)
    for each in links:
        restore_buffers(engine, core.connections[each.number], each)
    # What was asked of the hypervisor is no part of any input.
    core.outside.take()


def _connect(engine: Engine, record: ConnectionData) -> None:
    """A client that has been served already; its ring is a domain's introduction."""
    core = engine.core
    store = engine.store
    if record.number in core.connections:
        raise ImageError(f"connection {record.number} is there twice")
    if not _is_whole(record):
        raise ImageError(f"connection {record.number} is sent half a message")
    is_ring = record.domid >= 0
    stays = False
    caller = store.own.caller
    if is_ring:
        domain = _know(engine, record.domid)
        caller = domain.caller
        if any(
            each.is_channel or each.is_kernel
            for each in core.connections.values()
            if each.caller is caller
        ):
            raise ImageError(f"dom{record.domid} is there twice")
        domain.introduced = True
        stays = domain.stays
        if not stays:
            # Unless a record says so, nobody has told it of any.
            domain.features = 0
        if record.unique_id is not None:
            domain.unique_id = record.unique_id
        if record.target >= 0:
            _know(engine, record.target)
            caller.target = record.target
    core.last = record.number - 1
    connection = core.make(caller)
    connection.is_kernel = stays
    connection.is_channel = is_ring and not stays


def _is_whole(record: ConnectionData) -> bool:
    """Tell whether what is to be sent consists of messages, and the end of one."""
    at = record.begun
    unsent = record.unsent
    while at + HEADER_SIZE <= len(unsent):
        at += message_size(unsent, at)
    return at == len(unsent)


def _watch(engine: Engine, record: WatchData) -> None:
    connection = engine.core.connections.get(record.connection)
    if connection is None:
        raise ImageError(f"a watch of connection {record.connection}, which is none")
    _add_watch(engine, connection, record)


def _add_watch(engine: Engine, connection: Connection, record: WatchData) -> None:
    path = parse_path(record.path, connection.home, special=True)
    key = path, record.token
    if key in connection.watches:
        raise ImageError(f"watch {record.path!r} {record.token!r} is there twice")
    caller = connection.caller
    watch = Watch(connection.id, caller, path, record.path, record.token, record.depth)
    store = engine.store
    store.usage.watches.add(caller.domid, 1)
    store.usage.memory.add(caller.domid, watch.size)
    store.watches.add(watch)
    store.note_or_not()
    connection.watches[key] = watch


def _describe(engine: Engine, record: DomainData, version: int) -> None:
    """What a domain is offered, and its limits if they are not those of all."""
    if not names_a_domain(record.domid):
        return
    domain = _know(engine, record.domid)
    if version > 1 and not domain.stays:
        domain.features = record.features & FEATURES
    quotas = engine.store.quotas
    for name, value in record.quotas.items():
        if name in quotas.names() and value != quotas.get(-1, name):
            quotas.set(record.domid, name, value)


def _know(engine: Engine, domid: int) -> Domain:
    """A domain, known from before anything that names it."""
    return engine.store.domains.know(domid, 0)


def _soft(limits: dict[str, int]) -> dict[str, int]:
    return {
        name.removeprefix(SOFT_PREFIX): value
        for name, value in limits.items()
        if name.startswith(SOFT_PREFIX)
    }
