"""xsd.store.usage: counters by domain, and memory as it is counted."""

from typing import Final

import pytest

from tests.store.script import Play, play
from tests.store.support import Client, at, guest_of
from xsd.store import Store
from xsd.store.exceeded import QuotaExceeded
from xsd.store.footprint import FORK_BYTES, SPOT_BYTES
from xsd.store.quota import MEMORY, WATCHES
from xsd.store.tree import find
from xsd.store.usage import NODE_BYTES, Account, Holdings

EMPTY = 16 + 8
"""Bytes of a record with one permission, no value and no children."""


# Counters.


def account_of(*added: tuple[int, int]) -> Account:
    account = Account()
    for domid, count in added:
        account.add(domid, count)
    return account


def test_an_account_keeps_only_what_is_not_zero() -> None:
    """Domains that come and go leave nothing; accounts are merged by domain."""
    account = account_of((1, 2), (2, 1), (1, -2), (3, 0))

    assert account.used == {2: 1}
    assert (account.of(1), account.of(2)) == (0, 1)
    account.merge(account_of((2, -1), (3, 4)))
    assert account.used == {3: 4}


def test_the_most_that_there_was_is_kept() -> None:
    """For each domain, and of all but the privileged one."""
    account = account_of((0, 100), (1, 5), (1, -4), (2, 3))
    account.saw(2, 4)
    account.saw(2, 1)

    assert account.most == {0: 100, 1: 5, 2: 4}
    assert account.peak(privileged=0) == 5


def test_a_domain_that_is_gone_counts_for_the_peak_only() -> None:
    """A later one of its id begins at what it has."""
    account = account_of((1, 5), (1, -5))
    account.forget(1)
    account.forget(2)
    account.add(1, 1)

    assert account.most == {1: 1}
    assert account.peak(privileged=0) == 5
    account.reset_peak()
    assert account.peak(privileged=0) == 1


def test_the_end_of_a_domain_ends_its_maxima(store: Store) -> None:
    """XSA-483: of every quota."""
    Play(store).run("1 write a/b; 1 watch a; unwatch a; 1 start t; t commit; release 1")

    for name, account in store.usage.by_quota():
        assert (name, account.of(1), account.most.get(1)) == (name, 0, None)
    assert store.usage.nodes.peak(0) == 3


def test_a_subtree_is_summed_up_by_owner(store: Store) -> None:
    """Nodes and bytes of records, as RM must, which takes all of them."""
    Play(store).run("""
        introduce 1; introduce 2; write /a/b/c 123; set /a/b n1 r2; write /a/b/d
        set /a/b/c n2
    """)
    top = find(store.live.tree.top, at(b"/a"))
    assert top is not None
    tree = store.live.tree
    found = Holdings(top, tree.token, tree.token + 1)

    assert found.nodes == {0: 1, 1: 2, 2: 1}
    assert found.sizes == {
        0: EMPTY + len(b"b\0"),
        1: EMPTY + 8 + len(b"c\0d\0") + EMPTY + 8,
        2: EMPTY + 3,
    }
    assert found.kept == found.own == 4 * NODE_BYTES + 3
    other = Holdings(top, -1, tree.token)
    assert other.own == other.kept == 0


# What counts as memory, and the quota of it. An empty record has 24 bytes.

RULES: Final[dict[str, str]] = {
    "nodes count as their records for their owner, a name where it stands": """
        1 dir /local/domain/1; memory 1 -> 24
        1 write ab/c 123; memory 1 -> 80
        write /local/domain/1/ab/c 1; memory 1 -> 78
        1 set ab/c n1 r0 r2; memory 1 -> 94
        set /local/domain/1/ab/c n0 r1; memory 1 -> 53
        1 rm ab; memory 1 -> 24""",
    "a watch counts with its path, its token and each level": """
        1 dir /local/domain/1; memory 1 -> 24; 1 watch a/b token; memory 1 -> 1188
        unwatch token; memory 1 -> 24""",
    "a guest may use exactly the quota: a longer value": """
        1 write a 1; room 1 3; 1 write a 12345 -> ENOMEM dom1 is at its quota
        room 1 4; 1 write a 12345""",
    "a guest may use exactly the quota: new nodes": """
        1 dir /local/domain/1; room 1 54; 1 write b/c 123 -> ENOMEM; room 1 55
        1 write b/c 123; room 1 25; 1 mkdir d -> ENOMEM; room 1 26; 1 mkdir d""",
    "a guest may use exactly the quota: permissions": """
        1 write a; room 1 15; 1 set a n1 r0 r2 -> ENOMEM; room 1 16
        1 set a n1 r0 r2""",
    "a guest may use exactly the quota: a watch": """
        1 dir /local/domain/1; room 1 622; 1 watch /x t -> ENOMEM; room 1 623
        1 watch /x t""",
    "without memory a guest may shrink and remove": """
        1 write a 12345; 1 write b 1; room 1 0; 1 write a 1; 1 set a r1; 1 rm b
        room 1 -1; 1 write a 2; 1 write a 222 -> ENOMEM""",
    "what is written for another is that one's, a new name in its directory too": """
        2 mkdir here; 1 write a 1; 1 set a n1 w2; room 1 3
        2 write /local/domain/1/a 12345 -> ENOMEM; 2 write /local/domain/1/a 1234
        memory 1 -> 62; memory 2 -> 53
        2 mkdir /local/domain/1/a/theirs; memory 1 -> 69; memory 2 -> 85""",
    "reading in a transaction takes memory too; beyond the quota it fails": """
        1 dir /local/domain/1; room 1 540; 1 start t; t read /local/domain/1 -> ENOMEM
        t commit -> ENOMEM""",
    "dom0 is refused no memory, for itself or for a guest; all counts": """
        introduce 1; write /a; set /a n1; quota -1 memory 1; quota 1 memory 1
        0* write /a x*1000; 0* write /a/b x*1000; 0* write /c x*1000""",
    "who writes a node of dom0's pays nothing": """
        introduce 1; write /a; set /a n0 w1; quota 1 memory 1
        1 write /a x*1000; 1 read /a -> EACCES; memory 1 -> 0""",
}


@pytest.mark.parametrize("inside", [False, True], ids=["direct", "in transaction"])
@pytest.mark.parametrize("rule", RULES)
def test_memory(store: Store, rule: str, *, inside: bool) -> None:
    """Requests, and what is counted for a domain."""
    Play(store, inside=inside).run(RULES[rule])


def test_unsent_output_is_beside_what_the_store_keeps(
    store: Store, guest: Client
) -> None:
    """It decides about no refusal; what is reported is the sum."""
    store.usage.unsent.add(1, 10_000_000)
    store.usage.unsent.add(2, 7)
    guest.write(b"a", b"1")

    assert store.usage.memory_of(1) == store.usage.memory.of(1) + 10_000_000
    assert store.usage.all_memory()[2] == store.usage.memory_of(2) == 7


@pytest.mark.parametrize(
    ("end", "more"),
    [
        ("commit", -2),
        ("abort", 0),
        ("0 write /local/domain/1/a 67890; commit -> EAGAIN", 0),
    ],
    ids=["commit", "abort", "conflict"],
)
def test_a_transaction_counts_as_long_as_it_is_open(
    guest: Client, end: str, more: int
) -> None:
    """What it relied on, and what it had to copy or make."""
    guest.write(b"a", b"12345")
    before = guest.store.usage.memory.of(1)
    looked_at = b"localdomain1a"  # and the root, of which the name is empty
    read = 5 * SPOT_BYTES + len(looked_at)
    copied = 6 * NODE_BYTES + 3  # top, root, local, domain, 1, a
    beside = SPOT_BYTES + 1 + 2 * FORK_BYTES  # two names in one directory
    script = f"""
        memory 1 -> {before}
        read a; memory 1 -> {before + read}
        write a 123; memory 1 -> {before + read + copied}
        write b 1234; memory 1 -> {before + read + copied + beside + NODE_BYTES + 4}
        rm b; memory 1 -> {before + read + copied + beside}
        {end}; memory 1 -> {before + more}
    """
    play(guest.start(), script)


def test_a_transaction_has_exactly_the_quota_of_memory(store: Store) -> None:
    """What goes over it fails the whole transaction."""
    game = Play(store)
    game.run("1 write a 1; 1 start t0; t0 write a 12345; t0 write b/c 1")
    need = game.clients["t0"].opened.charged
    game.run(f"""
        t0 abort
        room 1 {need - 1}; 1 start t1; t1 write a 12345; t1 write b/c 1 -> ENOMEM
        quota 1 memory 0; t1 commit -> ENOMEM; 1 read a -> 1
        room 1 {need}; 1 start t2; t2 write a 12345; t2 write b/c 1
        quota 1 memory 0; t2 commit; 1 read b/c -> 1
    """)


@pytest.mark.parametrize("others", ["", "write /elsewhere"], ids=["alone", "others"])
def test_a_commit_is_refused_that_takes_its_owner_over_the_quota(
    store: Store, others: str
) -> None:
    """Whether it takes the store's place as it is or is made again."""
    full = EMPTY + len(b"a\0") + EMPTY
    Play(store).run(f"""
        1 mkdir b; 1 rm b; 1 start t1; t1 write a 1; {others}; quota 1 memory {full}
        t1 commit -> ENOMEM dom1 is at its quota of {full} memory
        quota 1 memory 0; 1 start t2; t2 write a 1; quota 1 memory {full + 1}; t2 commit
        1 read a -> 1
    """)


def test_two_thousand_watches_need_more_memory_than_a_guest_has(store: Store) -> None:
    """What an operator is told who raises the one quota: raise the other, too."""
    guest = guest_of(store, 12)
    store.set_quota(12, WATCHES, 4000)

    def watched() -> tuple[int, str]:
        while True:
            number = store.usage.watches.of(12)
            path = b"/local/domain/12/device/vif/%d/state" % number
            try:
                guest.watch(path, b"0xffff%012x" % number)
            except QuotaExceeded as error:
                return number, error.quota

    count, quota = watched()
    assert (count // 100, quota) == (18, MEMORY)
    assert round(store.usage.memory.of(12) / count, -2) == 1500
    store.set_quota(12, MEMORY, 8_000_000)
    assert watched() == (4000, WATCHES)
