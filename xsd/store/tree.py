"""One version of the whole store: structure only, no permissions, no quotas.

The top node has no path. Its children are the root, under the empty name, and
the special nodes under names that begin with ``@``, so a path leads from it part
by part (see protocol/path.py).
"""

from typing import Final, final

from xsd.protocol.path import Path
from xsd.protocol.perms import Permissions
from xsd.store.node import Node, name_size
from xsd.store.usage import NODE_BYTES, Holdings


@final
class Clock:
    """Hands out generations: 1, 2, 3, ... Every change of a node has its own.

    Tokens of trees are drawn from it too, so that none is ever used twice.
    """

    __slots__ = ("now",)

    def __init__(self) -> None:
        self.now = 0

    def tick(self) -> int:
        """The next generation."""
        self.now += 1
        return self.now


@final
class Tree:
    """A root and the token of the nodes that may be changed in place.

    A node with the tree's token has only nodes with that token above it.

    Attributes:
        top: The node above all paths.
        token: See node.py.
        own_size: Bytes that Python needs for the nodes with the token, roughly.
        displaced: Bytes of all nodes that were replaced or removed, ever. What was
            displaced since a snapshot is the most that it keeps from being freed.
    """

    __slots__ = ("_clock", "displaced", "own_size", "token", "top")

    def __init__(self, clock: Clock, top: Node) -> None:
        self._clock = clock
        self.top = top
        self.token = clock.tick()
        self.own_size = 0
        self.displaced = 0

    def freeze(self) -> Node:
        """Return the tree's present state, which never changes from now on."""
        if self.top.token == self.token:
            self.token = self._clock.tick()
            self.own_size = 0
        return self.top

    def adopt(self, other: "Tree") -> None:
        """Become what the other tree is, which must not be used afterwards."""
        self.top = other.top
        self.token = other.token
        self.own_size = other.own_size
        self.displaced += other.displaced

    def spine(self, path: Path) -> list[Node]:
        """The existing nodes on a path: the top first, at most the path's last.

        Its length is that of the path plus one exactly if the node exists.
        """
        node = self.top
        nodes = [node]
        for name in path:
            below = node.narrow.get(name)
            if below is None:
                below = node.child(name)
                if below is None:
                    return nodes
            node = below
            nodes.append(node)
        return nodes

    def own(self, path: Path, spine: list[Node]) -> Node:
        """Make the last node of a path's spine, and all above it, our own.

        The spine is brought up to date. Returns its last node, which may then
        be changed in place.
        """
        token = self.token
        last = spine[-1]
        if last.token == token:
            return last
        size = 0
        parent = spine[0]
        if parent.token != token:
            size = NODE_BYTES + len(parent.value)
            parent = self.top = spine[0] = parent.copy(token)
        for index in range(1, len(spine)):
            node = spine[index]
            if node.token != token:
                size += NODE_BYTES + len(node.value)
                node = spine[index] = node.copy(token)
                parent.put_child(path[index - 1], node)
            parent = node
        self.own_size += size
        self.displaced += size
        return parent

    def set_value(self, path: Path, spine: list[Node], value: bytes) -> None:
        """Change the value of the node at the end of a spine."""
        node = self.own(path, spine)
        self.own_size += len(value) - len(node.value)
        node.value = value
        node.value_changed = self._clock.tick()

    def set_perms(self, path: Path, spine: list[Node], perms: Permissions) -> None:
        """Change the permissions of the node at the end of a spine."""
        node = self.own(path, spine)
        node.perms = perms
        node.perms_changed = self._clock.tick()

    def add(
        self, path: Path, spine: list[Node], value: bytes, perms: Permissions
    ) -> None:
        """Create the child of the spine's last node that the path names next."""
        parent = self.own(path, spine)
        generation = self._clock.tick()
        node = Node(self.token, value, perms, generation)
        self.own_size += NODE_BYTES + len(value)
        name = path[len(spine) - 1]
        parent.put_child(name, node)
        parent.names_changed = generation
        parent.names_size += name_size(name)
        spine.append(node)

    def remove(self, path: Path, spine: list[Node]) -> Holdings:
        """Cut off the node at the end of a spine with everything below it.

        Returns:
            What that was.
        """
        node = spine.pop()
        parent = self.own(path, spine)
        parent.remove_child(path[-1])
        parent.names_changed = self._clock.tick()
        parent.names_size -= name_size(path[-1])
        holdings = Holdings(node, self.token)
        self.own_size -= holdings.own
        self.displaced += holdings.kept
        return holdings


def find(top: Node, path: Path) -> Node | None:
    """The node of a path below a top node, or None."""
    node = top
    for name in path:
        # The common case spares a call: this is the way of every request.
        below = node.narrow.get(name)
        if below is None:
            below = node.child(name)
            if below is None:
                return None
        node = below
    return node


DEEP_ABOVE: Final = 32
"""Levels up to which the way from the top is the quickest."""


@final
class Finder:
    """Finds nodes of one version, deep ones the quicker the nearer the last one is.

    A path of 1,000 levels that was made anew is 1,000 paths, each below the one
    before; the way from the top for each would be 500 times as long.
    """

    __slots__ = ("_path", "_spine", "_top")

    def __init__(self, top: Node) -> None:
        self._top = top
        self._path: Path = ()
        self._spine = [top]

    def find(self, path: Path) -> Node | None:
        """The node of that path, or None if it is missing."""
        if len(path) <= DEEP_ABOVE:
            return find(self._top, path)
        spine = self._spine
        last = self._path
        shared = len(last)
        if path[:shared] != last:
            # Often it is beside the last one, or the one above.
            shared -= 1
            if path[:shared] != last[:shared]:
                shared = 0
        del spine[shared + 1 :]
        node = spine[shared]
        for name in path[shared:]:
            below = node.child(name)
            if below is None:
                self._path = path[: len(spine) - 1]
                return None
            spine.append(below)
            node = below
        self._path = path
        return node
