"""That a transaction commits in the end, however much others write (XSA-206)."""

# A transaction that conflicts ends with EAGAIN, and its client tries again. Where
# others' transactions are the reason they take turns (turns.py); a writer without pause
# takes no turn. So a connection whose transactions have failed PROTECT_AFTER times in a
# row has its next one protected: until that one ends, requests of others that might
# break what it relies on wait. They are not refused and nothing is lost; what else
# these clients do comes after, since requests of one connection keep their order.
#
# Others wait for a transaction of dom0's as long as its client goes on, PROTECT_MS
# after its last request and PROTECT_MAX_MS in all; and also with what might break what
# the attempt before relied on, so that the sixth one commits whatever it looks at. What
# that was is kept for dom0 only; for a guest's they wait at contested nodes instead,
# for TURN_MS, and it pays for that as for a turn.
#
# One transaction is protected at a time, a privileged client's before a guest's; who
# needs it meanwhile waits to begin its own, in order, a guest for WAIT_MS at most. If
# that did not help although the client was in time, its next one is protected, too; if
# it took longer, it has to fail as often again first. A request waits for one
# transaction at most, or two clients could make it wait for ever; but guests wait for
# each of a privileged client. It ends at once when its client goes, resets its watches
# or aborts, and who broke its own transaction has not failed because of others. A
# guest's protection does not hold a privileged client up: nobody has to wait for a
# guest who is not one; and it holds nobody up at nodes that the guest has no right to,
# which it can name.

from typing import Final

from xsd.engine import tracing
from xsd.engine.connection import Connection
from xsd.engine.contest import LAST, place
from xsd.engine.core import Core
from xsd.engine.protection import PROTECT_MAX_MS, PROTECT_MS, Protection
from xsd.engine.schedule import PROTECTION
from xsd.engine.turns import contend, has_right, outranks, wait_for_turn
from xsd.protocol.errors import XenStoreError
from xsd.protocol.frame import Frame
from xsd.protocol.ops import TRUE, Op
from xsd.protocol.path import Path, format_path, parse_path
from xsd.protocol.perms import Caller
from xsd.store import Transaction

PROTECT_AFTER: Final = 5
"""Conflicts in a row after which a client's next transaction is protected."""

_CHANGES: Final = frozenset({Op.WRITE, Op.MKDIR, Op.RM, Op.SET_PERMS})


# What happens to transactions.


def started(core: Core, connection: Connection, transaction: Transaction) -> None:
    """Protect a transaction that begins, if its client has failed often enough."""
    other = core.protection
    if other is not None and other.connection is connection:
        if other.transaction is None:
            other.transaction = transaction
    elif _is_starved(core, connection) and _is_free_for(core, connection):
        if other is not None:
            core.end_protection(other)
        core.protect(connection, transaction)


def ended(core: Core, transaction: Transaction, *, commit: bool) -> None:
    """Let others go on if they waited for this transaction."""
    core.contests.leave(transaction, core.now_ms)
    protection = core.protection
    if protection is not None and protection.transaction is transaction:
        core.end_protection(protection)
        protection.connection.conflicts = PROTECT_AFTER - 1 if commit else 0


def timed_out(core: Core, number: int) -> None:
    """Let others go on if they still wait for this protection, and too long."""
    protection = core.protection
    if protection is not None and protection.number == number:
        if core.now_ms < protection.until_ms:
            core.schedule.at(protection.until_ms, PROTECTION, number)
            return
        core.end_protection(protection)
        protection.connection.conflicts = 0


def conflicted(core: Core, connection: Connection, transaction: Transaction) -> None:
    """Count a commit that failed because of others."""
    path = transaction.broken
    if path is None or transaction.own_conflict:
        return
    connection.conflicts += 1
    if connection.caller.privileged and connection.conflicts >= PROTECT_AFTER:
        connection.conflicted = transaction.footprint
    contend(core, connection, path)


def committed(connection: Connection) -> None:
    """The client gets on."""
    connection.conflicts = 0
    connection.conflicted = None


def changes_by_itself(core: Core, connection: Connection, frame: Frame) -> None:
    """Note which of a client's own transactions its own request may break."""
    ending = connection.transactions.get(frame.tx_id)
    now = core.store.live.tree.top
    is_guest = not connection.caller.privileged
    for path in _changed_by(connection, frame):
        for transaction in connection.transactions.values():
            footprint = transaction.footprint
            # Once it has changed something, so may what it looks at later on.
            if transaction is not ending and (
                (is_guest and footprint.changed) or footprint.concerns(path, now)
            ):
                transaction.own_conflict = True


# Who waits. The first function changes something, the others only look.


def wait_if_needed(core: Core, connection: Connection, frame: Frame) -> bool:
    """Have a client wait for others' transactions if its next request must.

    Returns:
        Whether it has to; it is queued again when that is over.
    """
    if core.plan is not None and core.plan.keeps_waiting(connection, frame):
        return True
    if frame.tx_id and core.contests.nodes and wait_for_turn(core, connection, frame):
        return True
    protection = core.protection
    if protection is None:
        return False
    if connection is protection.connection:
        if connection.caller.privileged:
            until_ms = core.now_ms + PROTECT_MS
            protection.until_ms = min(until_ms, protection.since_ms + PROTECT_MAX_MS)
        return False
    if frame.op == Op.TRANSACTION_START:
        return _wait_to_begin(core, connection)
    return _wait_for(core, protection, connection, frame)


def _wait_to_begin(core: Core, connection: Connection) -> bool:
    """Have a client wait that needs a protection, too."""
    if connection.id not in core.starved.waiting:
        if (
            connection.waited_for
            or not _is_starved(core, connection)
            or _is_free_for(core, connection)
        ):
            return False
        core.starved.add(connection, core.now_ms)
    return True


def _wait_for(
    core: Core, protection: Protection, connection: Connection, frame: Frame
) -> bool:
    """Have a client wait whose request might break a protected transaction."""
    if connection.waited_for != protection.number:
        path = _broken_by(core, protection, connection, frame)
        if path is None:
            return False
        connection.waited_for = protection.number
        if core.tracing.wrl:
            more: dict[str, object] = {
                "request": tracing.name_of(frame.op),
                "path": format_path(path),
                "waits_for": protection.connection.id,
            }
            core.notices.append(tracing.about("wrl.waits", connection, more))
    transaction = connection.transactions.get(frame.tx_id)
    if transaction is not None:
        # Who waits itself does not have others wait.
        core.contests.leave(transaction, core.now_ms)
    protection.waiting[connection.id] = connection
    if protection.awaited_ms < 0:
        protection.awaited_ms = core.now_ms
    return True


def _is_starved(core: Core, connection: Connection) -> bool:
    """Tell whether a client's next transaction is to be protected."""
    return (
        connection.conflicts >= PROTECT_AFTER and place(connection, core.now_ms) < LAST
    )


def _is_free_for(core: Core, connection: Connection) -> bool:
    """Tell whether it can be, because no other one is that it would wait for."""
    protection = core.protection
    return protection is None or outranks(
        connection.caller, protection.connection.caller
    )


def _broken_by(
    core: Core, protection: Protection, connection: Connection, frame: Frame
) -> Path | None:
    """The path at which a request has to wait for a protected transaction."""
    protected = protection.connection.caller
    if _may_pass(connection, protected):
        return None
    now = core.store.live.tree.top
    contested = {} if protected.privileged else core.contests.nodes
    for path in _changed_by(connection, frame):
        might = path in contested or protection.concerns(path, now)
        if might and has_right(protected, path, now):
            return path
    return None


def _may_pass(connection: Connection, protected: Caller) -> bool:
    """Tell whether a client's next request need not wait for somebody's transaction."""
    if not connection.waited_for:
        return outranks(connection.caller, protected)
    return not outranks(protected, connection.caller)


def _changed_by(connection: Connection, frame: Frame) -> list[Path]:
    """Paths that a request would change in the store, as far as it names them."""
    if frame.tx_id == 0 and frame.op in _CHANGES:
        raw = frame.payload.partition(b"\0")[0]
        try:
            return [parse_path(raw, connection.home, special=True)]
        except XenStoreError:
            return []
    if frame.op == Op.TRANSACTION_END and frame.payload == TRUE:
        transaction = connection.transactions.get(frame.tx_id)
        if transaction is not None:
            return transaction.footprint.named_paths()
    return []
