"""That a transaction commits in the end, however much others write (XSA-206)."""

# A transaction that conflicts ends with EAGAIN, and its client tries again. Against a
# writer without pause it might do so for ever. So a connection whose transactions have
# failed PROTECT_AFTER times in a row has its next one protected: until that one ends,
# PROTECT_MS at the longest, requests of others that might break what it relies on, or
# what the one before relied on, wait. They are not refused and nothing is lost; what
# else these clients do comes after, since requests of one connection keep their order.
#
# One transaction is protected at a time, a privileged client's before a guest's. If
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
from xsd.engine.core import Core
from xsd.engine.protection import Protection
from xsd.engine.schedule import PROTECTION
from xsd.protocol.errors import XenStoreError
from xsd.protocol.frame import Frame
from xsd.protocol.ops import Op
from xsd.protocol.path import Path, format_path, parse_path
from xsd.protocol.perms import NONE, Caller
from xsd.protocol.reply import TRUE
from xsd.store import Transaction
from xsd.store.footprint import Footprint
from xsd.store.node import Node

PROTECT_AFTER: Final = 5
"""Conflicts in a row after which a client's next transaction is protected."""

PROTECT_MS: Final = 250
"""Longest time that others wait for a protected transaction, in milliseconds."""

_CHANGES: Final = frozenset({Op.WRITE, Op.MKDIR, Op.RM, Op.SET_PERMS})


# What happens to transactions.


def started(core: Core, connection: Connection, transaction: Transaction) -> None:
    """Protect a transaction that begins, if its client has failed often enough."""
    if connection.conflicts < PROTECT_AFTER:
        return
    other = core.protection
    if other is not None:
        if not _outranks(connection.caller, other.connection.caller):
            return
        core.end_protection(other)
    before = connection.conflicted or Footprint()
    until_ms = core.now_ms + PROTECT_MS
    core.protections += 1
    number = core.protections
    core.protection = Protection(number, connection, transaction, before, until_ms)
    core.schedule.at(until_ms, PROTECTION, number)
    if core.tracing.wrl:
        more: dict[str, object] = {"conflicts": connection.conflicts}
        core.notices.append(tracing.about("wrl.protected", connection, more))


def ended(core: Core, transaction: Transaction, *, commit: bool) -> None:
    """Let others go on if they waited for this transaction."""
    protection = core.protection
    if protection is not None and protection.transaction is transaction:
        core.end_protection(protection)
        protection.connection.conflicts = PROTECT_AFTER - 1 if commit else 0


def timed_out(core: Core, number: int) -> None:
    """Let others go on if they still wait for this protection."""
    protection = core.protection
    if protection is not None and protection.number == number:
        core.end_protection(protection)
        protection.connection.conflicts = 0


def conflicted(connection: Connection, transaction: Transaction) -> None:
    """Count a commit that failed because of others."""
    if not transaction.own_conflict:
        connection.conflicts += 1
        connection.conflicted = transaction.footprint


def committed(connection: Connection) -> None:
    """The client gets on."""
    connection.conflicts = 0
    connection.conflicted = None


def changes_by_itself(core: Core, connection: Connection, frame: Frame) -> None:
    """Note which of a client's own transactions its own request may break."""
    ending = connection.transactions.get(frame.tx_id)
    now = core.store.live.tree.top
    for path in _changed_by(connection, frame):
        for transaction in connection.transactions.values():
            footprint = transaction.footprint
            if transaction is not ending and footprint.concerns(path, now):
                transaction.own_conflict = True


# Who waits. The first function changes something, the others only look.


def wait_if_needed(core: Core, connection: Connection, frame: Frame) -> bool:
    """Have a client wait for the protected transaction if its next request must.

    Returns:
        Whether it has to; it is queued again when the protection is over.
    """
    protection = core.protection
    if protection is None or connection is protection.connection:
        return False
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
    protection.waiting[connection.id] = connection
    return True


def _broken_by(
    core: Core, protection: Protection, connection: Connection, frame: Frame
) -> Path | None:
    """The path at which a request has to wait for a protected transaction."""
    protected = protection.connection.caller
    if _may_pass(connection, protected):
        return None
    now = core.store.live.tree.top
    for path in _changed_by(connection, frame):
        if protection.concerns(path, now) and _has_right(protected, path, now):
            return path
    return None


def _may_pass(connection: Connection, protected: Caller) -> bool:
    """Tell whether a client's next request need not wait for somebody's transaction."""
    if not connection.waited_for:
        return _outranks(connection.caller, protected)
    return not _outranks(protected, connection.caller)


def _outranks(one: Caller, other: Caller) -> bool:
    """Tell whether somebody need not wait for somebody else."""
    return one.privileged and not other.privileged


def _has_right(caller: Caller, path: Path, top: Node) -> bool:
    """Tell whether a caller has any right to the nearest node there is of a path."""
    node = top
    for name in path:
        below = node.child(name)
        if below is None:
            break
        node = below
    return node.perms.access(caller) != NONE


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
