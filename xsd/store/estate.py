"""What a domain leaves behind when it ends: nodes, and rights on others' nodes."""

from xsd.protocol.path import Path
from xsd.protocol.perms import Entry, Permissions, names_a_domain
from xsd.store.live import Live
from xsd.store.node import Node


def topmost_owned(top: Node, domid: int) -> list[Path]:
    """The topmost nodes that a domain owns, but for the root and special nodes."""
    found: list[Path] = []
    rest: list[tuple[Path, Node]] = [((), top)]
    while rest:
        path, node = rest.pop()
        if node.perms.owner == domid and len(path) > 1:
            found.append(path)
            continue
        for name, below in reversed(node.children()):
            # Most nodes are other domains' leaves; their paths need not be known.
            if below.perms.owner == domid or below.child_count():
                rest.append(((*path, name), below))
    return found


def drop_rights(live: Live, domid: int, heir: int) -> None:
    """Take a domain out of all permissions. Nobody is told.

    What it still owns, such as nodes that cannot be removed, passes to the heir.
    """
    tree = live.tree
    for path, perms in _permissions_naming(tree.top, domid):
        first = perms.entries[0]
        if first.domid == domid:
            first = Entry(first.rights, heir)
        others = [entry for entry in perms.entries[1:] if entry.domid != domid]
        spine = tree.spine(path)
        live.charge_node(spine[-1], -1)
        tree.set_perms(path, spine, Permissions((first, *others)))
        live.charge_node(spine[-1], 1)


def _permissions_naming(top: Node, domid: int) -> list[tuple[Path, Permissions]]:
    """Nodes whose permissions name a domain, with these permissions."""
    if not names_a_domain(domid):
        return []
    found: list[tuple[Path, Permissions]] = []
    rest: list[tuple[Path, Node]] = [((), top)]
    # Permissions are inherited, so that neighbours share them as a rule.
    last, named = top.perms, _names(top.perms, domid)
    if named:
        found.append(((), last))
    while rest:
        path, node = rest.pop()
        for name, below in node.children():
            if below.perms is not last:
                last = below.perms
                named = _names(last, domid)
            if named:
                found.append(((*path, name), last))
            if below.child_count():
                rest.append(((*path, name), below))
    return found


def _names(perms: Permissions, domid: int) -> bool:
    """Tell whether permissions name a domain."""
    for entry in perms.entries:  # noqa: SIM110  mypyc makes no closure of a loop
        if entry.domid == domid:
            return True
    return False
