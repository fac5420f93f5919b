"""The store as a whole: what a new one holds, watches, domains."""

import pytest

from tests.store.support import Client, dom0_of, guest_of, shape, told, watched
from xsd.protocol.errors import Errno, XenStoreError
from xsd.store import Store
from xsd.store.check import verify
from xsd.store.quota import NODES
from xsd.store.store import INTRODUCE_DOMAIN, RELEASE_DOMAIN


def missing(client: Client, path: bytes) -> bool:
    try:
        client.read(path)
    except XenStoreError as error:
        return error.errno is Errno.ENOENT
    return False


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


def test_the_generation_grows_with_each_change(store: Store, dom0: Client) -> None:
    """Not when something is read."""
    generations = [store.generation]
    dom0.write(b"/a")
    generations.append(store.generation)
    dom0.write(b"/a")
    generations.append(store.generation)
    dom0.rm(b"/a")
    generations.append(store.generation)
    dom0.directory(b"/")

    assert generations == sorted(set(generations))
    assert store.generation == generations[-1]


# Transactions and watches.


def test_open_transactions_are_counted_until_they_end(
    store: Store, dom0: Client, guest: Client
) -> None:
    """By the domain that opened them."""
    one, other, third = dom0.start(), dom0.start(), guest.start()

    assert store.usage.transactions.used == {0: 2, 1: 1}
    one.commit()
    other.abort()
    third.commit()
    assert store.usage.transactions.used == {}


def test_an_unwatched_watch_is_told_nothing(store: Store, dom0: Client) -> None:
    """Those that are left are told as before."""
    watches = [dom0.watch(b"/a", token) for token in (b"1", b"2", b"3")]
    store.unwatch(watches[1])

    assert dom0.write(b"/a") == [(b"/a", b"1"), (b"/a", b"3")]
    assert store.usage.watches.of(0) == 2


# Domains.


def test_a_domain_is_announced_when_it_is_introduced_first(
    store: Store, dom0: Client
) -> None:
    """Another time gives it another port, which is nobody's business."""
    watched(dom0, INTRODUCE_DOMAIN, RELEASE_DOMAIN, b"/")
    dom0.watch(INTRODUCE_DOMAIN, b"deep", 1)

    assert told(store.introduce(5, 7)) == [
        (INTRODUCE_DOMAIN, INTRODUCE_DOMAIN),
        (b"@introduceDomain/5", b"deep"),
    ]
    assert store.introduced(5).port == 7
    assert store.introduce(5, 8) == []
    assert store.introduced(5).port == 8


def test_only_those_who_may_read_the_special_node_are_told(
    store: Store, dom0: Client, guest: Client
) -> None:
    """At first every domain of a release and dom0 alone of an introduction."""
    for client in (guest, dom0):
        client.watch(INTRODUCE_DOMAIN, b"introduce by %d" % client.caller.domid)
        client.watch(RELEASE_DOMAIN, b"release by %d" % client.caller.domid)

    assert told(store.introduce(5, 1)) == [(INTRODUCE_DOMAIN, b"introduce by 0")]
    assert told(store.release(5)) == [
        (RELEASE_DOMAIN, b"release by 1"),
        (RELEASE_DOMAIN, b"release by 0"),
    ]
    dom0.set_perms(INTRODUCE_DOMAIN, b"n0", b"r1")
    dom0.set_perms(RELEASE_DOMAIN, b"n0")
    assert told(store.introduce(5, 1)) == [
        (INTRODUCE_DOMAIN, b"introduce by 1"),
        (INTRODUCE_DOMAIN, b"introduce by 0"),
    ]
    assert told(store.release(5)) == [(RELEASE_DOMAIN, b"release by 0")]


def test_a_domain_that_is_not_introduced_is_enoent(store: Store) -> None:
    """Whether unknown or only known from permissions."""
    store.know(5)
    store.introduce(6, 1)

    for request in (
        lambda: store.introduced(5),
        lambda: store.introduced(7),
        lambda: store.release(5),
        lambda: store.set_target(5, 6),
        lambda: store.set_target(6, 5),
    ):
        with pytest.raises(XenStoreError, match=r"ENOENT: dom[57] is not introduced"):
            request()


def test_a_domain_may_be_known_before_it_is_introduced(store: Store) -> None:
    """As somebody that permissions can name; introduced, it is the same object."""
    domain = store.know(5)

    assert store.known(5) is domain
    with pytest.raises(XenStoreError, match="ENOENT: dom6 does not exist"):
        store.known(6)
    store.introduce(5, 1)
    assert store.introduced(5) is domain


def test_a_released_domain_takes_its_nodes_along(store: Store, dom0: Client) -> None:
    """With all below them, told as a removal of each; then its end is told."""
    guest_of(store, 5)
    guest_of(store, 6)
    for path, owner in (
        (b"/a/own", b"n5"),
        (b"/a/own/child", b"n6"),
        (b"/a/other", b"n6"),
        (b"/b/z/own", b"n5"),
        (b"/b/z/own/twice", b"n5"),
    ):
        dom0.write(path)
        dom0.set_perms(path, owner)
    watched(dom0, RELEASE_DOMAIN, b"/", b"/a/own/child", b"/a/other")

    assert told(store.release(5)) == [
        (b"/a/own/child", b"/a/own/child"),
        (b"/a/own", b"/"),
        (b"/b/z/own", b"/"),
        (RELEASE_DOMAIN, RELEASE_DOMAIN),
    ]
    assert missing(dom0, b"/a/own")
    assert dom0.directory(b"/a") == [b"other"]
    assert dom0.directory(b"/b/z") == []
    assert (store.usage.nodes.of(5), store.usage.nodes.of(6)) == (0, 1)


def test_a_released_domain_is_taken_out_of_all_permissions(
    store: Store, dom0: Client
) -> None:
    """Nobody is told; the next domain of that id has none of its rights."""
    guest_of(store, 5)
    dom0.write(b"/a/b")
    dom0.set_perms(b"/a", b"n0", b"r5", b"r6", b"b5")
    dom0.set_perms(b"/a/b", b"n0", b"r6")
    dom0.set_perms(INTRODUCE_DOMAIN, b"n0", b"r5")
    watched(dom0, b"/")
    generation = dom0.directory_part(b"/a/b", 0)

    assert store.release(5) == []
    assert dom0.get_perms(b"/a") == b"n0\0r6\0"
    assert dom0.get_perms(b"/a/b") == b"n0\0r6\0"
    assert dom0.get_perms(INTRODUCE_DOMAIN) == b"n0\0"
    assert dom0.directory_part(b"/a/b", 0) == generation
    with pytest.raises(XenStoreError, match="EACCES"):
        guest_of(store, 5).read(b"/a")


def test_nodes_that_cannot_be_removed_pass_to_the_privileged_domain(
    store: Store, dom0: Client
) -> None:
    """The root and the special ones: without these nobody would be told again."""
    guest_of(store, 5)
    dom0.write(b"/a/own")
    for path in (b"/", b"/a/own", INTRODUCE_DOMAIN, RELEASE_DOMAIN):
        dom0.set_perms(path, b"r5", b"w5", b"b32757")
    watched(dom0, RELEASE_DOMAIN)

    assert told(store.release(5)) == [(RELEASE_DOMAIN, RELEASE_DOMAIN)]
    for path in (b"/", INTRODUCE_DOMAIN, RELEASE_DOMAIN):
        assert dom0.get_perms(path) == b"r0\0b32757\0"
    assert dom0.directory(b"/") == [b"tool", b"a"]
    assert dom0.directory(b"/a") == []
    assert store.usage.nodes.of(5) == 0


def test_nodes_of_a_released_domain_may_be_kept(store: Store, dom0: Client) -> None:
    """They pass to the privileged domain, and nobody is told of that."""
    guest_of(store, 5)
    dom0.write(b"/own", b"1")
    dom0.set_perms(b"/own", b"n5", b"r5")
    watched(dom0, b"/", RELEASE_DOMAIN)

    assert told(store.release(5, keep_orphans=True)) == [
        (RELEASE_DOMAIN, RELEASE_DOMAIN)
    ]
    assert dom0.read(b"/own") == b"1"
    assert dom0.get_perms(b"/own") == b"n0\0"
    assert store.usage.nodes.of(5) == 0


def test_a_shut_down_is_told_to_watches_with_a_depth(
    store: Store, dom0: Client
) -> None:
    """The plain ones are told once for all domains that have changed."""
    watched(dom0, RELEASE_DOMAIN, b"@releaseDomain/5")
    dom0.watch(RELEASE_DOMAIN, b"deep", 1)
    domain = store.introduced(guest_of(store, 5).caller.domid)

    assert told(store.shut_down(5)) == [
        (b"@releaseDomain/5", b"@releaseDomain/5"),
        (b"@releaseDomain/5", b"deep"),
    ]
    states = [domain.shut_down]
    store.resume(5)
    states.append(domain.shut_down)
    assert states == [True, False]
    assert told(store.tell_domain(RELEASE_DOMAIN, 5, deep=False)) == [
        (RELEASE_DOMAIN, RELEASE_DOMAIN)
    ]
    for request in (store.shut_down, store.resume):
        with pytest.raises(XenStoreError, match="ENOENT"):
            request(6)


def test_a_reserved_number_is_in_no_list_that_a_release_changes(dom0: Client) -> None:
    """An entry for all domains is not about the one that is released."""
    store = dom0.store
    store.introduce(32757, 1)
    dom0.set_perms(b"/tool", b"n0", b"r32757")
    store.release(32757)

    assert dom0.get_perms(b"/tool") == b"n0\0r32757\0"


def test_a_released_domain_leaves_no_quota_and_no_target(
    store: Store, dom0: Client
) -> None:
    """What names its id is about another domain from now on."""
    guest_of(store, 5)
    stub = guest_of(store, 6)
    store.set_target(6, 5)
    store.quotas.set(5, NODES, 7)
    dom0.mkdir(b"/a")
    dom0.set_perms(b"/a", b"n5")
    stub.read(b"/a")
    store.release(5)

    assert stub.caller.target == -1
    assert store.quotas.limit(5, NODES) == 1000
    with pytest.raises(XenStoreError, match="ENOENT"):
        store.introduced(5)


def test_a_target_gives_its_rights_until_another_one_is_set(
    store: Store, dom0: Client
) -> None:
    """Beside the domain's own."""
    for domid in (5, 6):
        guest_of(store, domid)
        dom0.write(b"/%d" % domid)
        dom0.set_perms(b"/%d" % domid, b"n%d" % domid)
    stub = guest_of(store, 7)
    dom0.write(b"/7")
    dom0.set_perms(b"/7", b"n7")
    readable: list[list[bytes]] = []
    for target in (5, 6):
        store.set_target(7, target)
        readable.append([path for path in (b"/5", b"/6", b"/7") if may(stub, path)])

    assert readable == [[b"/5", b"/7"], [b"/6", b"/7"]]


def may(client: Client, path: bytes) -> bool:
    try:
        client.read(path)
    except XenStoreError:
        return False
    return True


def test_transactions_see_a_domains_end_as_any_other_change(
    store: Store, dom0: Client
) -> None:
    """Those that relied on what went with it conflict; others do not."""
    guest_of(store, 5)
    dom0.write(b"/own")
    dom0.set_perms(b"/own", b"n5")
    dom0.write(b"/shared")
    dom0.set_perms(b"/shared", b"n0", b"r5")
    removed, permitted, untouched = dom0.start(), dom0.start(), dom0.start()
    removed.read(b"/own")
    permitted.get_perms(b"/shared")
    untouched.read(b"/shared")
    untouched.write(b"/new")
    store.release(5)

    for transaction in (removed, permitted):
        with pytest.raises(XenStoreError, match="EAGAIN"):
            transaction.commit()
    untouched.commit()


def test_stores_are_independent_of_each_other() -> None:
    """Nothing is kept in the modules."""
    one, other = Store(), Store()
    dom0_of(one).write(b"/a")
    one.introduce(5, 1)

    assert missing(dom0_of(other), b"/a")
    assert other.domains.get(5) is None
