"""Invariants of a store, stated as code that checks them.

Nothing here is needed to serve requests. Tests run `verify` after every step, and
an operator can have it run on a store that is in use.
"""

from xsd.protocol.path import Path, format_path
from xsd.store.children import NARROW_BELOW, WIDE_ABOVE
from xsd.store.footprint import measured
from xsd.store.node import Node
from xsd.store.store import Store
from xsd.store.transaction import Transaction
from xsd.store.tree import find
from xsd.store.usage import NODE_BYTES, Account, Mentions


def verify(store: Store) -> list[str]:
    """Look at everything and return what is wrong, one line for each fault.

    Checked are: the tree (ownership tokens, generations, siblings in order of
    creation, wide directories), what each domain uses of nodes, watches, transactions
    and memory against a recount, and the watch index.
    """
    return [
        *_verify_tree(store),
        *_verify_counts(store),
        *_verify_watches(store),
    ]


def _verify_tree(store: Store) -> list[str]:
    tree = store.live.tree
    faults: list[str] = []
    rest: list[tuple[Path, Node, bool]] = [((), tree.top, True)]
    while rest:
        path, node, owned_above = rest.pop()
        where = format_path(path) if path else b"(top)"
        owned = node.token == tree.token
        if owned and not owned_above:
            faults.append(f"{where!r} may be changed in place, the node above not")
        youngest = max(node.generation, node.created)
        if youngest > store.generation or node.created > node.generation:
            faults.append(f"{where!r} has impossible generations")
        faults.extend(_verify_children(where, node))
        for name, child in node.children():
            if path and (not name or b"/" in name):
                faults.append(f"{where!r} has a child {name!r}")
            rest.append(((*path, name), child, owned))
    return faults


def _verify_children(where: bytes, node: Node) -> list[str]:
    faults: list[str] = []
    children = node.children()
    if len(children) != node.child_count():
        faults.append(f"{where!r} counts {node.child_count()} of {len(children)}")
    if node.wide is None:
        if len(children) > WIDE_ABOVE:
            faults.append(f"{where!r} is wide, but kept as narrow")
    elif node.narrow or len(children) < NARROW_BELOW:
        faults.append(f"{where!r} is narrow, but kept as wide")
    if lost := len(node.nodes()) - len(children):
        faults.append(f"{where!r} does not find {lost} of its children")
    last = -1
    for name, child in children:
        if child.created <= last:
            faults.append(f"{where!r} has {name!r} out of order")
        last = child.created
        if node.child(name) is not child:
            faults.append(f"{where!r} has {name!r} twice")
    return [*faults, *_verify_names(where, node, children)]


def _verify_names(
    where: bytes, node: Node, children: list[tuple[bytes, Node]]
) -> list[str]:
    faults: list[str] = []
    names = b"".join([name + b"\0" for name, _child in children])
    if node.names_size != len(names):
        faults.append(f"{where!r} has names of {len(names)} bytes, not as kept")
    if node.listing() != names:
        faults.append(f"{where!r} lists other children than it has")
    return faults


def _verify_counts(store: Store) -> list[str]:
    nodes = Account()
    memory = Account()
    mentions = Mentions()
    rest = [node for _name, node in store.live.tree.top.children()]
    while rest:
        node = rest.pop()
        nodes.add(node.perms.owner, 1)
        memory.add(node.perms.owner, node.record_size())
        mentions.add(node.perms, 1)
        rest.extend([child for _name, child in node.children()])
    watched = Account()
    for watch in store.watches.all():
        watched.add(watch.caller.domid, 1)
        memory.add(watch.caller.domid, watch.size)
    transactions = Account()
    for transaction in store.transactions.all():
        transactions.add(transaction.caller.domid, 1)
        if not transaction.caller.privileged:
            memory.add(transaction.caller.domid, _size_of(transaction))
    faults: list[str] = []
    for what, counted, kept in (
        ("nodes", nodes, store.usage.nodes),
        ("watches", watched, store.usage.watches),
        ("transactions", transactions, store.usage.transactions),
        ("memory", memory, store.usage.memory),
    ):
        if counted.used != kept.used:
            faults.append(f"{what} by domain are {counted.used}, kept as {kept.used}")
    named = store.usage.mentions.used
    if mentions.used != named:
        faults.append(f"mentions by domain are {mentions.used}, kept as {named}")
    return faults


def _size_of(transaction: Transaction) -> int:
    """Recount what is kept for a transaction."""
    tree = transaction.tree
    size = measured(transaction.footprint)
    rest = [tree.top]
    while rest:
        node = rest.pop()
        # What a tree owns is below nothing but what it owns.
        if node.token == tree.token:
            size += NODE_BYTES + len(node.value)
            rest.extend([child for _name, child in node.children()])
    return size


def _verify_watches(store: Store) -> list[str]:
    index = store.watches
    faults: list[str] = []
    watches = index.all()
    if len(watches) != index.count:
        faults.append(f"{len(watches)} watches, kept as {index.count}")
    needed: set[Path] = {()}
    for watch in watches:
        for length in range(1, len(watch.path) + 1):
            needed.add(watch.path[:length])
        spot = index.spot(watch.path)
        if spot is None or watch not in spot.watches():
            faults.append(f"{watch!r} is not where it belongs")
    if len(needed) != index.spots():
        faults.append(f"watch index has {index.spots()} places, needs {len(needed)}")
    return faults


def count_nodes(store: Store, path: Path) -> int:
    """Number of nodes from a path down, 0 if it is missing."""
    start = find(store.live.tree.top, path)
    count = 0
    rest = [] if start is None else [start]
    while rest:
        node = rest.pop()
        count += 1
        rest.extend([child for _name, child in node.children()])
    return count
