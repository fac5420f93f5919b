"""Commit: a transaction's changes become the state of the store, all or none.

If the store is still what the transaction began with, its version simply takes
the store's place. Otherwise its net changes are made once more, on a branch of
the present store and with all permissions checked again; the branch then takes
the store's place. A failure leaves a branch that nobody has seen.

All of this walks the transaction's footprint beside the versions before, after and
its own, once, and so costs what was done, at any depth.
"""

from typing import final

from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.path import Path, format_path
from xsd.protocol.perms import OWNER, WRITE
from xsd.store.changes import Change
from xsd.store.clock import Clock
from xsd.store.domains import Domains
from xsd.store.exceeded import QuotaExceeded
from xsd.store.live import Live
from xsd.store.net import changes_between
from xsd.store.node import Node, name_size
from xsd.store.quota import NODE_SIZE, NODES, Quotas
from xsd.store.steps import Step, by_order, number, require, steps_of
from xsd.store.transaction import BYTES_PER_WORK, Transaction
from xsd.store.tree import ALL_KEPT, Tree
from xsd.store.usage import Growth


@final
class Commit:
    """A commit that nothing can prevent any more.

    Attributes:
        branch: What the store becomes.
        growth: By how much that differs in what each domain owns.
        changes: What it differs in, if anybody wants to know (`Live.noting`).
    """

    __slots__ = ("branch", "changes", "growth")

    def __init__(self, branch: Tree, growth: Growth, changes: list[Change]) -> None:
        self.branch = branch
        self.growth = growth
        self.changes = changes


def prepare(
    transaction: Transaction,
    live: Live,
    domains: Domains,
    quotas: Quotas,
    clock: Clock,
) -> Commit:
    """Do all of a commit but the change of the store itself.

    Raises:
        XenStoreError: EAGAIN, ENOSPC, ENOMEM, EACCES; see `Store.commit`.
    """
    before = live.tree.top
    caller = transaction.caller
    noting = live.noting
    steps: list[Step] = []
    if transaction.is_current():
        branch, growth = transaction.tree, transaction.growth
        if noting or not caller.privileged:
            steps = steps_of(transaction, before, branch.top)
    else:
        if transaction.epoch != live.epoch:
            _check_names(transaction, before, domains)
        branch, growth, steps = replay(transaction, before, clock, live.tree.kept_below)
        live.usage.work += branch.own_size // BYTES_PER_WORK
    steps = by_order(steps)
    if not caller.privileged:
        _check_growth(live, quotas, growth)
        limit = quotas.limit(caller.domid, NODE_SIZE)
        found = outgrown(steps, limit) if limit > 0 else None
        if found is not None:
            path, size = found
            text = format_path(path)
            raise QuotaExceeded(caller.domid, NODE_SIZE, limit, text, size=size)
    changes = changes_between(steps, live.cause) if noting else []
    return Commit(branch, growth, changes)


def _check_growth(live: Live, quotas: Quotas, growth: Growth) -> None:
    """Refuse a commit that would take a domain over what it may own."""
    for domid, count in growth.nodes.used.items():
        limit = quotas.limit(domid, NODES)
        if count > 0 and 0 < limit < live.usage.nodes.of(domid) + count:
            raise QuotaExceeded(domid, NODES, limit)
    for domid, size in growth.memory.used.items():
        if size > 0:
            live.check_memory(domid, size)


def _check_names(transaction: Transaction, before: Node, domains: Domains) -> None:
    """Refuse permissions that name a domain which is gone by now."""
    for step in by_order(steps_of(transaction, before, before)):
        node = step.mine
        if (
            node is not None
            and node.perms_changed > transaction.since
            and domains.outdates(node.perms, node.perms_changed)
        ):
            raise XenStoreError(
                Errno.EAGAIN,
                "names a domain that is gone",
                format_path(step.trail().path()),
            )


def replay(
    transaction: Transaction, present: Node, clock: Clock, kept_below: int = ALL_KEPT
) -> tuple[Tree, Growth, list[Step]]:
    """Make a transaction's net changes on a branch of the present store.

    Args:
        transaction: It.
        present: Top node of the present store.
        clock: Its clock.
        kept_below: See `Tree.kept_below`.

    Returns:
        The branch, by how much it differs in what each domain owns, and the steps
        to what was changed.

    Raises:
        XenStoreError: EACCES if the caller lacks a right by now.
    """
    branch = Tree(clock, present)
    branch.kept_below = kept_below
    growth = Growth()
    caller = transaction.caller
    steps = steps_of(transaction, present, present, branch, growth)
    left = [(step.mine.created, step) for step in steps if step.mine is not None]
    if len(left) > 1:
        # Parents first, siblings in their order.
        left.sort(key=number)
    for _created, step in left:
        mine = step.mine
        up = step.up
        assert mine is not None  # noqa: S101  it is one of those left
        assert up is not None  # noqa: S101  the top cannot be changed
        if step.node is not None:
            _update(transaction, step, mine, step.node, branch, growth)
            continue
        above = up.node
        assert above is not None  # noqa: S101  it was made before, or it were a conflict
        require(caller, above, WRITE, step, above=True)
        above = branch.own_at(up)
        growth.add(above.perms.owner, 0, name_size(step.name))
        node = branch.add_to(above, step.name, mine.value, mine.perms)
        step.node = node
        growth.add(mine.perms.owner, 1, node.record_size())
        growth.mentions.add(mine.perms, 1)
    return branch, growth, steps


def _update(
    transaction: Transaction,
    step: Step,
    mine: Node,
    there: Node,
    branch: Tree,
    growth: Growth,
) -> None:
    """Carry value and permissions over to a node that is already there."""
    caller = transaction.caller
    if mine.value_changed > transaction.since:
        require(caller, there, WRITE, step)
        growth.add(there.perms.owner, 0, len(mine.value) - len(there.value))
        branch.write_own(branch.own_at(step), mine.value)
    if mine.perms_changed > transaction.since:
        require(caller, there, WRITE | OWNER, step)
        node = branch.own_at(step)
        growth.add(there.perms.owner, -1, -node.record_size())
        growth.mentions.add(there.perms, -1)
        branch.permit_own(node, mine.perms)
        growth.add(mine.perms.owner, 1, node.record_size())
        growth.mentions.add(mine.perms, 1)


def outgrown(steps: list[Step], limit: int) -> tuple[Path, int] | None:
    """Find a node that a commit would make bigger than a limit, and its size in bytes.

    A directory can get there without anybody's fault: by what several transactions
    create in it, of which each would leave it small enough.
    """
    for step in steps:
        each: Step | None = step
        for _ in range(2):
            if each is None or each.up is None:
                break
            node, old = each.node, each.before
            if (
                node is not None
                and node.record_size() > limit
                and (old is None or node.record_size() > old.record_size())
            ):
                return each.trail().path(), node.record_size()
            each = each.up
    return None
