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
# Rule of this file: only here and in dependencies.py is it decided whether a
# transaction can commit. What a commit does to the store is in commit.py.

from typing import final

from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.path import Path, format_path
from xsd.protocol.perms import Caller, Permissions
from xsd.store.dependencies import Dependencies
from xsd.store.exceeded import QuotaExceeded
from xsd.store.live import Live
from xsd.store.node import Node
from xsd.store.quota import TRANSACTION_NODES, Quotas
from xsd.store.tree import Clock, Tree
from xsd.store.usage import LEVEL_BYTES, NODE_BYTES, Growth
from xsd.store.view import View


@final
class Touch:
    """What a transaction did to one path.

    Attributes:
        by_name: Generation of the last WRITE, effective MKDIR or SET_PERMS that
            named the path, 0 if none did. It is void if the node is younger: the
            node was then removed and came back on the way to another.
        removed: Whether an RM named it while the node was there that others see.
    """

    __slots__ = ("by_name", "removed")

    def __init__(self) -> None:
        self.by_name = 0
        self.removed = False


@final
class Transaction(View):
    """One open transaction.

    Attributes:
        caller: Whose it is.
        snapshot: Top node of the state that it began with, or None before the
            first access.
        since: Generation of the snapshot; what the transaction changed is younger.
        epoch: `Live.epoch` at the time of the snapshot.
        touched: What it did, by path, in the order of first change.
        relied_on: Facets that its answers depended on.
        growth: By how much it changes what each domain owns.
        charged: Bytes that count as a guest's memory as long as it is open.
        mark: `Tree.displaced` of the store at the time of the snapshot.
        failed: An operation in it was refused for a quota; it cannot commit.
        expelled: It kept too much of the past, and has lost its snapshot.
        undone: It has removed a node that it had made itself.
    """

    __slots__ = (
        "own_conflict",
        "_clock",
        "_live",
        "caller",
        "charged",
        "epoch",
        "expelled",
        "failed",
        "growth",
        "mark",
        "relied_on",
        "since",
        "snapshot",
        "touched",
        "undone",
    )

    def __init__(
        self, caller: Caller, live: Live, clock: Clock, quotas: Quotas
    ) -> None:
        super().__init__(Tree(clock, live.tree.top), quotas)
        self.caller = caller
        self.snapshot: Node | None = None
        self.since = 0
        self.epoch = 0
        self.touched: dict[Path, Touch] = {}
        self.growth = Growth()
        self.charged = 0
        self.mark = 0
        self.failed = False
        self.own_conflict = False
        self.expelled = False
        self.undone = False
        self._live = live
        self._clock = clock
        self.relied_on = Dependencies()

    @property
    def footprint(self) -> "Dependencies":
        return self.relied_on

    def check(self) -> None:
        """Check that the transaction can commit as far as others are concerned.

        Raises:
            XenStoreError: ENOMEM if it failed for a quota, EAGAIN for a conflict.
        """
        if self.failed:
            raise XenStoreError(Errno.ENOMEM, "an operation in it went over a quota")
        if self.expelled:
            raise XenStoreError(Errno.EAGAIN, "it kept too much of the past")
        snapshot = self.snapshot
        if snapshot is None:
            return
        path = self.relied_on.broken(snapshot, self._live.tree.top)
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
        return self.tree.own_size + LEVEL_BYTES * self.relied_on.levels

    def expel(self) -> None:
        """Give up the snapshot, so that what only it still needs is freed.

        It cannot commit any more, and begins anew with the present state at its
        next operation; its client is told EAGAIN at the end.
        """
        self.expelled = True
        self.snapshot = None
        self.touched.clear()
        self.growth = Growth()
        self.tree = Tree(self._clock, Node(0, b"", self._live.tree.top.perms, 0))
        self._settle()

    def _open(self) -> None:
        top = self._live.tree.top
        if self.snapshot is None or (
            self.snapshot is not top
            and not self.touched
            and self.relied_on.broken(self.snapshot, top) is None
        ):
            self._take_snapshot()

    def _take_snapshot(self) -> None:
        live = self._live
        self.snapshot = self.tree.top = live.tree.freeze()
        self.since = self._clock.now
        self.epoch = live.epoch
        self.mark = live.tree.displaced

    def _depend(self, path: Path, length: int, facets: int) -> None:
        relied_on = self.relied_on
        before = relied_on.count
        relied_on.add(path, length, facets)
        self._settle()
        if relied_on.count == before or self.caller.privileged:
            return
        domid = self.caller.domid
        self._live.usage.transaction_nodes.saw(domid, relied_on.count)
        limit = self._quotas.limit(domid, TRANSACTION_NODES)
        if 0 < limit < relied_on.count:
            self.failed = True
            raise QuotaExceeded(domid, TRANSACTION_NODES, limit)
        self._check_memory(path, 0)

    def _check_memory(self, path: Path, more: int) -> None:
        """Refuse to keep so many more bytes if the caller has not got the room."""
        try:
            self._live.check_memory(self.caller.domid, more, format_path(path))
        except QuotaExceeded:
            self.failed = True
            raise

    def _settle(self) -> None:
        """Bring what a guest is charged with up to date."""
        if self.caller.privileged:
            return
        more = self.size() - self.charged
        if more:
            self.charged += more
            self._live.usage.memory.add(self.caller.domid, more)

    def _touch(self, path: Path) -> Touch:
        touch = self.touched.get(path)
        if touch is None:
            touch = self.touched[path] = Touch()
        return touch

    def _created(self, path: Path, node: Node, *, by_name: bool) -> None:
        touch = self._touch(path)
        if by_name:
            touch.by_name = node.created
            self._settle()

    def _changed(
        self, path: Path, node: Node, old_value: bytes, old_perms: Permissions
    ) -> None:
        self._touch(path).by_name = node.generation
        self._settle()

    def _removed(self, path: Path, node: Node) -> None:
        if node.created <= self.since:
            self._touch(path).removed = True
        else:
            self.undone = True
        self._settle()

    def _charge(self, domid: int, nodes: int, size: int) -> None:
        self.growth.add(domid, nodes, size)

    def _nodes_of(self, domid: int) -> int:
        return self._live.usage.nodes.of(domid) + self.growth.nodes.of(domid)

    def _afford(
        self, path: Path, spine: list[Node], payer: int, growth: int, value_growth: int
    ) -> None:
        # The caller pays as long as the transaction is open, the owner from then on.
        more = value_growth + (len(path) + 1 - len(spine)) * NODE_BYTES
        token = self.tree.token
        for node in spine:
            if node.token != token:
                more += NODE_BYTES + len(node.value)
        if more > 0:
            self._check_memory(path, more)

    def _worked(self, count: int) -> None:
        self._live.usage.work += count

    def _saw_size(self, domid: int, size: int) -> None:
        self._live.usage.node_size.saw(domid, size)

    def _refused(self) -> None:
        self.failed = True
