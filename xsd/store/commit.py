"""Commit: a transaction's changes become the state of the store, all or none.

If the store is still what the transaction began with, its version simply takes
the store's place. Otherwise its net changes are made once more, on a branch of
the present store and with all permissions checked again; the branch then takes
the store's place. A failure leaves a branch that nobody has seen.

What really changed is then found by comparing the versions before and after at
the paths that the transaction touched: a node that was written and removed again
has not changed, a node that was removed and came back has changed only if it
lost its content. (The rules are those of QEMU's emulated XenStore, with each
deleted subtree told to its ancestors separately, and each node that an RM named:
Linux wants to be told of device/vif/0, even if the toolstack has removed the empty
device/vif in the same transaction.)
"""

from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.path import Path
from xsd.protocol.perms import OWNER, WRITE, Caller
from xsd.store.changes import (
    CHANGED,
    IMPLIED,
    REMOVED,
    REMOVED_BELOW,
    REMOVED_WITHIN,
    Change,
    removal,
)
from xsd.store.node import Node, name_size
from xsd.store.transaction import Transaction
from xsd.store.tree import Clock, Finder, Tree, find
from xsd.store.usage import Growth


def replay(
    transaction: Transaction, present: Node, clock: Clock
) -> tuple[Tree, Growth]:
    """Make a transaction's net changes on a branch of the present store.

    Returns:
        The branch, and by how much it differs in what each domain owns.

    Raises:
        XenStoreError: EACCES if the caller lacks a right by now.
    """
    branch = Tree(clock, present)
    growth = Growth()
    caller = transaction.caller
    # All removals first: what was written after one must outlast it.
    for path, touch in transaction.touched.items():
        if touch.removed:
            there = find(present, path)
            assert there is not None  # noqa: S101  or it were a conflict
            _require(caller, there, WRITE, path)
            spine = branch.spine(path)
            if len(spine) > len(path):
                gone = branch.remove(path, spine)
                for domid, count in gone.nodes.items():
                    growth.add(domid, -count, -gone.sizes[domid])
                growth.add(spine[-1].perms.owner, 0, -name_size(path[-1]))
    above: Path = ()
    spine = []
    for _created, path, mine in _by_creation(transaction):
        # Often each is the child of the one before.
        if not spine or path[:-1] != above:
            spine = branch.spine(path)
        else:
            node = spine[-1].child(path[-1])
            if node is not None:
                spine.append(node)
        above = path
        if len(spine) > len(path):
            _update(transaction, path, mine, branch, spine, growth)
        else:
            _require(caller, spine[-1], WRITE, path)
            growth.add(spine[-1].perms.owner, 0, name_size(path[-1]))
            branch.add(path, spine, mine.value, mine.perms)
            growth.add(mine.perms.owner, 1, spine[-1].record_size())
    return branch, growth


def _by_creation(transaction: Transaction) -> list[tuple[int, Path, Node]]:
    """What a transaction touched and left: parents first, siblings in their order."""
    left: list[tuple[int, Path, Node]] = []
    mine = Finder(transaction.tree.top)
    for path in transaction.touched:
        node = mine.find(path)
        if node is not None:
            left.append((node.created, path, node))
    left.sort()  # no two nodes have the same generation
    return left


def _update(
    transaction: Transaction,
    path: Path,
    mine: Node,
    branch: Tree,
    spine: list[Node],
    growth: Growth,
) -> None:
    """Carry value and permissions over to a node that is already there."""
    there = spine[-1]
    caller = transaction.caller
    if mine.value_changed > transaction.since:
        _require(caller, there, WRITE, path)
        growth.add(there.perms.owner, 0, len(mine.value) - len(there.value))
        branch.set_value(path, spine, mine.value)
    if mine.perms_changed > transaction.since:
        _require(caller, there, WRITE | OWNER, path)
        growth.add(there.perms.owner, -1, -spine[-1].record_size())
        branch.set_perms(path, spine, mine.perms)
        growth.add(mine.perms.owner, 1, spine[-1].record_size())


def _require(caller: Caller, node: Node, right: int, path: Path) -> None:
    if node.perms.access(caller) & right != right:
        raise XenStoreError(
            Errno.EACCES, f"dom{caller.domid} lost the right", b"/".join(path)
        )


def outgrown(
    transaction: Transaction, before: Node, after: Node, limit: int
) -> Path | None:
    """Find a node that a commit would make bigger than a limit in bytes.

    A directory can get there without anybody's fault: by what several transactions
    create in it, of which each would leave it small enough.
    """
    present = Finder(after)
    for touched in transaction.touched:
        for path in (touched, touched[:-1]):
            node = present.find(path) if path else None
            if node is not None and node.record_size() > limit:
                old = find(before, path)
                if old is None or node.record_size() > old.record_size():
                    return path
    return None


def changes_between(
    transaction: Transaction, before: Node, after: Node
) -> list[Change]:
    """What a commit changed, in the order of first change, once for each path."""
    changes: list[Change] = []
    walked: set[Node] = set()
    former = Finder(before)
    present = Finder(after)
    mine = Finder(transaction.tree.top)
    for path, touch in transaction.touched.items():
        old: Node | None = former.find(path)
        new = present.find(path)
        if old is not None and touch.removed:
            if not _is_at_or_below(walked, before, path):
                _find_losses(transaction, path, old, new, after, changes, walked)
            elif new is None and present.find(path[:-1]) is None:
                changes.append(removal(REMOVED_WITHIN, path, old))
        if new is None:
            continue
        node = mine.find(path)
        assert node is not None  # noqa: S101  what is there afterwards is ours
        if touch.by_name >= node.created:
            changes.append(_change(CHANGED, path, old, new))
        elif old is None:
            changes.append(_change(IMPLIED, path, old, new))
    return changes


def _is_at_or_below(nodes: set[Node], top: Node, path: Path) -> bool:
    """Tell whether a node's path leads to or through one of some nodes."""
    node = top
    for name in path:
        below = node.child(name)
        assert below is not None  # noqa: S101  the path is one of this tree
        if below in nodes:
            return True
        node = below
    return False


def _find_losses(
    transaction: Transaction,
    path: Path,
    old: Node,
    new: Node | None,
    after: Node,
    changes: list[Change],
    walked: set[Node],
) -> None:
    """Compare a removed subtree with what stands there afterwards.

    Reports the topmost of what is gone, and what came back without its content.
    What is below a node in `walked` has been reported by an earlier call.
    """
    parent_is_left = find(after, path[:-1]) is not None
    rest: list[tuple[Path, Node, Node | None]] = [(path, old, new)]
    while rest:
        path, old, new = rest.pop()
        if old in walked:
            continue
        walked.add(old)
        if new is None:
            kind = REMOVED if parent_is_left else REMOVED_BELOW
            changes.append(removal(kind, path, old))
            continue
        if _lost_content(old, new) and not _written(transaction, path):
            changes.append(_change(CHANGED, path, old, new))
        below = [
            ((*path, name), child, new.child(name)) for name, child in old.children()
        ]
        below.reverse()
        rest.extend(below)


def _lost_content(old: Node, new: Node) -> bool:
    """Tell whether a node that came back is not what it was."""
    return old.value != new.value or old.perms != new.perms


def _written(transaction: Transaction, path: Path) -> bool:
    """Tell whether the path will be told on its own account."""
    touch = transaction.touched.get(path)
    node = find(transaction.tree.top, path)
    return touch is not None and node is not None and touch.by_name >= node.created


def _change(kind: int, path: Path, old: Node | None, new: Node) -> Change:
    if old is None:
        return Change(kind, path, new.value, new.perms, None, None)
    return Change(kind, path, new.value, new.perms, old.value, old.perms)
