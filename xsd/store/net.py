"""What a commit really changed: the versions before and after, compared.

Compared is what the transaction touched. A node that was written and removed again
has not changed, a node that was removed and came back has changed only if it
lost its content. (The rules are those of QEMU's emulated XenStore, with each
deleted subtree told to its ancestors separately, and each node that an RM named:
Linux wants to be told of device/vif/0, even if the toolstack has removed the empty
device/vif in the same transaction.)
"""

from xsd.store.changes import (
    CHANGED,
    IMPLIED,
    REMOVED,
    REMOVED_BELOW,
    REMOVED_WITHIN,
    Cause,
    Change,
    removal,
)
from xsd.store.footprint import Spot
from xsd.store.node import Node
from xsd.store.steps import Step, below


def changes_between(steps: list[Step], cause: Cause | None = None) -> list[Change]:
    """What a commit changed, once for each path.

    Args:
        steps: In the order of first change; see `by_order`.
        cause: Why.
    """
    changes: list[Change] = []
    walked: set[Node] = set()
    covered: set[Spot] = set()
    for step in steps:
        spot = step.spot
        up = step.up
        assert spot is not None  # noqa: S101  it was changed
        assert up is not None  # noqa: S101
        old = step.before
        new = step.node
        if old is not None and spot.removed:
            if spot not in covered:
                _cover(spot, covered)
                _find_losses(step, changes, walked)
            elif new is None and up.node is None:
                changes.append(_removal(REMOVED_WITHIN, step, old))
        if new is None:
            continue
        assert step.mine is not None  # noqa: S101  what is there afterwards is ours
        if step.is_written():
            changes.append(_change(CHANGED, step, new))
        elif old is None:
            changes.append(_change(IMPLIED, step, new))
    for change in changes:
        change.cause = cause
    return changes


def _cover(spot: Spot, covered: set[Spot]) -> None:
    """Note that a removed subtree is being told of."""
    rest = [spot]
    while rest:
        each = rest.pop()
        if each not in covered:
            covered.add(each)
            rest.extend(each.children())


def _find_losses(first: Step, changes: list[Change], walked: set[Node]) -> None:
    """Compare a removed subtree with what stands there afterwards.

    Reports the topmost of what is gone, and what came back without its content.
    What is below a node in `walked` has been reported by an earlier call.
    """
    parent_is_left = first.up is not None and first.up.node is not None
    rest = [first]
    while rest:
        step = rest.pop()
        old = step.before
        new = step.node
        if old is None or old in walked:
            continue
        walked.add(old)
        if new is None:
            kind = REMOVED if parent_is_left else REMOVED_BELOW
            changes.append(_removal(kind, step, old))
            continue
        if _lost_content(old, new) and not step.is_written():
            changes.append(_change(CHANGED, step, new))
        children = old.children()
        children.reverse()
        spot = step.spot
        for name, child in children:
            rest.append(
                Step(
                    step,
                    name,
                    None if spot is None else spot.child(name),
                    child,
                    below(step.mine, name),
                    new.child(name),
                )
            )


def _lost_content(old: Node, new: Node) -> bool:
    """Tell whether a node that came back is not what it was."""
    return old.value != new.value or old.perms != new.perms


def _change(kind: int, step: Step, new: Node) -> Change:
    old = step.before
    if old is None:
        change = Change(kind, (), new.value, new.perms, None, None)
    else:
        change = Change(kind, (), new.value, new.perms, old.value, old.perms)
    return _placed(change, step)


def _removal(kind: int, step: Step, old: Node) -> Change:
    return _placed(removal(kind, (), old), step)


def _placed(change: Change, step: Step) -> Change:
    """Say where something changed, and below what."""
    change.trail = step.trail()
    up = step.up
    if up is not None and up.up is not None:
        if up.before is not None:
            change.above_before = up.before.perms
        if up.node is not None:
            change.above_after = up.node.perms
    return change
