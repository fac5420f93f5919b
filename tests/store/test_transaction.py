"""Transactions: what they see, what they conflict with, what they may use.

The table of all operations against all changes is in test_conflicts.py.
"""

import contextlib
from typing import Final

import pytest

from tests.store.script import Play, play
from tests.store.support import Client
from xsd.protocol.errors import XenStoreError
from xsd.store import Store
from xsd.store.quota import DEFAULTS, MEMORY, TRANSACTION_NODES
from xsd.store.usage import NODE_BYTES

RULES: Final[dict[str, str]] = {
    "two that create the same missing parent conflict": """
        mkdir /d; start t1; start t2; t1 write /d/x/1; t2 write /d/x/2; t2 commit
        t1 commit -> EAGAIN changed meanwhile: /d/x; dir /d/x -> 2""",
    "a transaction that does nothing commits": """
        start t1; write /a; rm /tool; t1 commit -> -""",
    # What it sees.
    "nobody sees anything of it, nor is told, before it commits": """
        watch /a; start t1; start t2; t1 write /a 1 -> -; t1 read /a -> 1
        read /a -> ENOENT; t2 read /a -> ENOENT; t1 commit -> /a:/a; read /a -> 1""",
    "it sees no change after its first own one": """
        write /a 1; start t1; t1 write /mine; write /a 2; write /new
        t1 dir / -> tool a mine; t1 read /a -> 1; t1 commit -> EAGAIN""",
    "one that began before a commit goes on with its own state": """
        write /a 1; start t1; start t2; t2 read /a; t1 write /a 2; t1 commit; write /a/b
        t2 read /a -> 1; read /a -> 2""",
    "it never sees half of another one's commit": """
        write /x old; write /y old; write /other old
        start r1; start r2; start r3; start r4; start w
        r1 read /x; r2 read /y; r3 read /other; r4 read /missing -> ENOENT
        w write /x new; w write /y new; w commit
        r1 read /x -> old; r1 read /y -> old; r2 read /x -> old; r2 read /y -> old
        r3 read /x -> new; r3 read /y -> new; r4 read /x -> new; r4 read /y -> new""",
    # What it depends on.
    "whose the change is does not matter": """
        1 write a 1; 1 start t1; 1 start t2; t1 read a; write /local/domain/1/a 2
        t1 commit -> EAGAIN; t2 read a; 1 write a 3; t2 commit -> EAGAIN""",
    "a guest depends on the permissions that let it in, or kept it out": """
        1 mkdir here; write /a; set /a r0; 1 start t1; t1 read /a; set /a r0 r2
        t1 commit -> EAGAIN
        set /a n0; 1 start t2; t2 read /a -> EACCES; set /a r0 r2
        t2 commit -> EAGAIN""",
    "what it created itself does not break it": """
        mkdir /d; start t1; t1 write /d/x/1 v; t1 read /d/x/1; t1 dir /d/x; t1 rm /d/x/1
        write /d/y; t1 commit; dir /d -> y x; dir /d/x -> -""",
    "a missing node that came and went is no conflict": """
        start t1; t1 read /no -> ENOENT; write /no; rm /no; t1 commit -> -""",
    "a refusal depends on the permissions only": """
        write /a/b; 1 start t1; t1 read /a -> EACCES; t1 dir /a -> EACCES
        t1 rm /a -> EACCES; write /a 1; write /a/c; t1 commit""",
    "a change of the root is found too": """
        start t1; t1 read /; write / 1; t1 commit -> EAGAIN changed meanwhile: /""",
    # What it may use.
    "one that was refused for a quota is ENOMEM, and takes no more changes": """
        1 mkdir a; quota 1 nodes 3; 1 start t1; t1 write b
        t1 write c -> ENOSPC
        t1 write a -> ENOMEM; t1 mkdir a -> ENOMEM; t1 rm a -> ENOMEM
        t1 set a n1 -> ENOMEM; t1 read b -> -; t1 dir /local/domain/1 -> a b
        t1 commit -> ENOMEM an operation in it went over a quota
        1 dir /local/domain/1 -> a""",
    "a guest's touches no more nodes than its quota; one of them again is free": """
        1 write a; 1 write b; 1 write c; quota 1 transaction-nodes 2
        1 start t1; 1 start t2
        t1 read a; t1 read b; t1 write b 1; t2 read a; t2 read b; t2 write b 1
        t2 read c -> ENOSPC quota of 2 transaction-nodes
        t1 commit
        t2 commit -> ENOMEM""",
    "a lowered quota leaves it what it has touched": """
        1 write a; 1 write b; 1 write c; 1 start t1; t1 read a; t1 read b
        quota 1 transaction-nodes 1
        t1 read a -> -; t1 write b 1
        t1 read c -> ENOSPC quota of 1 transaction-nodes""",
    "dom0's touches what it likes": """
        quota -1 transaction-nodes 1; start t1; t1 write /a; t1 write /b; t1 commit
        dir / -> tool a b""",
    "its nodes count together with those outside it": """
        1 mkdir here; 1 rm here; quota 1 nodes 3; 1 start t1; 1 start t2; t1 write a/b
        t2 write c/d; t2 commit; t1 commit -> ENOSPC dom1 is at its quota of 3 nodes""",
}


@pytest.mark.parametrize("rule", RULES)
def test_transactions(store: Store, rule: str) -> None:
    """Requests and answers."""
    Play(store).run(RULES[rule])


@pytest.mark.parametrize("end", ["abort", "commit -> EAGAIN"])
def test_one_that_ends_otherwise_leaves_nothing(store: Store, end: str) -> None:
    """No node, no count, no open transaction."""
    Play(store).run(f"""
        write /a 1; start t1; t1 write /b/c; t1 rm /tool; t1 read /a; write /a 2
        t1 {end}
        dir / -> tool a; nodes 0 -> 6; opened 0 -> 0
    """)

    assert store.transactions.all() == []


def test_what_a_commit_made_and_removed_is_no_change_for_others(dom0: Client) -> None:
    """The list is as it was, and so is the generation it was read with."""
    dom0.write(b"/d/x")
    t1, t2 = dom0.start(), dom0.start()
    part = t1.directory_part(b"/d", 0)
    play(t2, "write /d/y; rm /d/y; commit")

    assert dom0.directory_part(b"/d", 0) == part
    t1.commit()


# What is kept for it.


def kept_for(client: Client) -> tuple[int, int, int]:
    """Bytes and paths that are kept, and what the caller is charged."""
    footprint = client.opened.footprint
    rows = footprint.listed()
    size = len(rows) + sum(len(name) for _depth, name, *_rest in rows)
    return size, footprint.count, client.store.usage.memory.of(client.caller.domid)


@pytest.mark.parametrize("inside", ["", "/x"], ids=["new", "below a new one"])
def test_making_and_removing_in_turn_takes_no_more_room(
    guest: Client, inside: str
) -> None:
    """However deep, and however often; nor is there more to commit."""
    t1 = guest.start()
    found = set()
    for _ in range(5):
        play(t1, f"write n{inside}/{'/'.join(['x'] * 990)} value; rm n")
        found.add((*kept_for(t1), t1.opened.footprint.changed))

    assert len(found) == 1
    t1.commit()


@pytest.mark.parametrize("quota", [TRANSACTION_NODES, MEMORY])
@pytest.mark.parametrize("what", ["read", "dir", "get", "write", "mkdir", "rm", "set"])
def test_one_that_has_failed_does_not_grow(
    store: Store, guest: Client, quota: str, what: str
) -> None:
    """By what is read, by what is missing, by what is refused."""
    guest.write(b"a/b", b"1")
    t1 = guest.start()
    t1.read(b"a")
    room = 1 if quota == TRANSACTION_NODES else store.usage.memory.of(1)
    store.quotas.set(1, quota, room)
    with pytest.raises(XenStoreError):
        t1.read(b"a/" + b"x" * 1900)
    before = kept_for(t1)
    more = {"write": "value", "set": "n1"}.get(what, "")
    for path in ("a/b", "missing", "deep/er/and/deeper", "/tool", "/local"):
        with contextlib.suppress(XenStoreError):
            play(t1, f"{what} {path} {more}")

    assert kept_for(t1) == before
    assert before[2] <= max(room, DEFAULTS[MEMORY])


@pytest.mark.parametrize(
    "script", ["read {name}", "write {name} x*100", "read there{n}", "rm there{n}"]
)
def test_what_it_would_keep_is_refused_before_it_is_kept(
    store: Store, guest: Client, script: str
) -> None:
    """Reading and changing alike: the quota of memory holds at all times."""
    limit = store.usage.memory.of(1) + 60_000
    store.quotas.set(1, MEMORY, limit)
    for number in range(50):
        guest.write(b"there%d" % number)
    t1 = guest.start()
    for number in range(200):
        with contextlib.suppress(XenStoreError):
            play(t1, script.format(n=number, name=f"{number}" * 100))
        assert store.usage.memory.of(1) <= limit
    assert t1.opened.failed


def test_a_removal_needs_room_for_the_nodes_above(store: Store) -> None:
    """They are copied; there is none, and the transaction fails."""
    game = Play(store)
    game.run(f"""
        1 write a/b x; 1 start t1; t1 read a/b; room 1 {3 * NODE_BYTES}
        t1 rm a/b -> ENOMEM
        t1 read a/b -> x; 1 read a/b -> x
    """)

    assert game.clients["t1"].opened.failed


def test_an_access_of_one_that_others_have_broken_looks_at_what_differs_only(
    store: Store, dom0: Client
) -> None:
    """However much it relied on: where it broke is looked for once, at its end."""
    names = [b"/many/%d" % number for number in range(500)]
    for name in names:
        dom0.write(name)
    t1 = dom0.start()
    for name in names:
        t1.read(name)
    dom0.write(names[0], b"other")
    before = store.usage.work
    for _ in range(10):
        t1.read(names[1])

    assert store.usage.work - before < len(names) // 4
    with pytest.raises(XenStoreError):
        t1.commit()
