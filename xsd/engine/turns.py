"""Turns at contested nodes: nobody fails for being in step with others."""

# Ten clients that read a node, change and commit it without pause fail nine times of
# ten, and begin anew in step. So once a commit has failed because a node had changed,
# that node is contested: the transaction that accesses it has its turn there until it
# ends, and others' wait for theirs at their first access, in order, dom0's before
# guests'. Whether a transaction can commit is decided as before; only the order depends
# on this, so that a turn that took too long costs an EAGAIN and no more.
#
# A turn ends TURN_MS after somebody has begun to wait for it. A guest that keeps others
# waiting for more than TURN_FREE_MS owes TURN_PRICE times what is longer; while that is
# more than TURN_OWED_MS it comes last, and is not protected. A guest waits for WAIT_MS
# at most, and does without then. Nobody waits
#
# - at nodes that the guest which has its turn, or waits, has no right to;
# - of dom0 for a guest, and of guests for one that comes last: they take its turn;
# - with a transaction that has changed something, or has accessed the node before:
#   its view of the store stays as it is, and waiting could but make it worse; only to
#   commit what would break the turn of one that need not wait for it;
# - who has a turn, there or elsewhere, with any transaction: two could wait for each
#   other;
# - with a protected transaction (see progress.py), which others may wait for already.
#
# A request that is none of a transaction never waits here. A node that nobody has
# waited for in a while is not contested any longer. There are CONTESTED_MAX at a time;
# dom0's failures take the place of guests'.

from typing import Final

from xsd.engine import tracing
from xsd.engine.connection import Connection
from xsd.engine.contest import Contest, place
from xsd.engine.core import Core
from xsd.protocol.errors import XenStoreError
from xsd.protocol.frame import Frame
from xsd.protocol.ops import TRUE, Op
from xsd.protocol.path import Path, format_path, parse_path
from xsd.protocol.perms import NONE, Caller
from xsd.store import Transaction
from xsd.store.node import Node
from xsd.store.tree import find

CONTESTED_MAX: Final = 64
"""Contested nodes at a time."""

GUEST_MAX: Final = 4
"""How many of them may be so because of one guest."""

DEPTH_MAX: Final = 64
"""Nodes with longer paths are not contested."""

_MAKES: Final = frozenset({Op.WRITE, Op.MKDIR})
_CHANGES_NAMES: Final = frozenset({Op.WRITE, Op.MKDIR, Op.RM})
_ACCESSES: Final = frozenset(
    {
        *_CHANGES_NAMES,
        Op.READ,
        Op.DIRECTORY,
        Op.DIRECTORY_PART,
        Op.GET_PERMS,
        Op.SET_PERMS,
    }
)


def contend(core: Core, connection: Connection, path: Path) -> None:
    """A client's commit has failed because others have changed a node."""
    contests = core.contests
    nodes = contests.nodes
    caller = connection.caller
    if len(path) > DEPTH_MAX or not has_right(caller, path, core.store.live.tree.top):
        return
    if path not in nodes:
        own = [each for each in nodes.values() if each.domid == caller.domid]
        if not caller.privileged and len(own) >= GUEST_MAX:
            return
        if len(nodes) >= CONTESTED_MAX:
            if not caller.privileged or len(own) >= CONTESTED_MAX:
                return
            contests.drop(
                next(each for each in nodes.values() if each.domid != caller.domid)
            )
    contests.add(path, caller.domid, core.now_ms)


def wait_for_turn(core: Core, connection: Connection, frame: Frame) -> bool:
    """Have a client wait for its turn if its next request must, or let it have it.

    Returns:
        Whether it has to wait; it is queued again when it is its turn.
    """
    contests = core.contests
    if connection.id in contests.waiting:
        return True
    transaction = connection.transactions.get(frame.tx_id)
    if transaction is None or connection.waited_for:
        return False
    if frame.op == Op.TRANSACTION_END:
        return _wait_to_commit(core, connection, frame, transaction)
    contest = _begun(core, connection, frame, transaction)
    if contest is None:
        return False
    holder = contest.holder
    protection = core.protection
    if holder is not None:
        is_protected = protection is not None and protection.transaction is transaction
        ahead = place(holder, core.now_ms) - place(connection, core.now_ms)
        if ahead < 0 or (ahead == 0 and not is_protected):
            _wait(core, connection, frame, transaction, contest)
            return True
    contests.take(contest, connection, transaction, core.now_ms)
    return False


def outranks(one: Caller, other: Caller) -> bool:
    """Tell whether somebody need not wait for somebody else."""
    return one.privileged and not other.privileged


def has_right(caller: Caller, path: Path, top: Node) -> bool:
    """Tell whether a caller has any right to the nearest node there is of a path."""
    node = top
    for name in path:
        below = node.child(name)
        if below is None:
            break
        node = below
    return node.perms.access(caller) != NONE


def _begun(
    core: Core, connection: Connection, frame: Frame, transaction: Transaction
) -> Contest | None:
    """The contested node that a request is its transaction's first access to.

    None if it is not to have its turn there.
    """
    caller = connection.caller
    turns = core.contests.turns
    if (
        frame.op not in _ACCESSES
        or transaction.failed
        or transaction.footprint.changed
        or any(each in turns for each in connection.transactions.values())
    ):
        return None
    contest = _accessed(core, connection, frame)
    if (
        contest is None
        or transaction.footprint.relies_on(contest.path)
        or not has_right(caller, contest.path, core.store.live.tree.top)
    ):
        return None
    return contest


def _accessed(core: Core, connection: Connection, frame: Frame) -> Contest | None:
    """The contested node that a request is about to access, or to change names of."""
    nodes = core.contests.nodes
    raw = frame.payload.partition(b"\0")[0]
    try:
        path = parse_path(raw, connection.home, special=True)
    except XenStoreError:
        return None
    contest = nodes.get(path)
    if contest is None and frame.op in _CHANGES_NAMES:
        contest = nodes.get(path[:-1])
        if contest is not None and frame.op in _MAKES:
            exists = find(core.store.live.tree.top, path) is not None
            return None if exists else contest
    return contest


def _wait_to_commit(
    core: Core, connection: Connection, frame: Frame, transaction: Transaction
) -> bool:
    """Have a guest wait that is about to change a node where others come before."""
    changed = transaction.footprint.changed
    if connection.caller.privileged or not changed or frame.payload != TRUE:
        return False
    for contest in core.contests.nodes.values():
        holder = contest.holder
        if (
            holder is not None
            and place(holder, core.now_ms) < place(connection, core.now_ms)
            and transaction not in core.contests.turns
            and transaction.footprint.changes(contest.path)
        ):
            _wait(core, connection, frame, transaction, contest)
            return True
    return False


def _wait(
    core: Core,
    connection: Connection,
    frame: Frame,
    transaction: Transaction,
    contest: Contest,
) -> None:
    """A client waits for its turn."""
    core.contests.wait(contest, connection, transaction, core.now_ms)
    if core.tracing.wrl and contest.holder is not None:
        more: dict[str, object] = {
            "request": tracing.name_of(frame.op),
            "path": format_path(contest.path),
            "waits_for": contest.holder.id,
        }
        core.notices.append(tracing.about("wrl.waits", connection, more))
