"""A store made up from what any daemon tells of its nodes.

No more is known of them than what clients see: paths, values, permissions, and in which
order siblings were made. Generations are given out anew, in the order of arrival, and
all that is counted of nodes is counted again. Limits are not looked at: what was there
stays.
"""

from typing import Final

from xsd.protocol.path import parse_path
from xsd.protocol.perms import Entry, Permissions, names_a_domain
from xsd.protocol.records import NodeData
from xsd.store.load import ImageError
from xsd.store.node import Node
from xsd.store.store import INTRODUCE_DOMAIN, RELEASE_DOMAIN, Store
from xsd.store.usage import NODE_BYTES

_STARTS: Final = (b"/", b"@")


def rebuild(store: Store, records: list[NodeData]) -> None:
    """Give a store other nodes than it has.

    Special nodes of which nothing is told are as in a new store.

    Args:
        store: A new one. If this fails it is of no use.
        records: The nodes, each after the one above it.

    Raises:
        ImageError: If there is no root, the node above one is missing, or one is
            there twice.
        XenStoreError: EINVAL for what is no path.
    """
    tree = store.live.tree
    former = tree.top
    tree.top = Node(tree.token, b"", former.perms, store.generation)
    tree.own_size = NODE_BYTES
    lists: dict[tuple[Entry, ...], Permissions] = {}
    made: dict[bytes, Node] = {}
    for record in records:
        path = record.path
        if path[:1] not in _STARTS:
            raise ImageError(f"{path!r} is no place for a node")
        if path in made:
            raise ImageError(f"{path!r} is there twice")
        name = parse_path(path, special=True)[-1]
        parent = tree.top if _is_topmost(path) else made.get(_above(path))
        if parent is None:
            raise ImageError(f"{path!r} is below nothing")
        entries = record.entries
        perms = lists.get(entries)
        if perms is None:
            perms = lists[entries] = Permissions(entries)
        made[path] = tree.add_to(parent, name, record.value, perms)
    if b"/" not in made:
        raise ImageError("there is no root")
    for name in (INTRODUCE_DOMAIN, RELEASE_DOMAIN):
        if name not in made:
            was = former.child(name)
            assert was is not None  # noqa: S101  each store is made with it
            tree.add_to(tree.top, name, was.value, was.perms)
    _count_anew(store)


def named(records: list[NodeData]) -> list[int]:
    """Domains that own nodes or have a right to them, in order of their mention.

    A stale permission names nobody.
    """
    found: dict[int, None] = {}
    for record in records:
        for entry in record.entries:
            if names_a_domain(entry.domid) and not entry.stale:
                found[entry.domid] = None
    return list(found)


def _is_topmost(path: bytes) -> bool:
    """Tell whether it is the root, or a special node."""
    return path == b"/" or (path[:1] == b"@" and b"/" not in path)


def _above(path: bytes) -> bytes:
    return path.rpartition(b"/")[0] or b"/"


def _count_anew(store: Store) -> None:
    usage = store.usage
    for account in (usage.nodes, usage.memory):
        account.restore({}, {}, 0)
    usage.mentions.used = {}
    rest = [node for _name, node in store.live.tree.top.children()]
    while rest:
        node = rest.pop()
        store.live.charge_node(node, 1)
        rest.extend([child for _name, child in node.children()])
