"""Transactions: a snapshot, the changes made to it, and what they relied on."""

# Theory of operation
# ===================
#
# A transaction has a version of the store of its own. It begins as the state of
# the store at the first access and shares all nodes with it; what the transaction
# changes is copied first (see node.py). So it sees one consistent state of the
# whole store plus its own changes, whatever others do meanwhile, and nobody sees
# anything of it before it ends.
#
# Nothing can be wrong with a state that is newer, as long as all that was read is
# still as it was read. So before each operation the snapshot moves forward to the
# present if that is so and nothing has been changed yet.
#
# What it conflicts with
# ----------------------
#
# A node has facets: its value, its permissions, the names of its children, and
# whether it exists at all (a node that was removed and made again counts as another
# one). The transaction notes each facet that an answer it got depended on, and each
# that it changes. It commits if none of them was changed by anybody else, even
# back to what it was (only a missing node that came and went is missing as before).
# That is all: nothing else is a conflict.
#
#     READ            value              WRITE, existing   value
#     DIRECTORY       names              WRITE, new        that it is missing; its
#     GET_PERMS       permissions                          nearest node: permissions
#     MKDIR, existing existence          SET_PERMS         permissions
#     any, missing    that it is missing RM                all facets of all nodes
#                                                          from there down
#
# For a guest each of these also depends on the permissions of the node that was
# asked for them. T1 and T2 are transactions:
#
#     T1 reads /a,      someone writes /a,           T1 ends -> EAGAIN
#     T1 writes /a,     T2 writes /a, T2 ends,       T1 ends -> EAGAIN
#     T1 reads /a,      someone writes /a/b,         T1 ends -> OK
#     T1 writes /a,     someone creates /a/b,        T1 ends -> OK
#     T1 creates /d/x,  T2 creates /d/y, T2 ends,    T1 ends -> OK
#     T1 lists /d,      T2 creates /d/y, T2 ends,    T1 ends -> EAGAIN
#     T1 creates /d/x/1, T2 creates /d/x/2, /d/x new, T2 ends, T1 ends -> EAGAIN
#     T1 reads /no ENOENT, someone creates /no,      T1 ends -> EAGAIN
#     T1 removes /a,    someone writes /a/b/c,       T1 ends -> EAGAIN
#     T1 reads /a, someone writes /a, T1 reads /b    the snapshot stays before the
#                                                    write; T1 ends -> EAGAIN
#     T1 reads /a, someone writes /b, T1 reads /b    T1 sees the new /b; OK
#     T1 starts, someone writes /a, T1 reads /a      OK: the first access comes after
#     T1 does nothing, whatever others do,           T1 ends -> OK
#
# Rule of this file: only here and in footprint.py is it decided whether a
# transaction can commit. What a commit does to the store is in commit.py.

from typing import Final, final

from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.path import Path, format_path
from xsd.protocol.perms import Caller, Permissions
from xsd.store.clock import Clock
from xsd.store.exceeded import QuotaExceeded
from xsd.store.footprint import Footprint
from xsd.store.live import Live
from xsd.store.node import Node
from xsd.store.quota import TRANSACTION_NODES, Quotas
from xsd.store.tree import Tree
from xsd.store.usage import LEVELS_PER_WORK, NODE_BYTES, Growth
from xsd.store.view import View

SPOTS_PER_WORK: Final = 4
"""Spots that a walk comes by which are as much work as one node."""

BYTES_PER_WORK: Final = 1024
"""How much more or less of it is kept is as much work as one node."""


@final
class Transaction(View):
    """One open transaction.

    Attributes:
        caller: Whose it is.
        number: Tells it from all others.
        snapshot: Top node of the state that it began with, or None before the
            first access.
        since: Generation of the snapshot; what the transaction changed is younger.
        epoch: `Live.epoch` at the time of the snapshot.
        footprint: What it did, and what its answers depended on.
        growth: By how much it changes what each domain owns.
        charged: Bytes that count as a guest's memory as long as it is open.
        mark: `Tree.displaced` of the store at the time of the snapshot.
        failed: An operation in it was refused for a quota. It cannot commit, takes no
            more changes, and nothing more is kept for it; reading is answered.
        expelled: It kept too much of the past, and has lost its snapshot.
        undone: It has removed a node that it had made itself.
        own_conflict: Its own client has changed what it may have relied on; for those
            who care whose fault a conflict is.
        broken: Where others have changed what it relied on, known after `check`.
    """

    __slots__ = (
        "_clock",
        "_live",
        "broken",
        "caller",
        "charged",
        "epoch",
        "expelled",
        "failed",
        "footprint",
        "growth",
        "mark",
        "number",
        "own_conflict",
        "since",
        "snapshot",
        "undone",
    )

    def __init__(
        self, caller: Caller, live: Live, clock: Clock, quotas: Quotas
    ) -> None:
        super().__init__(Tree(clock, live.tree.top), quotas, tracked=True)
        self.caller = caller
        self.number = self.tree.token
        self.snapshot: Node | None = None
        self.since = 0
        self.epoch = 0
        self.growth = Growth()
        self.charged = 0
        self.mark = 0
        self.failed = False
        self.expelled = False
        self.undone = False
        self.own_conflict = False
        self.broken: Path | None = None
        self._live = live
        self._clock = clock
        self.footprint = Footprint()

    def check(self) -> None:
        """Check that the transaction can commit as far as others are concerned.

        Raises:
            XenStoreError: ENOMEM if it failed for a quota, EAGAIN for a conflict.
        """
        if self.failed:
            raise _failed()
        if self.expelled:
            raise XenStoreError(Errno.EAGAIN, "it kept too much of the past")
        snapshot = self.snapshot
        if snapshot is None:
            return
        path = self.broken = self.footprint.broken(snapshot, self._live.tree.top)
        if path is not None:
            raise XenStoreError(
                Errno.EAGAIN, "changed meanwhile", b"/".join(path) or b"/"
            )

    def is_current(self) -> bool:
        """Tell whether its version of the store is what a commit would make.

        That is so if nothing at all has changed since the snapshot. But what was
        made and removed again has left its mark on the node above, which would be
        a conflict for others.
        """
        return (
            self.snapshot is self._live.tree.top
            and self.epoch == self._live.epoch
            and not self.undone
        )

    def size(self) -> int:
        """Bytes that are kept for it: what it changed, and what it relied on."""
        return self.tree.own_size + self.footprint.size

    def count_walks(self) -> None:
        """Count walks through the footprint since this was called last as work."""
        footprint = self.footprint
        self._worked(footprint.walked // SPOTS_PER_WORK)
        footprint.walked %= SPOTS_PER_WORK

    def expel(self) -> None:
        """Give up the snapshot, so that what only it still needs is freed.

        It cannot commit any more, and begins anew with the present state at its
        next operation; its client is told EAGAIN at the end.
        """
        self.expelled = True
        self.snapshot = None
        self.let_past_go()
        self.footprint.forget_changes()
        self.growth = Growth()
        self.tree = Tree(self._clock, Node(0, b"", self._live.tree.top.perms, 0))
        self._settle()
        self._clock.beat()

    def let_past_go(self) -> None:
        """Nothing of the store's past is kept for it any more."""
        if not self.caller.privileged:
            usage = self._live.usage
            usage.drop_past(self.caller.domid, self.number)
            if not usage.snapshots:
                self._live.tree.kept_below = 0

    def _open(self) -> None:
        top = self._live.tree.top
        snapshot = self.snapshot
        if snapshot is None:
            self._take_snapshot()
        elif snapshot is not top and not self.failed and not self.footprint.changed:
            if self.footprint.broken_at(snapshot, top) is None:
                self._take_snapshot()
            self.count_walks()

    def _open_to_change(self) -> None:
        if self.failed:
            raise _failed()
        self._open()

    def _take_snapshot(self) -> None:
        live = self._live
        self.snapshot = self.tree.top = live.tree.freeze()
        self.since = self._clock.now
        self.epoch = live.epoch
        self.mark = live.tree.displaced
        if not self.caller.privileged:
            live.tree.kept_below = live.tree.token
            live.usage.keep_past(self.caller.domid, self.number, self.mark)
        self._clock.beat()

    def _depend(self, path: Path, length: int, facets: int) -> None:
        if self.failed:
            return
        footprint = self.footprint
        spot, depth = footprint.nearest(path, length)
        self._live.usage.work += length // LEVELS_PER_WORK
        if depth == length and spot.facets & facets == facets:
            return
        if not self.caller.privileged:
            if depth < length or not spot.facets:
                self._check_count(path, footprint.count + 1)
            if depth < length:
                self._check_memory(path, footprint.cost(spot, path, depth, length))
        footprint.rely_at(footprint.extend(spot, path, depth, length), facets)
        self._clock.beat()
        self._settle()

    def _check_count(self, path: Path, count: int) -> None:
        """Refuse to depend on so many paths."""
        domid = self.caller.domid
        self._live.usage.transaction_nodes.saw(domid, count)
        limit = self._quotas.limit(domid, TRANSACTION_NODES)
        if 0 < limit < count:
            self._refused()
            text = format_path(path)
            raise QuotaExceeded(domid, TRANSACTION_NODES, limit, text)

    def _check_memory(self, path: Path, more: int) -> None:
        """Refuse to keep so many more bytes if the caller has not got the room."""
        try:
            self._live.check_memory(self.caller.domid, more, format_path(path))
        except QuotaExceeded:
            self._refused()
            raise

    def _settle(self) -> None:
        """Bring what a guest is charged with up to date."""
        if self.caller.privileged:
            return
        more = self.size() - self.charged
        if more:
            self.charged += more
            usage = self._live.usage
            usage.memory.add(self.caller.domid, more)
            # Copies of nodes, or spots: made or dropped.
            usage.work += abs(more) // BYTES_PER_WORK

    def _created(self, path: Path, spine: list[Node], first: int) -> None:
        self.footprint.made(path, first, spine[-1].created)
        self._settle()

    def _changed(
        self, path: Path, spine: list[Node], old_value: bytes, old_perms: Permissions
    ) -> None:
        # The change was the last thing that happened.
        self.footprint.named(path, self._clock.now)
        self._settle()

    def _removed(self, path: Path, spine: list[Node], node: Node) -> None:
        was_there = node.created <= self.since
        if not was_there:
            self.undone = True
        snapshot = self.snapshot
        assert snapshot is not None  # noqa: S101  it was taken before
        self.footprint.removed(path, snapshot, was_there=was_there)
        self.count_walks()
        self._settle()

    def _charge(self, domid: int, nodes: int, size: int) -> None:
        self.growth.add(domid, nodes, size)

    def _mention(self, perms: Permissions, nodes: int) -> None:
        self.growth.mentions.add(perms, nodes)

    def _nodes_of(self, domid: int) -> int:
        return self._live.usage.nodes.of(domid) + self.growth.nodes.of(domid)

    def _afford(
        self, path: Path, spine: list[Node], payer: int, growth: int, value_growth: int
    ) -> None:
        # The caller pays as long as the transaction is open, the owner from then on.
        more = value_growth + (len(path) + 1 - len(spine)) * NODE_BYTES
        more += self._copies(spine, len(spine))
        spot, depth = self.footprint.nearest(path, len(path))
        more += self.footprint.cost(spot, path, depth, len(path))
        if more > 0:
            self._check_memory(path, more)

    def _afford_removal(self, path: Path, spine: list[Node]) -> None:
        more = self._copies(spine, len(path))
        if more > 0:
            self._check_memory(path, more)

    def _copies(self, spine: list[Node], count: int) -> int:
        """Bytes that the first nodes of a spine take if they are made our own."""
        more = 0
        token = self.tree.token
        for index in range(count):
            node = spine[index]
            if node.token != token:
                more += NODE_BYTES + len(node.value)
        return more

    def _worked(self, count: int) -> None:
        self._live.usage.work += count

    def _saw_size(self, domid: int, size: int) -> None:
        self._live.usage.node_size.saw(domid, size)

    def _refused(self) -> None:
        self.failed = True
        self._clock.beat()


def _failed() -> XenStoreError:
    return XenStoreError(Errno.ENOMEM, "an operation in it went over a quota")
