"""The store as a whole: what a new one holds, watches, domains."""

from typing import Final

import pytest

from tests.store.script import Play, calls_of
from tests.store.support import Client, shape
from xsd.protocol.errors import XenStoreError
from xsd.store import Store
from xsd.store.changes import Cause
from xsd.store.check import verify
from xsd.store.quota import NODES

# A new store.


def test_a_new_store_holds_what_c_xenstored_sets_up(store: Store, dom0: Client) -> None:
    """Five nodes of the privileged domain; only it may read, and all one of them."""
    assert shape(store) == [
        (b"/", b"", b"n0\0"),
        (b"/tool", b"", b"n0\0"),
        (b"/tool/xenstored", b"", b"n0\0"),
    ]
    assert dom0.get_perms(b"@introduceDomain") == b"n0\0"
    assert dom0.get_perms(b"@releaseDomain") == b"n0\0r32757\0"
    assert store.usage.nodes.used == {0: 5}
    assert store.live.take_changes() == []


def test_another_domain_than_dom0_may_be_the_privileged_one() -> None:
    """A control domain of its own."""
    store = Store(privileged_domid=3)
    client = Client(store, store.privileged.caller)

    assert store.privileged.domid == 3
    assert client.get_perms(b"/") == b"n3\0"
    assert store.introduced(3) is store.privileged
    assert store.usage.nodes.used == {3: 5}
    with pytest.raises(XenStoreError, match="ENOENT"):
        store.introduced(0)
    assert verify(store) == []


def test_own_domain_is_a_guest_without_limits_if_it_is_not_privileged() -> None:
    """It is introduced from the start; the privileged one is not yet, then."""
    store = Store(3, own_domid=2)
    client = Client(store, store.own.caller)

    assert store.introduced(2) is store.own
    assert store.own.stays
    assert store.privileged.stays
    assert not store.own.caller.privileged
    assert not store.privileged.introduced
    assert client.get_perms(b"@releaseDomain") == b"n3\0r32757\0"
    with pytest.raises(XenStoreError, match="EACCES"):
        client.get_perms(b"/")
    assert [store.quotas.limit(each, "nodes") for each in (2, 3, 0)] == [0, 0, 1000]
    assert store.quotas.soft_limit(2, "memory") == 0
    alone = Store(3)
    assert alone.own is alone.privileged
    assert verify(store) == []


# Transactions, watches, domains.

RULES: Final[dict[str, str]] = {
    "a domain is announced when it is introduced first": """
        watch @introduceDomain; watch @releaseDomain; watch /
        watch @introduceDomain deep 1
        introduce 5 -> @introduceDomain:@introduceDomain @introduceDomain/5:deep
        introduce 5 -> -""",
    "only those who may read the special node are told": """
        1 mkdir here; 1 watch @introduceDomain in1; 1 watch @releaseDomain out1
        watch @introduceDomain in0; watch @releaseDomain out0
        introduce 5 -> @introduceDomain:in0
        release 5 -> @releaseDomain:out1 @releaseDomain:out0
        set @introduceDomain n0 r1; set @releaseDomain n0
        introduce 5 -> @introduceDomain:in1 @introduceDomain:in0
        release 5 -> @releaseDomain:out0""",
    "a domain that is not introduced is ENOENT": """
        introduce 6; target 5 6 -> ENOENT dom5 is not introduced
        target 6 5 -> ENOENT dom5 is not introduced
        shut 5 -> ENOENT dom5 is not introduced
        know 5; resume 5 -> ENOENT dom5 is not introduced""",
    "a released domain takes its nodes along, with all below; then its end is told": """
        introduce 5; introduce 6; write /a/own; set /a/own n5
        write /a/own/child; set /a/own/child n6; write /a/other; set /a/other n6
        write /b/z/own; set /b/z/own n5; write /b/z/own/twice
        watch @releaseDomain; watch /; watch /a/own/child; watch /a/other
        release 5 -> /a/own/child:/a/own/child /a/own:/ /b/z/own:/ \
@releaseDomain:@releaseDomain
        read /a/own -> ENOENT; dir /a -> other; dir /b/z -> -""",
    "it is taken out of all permissions; a later one has none of its rights": """
        introduce 5; write /a/b; set /a n0 r5 r6 b5; set /a/b n0 r6
        set @introduceDomain n0 r5; watch /; release 5 -> -
        get /a -> n0 r6; get /a/b -> n0 r6; get @introduceDomain -> n0
        introduce 5; 5 read /a -> EACCES""",
    "what cannot be removed passes to the privileged domain": """
        introduce 5; write /a/own; set /a/own r5 w5; set / r5 w5 b32757
        set @introduceDomain r5 w5 b32757; set @releaseDomain r5 w5 b32757
        watch @releaseDomain; release 5 -> @releaseDomain:@releaseDomain
        get / -> r0 b32757; get @introduceDomain -> r0 b32757
        get @releaseDomain -> r0 b32757; dir / -> tool a; dir /a -> -""",
    "its nodes may be kept, and pass to the privileged domain in silence": """
        introduce 5; write /own 1; set /own r5 r5 w6; write /own/1; set /own/1 n5
        watch /; watch @releaseDomain; nodes 5 -> 2
        keep 5 -> @releaseDomain:@releaseDomain
        read /own -> 1; get /own -> r0 w6; get /own/1 -> n0; nodes 5 -> 0
        nodes 0 -> 7""",
    "an entry for all domains is not about one of that number": """
        introduce 32757; set /tool n0 r32757; release 32757; get /tool -> n0 r32757""",
    "a target gives its rights until another one is set or ends": """
        introduce 5; introduce 6; introduce 7; write /5; set /5 n5; write /6; set /6 n6
        write /7; set /7 n7; target 7 5
        7 read /5 -> -; 7 read /6 -> EACCES; 7 read /7 -> -
        target 7 6; 7 read /5 -> EACCES; 7 read /6 -> -; 7 read /7 -> -
        introduce 6; write /again; set /again n6; release 6; introduce 6
        write /again; set /again n6; 7 read /again -> EACCES""",
    "transactions see a domain's end as any other change": """
        introduce 5; write /own; set /own n5; write /shared; set /shared n0 r5
        start t1; start t2; start t3
        t1 read /own; t2 get /shared; t3 read /shared; t3 write /new; release 5
        t1 commit -> EAGAIN
        t2 commit -> EAGAIN
        t3 commit""",
    "a shut down is told to watches with a depth": """
        introduce 5; watch @releaseDomain; watch @releaseDomain/5
        watch @releaseDomain/6; watch @releaseDomain 0 0; watch @introduceDomain in 1
        watch @releaseDomain deep 1
        shut 5 -> @releaseDomain/5:@releaseDomain/5 @releaseDomain/5:deep""",
}


@pytest.mark.parametrize("rule", RULES)
def test_watches_and_domains(store: Store, rule: str) -> None:
    """Requests, answers and events."""
    Play(store).run(RULES[rule])


def test_a_domain_may_be_known_before_it_is_introduced(store: Store) -> None:
    """As somebody that permissions can name; introduced, it is the same object."""
    domain = store.know(5)

    assert store.known(5) is domain
    with pytest.raises(XenStoreError, match="ENOENT: dom5 is not introduced"):
        store.introduced(5)
    with pytest.raises(XenStoreError, match="ENOENT: dom6 does not exist"):
        store.known(6)
    for port in (7, 8):
        store.introduce(5, port)
        assert (store.introduced(5) is domain, domain.port) == (True, port)
    store.shut_down(5)
    assert domain.shut_down
    store.resume(5)
    assert not domain.shut_down


def test_a_released_domain_leaves_no_quota_count_or_target(store: Store) -> None:
    """What names its id is about another domain from now on."""
    game = Play(store)
    game.run("""
        introduce 5; introduce 6; target 6 5; quota 5 nodes 7; mkdir /a; set /a n5
        release 5; nodes 5 -> 0; memory 5 -> 0
    """)

    assert store.introduced(6).caller.target == -1
    assert store.quotas.limit(5, NODES) == 1000


def test_stores_are_independent_of_each_other() -> None:
    """Nothing is kept in the modules."""
    one, other = Store(), Store()
    Play(one).run("write /a; introduce 5; quota -1 nodes 1; quota -1 soft-memory 1")

    Play(other).run("read /a -> ENOENT")
    assert other.domains.get(5) is None
    assert other.quotas.get(-1, NODES) == 1000
    assert other.quotas.get(-1, "soft-memory") == 2097152


# The end of several domains.


def test_domains_that_end_together_are_told_one_after_the_other(store: Store) -> None:
    """What one took along that another owned is told once."""
    Play(store).run("""
        introduce 5; introduce 6; write /a; set /a n5; write /a/b; set /a/b n6
        write /a/b/c; set /a/b/c n5; write /d; set /d n6 r5; write /e; set /e n0 r5 r6
        set / n6; watch /; watch /a/b; watch @releaseDomain; know 7
        release 6 5 7 -> /a/b:/ /a/b:/a/b /d:/ @releaseDomain:@releaseDomain \
/a:/ @releaseDomain:@releaseDomain
        dir / -> tool e; get /e -> n0; get / -> n0
    """)
    assert [domain.domid for domain in store.domains.all()] == [0]


@pytest.mark.pure_only
def test_the_end_of_a_domain_costs_the_same_at_any_depth() -> None:
    """Nodes that name it may stand below each other."""
    counts: list[int] = []
    for deep in (False, True):
        store = Store()
        game = Play(store)
        game.run("introduce 5; mkdir /top; set /top n0 r5")
        wide = [f"mkdir /top/{number}" for number in range(1000)]
        game.run("mkdir /top" + "/x" * 1000 if deep else ";".join(wide))
        counts.append(calls_of(store.end, [5]))
        assert verify(store) == []

    assert counts[1] < 1.5 * counts[0]


@pytest.mark.pure_only
def test_who_left_nothing_costs_nothing(store: Store) -> None:
    """Nobody looks for what a domain cannot own, nor be named in."""
    game = Play(store)
    game.run("introduce 5; introduce 6; set /tool n0 r6")
    before = calls_of(store.end, [5])
    for number in range(1000):
        game.run(f"introduce {5 + (number == 0)}; mkdir /{number}")

    assert calls_of(store.end, [5]) < before + 5


# What has changed, and why.


def test_changes_are_kept_for_who_listens(store: Store, dom0: Client) -> None:
    """Of each request with its cause; once, and only while somebody does."""
    dom0.write(b"/unheard")
    assert store.take_news() == []
    store.listening = True
    causes = [Cause(number, 0, 0, 11) for number in range(3)]
    store.cause = causes[0]
    dom0.write(b"/a/b", b"1")
    t1 = dom0.start()
    t1.rm(b"/a/b")
    store.cause = causes[1]
    dom0.write(b"/a", b"2")
    with pytest.raises(XenStoreError):
        dom0.rm(b"/no/such")
    store.cause = causes[2]
    t1.write(b"/c")
    t1.commit()
    news = store.take_news()

    assert [each.path[-1] for each in news] == [b"a", b"b", b"a", b"b", b"c"]
    assert [each.cause for each in news] == [causes[n] for n in (0, 0, 1, 2, 2)]
    assert store.take_news() == []
    assert repr(causes[2]) == "Cause(#2, dom0, 0, 11)"


@pytest.mark.pure_only
@pytest.mark.parametrize("others", [False, True])
def test_what_a_commit_changes_is_derived_only_for_those_who_want_to_know(
    dom0: Client, monkeypatch: pytest.MonkeyPatch, *, others: bool
) -> None:
    """While there is no watch and nobody listens, nothing is built of it."""
    dom0.write(b"/a", b"1")
    t1 = dom0.start()
    t1.write(b"/a", b"2")
    if others:
        dom0.write(b"/c")
    with monkeypatch.context() as patch:
        patch.setattr("xsd.store.commit.changes_between", None)
        t1.commit()

    assert dom0.read(b"/a") == b"2"


@pytest.mark.pure_only
@pytest.mark.parametrize("others", [False, True])
def test_a_defect_while_changes_are_derived_leaves_the_store_as_it_was(
    store: Store, dom0: Client, monkeypatch: pytest.MonkeyPatch, *, others: bool
) -> None:
    """The commit has not happened then."""
    dom0.write(b"/a", b"1")
    dom0.watch(b"/elsewhere")
    t1 = dom0.start()
    Play(store).run("write /b")
    t1.write(b"/a", b"2")
    if others:
        dom0.write(b"/c")
    before = shape(store), dict(store.usage.memory.used)
    with monkeypatch.context() as patch:
        patch.setattr("xsd.store.commit.changes_between", None)
        with pytest.raises(TypeError):
            t1.commit()

    assert shape(store) == before[0]
    assert store.usage.transactions.used == {}
    assert store.take_news() == []
