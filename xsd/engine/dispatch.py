"""From a frame to the reply: the checks that all requests share.

Here alone exceptions become ERROR replies, and every frame gets exactly one reply
whatever happens (XSA-481).
"""

from collections.abc import Callable
from typing import Final, final

from xsd.engine import handlers, progress, tracing, watchlog
from xsd.engine.connection import Connection
from xsd.engine.control import control
from xsd.engine.core import Core
from xsd.engine.delivery import deliver
from xsd.engine.notice import Notice, Reason
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.frame import Frame
from xsd.protocol.ops import OP_LIMIT, Op
from xsd.protocol.reply import LATER, OK, OK_TAIL, encode_error, encode_reply
from xsd.store import Transaction
from xsd.store.changes import Cause
from xsd.store.exceeded import QuotaExceeded
from xsd.store.quota import WATCHES
from xsd.store.reasons import DeniedError

Handler = Callable[[Core, Connection, bytes, Transaction | None], bytes]

_DIRECTORY: Final[int] = Op.DIRECTORY
_END: Final[int] = Op.TRANSACTION_END
_READ: Final[int] = Op.READ
_UNWATCH: Final[int] = Op.UNWATCH
_WRITE: Final[int] = Op.WRITE

_EXPECTED: Final = frozenset({Errno.ENOENT, Errno.EEXIST, Errno.EAGAIN})
"""Refusals that well-behaved clients meet all day; logged for debugging only."""


@final
class _Entry:
    """A row of the table: what the dispatcher must know of a message type."""

    __slots__ = ("any_transaction", "asks", "changes", "handler", "privileged")

    def __init__(
        self,
        handler: Handler,
        *,
        privileged: bool = False,
        any_transaction: bool = False,
        changes: bool = False,
        asks: bool = False,
    ) -> None:
        self.handler = handler
        self.privileged = privileged
        # The transaction id has no meaning; it is only echoed.
        self.any_transaction = any_transaction
        # It may change nodes, so that it is the cause of changes.
        self.changes = changes
        # Outside of transactions it can change nothing, whenever it is carried out.
        self.asks = asks


_ENTRIES: Final[dict[Op, _Entry]] = {
    Op.CONTROL: _Entry(control, privileged=True, asks=True),
    Op.DIRECTORY: _Entry(handlers.directory, asks=True),
    Op.READ: _Entry(handlers.read, asks=True),
    Op.GET_PERMS: _Entry(handlers.get_perms, asks=True),
    Op.WATCH: _Entry(handlers.watch, any_transaction=True),
    Op.UNWATCH: _Entry(handlers.unwatch, any_transaction=True),
    Op.TRANSACTION_START: _Entry(handlers.transaction_start),
    Op.TRANSACTION_END: _Entry(handlers.transaction_end, changes=True),
    Op.INTRODUCE: _Entry(handlers.introduce, privileged=True, changes=True),
    Op.RELEASE: _Entry(handlers.release, privileged=True, changes=True),
    Op.GET_DOMAIN_PATH: _Entry(handlers.get_domain_path, asks=True),
    Op.WRITE: _Entry(handlers.write, changes=True),
    Op.MKDIR: _Entry(handlers.mkdir, changes=True),
    Op.RM: _Entry(handlers.rm, changes=True),
    Op.SET_PERMS: _Entry(handlers.set_perms, changes=True),
    Op.IS_DOMAIN_INTRODUCED: _Entry(
        handlers.is_domain_introduced, privileged=True, asks=True
    ),
    Op.RESUME: _Entry(handlers.resume, privileged=True),
    Op.SET_TARGET: _Entry(handlers.set_target, privileged=True),
    Op.RESET_WATCHES: _Entry(handlers.reset_watches),
    Op.DIRECTORY_PART: _Entry(handlers.directory_part, asks=True),
    Op.GET_FEATURE: _Entry(handlers.get_feature, asks=True),
    Op.SET_FEATURE: _Entry(handlers.set_feature, privileged=True),
    Op.GET_QUOTA: _Entry(handlers.get_quota, privileged=True, asks=True),
    Op.SET_QUOTA: _Entry(handlers.set_quota, privileged=True),
}

_TABLE: Final[list[_Entry | None]] = [None] * OP_LIMIT
for _op, _entry in _ENTRIES.items():
    _TABLE[_op] = _entry


def answer(  # noqa: C901, PLR0912  in one place, as each call would cost something
    core: Core, connection: Connection, frame: Frame
) -> None:
    """Carry one request out; queue the events it causes and its reply."""
    connection.served += 1
    store = core.store
    clock = store.clock
    pulse = clock.now + clock.beats
    traced = core.tracing.requests
    if traced and core.tracing.io:
        core.notices.append(tracing.request(connection, frame))
    try:
        payload = _carry_out(core, connection, frame)
        if payload is OK:
            reply = b"%b%b" % (frame.header, OK_TAIL)
        elif payload is LATER:
            core.deferred[connection.id] = frame.header
            return
        else:
            reply = encode_reply(frame, payload)
    except XenStoreError as error:
        reply = encode_error(frame, error.errno)
        _note_refusal(core, connection, frame, error)
    except Exception as error:  # noqa: BLE001  the daemon must outlive any defect
        reply = encode_error(frame, Errno.EIO)
        _note_defect(core, connection, frame, error)
    if core.tape is not None and (
        clock.now + clock.beats != pulse
        or (connection.has_slot and _might_change(frame))
    ):
        core.record_request(connection, frame)
    if store.news or store.defects:
        core.publish()
    if core.outside.answers:
        # They belong to this input, or to none.
        core.outside.answers.clear()
    tally = None if connection.caller.privileged else connection.tally
    connection.outbox.append(reply, tally)
    if not connection.dirty:
        connection.dirty = True
        core.dirty.append(connection)
    if traced:
        _trace_reply(core, connection, frame, reply)
    event = core.after_reply
    if event is not None:
        core.after_reply = None
        try:
            deliver(core, [event], connection)
        except Exception as error:  # noqa: BLE001  the request has been answered
            _note_defect(core, connection, frame, error)


def _might_change(frame: Frame) -> bool:
    """Tell whether a request that has changed nothing may have been about to.

    Its place among others' has to be known then to answer it once more.
    """
    op = frame.op
    entry = _TABLE[op] if op < OP_LIMIT else None
    return entry is not None and (frame.tx_id != 0 or not entry.asks)


def _trace_reply(
    core: Core, connection: Connection, frame: Frame, reply: bytes
) -> None:
    """Have a reply logged, and what its request has changed in the accounts."""
    if core.tracing.io:
        core.notices.append(tracing.reply(connection, frame, reply))
    core.trace_accounts()


def _carry_out(core: Core, connection: Connection, frame: Frame) -> bytes:
    """Check what is common to all requests, in C's order, and handle this one."""
    op = frame.op
    entry = _TABLE[op] if op < OP_LIMIT else None
    if entry is None:
        raise XenStoreError(Errno.ENOSYS, f"message type {op}")
    if entry.privileged and not connection.caller.privileged:
        reason = f"only for dom{core.store.privileged.domid}"
        raise XenStoreError(Errno.EACCES, reason)
    transaction: Transaction | None = None
    number = frame.tx_id
    if number and not entry.any_transaction:
        transaction = connection.transactions.get(number)
        if transaction is None:
            raise XenStoreError(Errno.ENOENT, f"no transaction {number}")
    if entry.changes:
        core.transaction_id = number
        if core.consumers:
            domid = connection.caller.domid
            core.store.cause = Cause(connection.id, domid, number, op)
        # Which of its own open transactions does it break?
        others = len(connection.transactions) - (transaction is not None)
        if others > 0 and (transaction is None or op == _END):
            progress.changes_by_itself(core, connection, frame)
    # By its name a function is called as C does, through the table as Python does.
    if op == _READ:
        return handlers.read(core, connection, frame.payload, transaction)
    if op == _WRITE:
        return handlers.write(core, connection, frame.payload, transaction)
    return entry.handler(core, connection, frame.payload, transaction)


def _note_defect(
    core: Core, connection: Connection, frame: Frame, error: Exception
) -> None:
    """Have a defect of ours logged with its trace."""
    fields = tracing.request_fields(connection, frame, with_path=True)
    core.notices.append(Notice("error", "request.failed", fields, error))


def _note_refusal(
    core: Core, connection: Connection, frame: Frame, error: XenStoreError
) -> None:
    """Have a refusal logged."""
    if isinstance(error, QuotaExceeded):
        _note_quota(core, connection, frame, error)
        return
    # To take out a watch that there is not is a mistake of the client's.
    expected = error.errno in _EXPECTED and frame.op != _UNWATCH
    if (
        expected
        and error.errno != Errno.EAGAIN
        and not (core.tracing.io or core.logbook.tells_all)
    ):
        return
    if error.errno == Errno.E2BIG and frame.op == _DIRECTORY:
        # It goes on to ask for parts.
        return
    fields = tracing.request_fields(connection, frame)
    fields["errno"] = error.errno.name
    if isinstance(error, DeniedError):
        fields["reason"] = Reason(error)
    else:
        fields["reason"] = error.reason
    if error.path:
        fields["path"] = error.path[: tracing.PATH_SHOWN]
    level = "debug" if expected else "info"
    wanted = expected and core.tracing.io
    core.notices.append(Notice(level, "request.refused", fields, wanted=wanted))


def _note_quota(
    core: Core, connection: Connection, frame: Frame, error: QuotaExceeded
) -> None:
    """Have a refusal for a quota logged, unless it was not long ago."""
    if core.tracing.acc:
        core.notices.append(tracing.refusal(connection, error))
    fields = tracing.request_fields(connection, frame)
    if error.path:
        fields["path"] = error.path[: tracing.PATH_SHOWN]
    if error.domid != connection.caller.domid:
        fields["owner"] = error.domid
    if error.size:
        fields["size"] = error.size
    if error.node:
        fields["node"] = error.node[: tracing.PATH_SHOWN]
    is_told = core.note_quota(error.domid, error.quota, error.limit, fields)
    if is_told and error.quota == WATCHES:
        fields["watched"] = watchlog.places(core.connections_of(error.domid))
