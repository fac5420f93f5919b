"""What a domain leaves behind: nodes, and rights on others' nodes."""

import pytest

from tests.store.support import Client, at, guest_of
from xsd.protocol.path import Path
from xsd.store import Store
from xsd.store.check import verify
from xsd.store.estate import Estate, path_of, settle, survey


def topmost_owned(store: Store, domid: int) -> list[Path]:
    estate = survey(store.live.tree.top, [domid])
    return [path_of(place) for place in estate.owned[domid]]


def drop_rights(store: Store, *domids: int) -> Estate:
    """Leave all nodes where they are."""
    return settle(store.live, list(domids), 0, keep_orphans=True)


@pytest.fixture
def left(store: Store, dom0: Client) -> Store:
    """A store in which domain 5 owns and may do this and that."""
    guest_of(store, 5)
    guest_of(store, 6)
    for path, entries in (
        (b"/b/own", (b"r5", b"w6")),
        (b"/b/own/below", (b"n5",)),
        (b"/a/other/own", (b"n5",)),
        (b"/a/named", (b"n0", b"r5", b"r6", b"w5")),
        (b"/a/unnamed", (b"n0", b"r6")),
    ):
        dom0.write(path)
        dom0.set_perms(path, *entries)
    dom0.set_perms(b"@introduceDomain", b"r5")
    return store


def test_the_topmost_nodes_of_a_domain_are_found(left: Store) -> None:
    """In the order of DIRECTORY; not the special ones, which cannot be removed."""
    assert topmost_owned(left, 5) == [at(b"/b/own"), at(b"/a/other/own")]
    assert topmost_owned(left, 6) == []


def test_the_root_is_not_among_them(left: Store, dom0: Client) -> None:
    """What is below it is looked at nevertheless."""
    dom0.set_perms(b"/", b"n5")

    assert topmost_owned(left, 5) == [at(b"/b/own"), at(b"/a/other/own")]


def test_all_it_still_owns_passes_to_the_heir(left: Store, dom0: Client) -> None:
    """With the letter of its entry, and with the count."""
    owned = left.usage.nodes.of(5)
    others = left.usage.nodes.of(0)
    drop_rights(left, 5)

    assert dom0.get_perms(b"/b/own") == b"r0\0w6\0"
    assert dom0.get_perms(b"/b/own/below") == b"n0\0"
    assert dom0.get_perms(b"@introduceDomain") == b"r0\0"
    assert (owned, left.usage.nodes.of(5)) == (4, 0)
    assert left.usage.nodes.of(0) == others + 4
    assert verify(left) == []


def test_entries_that_name_it_are_dropped(left: Store, dom0: Client) -> None:
    """All of them; a node that does not name it is not changed at all."""
    unnamed = dom0.directory_part(b"/a/unnamed", 0)
    drop_rights(left, 5)

    assert dom0.get_perms(b"/a/named") == b"n0\0r6\0"
    assert dom0.directory_part(b"/a/unnamed", 0) == unnamed
    assert left.live.take_changes() == []


def test_each_node_with_inherited_rights_is_seen(left: Store, dom0: Client) -> None:
    """Neighbours may share their permissions, and others may stand between them."""
    for name in (b"1", b"2", b"3"):
        dom0.write(b"/a/named/" + name)
        dom0.write(b"/a/unnamed/" + name)
    dom0.write(b"/a/named/1/below")
    dom0.set_perms(b"/a/named/2", b"n0", b"r6")
    drop_rights(left, 5)

    for path in (b"/a/named/1", b"/a/named/1/below", b"/a/named/3", b"/a/named"):
        assert dom0.get_perms(path) == b"n0\0r6\0"
    for path in (b"/a/named/2", b"/a/unnamed/2"):
        assert dom0.get_perms(path) == b"n0\0r6\0"
    assert verify(left) == []


def test_reserved_numbers_are_nobodys_rights(left: Store, dom0: Client) -> None:
    """An entry for all domains is not about one of them."""
    dom0.set_perms(b"/a/named", b"n0", b"r32757")
    drop_rights(left, 32757)

    assert dom0.get_perms(b"/a/named") == b"n0\0r32757\0"
