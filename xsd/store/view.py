"""The node operations, on the store as one request sees it.

A request sees either the store itself or, inside a transaction, the
transaction's own version of it. Who may do what, what is an error and what
counts against a quota is the same in both and is written down here, once;
what differs (whether accesses are remembered, where changes go) is left to the
two subclasses, `xsd.store.live.Live` and `xsd.store.transaction.Transaction`.

The rules are those of Xen's C xenstored: an unprivileged caller is told that a
node does not exist only if it has the right it asked for on the nearest existing
node above; otherwise the answer is EACCES, so that names cannot be probed.
"""

from abc import ABC, abstractmethod
from typing import Final

from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.limits import PAYLOAD_MAX
from xsd.protocol.path import ROOT, Path, format_path
from xsd.protocol.perms import OWNER, READ, WRITE, Caller, Permissions
from xsd.protocol.reply import directory_part_payload
from xsd.store.exceeded import QuotaExceeded
from xsd.store.node import RECORD_ENTRY, Node, empty_size, name_size
from xsd.store.quota import NODE_SIZE, NODES, Quotas
from xsd.store.reasons import DeniedError, MissingNodeError
from xsd.store.tree import Tree, find

VALUE: Final = 1
PERMS: Final = 2
NAMES: Final = 4
EXISTENCE: Final = 8
SUBTREE: Final = 16
"""Facets of a node that a request can depend on; SUBTREE is all, all the way down."""


ROWS_PER_WORK: Final = 16
"""Rows of names, of 2 KiB, that are as much work to list as one node to be changed."""


class View(ABC):
    """The node operations; every one is atomic: it happens whole or not at all.

    Attributes:
        tree: The version of the store that is read and changed.
        tracked: Whether it is remembered what requests depend on.
    """

    __slots__ = ("_quotas", "tracked", "tree")

    def __init__(self, tree: Tree, quotas: Quotas, *, tracked: bool) -> None:
        self.tree = tree
        self.tracked = tracked
        self._quotas = quotas

    # What differs between the store and a transaction.

    @abstractmethod
    def _open(self) -> None:
        """Get ready for one operation."""

    @abstractmethod
    def _open_to_change(self) -> None:
        """Get ready for one operation that may change something.

        Raises:
            XenStoreError: ENOMEM if nothing can be changed any more.
        """

    @abstractmethod
    def _depend(self, path: Path, length: int, facets: int) -> None:
        """Note that the answer depends on facets of the first parts of a path."""

    @abstractmethod
    def _created(self, path: Path, spine: list[Node], first: int) -> None:
        """Note that nodes were created: one by its name, others on the way to it.

        Args:
            path: The one that was named.
            spine: The nodes of the whole path.
            first: Place of the topmost new one in it.
        """

    @abstractmethod
    def _changed(
        self, path: Path, spine: list[Node], old_value: bytes, old_perms: Permissions
    ) -> None:
        """Note that the last node of a spine was written or given permissions."""

    @abstractmethod
    def _removed(self, path: Path, spine: list[Node], node: Node) -> None:
        """Note that a node was removed with everything below it.

        Args:
            path: The node.
            spine: The nodes above it.
            node: What it was.
        """

    @abstractmethod
    def _charge(self, domid: int, nodes: int, size: int) -> None:
        """Count nodes, and bytes of their records, for their owner."""

    @abstractmethod
    def _mention(self, perms: Permissions, nodes: int) -> None:
        """Count whom the permissions of nodes name."""

    @abstractmethod
    def _nodes_of(self, domid: int) -> int:
        """Nodes that a domain has in this view."""

    @abstractmethod
    def _afford(
        self, path: Path, spine: list[Node], payer: int, growth: int, value_growth: int
    ) -> None:
        """Check that there is memory for a guest's change, before it is made.

        Args:
            path: What is about to be changed, and to be made as far as it is missing.
            spine: The nodes of the path that there are.
            payer: Owner of the node.
            growth: By how many bytes its records grow; may be negative.
            value_growth: By how many of these its value does.

        Raises:
            XenStoreError: ENOMEM.
        """

    @abstractmethod
    def _afford_removal(self, path: Path, spine: list[Node]) -> None:
        """Check that there is memory for what a guest's removal makes us keep.

        Args:
            path: What is about to be removed.
            spine: The nodes of the path.

        Raises:
            XenStoreError: ENOMEM.
        """

    @abstractmethod
    def _worked(self, count: int) -> None:
        """Note how many nodes a request is concerned with beside the one it names."""

    @abstractmethod
    def _saw_size(self, domid: int, size: int) -> None:
        """Note how big a node a domain has made."""

    # Reading.

    def read(self, caller: Caller, path: Path) -> bytes:
        """Value of a node.

        Raises:
            XenStoreError: ENOENT, EACCES.
        """
        if self.tracked:
            self._open()
        return self._reach(caller, path, READ, VALUE).value

    def directory(self, caller: Caller, path: Path) -> bytes:
        """Names of the children, each with its NUL, in the order of creation.

        Raises:
            XenStoreError: ENOENT, EACCES; E2BIG if they take over 4,096 bytes.
        """
        if self.tracked:
            self._open()
        node = self._reach(caller, path, READ, NAMES)
        if node.names_size <= PAYLOAD_MAX:
            return self._listing(node)
        raise XenStoreError(Errno.E2BIG, "directory too long", format_path(path))

    def directory_part(self, caller: Caller, path: Path, offset: int) -> bytes:
        """A part of a long directory.

        Args:
            caller: Who asks.
            path: The directory.
            offset: Byte of the whole list to begin at.

        Returns:
            The payload of the reply; see `directory_part_payload`.

        Raises:
            XenStoreError: ENOENT, EACCES.
        """
        if self.tracked:
            self._open()
        node = self._reach(caller, path, READ, NAMES)
        return directory_part_payload(node.generation, self._listing(node), offset)

    def get_perms(self, caller: Caller, path: Path) -> Permissions:
        """Permissions of a node.

        Raises:
            XenStoreError: ENOENT, EACCES.
        """
        if self.tracked:
            self._open()
        return self._reach(caller, path, READ, PERMS).perms

    # Changing.

    def write(self, caller: Caller, path: Path, value: bytes) -> None:
        """Set a value; creates the node and any missing ones above it.

        Raises:
            XenStoreError: EACCES, ENOSPC.
        """
        if self.tracked:
            self._open_to_change()
        spine = self.tree.spine(path)
        if len(spine) <= len(path):
            self._create(caller, path, spine, value)
            return
        node = spine[-1]
        if self.tracked or not caller.privileged:
            self._require(caller, path, node, WRITE, VALUE)
        old = node.value
        growth = len(value) - len(old)
        if not caller.privileged:
            if growth > 0:
                self._check_size(caller, path, node.record_size() + growth, len(path))
            self._afford(path, spine, node.perms.owner, growth, growth)
        if node.token != self.tree.token:
            node = self.tree.own(path, spine)
        self.tree.write_own(node, value)
        if growth:
            self._charge(node.perms.owner, 0, growth)
        self._changed(path, spine, old, node.perms)

    def mkdir(self, caller: Caller, path: Path) -> None:
        """Create a node with an empty value unless it exists.

        Raises:
            XenStoreError: EACCES, ENOSPC.
        """
        if self.tracked:
            self._open_to_change()
        spine = self.tree.spine(path)
        if len(spine) <= len(path):
            self._create(caller, path, spine, b"")
        else:
            self._require(caller, path, spine[-1], WRITE, EXISTENCE)

    def rm(self, caller: Caller, path: Path) -> None:
        """Remove a node and all below it; a missing one with a parent is fine.

        Raises:
            XenStoreError: ENOENT, EACCES; EINVAL for the root.
        """
        if self.tracked:
            self._open_to_change()
        spine = self.tree.spine(path)
        if len(spine) <= len(path):
            self._explain_missing(caller, path, spine, WRITE)
            if len(spine) < len(path):
                raise MissingNodeError(path, len(spine) - 1)
            self._depend(path, len(path) - 1, EXISTENCE)
            return
        node = spine[-1]
        if path == ROOT:
            self._require(caller, path, node, WRITE, EXISTENCE)
            raise XenStoreError(Errno.EINVAL, "the root cannot be removed", b"/")
        self._require(caller, path, node, WRITE, SUBTREE)
        if not caller.privileged:
            self._afford_removal(path, spine)
        gone = self.tree.remove(path, spine)
        for domid, count in gone.nodes.items():
            self._worked(count // 4)  # a node is removed sooner than made
            self._charge(domid, -count, -gone.sizes[domid])
        for perms, count in gone.lists:
            self._mention(perms, -count)
        self._charge(spine[-1].perms.owner, 0, -name_size(path[-1]))
        self._removed(path, spine, node)

    def set_perms(self, caller: Caller, path: Path, perms: Permissions) -> None:
        """Replace the permissions of a node.

        Raises:
            XenStoreError: ENOENT; EACCES for all but the owner; EPERM for a guest
                that gives its node away (XSA-352); ENOSPC.
        """
        if self.tracked:
            self._open_to_change()
        spine = self.tree.spine(path)
        if len(spine) <= len(path):
            self._explain_missing(caller, path, spine, WRITE | OWNER)
            raise MissingNodeError(path, len(spine) - 1)
        node = spine[-1]
        self._require(caller, path, node, WRITE | OWNER, PERMS)
        old = node.perms
        growth = RECORD_ENTRY * (len(perms.entries) - len(old.entries))
        if not caller.privileged:
            if perms.owner != old.owner:
                owners = f"the owner from dom{old.owner} to dom{perms.owner}"
                reason = f"dom{caller.domid} may not change {owners}"
                raise XenStoreError(Errno.EPERM, reason, format_path(path))
            if growth > 0:
                self._check_size(caller, path, node.record_size() + growth, len(path))
            self._afford(path, spine, old.owner, growth, 0)
        self.tree.set_perms(path, spine, perms)
        self._mention(old, -1)
        self._mention(perms, 1)
        if perms.owner == old.owner:
            self._charge(old.owner, 0, growth)
        else:
            size = spine[-1].record_size()
            self._charge(old.owner, -1, growth - size)
            self._charge(perms.owner, 1, size)
        self._changed(path, spine, node.value, old)

    # Common parts.

    def _listing(self, node: Node) -> bytes:
        """Names of the children; to put together those of very many is work."""
        self._worked(node.unlisted_rows() // ROWS_PER_WORK)
        return node.listing()

    def _reach(self, caller: Caller, path: Path, right: int, facet: int) -> Node:
        """The node, if the caller has the right to it; notes the dependency."""
        node = find(self.tree.top, path)
        if node is None:
            spine = self.tree.spine(path)
            self._explain_missing(caller, path, spine, right)
            raise MissingNodeError(path, len(spine) - 1)
        if self.tracked or not caller.privileged:
            self._require(caller, path, node, right, facet)
        return node

    def _require(
        self, caller: Caller, path: Path, node: Node, right: int, facet: int
    ) -> None:
        """Note the dependency; EACCES unless the caller has all of the right."""
        if caller.privileged:
            if self.tracked:
                self._depend(path, len(path), facet)
        elif node.perms.access(caller) & right == right:
            self._depend(path, len(path), facet | PERMS)
        else:
            self._depend(path, len(path), PERMS)
            raise DeniedError(caller, path, len(path), node.perms, right)

    def _explain_missing(
        self, caller: Caller, path: Path, spine: list[Node], right: int
    ) -> None:
        """Note that the path's first missing node is missing.

        Returns if the caller may know that, raises EACCES otherwise.
        """
        self._depend(path, len(spine), EXISTENCE)
        if not caller.privileged:
            self._depend(path, len(spine) - 1, PERMS)
            perms = spine[-1].perms
            if not perms.access(caller) & right:
                raise DeniedError(caller, path, len(spine) - 1, perms, right)

    def _create(
        self, caller: Caller, path: Path, spine: list[Node], value: bytes
    ) -> None:
        """Create the nodes of a path that its spine lacks."""
        self._explain_missing(caller, path, spine, WRITE)
        nearest = spine[-1]
        # The new nodes inherit the permissions of the nearest one.
        self._depend(path, len(spine) - 1, EXISTENCE | PERMS)
        perms = nearest.perms.inherited_by(caller)
        missing = len(path) + 1 - len(spine)
        self._worked(missing)
        size = missing * empty_size(perms) + len(value)
        first = len(spine) - 1
        for index in range(first + 1, len(path)):
            size += name_size(path[index])
        if not caller.privileged:
            self._check_room(caller, path, spine, perms, size, len(value))
        self._charge(nearest.perms.owner, 0, name_size(path[first]))
        self._charge(perms.owner, missing, size)
        if len(perms.entries) > 1:
            self._mention(perms, missing)
        for _ in range(missing - 1):
            self.tree.add(path, spine, b"", perms)
        self.tree.add(path, spine, value, perms)
        self._created(path, spine, first + 1)

    def _check_room(
        self,
        caller: Caller,
        path: Path,
        spine: list[Node],
        perms: Permissions,
        growth: int,
        value_size: int,
    ) -> None:
        """Refuse new nodes over quota, before the first of them is made."""
        missing = len(path) + 1 - len(spine)
        limit = self._quotas.limit(caller.domid, NODES)
        if 0 < limit < self._nodes_of(caller.domid) + missing:
            self._refused()
            raise QuotaExceeded(caller.domid, NODES, limit, format_path(path))
        empty = empty_size(perms)
        first = len(spine) - 1
        name = name_size(path[first])
        largest = empty + value_size
        depth = len(path)
        for index in range(first, len(path)):
            # The directory that gets this name.
            size = empty if index > first else spine[-1].record_size()
            size += name_size(path[index])
            if size > largest:
                largest = size
                depth = index
        self._check_size(caller, path, largest, depth)
        # What the name takes in another's directory is that one's to pay.
        if spine[-1].perms.owner == perms.owner:
            growth += name
        self._afford(path, spine, perms.owner, growth, value_size)

    def _check_size(self, caller: Caller, path: Path, size: int, depth: int) -> None:
        """Refuse a node over quota: the one to which so many parts of a path lead."""
        self._saw_size(caller.domid, size)
        limit = self._quotas.limit(caller.domid, NODE_SIZE)
        if 0 < limit < size:
            self._refused()
            node = format_path(path[:depth]) if depth < len(path) else b""
            text = format_path(path)
            domid = caller.domid
            raise QuotaExceeded(domid, NODE_SIZE, limit, text, size=size, node=node)

    def _refused(self) -> None:  # noqa: B027  only a transaction minds
        """A change is about to be refused for a quota."""
