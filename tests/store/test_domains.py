"""Known domains, and the permissions that name them."""

from typing import Final, final

import pytest

from tests.store.script import Play
from tests.store.support import perms
from xsd.protocol.errors import XenStoreError
from xsd.protocol.ops import FEATURE_DOMID_ANY, FEATURES
from xsd.protocol.perms import Caller
from xsd.store import Store
from xsd.store.census import Census
from xsd.store.domains import Domains

DOM0 = Caller(0, privileged=True)


@final
class OneDomain(Census):
    """Only domain 7 exists, as number 77."""

    def unique_id(self, domid: int) -> int | None:
        return 77 if domid == 7 else None


@pytest.fixture
def domains() -> Domains:
    """Dom0 and domain 5, which became known at generation 10."""
    domains = Domains()
    domains.know(0, 1, privileged=True)
    domains.know(5, 10)
    return domains


def test_a_domain_becomes_known_once(domains: Domains) -> None:
    """Later mentions find the same object, until its id is another domain's."""
    domain = domains.know(5, 20)

    assert domain is domains.get(5)
    assert domain.born == 10
    assert (domain.introduced, domain.port, domain.features) == (False, 0, FEATURES)
    assert (domain.caller.domid, domain.caller.privileged) == (5, False)
    assert domains.know(0, 20).caller.privileged
    assert domains.get(6) is None
    domains.forget(5)
    new = domains.know(5, 30)
    assert new is not domain
    assert new.born == 30


def test_all_are_listed_as_they_became_known(domains: Domains) -> None:
    """Not by number."""
    domains.know(3, 11)

    assert [domain.domid for domain in domains.all()] == [0, 5, 3]


def test_a_domain_that_exists_becomes_known_when_it_is_mentioned() -> None:
    """The toolstack gives it permissions before it introduces it."""
    domains = Domains(OneDomain())
    assert domains.get(7) is None
    found = domains.find(7, 10)

    assert found is not None
    assert (found.domid, found.unique_id, found.born) == (7, 77, 10)
    assert not found.introduced
    assert domains.find(7, 20) is found
    assert domains.find(8, 20) is None
    assert domains.get(8) is None


def test_permissions_may_name_a_domain_that_exists() -> None:
    """As the owner and in an entry; nobody else that is not known."""
    domains = Domains(OneDomain())
    given = perms(b"n7", b"r7")

    assert domains.mark_stale(given, DOM0, 10) is given
    assert not domains.outdates(given, 11)
    with pytest.raises(XenStoreError, match="ENOENT: owner dom8"):
        domains.mark_stale(perms(b"n8"), DOM0, 10)


# Permissions about to be set.


@pytest.mark.parametrize("owner", [b"n7", b"n32752", b"n4294967295"])
def test_the_owner_must_exist(domains: Domains, owner: bytes) -> None:
    """ENOENT, as for the reserved numbers but that of any domain."""
    with pytest.raises(XenStoreError, match="ENOENT: owner dom"):
        domains.mark_stale(perms(owner), DOM0, 1)


def test_only_who_may_name_all_domains_can_make_them_the_owner(
    domains: Domains,
) -> None:
    """To a guest without the feature, 32757 is a domain that does not exist."""
    domains.know(6, 10).features = FEATURES & ~FEATURE_DOMID_ANY
    anyone = perms(b"n32757")
    assert domains.mark_stale(anyone, Caller(5, privileged=False), 1) is anyone

    with pytest.raises(XenStoreError, match="ENOENT: owner dom32757"):
        domains.mark_stale(anyone, Caller(6, privileged=False), 1)


MARKED: Final = {
    "known domains": (b"n5 r0 b5", 0, []),
    "any domain as the owner": (b"n32757", 0, []),
    "an unknown domain": (b"n0 r7 r5", 0, [1]),
    "all domains, by dom0": (b"n0 r32757", 0, []),
    "all domains, by who knows it": (b"n0 r32757", 5, []),
    "all domains, by who has not the feature": (b"n0 r32757", 6, [1]),
    "all domains, by who is not known": (b"n0 r32757", 7, [1]),
}
"""Permissions, who gives them, and which of the entries grant nothing."""


@pytest.mark.parametrize(("given", "domid", "stale"), MARKED.values(), ids=MARKED)
def test_an_entry_that_grants_nothing_is_marked_and_stays_visible(
    domains: Domains, given: bytes, domid: int, stale: list[int]
) -> None:
    """If there is none, the very object is taken, which nodes share."""
    domains.know(6, 10).features = FEATURES & ~FEATURE_DOMID_ANY
    asked = perms(*given.split())
    marked = domains.mark_stale(asked, Caller(domid, privileged=domid == 0), 1)

    assert marked.text == asked.text
    assert [n for n, entry in enumerate(marked.entries) if entry.stale] == stale
    assert (marked is asked) == (not stale)


def test_an_entry_for_an_unknown_domain_grants_nothing_ever(domains: Domains) -> None:
    """Not even to the one that gets that id later."""
    marked = domains.mark_stale(perms(b"n0", b"r7", b"r5"), DOM0, 1)
    domains.know(7, 20)

    assert marked.access(Caller(7, privileged=False)) == 0
    assert marked.access(Caller(5, privileged=False)) == 1


# Permissions set a while ago.


def test_a_domain_that_turns_out_to_be_none_leaves_nodes_as_they_are(
    store: Store,
) -> None:
    """INTRODUCE makes it known before its page can be mapped, and is refused then."""
    game = Play(store)
    game.run("mkdir /a; set /a n0 r9")
    generation = store.generation
    store.know(9)
    store.unknow(9)

    assert store.domains.get(9) is None
    game.run("get /a -> n0 r9")
    assert store.generation == generation


def test_permissions_are_outdated_when_a_domain_they_name_is_gone(
    domains: Domains,
) -> None:
    """As owner or in another entry, also if another domain has its id now.

    That one came afterwards even if it became known at the same generation.
    """
    for given in (perms(b"n5"), perms(b"n0", b"r5")):
        seen = [domains.outdates(given, generation) for generation in (9, 10, 11)]
        assert seen == [True, True, False]
    domains.forget(5)

    assert domains.outdates(perms(b"n0", b"r5"), 20)


def test_entries_that_name_no_domain_are_never_outdated(domains: Domains) -> None:
    """Those for all, and those that were stale from the start."""
    stale = domains.mark_stale(perms(b"n0", b"r7"), DOM0, 1)
    domains.know(7, 20)

    assert not domains.outdates(stale, 15)
    assert not domains.outdates(perms(b"n0", b"r32757", b"r32752"), 15)
