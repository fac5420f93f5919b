"""Watch events: which, in which order, and for whom (XSA-115)."""

from tests.store.support import Client, guest_of, told, watched
from xsd.protocol.request import UNLIMITED
from xsd.store import Store
from xsd.store.events import Event
from xsd.store.watches import Watch

# Which and in which order.


def test_write_mkdir_and_set_perms_tell_the_named_path(dom0: Client) -> None:
    """To the watches on it and above it, in the order of registration."""
    watched(dom0, b"/a/b", b"/", b"/a", b"/a/b/c", b"/x")
    expected = [(b"/a/b", b"/a/b"), (b"/a/b", b"/"), (b"/a/b", b"/a")]

    assert dom0.mkdir(b"/a/b") == expected
    assert dom0.write(b"/a/b", b"1") == expected
    assert dom0.write(b"/a/b", b"1") == expected
    assert dom0.set_perms(b"/a/b", b"r0") == expected


def test_nodes_made_on_the_way_are_not_told(dom0: Client) -> None:
    """The watches on them are told the path that was named."""
    watched(dom0, b"/a", b"/a/p", b"/a/p/q", b"/a/p/other")

    assert dom0.write(b"/a/p/q/r") == [
        (b"/a/p/q/r", b"/a"),
        (b"/a/p/q/r", b"/a/p"),
        (b"/a/p/q/r", b"/a/p/q"),
    ]


def test_requests_without_effect_tell_nobody(dom0: Client) -> None:
    """MKDIR of what is there, RM of what is not."""
    watched(dom0, b"/")

    assert dom0.mkdir(b"/tool") == []
    assert dom0.rm(b"/nothing") == []


def test_a_write_of_the_root_tells_the_root_only(dom0: Client) -> None:
    """Nothing below has changed."""
    watched(dom0, b"/", b"/tool")

    assert dom0.write(b"/", b"1") == [(b"/", b"/")]
    assert dom0.set_perms(b"/", b"r0") == [(b"/", b"/")]


def test_rm_tells_leaves_first_and_the_named_path_last(dom0: Client) -> None:
    """Each watch below its own path, if a node was there."""
    for path in (b"/a/b/c/e", b"/a/b/c/f", b"/a/b/d/g", b"/a/b/i", b"/a/z"):
        dom0.write(path)
    watched(dom0, b"/", b"/a/b", b"/a/b/c", b"/a/b/d/g", b"/a/b/c/f", b"/a/b/c/e")
    watched(dom0, b"/a/b/d", b"/a/b/i", b"/a/b/missing", b"/a/z")

    assert dom0.rm(b"/a/b") == [
        (b"/a/b/c/e", b"/a/b/c/e"),
        (b"/a/b/c/f", b"/a/b/c/f"),
        (b"/a/b/c", b"/a/b/c"),
        (b"/a/b/d/g", b"/a/b/d/g"),
        (b"/a/b/d", b"/a/b/d"),
        (b"/a/b/i", b"/a/b/i"),
        (b"/a/b", b"/"),
        (b"/a/b", b"/a/b"),
    ]


def test_several_watches_of_one_place_are_told_in_their_order(dom0: Client) -> None:
    """Below a removed node as elsewhere."""
    dom0.write(b"/a/b")
    for token in (b"1", b"2", b"3"):
        dom0.watch(b"/a/b", token)

    assert dom0.rm(b"/a") == [(b"/a/b", b"1"), (b"/a/b", b"2"), (b"/a/b", b"3")]


def test_a_depth_does_not_keep_a_watch_below_a_removal_from_being_told(
    dom0: Client,
) -> None:
    """It is told its own path, at depth 0; one above is held to its depth."""
    dom0.write(b"/a/b")
    dom0.watch(b"/a/b", b"own", 0)
    dom0.watch(b"/", b"too far", 0)
    dom0.watch(b"/", b"near", 1)

    assert dom0.rm(b"/a") == [(b"/a/b", b"own"), (b"/a", b"near")]


def test_a_relative_watch_is_shown_relative_paths(guest: Client, dom0: Client) -> None:
    """Whoever makes the change; the event knows the absolute path too."""
    guest.watch(b"some", b"token")
    dom0.write(b"/local/domain/1/some/path")
    (event,) = guest.store.rm(guest.caller, guest.at(b"some"))

    assert dom0.write(b"/local/domain/1/some/path") == [(b"some/path", b"token")]
    assert event.path == b"/local/domain/1/some"
    assert event.shown == b"some"
    assert repr(event) == "Event(b'some', b'token')"


def test_an_absolute_watch_is_shown_absolute_paths(guest: Client) -> None:
    """As the client gave it."""
    guest.watch(b"/local/domain/1/some")

    assert guest.write(b"some/path") == [
        (b"/local/domain/1/some/path", b"/local/domain/1/some")
    ]


def test_permissions_of_a_special_node_are_nobodys_event(dom0: Client) -> None:
    """Who watches its name waits for domains; in a commit as outside."""
    watched(dom0, b"@releaseDomain", b"/")

    assert dom0.set_perms(b"@introduceDomain", b"r0") == []
    assert dom0.set_perms(b"@releaseDomain", b"r0") == []
    transaction = dom0.start()
    transaction.set_perms(b"@releaseDomain", b"n0")
    assert transaction.commit() == []


# For whom.


def test_a_guest_is_told_of_what_it_may_read(dom0: Client, guest: Client) -> None:
    """The node itself, whatever is above it."""
    dom0.mkdir(b"/secret")
    watched(guest, b"/")

    assert dom0.write(b"/secret/a") == []
    assert dom0.set_perms(b"/secret/a", b"n0", b"r1") == [(b"/secret/a", b"/")]
    assert dom0.write(b"/secret/a") == [(b"/secret/a", b"/")]
    assert dom0.write(b"/secret/a/b") == [(b"/secret/a/b", b"/")]


def test_a_guest_is_told_of_what_is_in_a_directory_it_may_read(
    dom0: Client, guest: Client
) -> None:
    """It could see the names come and go there anyway."""
    dom0.mkdir(b"/d")
    dom0.set_perms(b"/d", b"r0")
    watched(guest, b"/d")
    seen = [(b"/d/a", b"/d")]

    assert dom0.write(b"/d/a") == seen
    assert dom0.set_perms(b"/d/a", b"n0") == seen
    assert dom0.write(b"/d/a") == seen
    assert dom0.rm(b"/d/a") == seen


def test_the_root_is_a_parent_like_any_other(dom0: Client, guest: Client) -> None:
    """Who may read it is told of its children, not of itself in secret."""
    watched(guest, b"/")
    assert dom0.write(b"/a") == []
    assert dom0.write(b"/") == []
    dom0.set_perms(b"/", b"r0")

    assert dom0.write(b"/a") == [(b"/a", b"/")]
    assert dom0.write(b"/") == [(b"/", b"/")]


def test_the_node_above_the_parent_gives_no_right(dom0: Client, guest: Client) -> None:
    """Only the node and its parent are asked."""
    dom0.write(b"/d/e")
    dom0.set_perms(b"/d", b"r0")
    watched(guest, b"/d")

    assert dom0.write(b"/d/e/f") == []


def test_a_guest_that_loses_the_right_to_read_is_told_of_that(
    dom0: Client, guest: Client
) -> None:
    """By the permissions that the node had; afterwards it is told no more."""
    dom0.write(b"/secret/a")
    dom0.set_perms(b"/secret/a", b"n0", b"r1")
    watched(guest, b"/")

    assert dom0.set_perms(b"/secret/a", b"n0") == [(b"/secret/a", b"/")]
    assert dom0.set_perms(b"/secret/a", b"n0") == []


def test_a_guest_is_not_told_of_removals_it_may_not_see(
    dom0: Client, guest: Client
) -> None:
    """Neither of the named node nor of one below it."""
    dom0.write(b"/secret/a/b")
    dom0.write(b"/secret/c/d")
    dom0.set_perms(b"/secret/c", b"r0")
    watched(guest, b"/", b"/secret/a/b", b"/secret/c/d", b"/secret/c")

    assert dom0.rm(b"/secret") == [
        (b"/secret/c/d", b"/secret/c/d"),
        (b"/secret/c", b"/secret/c"),
    ]


def test_a_guest_that_may_read_a_removed_node_is_told_of_it(
    dom0: Client, guest: Client
) -> None:
    """Its watch below is told by the permissions of the node that was there."""
    dom0.write(b"/secret/a")
    dom0.set_perms(b"/secret/a", b"n0", b"r1")
    watched(guest, b"/secret/a")

    assert dom0.rm(b"/secret") == [(b"/secret/a", b"/secret/a")]


def test_a_commit_asks_for_the_same_rights_as_single_requests(
    dom0: Client, guest: Client
) -> None:
    """Those before it and those after it."""
    dom0.write(b"/secret/gone/a")
    dom0.write(b"/secret/lost")
    dom0.set_perms(b"/secret/gone/a", b"r0")
    dom0.set_perms(b"/secret/lost", b"r0")
    dom0.write(b"/open/gone")
    dom0.set_perms(b"/open", b"r0")
    watched(guest, b"/", b"/secret/gone/a")
    t1 = dom0.start()
    t1.rm(b"/secret/gone")
    t1.set_perms(b"/secret/lost", b"n0")
    t1.write(b"/secret/kept")
    t1.rm(b"/open/gone")
    t1.write(b"/open/new")
    t1.set_perms(b"/open", b"n0")

    assert t1.commit() == [
        (b"/secret/gone/a", b"/secret/gone/a"),
        (b"/secret/lost", b"/"),
        (b"/open/gone", b"/"),
        (b"/open/new", b"/"),
        (b"/open", b"/"),
    ]


def test_rights_given_by_a_commit_count_for_its_events(
    dom0: Client, guest: Client
) -> None:
    """The parent's as well, which another request of it gave."""
    dom0.write(b"/secret/a")
    watched(guest, b"/secret/a")
    t1 = dom0.start()
    t1.write(b"/secret/a", b"1")
    t1.set_perms(b"/secret", b"r0")

    assert t1.commit() == [(b"/secret/a", b"/secret/a")]


def test_a_child_removed_before_its_parent_is_told_to_who_may_know(
    dom0: Client, guest: Client
) -> None:
    """By the node's own permissions or its parent's, as they were."""
    for path in (b"/a/open", b"/a/secret"):
        dom0.write(path)
    dom0.set_perms(b"/a/open", b"r0")
    watched(guest, b"/a/open", b"/a/secret")
    t1 = dom0.start()
    t1.rm(b"/a/open")
    t1.rm(b"/a/secret")
    t1.rm(b"/a")

    assert t1.commit() == [(b"/a/open", b"/a/open")]


def test_the_target_of_a_watcher_lets_it_know(dom0: Client, guest: Client) -> None:
    """A stub domain watches for its guest."""
    store = dom0.store
    stub = guest_of(store, 2)
    stub.watch(b"/local/domain/1/a")

    assert guest.write(b"a") == []
    store.set_target(2, 1)
    assert guest.write(b"a") == [(b"/local/domain/1/a", b"/local/domain/1/a")]


def test_dom0_is_told_of_everything(dom0: Client, guest: Client) -> None:
    """No permission keeps it out."""
    watched(dom0, b"/")
    guest.write(b"a")
    guest.set_perms(b"a", b"n1")

    assert guest.write(b"a") == [(b"/local/domain/1/a", b"/")]


# What needs no store.


def test_nothing_is_told_where_nobody_watches(dom0: Client) -> None:
    """Also not of a removed tree."""
    dom0.write(b"/a/b")

    assert dom0.rm(b"/a") == []


def test_an_event_of_a_special_name_is_shown_as_it_is(store: Store) -> None:
    """It is neither absolute nor relative."""
    watch = Watch(
        1,
        store.privileged.caller,
        (b"@releaseDomain",),
        b"@releaseDomain",
        b"t",
        UNLIMITED,
    )

    assert told([Event(watch, b"@releaseDomain")]) == [(b"@releaseDomain", b"t")]
