"""A whole engine as the records of a stream, and back.

What is in it is what `state.describe` compares: carried out on a loaded engine, the
same inputs make the same of it as of the one that was written. What a client has sent
and was not carried out, and what it was not sent yet, is added where it is wanted.
"""

import json
from collections.abc import Iterator
from typing import Any, Final, final

from xsd.engine.connection import Connection
from xsd.engine.engine import Engine
from xsd.protocol.errors import XenStoreError
from xsd.protocol.frame import frame_of
from xsd.protocol.path import parse_path
from xsd.protocol.perms import Caller
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
from xsd.protocol.reply import OK, encode_reply
from xsd.store import Store, Transaction, Watch
from xsd.store.image import (
    NODES,
    STATE,
    NodeWriter,
    describe_store,
    describe_transaction,
    node_records,
    transaction_records,
)
from xsd.store.load import ImageError, Nodes, restore, restore_transaction
from xsd.store.quota import SOFT_PREFIX

STATE_FORMAT: Final = 2
"""Of what is in the record `STATE`; another one cannot be loaded."""

_BYTES: Final = "latin-1"
"""Encoding by which bytes are text in it."""


# Writing.


@final
class End:
    """Where the client of a connection is, for another process to find it there.

    Attributes:
        fd: Descriptor of its socket, or -1.
        port: Our port of its event channel, or 0.
    """

    __slots__ = ("fd", "port")

    def __init__(self, fd: int = -1, port: int = 0) -> None:
        self.fd = fd
        self.port = port


def image(engine: Engine, ends: dict[int, End] | None = None) -> Iterator[Record]:
    """All of an engine's state, in the order in which it can be loaded.

    The engine must not carry anything out before the last record was taken.

    Args:
        engine: It.
        ends: Where clients are, by the numbers of their connections. With them, what
            came from a client and was not carried out and what it was not sent yet is
            in the image, too.
    """
    core = engine.core
    store = engine.store
    writer = NodeWriter()
    yield _quotas(store)
    for connection in core.connections.values():
        yield _connection(connection, ends, core.deferred.get(connection.id))
        for watch in connection.watches.values():
            yield WatchData(connection.id, watch.shown, watch.token, watch.depth)
    yield from node_records(store.live.tree.top, writer)
    whose = _transactions(engine)
    for transaction in store.transactions.all():
        yield from transaction_records(store, transaction, writer, *whose[transaction])
    for domain in store.domains.all():
        quotas = store.quotas.of_domain(domain.domid)
        yield DomainData(domain.domid, domain.features, quotas)
    state = {
        "format": STATE_FORMAT,
        "store": describe_store(store),
        "connections": [
            _described(connection, with_waiting=ends is None)
            for connection in engine.connections
        ],
        "transactions": [
            describe_transaction(store, each) for each in store.transactions.all()
        ],
        "last": core.last,
        "keep_orphans": core.keep_orphans,
        "wide": writer.wide,
    }
    text = json.dumps(state, separators=(",", ":"))
    yield UnknownData(STATE, text.encode())


def _quotas(store: Store) -> QuotaData:
    hard, soft, _own = store.quotas.described()
    limits = dict(hard)
    limits.update({SOFT_PREFIX + name: value for name, value in soft.items()})
    return QuotaData(limits, {})


def _connection(
    connection: Connection, ends: dict[int, End] | None, deferred: bytes | None
) -> ConnectionData:
    record = ConnectionData(connection.id)
    if connection.is_channel or connection.is_kernel:
        record.domid = connection.caller.domid
        record.target = connection.caller.target
    if ends is not None:
        end = ends.get(connection.id)
        if end is not None:
            record.fd = end.fd
            record.port = end.port
        record.pending = connection.pending
        record.unsent, record.begun = connection.outbox.unsent()
        if deferred is not None:
            # That another process reads this is what was asked for.
            record.unsent += encode_reply(frame_of(deferred, b""), OK)
    return record


def _described(connection: Connection, *, with_waiting: bool) -> list[object]:
    """What there is no record for.

    Of a ring that is what waits for its guest, too, if that is not told elsewhere: by
    then it is not known what becomes of it before the image is loaded (see owed.py).
    """
    waits = with_waiting and (connection.is_channel or connection.is_kernel)
    waiting = connection.outbox.frames() if waits else []
    return [
        connection.id,
        connection.caller.domid,
        connection.is_channel,
        connection.is_kernel,
        connection.lost,
        connection.last_transaction,
        connection.served,
        connection.restarts,
        [frame.decode(_BYTES) for frame in waiting],
        [[watch.order, watch.depth] for watch in connection.watches.values()],
    ]


def _transactions(engine: Engine) -> dict[Transaction, tuple[int, int]]:
    """Connection and id of each open transaction."""
    return {
        transaction: (connection.id, number)
        for connection in engine.core.connections.values()
        for number, transaction in connection.transactions.items()
    }


# Loading.


def load(engine: Engine, records: list[Record]) -> None:
    """Make a new engine what another was.

    What clients have sent waits for a turn then, as what they are to be sent does.

    Args:
        engine: A new one, of a new store. If this fails it is of no use.
        records: What `image` told of the other, in its order.

    Raises:
        ImageError: If that cannot be loaded.
    """
    state = _state_of(records)
    try:
        found = Found(records, Nodes(state["wide"]))
        found.nodes.finish()
        restore(engine.store, found.nodes, state["store"])
        for row in state["connections"]:
            _restore_connection(engine, row, found.watches.get(row[0], []))
        engine.store.watches.registered = state["store"]["registered"]
        engine.store.note_or_not()
        for whose, each in zip(found.order, state["transactions"], strict=True):
            _restore_transaction(engine, found.nodes, whose, each)
        engine.core.last = state["last"]
        engine.core.keep_orphans = state["keep_orphans"]
        engine.store.clock.now, engine.store.clock.beats = state["store"]["clock"]
        for number, connection in engine.core.connections.items():
            restore_buffers(engine, connection, found.links[number])
    except (LookupError, TypeError, ValueError, XenStoreError) as error:
        raise ImageError(f"the state cannot be read: {error!r}") from error


@final
class Found:
    """Records by what they are about.

    Attributes:
        nodes: What they say of nodes.
        links: Connections by number.
        watches: Watches by connection, in order.
        order: Connection and id of each open transaction, in order.
    """

    __slots__ = ("links", "nodes", "order", "watches")

    def __init__(self, records: list[Record], nodes: Nodes) -> None:
        self.nodes = nodes
        self.links: dict[int, ConnectionData] = {}
        self.watches: dict[int, list[WatchData]] = {}
        self.order: list[tuple[int, int]] = []
        for record in records:
            if isinstance(record, NodeData):
                nodes.add(record)
            elif isinstance(record, ConnectionData):
                self.links[record.number] = record
            elif isinstance(record, WatchData):
                self.watches.setdefault(record.connection, []).append(record)
            elif isinstance(record, TransactionData):
                self.order.append((record.connection, record.number))
            elif isinstance(record, UnknownData) and record.kind == NODES:
                nodes.numbers(record.body)


def _state_of(records: list[Record]) -> dict[str, Any]:
    for record in records:
        if isinstance(record, UnknownData) and record.kind == STATE:
            try:
                state: dict[str, Any] = json.loads(record.body.rstrip(b"\0"))
                version = state["format"]
            except (LookupError, TypeError, ValueError) as error:
                raise ImageError(f"the state cannot be read: {error!r}") from error
            if version != STATE_FORMAT:
                raise ImageError(f"state of format {version}, known is {STATE_FORMAT}")
            return state
    raise ImageError("it is not of this daemon")


def _restore_connection(
    engine: Engine, row: list[Any], watches: list[WatchData]
) -> None:
    core = engine.core
    number, domid, is_channel, is_kernel, lost = row[:5]
    last_transaction, served, restarts, waiting, places = row[5:]
    domain = engine.store.domains.get(domid)
    # The client of a domain that has ended is still to be told.
    caller = Caller(domid, privileged=False) if domain is None else domain.caller
    core.last = number - 1
    connection = core.make(caller)
    connection.is_channel = is_channel
    connection.is_kernel = is_kernel
    connection.closing = connection.lost = lost
    connection.last_transaction = last_transaction
    connection.served = served
    connection.restarts = restarts
    unsent = b"".join([text.encode(_BYTES) for text in waiting])
    _restore_output(engine, connection, unsent, 0)
    for (order, depth), record in zip(places, watches, strict=True):
        path = parse_path(record.path, connection.home, special=True)
        # The depth of the record has 16 bits.
        watch = Watch(number, caller, path, record.path, record.token, depth)
        engine.store.watches.restore(watch, order)
        connection.watches[path, record.token] = watch


def restore_buffers(
    engine: Engine, connection: Connection, record: ConnectionData
) -> None:
    """Have what a client has sent carried out, and what it is to be sent, sent."""
    _restore_output(engine, connection, record.unsent, record.begun)
    if record.pending:
        engine.feed(connection, record.pending)


def _restore_output(
    engine: Engine, connection: Connection, unsent: bytes, begun: int
) -> None:
    if unsent:
        tally = None if connection.caller.privileged else connection.tally
        connection.outbox.restore(unsent, begun, tally)
        engine.core.touch(connection)


def _restore_transaction(
    engine: Engine, nodes: Nodes, whose: tuple[int, int], state: dict[str, Any]
) -> None:
    store = engine.store
    connection = engine.core.connections[whose[0]]
    transaction = Transaction(connection.caller, store.live, store.clock, store.quotas)
    rows = nodes.rows.get(whose, ([], []))
    restore_transaction(store, transaction, rows, state)
    store.transactions.add(transaction)
    connection.transactions[whose[1]] = transaction
