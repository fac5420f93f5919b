"""Quotas: the limits, the counts, and where requests meet them."""

from typing import Final

import pytest

from tests.store.script import Play
from tests.store.support import Client, Enter
from xsd.store import Store
from xsd.store.quota import (
    DEFAULTS,
    MEMORY,
    NODE_SIZE,
    NODES,
    TRANSACTION_NODES,
    TRANSACTIONS,
    WATCHES,
    Quotas,
)

# The limits.


def test_the_defaults_are_those_of_c_xenstored() -> None:
    """Named and ordered as its tools show them, and as GET_QUOTA lists them."""
    assert list(DEFAULTS.items()) == [
        ("nodes", 1000),
        ("watches", 128),
        ("outstanding", 20),
        ("memory", 2621440),
        ("transactions", 10),
        ("transaction-nodes", 1024),
        ("node-permissions", 5),
        ("path-max", 2048),
        ("node-size", 2048),
    ]
    names = list(DEFAULTS)
    names.insert(names.index("memory") + 1, "soft-memory")
    assert Quotas().names() == names


def test_a_limit_holds_for_every_domain_unless_it_has_its_own() -> None:
    """Also one that was set before the domain came; a soft one is apart."""
    quotas = Quotas()
    for domid, name, limit in (
        *[(5, NODES, 7), (-1, NODES, 3), (5, WATCHES, 2)],
        *[(-1, "soft-memory", 1), (5, "soft-memory", 2)],
    ):
        quotas.set(domid, name, limit)

    assert [quotas.get(each, NODES) for each in (-1, 1, 5)] == [3, 3, 7]
    assert [quotas.limit(each, NODES) for each in (1, 5)] == [3, 7]
    assert [quotas.limit(each, WATCHES) for each in (1, 5)] == [128, 2]
    assert [quotas.get(each, "soft-memory") for each in (-1, 5)] == [1, 2]
    assert quotas.get(5, MEMORY) == quotas.limit(5, MEMORY) == 2621440
    assert quotas.limit(5, TRANSACTIONS) == 10


def test_a_domain_that_is_gone_leaves_no_limits() -> None:
    """Its id may come back."""
    quotas = Quotas()
    quotas.set(5, NODES, 7)
    quotas.forget(5)
    quotas.forget(6)

    assert quotas.limit(5, NODES) == 1000


# In force.

RULES: Final[dict[str, str]] = {
    "a guest may own exactly the quota of nodes: WRITE": """
        1 mkdir a/b; quota 1 nodes 4
        1* write a/b/c x; 1* write d -> ENOSPC; 1* dir /local/domain/1 -> a""",
    "a guest may own exactly the quota of nodes: MKDIR": """
        1 mkdir a/b; quota 1 nodes 4
        1* mkdir a/b/c; 1* mkdir d -> ENOSPC dom1 is at its quota of 4 nodes
        1* dir /local/domain/1 -> a""",
    "removed nodes make room": """
        1 write a/b/c; quota 1 nodes 4
        1* rm a/b; 1* write d; 1* write e; 1* write f -> ENOSPC""",
    "the record of a guest's node is limited: a value that grows": """
        1 write b y; 1* write a x*2024; 1* write b x*2025 -> ENOSPC; 1* read b -> y""",
    "the record of a guest's node is limited: a new one": """
        1* write a x*2024; 1* write c x*2025 -> ENOSPC""",
    "the record of a guest's node is limited: permissions count": """
        1 write a x*2024
        1* write d x*2008; 1* set d n1 r2 r3; 1* set a n1 r2 -> ENOSPC""",
    "a new name counts in its parent's record, up to the last byte": """
        1 mkdir d; 1 mkdir d/x*2021; 1* mkdir d/y; 1* mkdir d/zz -> ENOSPC""",
    "a new name counts in the record of one made on the way": """
        1* mkdir e/x*2024/f -> ENOSPC""",
    "a new name counts in the record of the home": "1* mkdir x*2048 -> ENOSPC",
    "dom0 is under no quota, nor is what it makes for a guest, permissions neither": """
        introduce 1; quota -1 nodes 1; mkdir /a; set /a n1
        0* write /a/b/c x*4000; 0* write /a/b x*4000; 0* get /a/b/c -> n1
        0* set /a n1 r0 r0 r0 r0 r0 r0 r0; 0* get /a -> n1 r0 r0 r0 r0 r0 r0 r0""",
    "a guest may give exactly the quota of permissions, the owner's counts": """
        1 write a
        1* set a n1 r0 r1 r2 r3; 1* set a n1 r0 r1 r2 r3 r4 -> ENOSPC node-permissions
        1* get a -> n1 r0 r1 r2 r3""",
    "a guest may have exactly the quota of watches, dom0 any number": """
        1 mkdir here; 2 mkdir here; quota -1 watches 2; 1 watch a; 1 watch b
        1 watch c -> ENOSPC dom1 is at its quota of 2 watches
        unwatch a; 1 watch c; 2 watch a; watch / 1; watch / 2; watch / 3""",
    "a guest may have exactly the quota of transactions; the end of one makes room": """
        1 write a; quota -1 transactions 1; start d1; start d2
        1 start t1; 1 start t -> ENOSPC dom1 is at its quota of 1 transactions; t1 abort
        1 start t2; 1 start t -> ENOSPC; t2 commit
        1 start t3; 1 start t -> ENOSPC; t3 read a; 1 write a
        t3 commit -> EAGAIN
        1 start t4""",
    "a lowered quota takes nothing away; only growth is refused": """
        1 write a/b 1; 1 watch a; 1 start t
        quota 1 nodes 1; quota 1 watches 1; quota 1 transactions 1
        1 write a/b 2; 1 set a/b r1; t write a/b 3; t commit; 1 write c -> ENOSPC
        1 read a/b -> 3""",
    "a transaction may make a node smaller that is too big, or leave it": """
        1 write a x*100; 1 mkdir a/name; 1 start t1; 1 start t2; 1 start t3; 1 start t4
        t1 rm a/name; t2 write a y*100; t3 write b z*100; quota 1 node-size 100
        t1 commit; t2 commit; t3 commit -> ENOSPC node-size: /local/domain/1/b
        quota 1 node-size 0; t4 write c x*3000; t4 commit""",
    "what transactions create together in one directory is limited; dom0 goes on": """
        1 mkdir d; quota 1 node-size 56; 1 start t1; 1 start t2; 1 start t3; start d1
        t1 mkdir d/w*15; t2 mkdir d/x*15; t3 mkdir d/y*15
        d1 mkdir /local/domain/1/d/z*15; t1 commit; t2 commit
        t3 commit -> ENOSPC dom1 is at its quota of 56 node-size
        d1 commit; 1 dir d -> w*15 x*15 z*15""",
}


@pytest.mark.parametrize("inside", [False, True], ids=["direct", "in transaction"])
@pytest.mark.parametrize("rule", RULES)
def test_quotas(store: Store, rule: str, *, inside: bool) -> None:
    """What is done by 1* is done in both ways."""
    Play(store, inside=inside).run(RULES[rule])


def test_limit_0_is_no_limit(guest: Client, enter: Enter) -> None:
    """For nodes, for their size, for those that a transaction touches."""
    for quota in (NODES, NODE_SIZE, TRANSACTION_NODES):
        guest.store.quotas.set(1, quota, 0)
    client = enter(guest)
    for number in range(1200):
        client.write(b"%d" % number)

    client.write(b"big", b"x" * 4000)
