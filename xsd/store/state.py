"""All that a store consists of, as plain values that can be compared.

Two stores that carried out the same inputs in the same order are equal in this.
"""

from xsd.protocol.perms import Permissions
from xsd.store.domains import Domain
from xsd.store.node import Node
from xsd.store.store import Store
from xsd.store.transaction import Transaction
from xsd.store.usage import Growth


def describe(store: Store) -> dict[str, object]:
    """Everything that must be equal after the same inputs.

    Returns:
        By what it is: the tree with special nodes, the order of siblings, generations
        and permissions; watches; open transactions; domains; quotas; accounts with
        their maxima; and what decides when snapshots become too old. Unsent output
        and what is under way are no state of the store.
    """
    return {
        "generation": store.generation,
        "epoch": store.live.epoch,
        "tree": _whole(store.live.tree.top),
        "displaced": store.live.tree.displaced,
        "own_size": store.live.tree.own_size,
        "expel_at": store.transactions.described(),
        "watches": [
            (
                watch.connection,
                watch.caller.domid,
                watch.path,
                watch.shown,
                watch.token,
                watch.depth,
            )
            for watch in store.watches.all()
        ],
        "transactions": [_transaction(each) for each in store.transactions.all()],
        "domains": [_domain(each) for each in store.domains.all()],
        "mentions": sorted(store.usage.mentions.used.items()),
        "quotas": store.quotas.described(),
        "accounts": {
            name: account.described() for name, account in store.usage.by_state()
        },
    }


def _permissions(perms: Permissions) -> object:
    return [(entry.rights, entry.domid, entry.stale) for entry in perms.entries]


def _node(node: Node) -> tuple[object, ...]:
    return (
        node.value,
        _permissions(node.perms),
        node.created,
        node.value_changed,
        node.perms_changed,
        node.names_changed,
    )


def _whole(top: Node) -> list[object]:
    """A tree by depth, name and content, parents first, siblings in order."""
    rows: list[object] = []
    rest = [(0, b"", top)]
    while rest:
        depth, name, node = rest.pop()
        rows.append((depth, name, *_node(node)))
        below = node.children()
        below.reverse()
        for each, child in below:
            rest.append((depth + 1, each, child))
    return rows


def _differences(before: Node | None, after: Node) -> list[object]:
    """What of a tree is not what it was: changed and new nodes, and names that went."""
    rows: list[object] = []
    rest: list[tuple[int, bytes, Node | None, Node | None]] = [(0, b"", before, after)]
    while rest:
        depth, name, old, new = rest.pop()
        if new is None:
            rows.append((depth, name))
            continue
        rows.append((depth, name, *_node(new)))
        below: list[tuple[int, bytes, Node | None, Node | None]] = []
        for each, child in new.children():
            was = None if old is None else old.child(each)
            if was is not child:
                below.append((depth + 1, each, was, child))
        if old is not None:
            for each, was in old.children():
                if new.child(each) is None:
                    below.append((depth + 1, each, was, None))
        below.reverse()
        rest.extend(below)
    return rows


def _transaction(transaction: Transaction) -> dict[str, object]:
    snapshot = transaction.snapshot
    top = transaction.tree.top
    changed = snapshot is not None and snapshot is not top
    return {
        "domid": transaction.caller.domid,
        "begun": snapshot is not None,
        "since": transaction.since,
        "epoch": transaction.epoch,
        "mark": transaction.mark,
        "failed": transaction.failed,
        "expelled": transaction.expelled,
        "undone": transaction.undone,
        "charged": transaction.charged,
        "growth": _growth(transaction.growth),
        "footprint": transaction.footprint.listed(),
        "tree": _differences(snapshot, top) if changed else [],
    }


def _growth(growth: Growth) -> object:
    mentions = growth.mentions.used
    return dict(growth.nodes.used), dict(growth.memory.used), dict(mentions)


def _domain(domain: Domain) -> object:
    return (
        domain.domid,
        domain.unique_id,
        domain.born,
        domain.introduced,
        domain.shut_down,
        domain.stays,
        domain.port,
        domain.features,
        domain.caller.target,
        domain.caller.privileged,
    )
