"""A walk along what a transaction did, beside all versions of the store it is about."""

from typing import final

from xsd.protocol.perms import WRITE, Caller
from xsd.store.footprint import Spot
from xsd.store.node import Node, name_size
from xsd.store.reasons import DeniedError
from xsd.store.trail import Trail
from xsd.store.transaction import Transaction
from xsd.store.tree import Place, Tree
from xsd.store.usage import Growth


@final
class Step(Place):
    """One path of a walk along a footprint; `node` is what is there afterwards.

    Attributes:
        up: The step to the node above; None for the top of all paths.
        spot: What the transaction did there, None if nothing.
        before: The node in the store before the commit.
        mine: The node in the transaction's version.
        way: The path, once somebody asked for it.
    """

    __slots__ = ("before", "mine", "spot", "up", "way")

    def __init__(
        self,
        up: "Step | None",
        name: bytes,
        spot: Spot | None,
        before: Node | None,
        mine: Node | None,
        after: Node | None,
    ) -> None:
        super().__init__(up, name, after)
        self.up = up
        self.spot = spot
        self.before = before
        self.mine = mine
        self.way: Trail | None = None

    def trail(self) -> Trail:
        """The path; made for what is told only."""
        rest: list[Step] = []
        step: Step | None = self
        trail: Trail | None = None
        while step is not None:
            trail = step.way
            if trail is not None:
                break
            rest.append(step)
            step = step.up
        while rest:
            step = rest.pop()
            trail = step.way = Trail(trail, step.name)
        assert trail is not None  # noqa: S101  there was a step at least
        return trail

    def is_written(self) -> bool:
        """Tell whether the node that the transaction left is one that it named."""
        spot = self.spot
        mine = self.mine
        return (
            spot is not None
            and mine is not None
            and spot.order != 0
            and spot.named >= mine.created
        )


def steps_of(
    transaction: Transaction,
    before: Node,
    after: Node,
    branch: Tree | None = None,
    growth: Growth | None = None,
) -> list[Step]:
    """The steps to all that a transaction has changed, above before below.

    Args:
        transaction: It.
        before: Top node of the store before the commit.
        after: Top node of the store after it.
        branch: Where to carry the removals out on the way, or None. All of them
            come first: what was written after one must outlast it.
        growth: Where these are counted.

    Raises:
        XenStoreError: EACCES if the caller may not remove something any more.
    """
    mine = transaction.tree.top
    spots = transaction.footprint.top
    found: list[Step] = []
    walked = 0
    rest = [Step(None, b"", spots, before, mine, after)]
    while rest:
        step = rest.pop()
        up = step.up
        if up is not None:
            name = step.name
            # Only now: what is above may have been removed or copied.
            step.before = below(up.before, name)
            step.mine = below(up.mine, name)
            step.node = below(up.node, name)
        spot = step.spot
        assert spot is not None  # noqa: S101  it is walked along
        if spot.order:
            found.append(step)
            if spot.removed and branch is not None and growth is not None:
                _remove(transaction.caller, step, branch, growth)
        walked += 1
        # What was only read need not be gone to.
        only = spot.only
        if only is not None:
            if only.leads_on():
                rest.append(Step(step, only.name, only, None, None, None))
        elif spot.below is not None:
            rest.extend(
                [
                    Step(step, each.name, each, None, None, None)
                    for each in spot.below.values()
                    if each.leads_on()
                ]
            )
    # At each, all versions are looked at.
    transaction.footprint.walked += 2 * walked
    return found


def below(node: Node | None, name: bytes) -> Node | None:
    """The child of that name, or None; nothing is below nothing."""
    return None if node is None else node.child(name)


def _remove(caller: Caller, step: Step, branch: Tree, growth: Growth) -> None:
    """Carry a removal over to the branch, unless the node went with one above."""
    there = step.before
    assert there is not None  # noqa: S101  or it were a conflict
    require(caller, there, WRITE, step)
    node = step.node
    up = step.up
    if node is None or up is None:
        return
    above = branch.own_at(up)
    gone = branch.remove_from(above, step.name, node)
    step.node = None
    growth.take_off(gone)
    growth.add(above.perms.owner, 0, -name_size(step.name))


def require(
    caller: Caller, node: Node, right: int, step: Step, *, above: bool = False
) -> None:
    """Demand a right that the caller had when it did what is made again now.

    Args:
        caller: Who it is.
        node: Where the right is needed.
        right: It.
        step: What is done.
        above: Whether the node is the one above the step.

    Raises:
        DeniedError: EACCES.
    """
    if node.perms.access(caller) & right != right:
        path = step.trail().path()
        depth = len(path) - above
        raise DeniedError(caller, path, depth, node.perms, right, is_late=True)


def by_order(steps: list[Step]) -> list[Step]:
    """Steps in the order of first change."""
    if len(steps) < 2:
        return steps
    numbered = [(0 if each.spot is None else each.spot.order, each) for each in steps]
    numbered.sort(key=number)
    return [step for _order, step in numbered]


def number(item: tuple[int, Step]) -> int:
    """What to sort steps by."""
    return item[0]
