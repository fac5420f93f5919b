"""What is traced, if an operator wants it: requests, objects, accounts, changes."""

# C's daemon has five switches and one trace file. The switches are the same here, and
# mean what there is here to be told:
#
#     obj   connections, watches, transactions and domains come and go
#     io    each request when it is carried out, each reply and event when it is queued
#     wrl   the protection of a transaction, which C's write rate limit corresponds to:
#           whose is protected, who has to wait, that it is over (see progress.py)
#     acc   each number of nodes, watches and transactions of a domain that has changed,
#           and each refusal for a quota
#     tdb   each change of the store, with what caused it
#
# Requests hold what guests write, passwords too, so nothing is traced unless somebody
# asks for it. What is traced goes out as notices that no level of the log suppresses.
# While nothing is traced a request costs one look at a flag more.

import sys
from typing import Final, final

from xsd.engine.connection import Connection
from xsd.engine.consumer import Consumer
from xsd.engine.notice import Notice
from xsd.protocol.frame import Frame
from xsd.protocol.limits import HEADER_SIZE
from xsd.protocol.ops import Op
from xsd.protocol.path import format_path, is_special
from xsd.store import Change, Store, Watch
from xsd.store.changes import CHANGED, IMPLIED
from xsd.store.exceeded import QuotaExceeded

SWITCHES: Final = ("obj", "io", "wrl", "acc", "tdb")
"""Names of the switches, in C's order."""

DEFAULT_SWITCHES: Final = frozenset({"obj", "io"})

PAYLOAD_SHOWN: Final = 256
"""Bytes of a payload that are shown; its length is told in any case."""

PATH_SHOWN: Final = 256
"""Bytes of a path that the log is told of a request."""

_ABOUT_PATHS: Final = frozenset(
    {
        *(Op.READ, Op.DIRECTORY, Op.DIRECTORY_PART, Op.GET_PERMS, Op.SET_PERMS),
        *(Op.WRITE, Op.MKDIR, Op.RM, Op.WATCH, Op.UNWATCH),
    }
)
"""Requests that begin with a path."""


@final
class Tracing:
    """What is traced at the moment.

    Attributes:
        on: Whether anything is.
        switches: What is, while it is on.
        obj: Whether the coming and going of objects is.
        io: Whether requests, replies and events are.
        wrl: Whether the protection of transactions is.
        acc: Whether what domains use is.
        tdb: Whether changes of the store are.
        requests: Whether there is anything to say of each request.
    """

    __slots__ = (
        "_seen",
        "acc",
        "io",
        "obj",
        "on",
        "requests",
        "switches",
        "tdb",
        "wrl",
    )

    def __init__(self) -> None:
        self.on = False
        self.switches: set[str] = set(DEFAULT_SWITCHES)
        self.obj = False
        self.io = False
        self.wrl = False
        self.acc = False
        self.tdb = False
        self.requests = False
        self._seen: dict[str, dict[int, int]] = {}

    def set(self, store: Store, *, on: bool, switches: set[str]) -> None:
        """Trace from now on.

        Args:
            store: What the changes are traced of.
            on: Whether anything is traced.
            switches: Names of what is.
        """
        self.on = on
        self.switches = switches
        self.obj = on and "obj" in switches
        self.io = on and "io" in switches
        self.wrl = on and "wrl" in switches
        self.acc = on and "acc" in switches
        self.tdb = on and "tdb" in switches
        self.requests = self.io or self.acc
        self._seen = _accounts(store) if self.acc else {}

    def accounts(self, store: Store) -> list[Notice]:
        """What domains use more or less of than when it was last asked."""
        notices: list[Notice] = []
        now = _accounts(store)
        for name, used in now.items():
            before = self._seen.get(name, {})
            if used == before:
                continue
            for domid in sorted({*before, *used}):
                was, has = before.get(domid, 0), used.get(domid, 0)
                if was != has:
                    fields: dict[str, object] = {
                        "domid": domid,
                        "what": name,
                        "before": was,
                        "now": has,
                    }
                    notices.append(_traced("acc.changed", fields))
        self._seen = now
        return notices


def request_fields(
    connection: Connection, frame: Frame, *, with_path: bool = False
) -> dict[str, object]:
    """Whose request it is, for lines about it; with the path as the client sent it."""
    fields: dict[str, object] = {
        "connection": connection.id,
        "domid": connection.caller.domid,
        "request": name_of(frame.op),
        "request_id": frame.req_id,
        "transaction": frame.tx_id,
    }
    if with_path and frame.op in _ABOUT_PATHS:
        fields["path"] = frame.payload.partition(b"\0")[0][:PATH_SHOWN]
    return fields


def request(connection: Connection, frame: Frame) -> Notice:
    """A request that is about to be carried out."""
    return _message(
        "io.request",
        connection,
        frame.op,
        frame.req_id,
        frame.tx_id,
        frame.payload,
    )


def reply(connection: Connection, asked: Frame, sent: bytes) -> Notice:
    """The reply to a request, as it is queued."""
    op = int.from_bytes(sent[:4], sys.byteorder)
    payload = sent[HEADER_SIZE:]
    return _message("io.reply", connection, op, asked.req_id, asked.tx_id, payload)


def event(connection: Connection, sent: bytes) -> Notice:
    """A watch event, as it is queued."""
    payload = sent[HEADER_SIZE:]
    return _message("io.event", connection, Op.WATCH_EVENT, 0, 0, payload)


def about(
    name: str, connection: Connection, more: dict[str, object] | None = None
) -> Notice:
    """Something that has happened to a connection or to what it has."""
    fields: dict[str, object] = {
        "connection": connection.id,
        "domid": connection.caller.domid,
    }
    if more is not None:
        fields.update(more)
    return _traced(name, fields)


def watch(name: str, connection: Connection, of: Watch) -> Notice:
    """A watch that comes or goes."""
    return about(name, connection, {"path": of.shown, "token": of.token})


def domain(name: str, domid: int) -> Notice:
    """A domain that comes, shuts down or goes."""
    return _traced(name, {"domid": domid})


def refusal(connection: Connection, error: QuotaExceeded) -> Notice:
    """A request that a quota does not allow."""
    more: dict[str, object] = {
        "owner": error.domid,
        "quota": error.quota,
        "limit": error.limit,
        "path": error.path,
    }
    return about("acc.refused", connection, more)


@final
class ChangeTrace(Consumer):
    """Makes a notice of each change of the store."""

    __slots__ = ("_notices",)

    def __init__(self) -> None:
        self._notices: list[Notice] = []

    def take(self, changes: list[Change]) -> None:
        """See `Consumer.take`."""
        for each in changes:
            # What is made on the way to another nobody has asked for, nor is it told
            # to those who watch.
            if each.kind != IMPLIED and not is_special(each.path):
                self._notices.append(change(each))

    def take_notices(self) -> list[Notice]:
        """What was made since the last call."""
        notices = self._notices
        self._notices = []
        return notices


def change(of: Change) -> Notice:
    """A change of the store, and whose request it was."""
    fields: dict[str, object] = {"path": format_path(of.path)}
    if of.kind == CHANGED:
        fields["length"] = len(of.value)
        fields["permissions"] = of.perms.text
    cause = of.cause
    if cause is not None:
        fields["connection"] = cause.connection
        fields["domid"] = cause.domid
        fields["request"] = name_of(cause.op)
        if cause.transaction:
            fields["transaction"] = cause.transaction
    if of.kind == CHANGED:
        return _traced("tdb.changed", fields)
    return _traced("tdb.removed", fields)


def name_of(op: int) -> str:
    """The name of a message type, or its number if it has none."""
    try:
        return Op(op).name
    except ValueError:
        return str(op)


def _accounts(store: Store) -> dict[str, dict[int, int]]:
    """What each domain uses now."""
    return {
        "nodes": dict(store.usage.nodes.used),
        "watches": dict(store.usage.watches.used),
        "transactions": dict(store.usage.transactions.used),
    }


def _message(
    name: str,
    connection: Connection,
    op: int,
    request_id: int,
    transaction: int,
    payload: bytes,
) -> Notice:
    more: dict[str, object] = {
        "message": name_of(op),
        "request_id": request_id,
        "transaction": transaction,
        "length": len(payload),
        "payload": payload[:PAYLOAD_SHOWN],
    }
    return about(name, connection, more)


def _traced(name: str, fields: dict[str, object]) -> Notice:
    return Notice("debug", name, fields, wanted=True)
