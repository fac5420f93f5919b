"""One version of the whole store: structure only, no permissions, no quotas.

The top node has no path. Its children are the root, under the empty name, and
the special nodes under names that begin with ``@``, so a path leads from it part
by part (see protocol/path.py).
"""

from typing import Final, final

from xsd.protocol.path import Path
from xsd.protocol.perms import Permissions
from xsd.store.clock import Clock
from xsd.store.node import Node, shared
from xsd.store.usage import NODE_BYTES, Holdings

ALL_KEPT: Final = 1 << 62
"""As `Tree.kept_below`: any node may be in a snapshot."""


class Place:
    """A node of a version as its name and the place of the node above; O(1) to make.

    Attributes:
        above: Where the node above is; None for the top of all paths.
        name: Its name there.
        node: The node itself, None if it is missing. `Tree.own_at` keeps it up to
            date in all places on the way from the top.
    """

    __slots__ = ("above", "name", "node")

    def __init__(self, above: "Place | None", name: bytes, node: Node | None) -> None:
        self.above = above
        self.name = name
        self.node = node


@final
class Tree:
    """A root and the token of the nodes that may be changed in place.

    A node with the tree's token has only nodes with that token above it.

    Attributes:
        top: The node above all paths.
        token: See node.py.
        own_size: Bytes that Python needs for the nodes with the token, roughly.
        displaced: Bytes of all nodes that were replaced or removed, ever, of those that
            `kept_below` is about. What was displaced since a snapshot is the most
            that it keeps from being freed.
        kept_below: Nodes whose token is below this may be in somebody's snapshot.
    """

    __slots__ = ("_clock", "displaced", "kept_below", "own_size", "token", "top")

    def __init__(self, clock: Clock, top: Node) -> None:
        self._clock = clock
        self.top = top
        self.token = clock.tick()
        self.own_size = 0
        self.displaced = 0
        self.kept_below = ALL_KEPT

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
        displaced = 0
        kept_below = self.kept_below
        parent = spine[0]
        if parent.token != token:
            size = NODE_BYTES + len(parent.value)
            if parent.token < kept_below:
                displaced = size
            parent = self.top = spine[0] = parent.copy(token)
        for index in range(1, len(spine)):
            node = spine[index]
            if node.token != token:
                more = NODE_BYTES + len(node.value)
                size += more
                if node.token < kept_below:
                    displaced += more
                node = spine[index] = node.copy(token)
                parent.put_child(path[index - 1], node)
            parent = node
        self.own_size += size
        self.displaced += displaced
        return parent

    def own_at(self, place: Place) -> Node:
        """As `own`, for a node that is there, without a way from the top.

        All on that way that are copied are so once, whatever the number of places
        below it.
        """
        token = self.token
        rest: list[Place] = []
        each: Place | None = place
        while each is not None:
            node = each.node
            assert node is not None  # noqa: S101  it is there
            if node.token == token:
                break
            rest.append(each)
            each = each.above
        size = 0
        while rest:
            each = rest.pop()
            node = each.node
            assert node is not None  # noqa: S101
            more = NODE_BYTES + len(node.value)
            size += more
            if node.token < self.kept_below:
                self.displaced += more
            node = each.node = node.copy(token)
            above = each.above
            if above is None:
                self.top = node
            else:
                parent = above.node
                assert parent is not None  # noqa: S101
                parent.put_child(each.name, node)
        self.own_size += size
        last = place.node
        assert last is not None  # noqa: S101
        return last

    def set_value(self, path: Path, spine: list[Node], value: bytes) -> None:
        """Change the value of the node at the end of a spine."""
        self.write_own(self.own(path, spine), value)

    def set_perms(self, path: Path, spine: list[Node], perms: Permissions) -> None:
        """Change the permissions of the node at the end of a spine."""
        self.permit_own(self.own(path, spine), perms)

    def add(
        self, path: Path, spine: list[Node], value: bytes, perms: Permissions
    ) -> None:
        """Create the child of the spine's last node that the path names next."""
        parent = self.own(path, spine)
        spine.append(self.add_to(parent, path[len(spine) - 1], value, perms))

    def remove(self, path: Path, spine: list[Node]) -> Holdings:
        """Cut off the node at the end of a spine with everything below it.

        Returns:
            What that was.
        """
        node = spine.pop()
        return self.remove_from(self.own(path, spine), path[-1], node)

    # The same, for nodes that are known to be our own.

    def write_own(self, node: Node, value: bytes) -> None:
        """Change the value of a node."""
        self.own_size += len(value) - len(node.value)
        node.value = value
        clock = self._clock
        clock.now += 1
        node.value_changed = clock.now

    def permit_own(self, node: Node, perms: Permissions) -> None:
        """Change the permissions of a node."""
        node.perms = perms
        node.perms_changed = self._clock.tick()

    def add_to(
        self, parent: Node, name: bytes, value: bytes, perms: Permissions
    ) -> Node:
        """Create a child of a node."""
        generation = self._clock.tick()
        # Empty ones and those of a byte are shared by Python.
        if len(value) > 1:
            value = shared(value)
        node = Node(self.token, value, perms, generation)
        self.own_size += NODE_BYTES + len(value)
        parent.put_child(shared(name), node)
        parent.names_changed = generation
        return node

    def remove_from(self, parent: Node, name: bytes, node: Node) -> Holdings:
        """Cut off a child of a node with everything below it; what that was."""
        parent.remove_child(name)
        parent.names_changed = self._clock.tick()
        holdings = Holdings(node, self.token, self.kept_below)
        self.own_size -= holdings.own
        self.displaced += holdings.kept
        return holdings


def find(top: Node, path: Path) -> Node | None:
    """The node of a path below a top node, or None."""
    node = top
    for name in path:
        below = node.child(name)
        if below is None:
            return None
        node = below
    return node
