"""What domains leave behind when they end: nodes, and rights on others' nodes."""

from typing import final

from xsd.protocol.path import Path
from xsd.protocol.perms import Entry, Permissions, names_a_domain
from xsd.store.live import Live
from xsd.store.node import Node
from xsd.store.tree import Place, find


@final
class Estate:
    """Where domains that end own nodes, or are named in permissions.

    Attributes:
        owned: The topmost nodes of each domain, in the order of DIRECTORY, but for the
            root and special nodes, which cannot be removed.
        named: The nodes whose permissions name one of the domains, as owner or in
            another entry; those that go with the owned ones are left out.
    """

    __slots__ = ("domids", "named", "owned")

    def __init__(self, domids: list[int]) -> None:
        self.domids = [domid for domid in domids if names_a_domain(domid)]
        self.owned: dict[int, list[Place]] = {domid: [] for domid in self.domids}
        self.named: list[Place] = []

    def paths(self, domid: int, now: Node) -> list[Path]:
        """Paths of what a domain owned that is still there.

        A domain that ended before may have taken some of it along.
        """
        paths = [path_of(place) for place in self.owned.get(domid, ())]
        return [path for path in paths if find(now, path) is not None]


def settle(live: Live, domids: list[int], heir: int, *, keep_orphans: bool) -> Estate:
    """Take what domains leave out of all permissions, and find the rest.

    Args:
        live: The store.
        domids: Domains that have come to an end and have left something.
        heir: Who gets what cannot be removed, or is kept.
        keep_orphans: Whether all that they own is kept.

    Returns:
        Where there is something left for removal.
    """
    if not domids:
        return Estate(domids)
    estate = survey(live.tree.top, domids, keep_orphans=keep_orphans)
    drop_rights(live, estate, heir)
    return estate


def survey(top: Node, domids: list[int], *, keep_orphans: bool = False) -> Estate:
    """Find what domains leave behind, in one walk for all of them.

    Args:
        top: Top node of the present store.
        domids: The domains.
        keep_orphans: Whether what they own stays, and so is only named.
    """
    estate = Estate(domids)
    # A bit for each domain that owns a node above.
    bits = {domid: 1 << number for number, domid in enumerate(estate.domids)}
    everybody = (1 << len(bits)) - 1
    last: Permissions | None = None
    named = False
    rest: list[tuple[Place, int, int]] = [(Place(None, b"", top), 0, 0)]
    while rest:
        place, depth, owners = rest.pop()
        node = place.node
        assert node is not None  # noqa: S101  it was found
        perms = node.perms
        # Permissions are inherited, so that neighbours share them as a rule.
        if perms is not last:
            last = perms
            named = _name_any(perms, bits)
        if named:
            owner = perms.owner
            bit = bits.get(owner, 0)
            if bit and depth > 1 and not keep_orphans and not owners & bit:
                estate.owned[owner].append(place)
                owners |= bit
            if not owners:
                estate.named.append(place)
        if owners == everybody:
            continue
        below = node.children()
        below.reverse()
        for name, child in below:
            # Most nodes are others' leaves.
            if child.perms is not last or named or child.child_count():
                rest.append((Place(place, name, child), depth + 1, owners))
    return estate


def drop_rights(live: Live, estate: Estate, heir: int) -> None:
    """Take the domains out of the permissions that name them. Nobody is told.

    What they own there, such as nodes that cannot be removed, passes to the heir.
    The places must be those of the present store.
    """
    tree = live.tree
    gone = set(estate.domids)
    last: Permissions | None = None
    left = last
    for place in estate.named:
        node = tree.own_at(place)
        if node.perms is not last or left is None:
            last = node.perms
            left = _without(last, gone, heir)
        live.charge_node(node, -1)
        tree.permit_own(node, left)
        live.charge_node(node, 1)


def path_of(place: Place) -> Path:
    """The path of a place."""
    parts: list[bytes] = []
    each = place
    while each.above is not None:
        parts.append(each.name)
        each = each.above
    parts.reverse()
    return tuple(parts)


def _without(perms: Permissions, gone: set[int], heir: int) -> Permissions:
    """Permissions that name none of some domains."""
    first = perms.entries[0]
    if first.domid in gone:
        first = Entry(first.rights, heir)
    others = [entry for entry in perms.entries[1:] if entry.domid not in gone]
    return Permissions((first, *others))


def _name_any(perms: Permissions, domids: dict[int, int]) -> bool:
    """Tell whether permissions name one of some domains."""
    for entry in perms.entries:  # noqa: SIM110  mypyc makes no closure of a loop
        if entry.domid in domids:
            return True
    return False
