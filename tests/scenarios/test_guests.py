"""What guests may do, are told, and are refused: played in several worlds."""

import itertools

import pytest

from tests.support.worlds import World
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.testing import Session
from xsd.testing.session import OK, event, strings

EACCES, ENOENT, EPERM, EINVAL = Errno.EACCES, Errno.ENOENT, Errno.EPERM, Errno.EINVAL
ENOSPC = Errno.ENOSPC

RIGHTS = {b"n": "", b"r": "r", b"w": "w", b"b": "rw"}
"""What each letter lets do."""


# Permissions.


def tried(caller: Session, dom0: Session, *perms: bytes) -> str:
    """Try everything on `/t` and tell what succeeded.

    Returns:
        ``r`` for reading, ``w`` for writing and ``o`` for changing permissions; each
        request that needs one of these must agree.
    """
    needs = {
        "r": [
            (Op.READ, b"/t\0"),
            (Op.DIRECTORY, b"/t\0"),
            (Op.GET_PERMS, b"/t\0"),
            (Op.READ, b"/t/inherits\0"),
        ],
        "w": [
            (Op.WRITE, b"/t\0v"),
            (Op.MKDIR, b"/t\0"),
            (Op.MKDIR, b"/t/new\0"),
            (Op.WRITE, b"/t/newer/deep\0v"),
            (Op.WRITE, b"/t/inherits\0v"),
            (Op.RM, b"/t/inherits\0"),
        ],
        "o": [(Op.SET_PERMS, strings(b"/t", *perms))],
    }
    dom0.make(b"/t", *perms)
    dom0.make(b"/t/inherits")
    may = ""
    for right, requests in needs.items():
        refusals = {caller.errno(op, payload) for op, payload in requests}
        assert refusals in ({None}, {EACCES}), (right, caller.domid, perms, refusals)
        may += right if refusals == {None} else ""
    assert (caller.errno(Op.RM, b"/t\0") is None) == ("w" in may)
    dom0.get(Op.RM, b"/t\0")
    return may


@pytest.mark.parametrize("default", [b"n", b"r", b"w", b"b"])
def test_letters_say_who_may_do_what(world: World, default: bytes) -> None:
    """The owner all; who is named what is said of it; everybody else the default."""
    owner, named, other, of_owner, of_named = world.guests(5, 6, 7, 8, 9)
    for stub, target in ((8, 5), (9, 6)):
        assert world.dom0.get(Op.SET_TARGET, b"%d\0%d\0" % (stub, target)) == OK
    for letter, right in RIGHTS.items():
        perms = (default + b"5", letter + b"6")
        may = {
            each.domid: tried(each, world.dom0, *perms)
            for each in (owner, named, other, of_owner, of_named, world.dom0)
        }

        assert may == {
            5: "rwo",
            6: right,
            7: RIGHTS[default],
            8: "rwo",
            9: right,
            0: "rwo",
        }


def test_first_entry_that_matches_decides(world: World) -> None:
    """A later one for the same domain, or for its target, adds nothing."""
    named, stub = world.guests(6, 8)
    assert world.dom0.get(Op.SET_TARGET, b"8\x006\0") == OK

    assert tried(named, world.dom0, b"n0", b"r6", b"b6") == "r"
    assert tried(stub, world.dom0, b"n0", b"r6", b"b8") == "r"
    assert tried(stub, world.dom0, b"n0", b"w8", b"b6") == "w"


def test_owner_named_again_is_the_owner(world: World) -> None:
    """And dom0 may do everything whatever is said of it."""
    (owner,) = world.guests(5)

    assert tried(owner, world.dom0, b"n5", b"n5") == "rwo"
    assert tried(world.dom0, world.dom0, b"n5", b"n0") == "rwo"


def test_entry_for_all_domains_matches_every_one(ours: World) -> None:
    """DOMID_ANY, as an entry and as the owner."""
    named, other = ours.guests(6, 7)

    assert tried(other, ours.dom0, b"n0", b"r32757") == "r"
    assert tried(named, ours.dom0, b"n0", b"b6", b"r32757") == "rw"
    assert tried(named, ours.dom0, b"n0", b"n32757", b"b6") == ""
    assert tried(other, ours.dom0, b"n32757") == "rwo"


def test_rights_do_not_pass_to_what_is_below(world: World) -> None:
    """A node can be reached by its path whatever stands above it."""
    (guest,) = world.guests(5)
    world.dom0.make(b"/closed", b"n0")
    world.dom0.make(b"/closed/open", b"b0")

    assert guest.errno(Op.DIRECTORY, b"/closed\0") is EACCES
    assert guest.get(Op.WRITE, b"/closed/open\0v") == OK
    world.dom0.make(b"/open", b"b0")
    world.dom0.make(b"/open/closed", b"n0")
    assert guest.get(Op.DIRECTORY, b"/open\0") == b"closed\0"
    assert guest.errno(Op.READ, b"/open/closed\0") is EACCES
    assert guest.errno(Op.RM, b"/open/closed\0") is EACCES
    assert guest.get(Op.RM, b"/open\0") == OK


def test_new_node_inherits_permissions_but_for_the_owner(world: World) -> None:
    """A guest owns what it creates, dom0 lets the owner be."""
    (guest,) = world.guests(5)
    world.dom0.make(b"/a", b"w0", b"b5", b"r5")
    assert guest.get(Op.WRITE, b"/a/b/c\0v") == OK
    world.dom0.make(b"/a/b/c/d")
    world.dom0.make(b"/a/e")

    for path, perms in (
        (b"/a/b", b"w5\0b5\0r5\0"),
        (b"/a/b/c/d", b"w5\0b5\0r5\0"),
        (b"/a/e", b"w0\0b5\0r5\0"),
    ):
        assert world.dom0.get(Op.GET_PERMS, path + b"\0") == perms


def test_owner_does_not_give_a_node_away(world: World) -> None:
    """EPERM for a guest (XSA-352), EACCES if it is not even the owner."""
    guest, _ = world.guests(5, 6)
    world.dom0.make(b"/a", b"n5")
    world.dom0.make(b"/b", b"b6")

    assert guest.errno(Op.SET_PERMS, strings(b"/a", b"n6", b"b5")) is EPERM
    assert guest.errno(Op.SET_PERMS, strings(b"/a", b"n0")) is EPERM
    assert guest.errno(Op.SET_PERMS, strings(b"/b", b"b5")) is EACCES
    assert guest.get(Op.SET_PERMS, strings(b"/a", b"b5", b"r6")) == OK
    assert world.dom0.get(Op.SET_PERMS, strings(b"/a", b"n6")) == OK


def test_owner_must_exist(world: World) -> None:
    """Who is named beside it need not, but gets nothing when it comes."""
    (guest,) = world.guests(5)
    world.dom0.make(b"/a", b"n5")

    for caller in (world.dom0, guest):
        assert caller.errno(Op.SET_PERMS, strings(b"/a", b"n7")) is ENOENT
        assert caller.get(Op.SET_PERMS, strings(b"/a", b"n5", b"b7")) == OK
    later = world.guest(7)
    assert guest.get(Op.GET_PERMS, b"/a\0") == b"n5\0b7\0"
    assert later.errno(Op.READ, b"/a\0") is EACCES
    assert guest.get(Op.SET_PERMS, strings(b"/a", b"n5", b"b7")) == OK
    assert later.get(Op.READ, b"/a\0") == b""


@pytest.mark.parametrize("entry", [b"", b"x5", b"n", b"nx", b"5", b"n5x", b"N5"])
def test_malformed_permission_is_einval(world: World, entry: bytes) -> None:
    """Wherever it stands in the list; nothing is changed."""
    (guest,) = world.guests(5)
    world.dom0.make(b"/a", b"r5")
    # An empty string ends the list in C 4.17's eyes.
    places = ((b"/a", b"n5", entry), (b"/a", entry)) if entry else ((b"/a", entry),)

    for words in places:
        assert guest.errno(Op.SET_PERMS, strings(*words)) is EINVAL
    assert guest.get(Op.GET_PERMS, b"/a\0") == b"r5\0"


@pytest.mark.parametrize(
    "op",
    [
        Op.CONTROL,
        Op.INTRODUCE,
        Op.RELEASE,
        Op.IS_DOMAIN_INTRODUCED,
        Op.RESUME,
        Op.SET_TARGET,
    ],
)
def test_toolstacks_requests_are_not_for_guests(world: World, op: Op) -> None:
    """EACCES, whatever the arguments, even for oneself."""
    (guest,) = world.guests(5)

    for payload in (b"5\x001\x001\0", b"5\0", b"help\0"):
        assert guest.errno(op, payload) is EACCES


def test_relative_paths_begin_at_home(world: World) -> None:
    """Each guest's own."""
    for guest in world.guests(5, 6):
        home = b"/local/domain/%d" % guest.domid
        world.dom0.make(home, b"n%d" % guest.domid)
        assert guest.get(Op.WRITE, b"data/name\0" + home) == OK

        assert world.dom0.get(Op.READ, home + b"/data/name\0") == home
        assert guest.get(Op.GET_DOMAIN_PATH, b"%d\0" % guest.domid) == home + b"\0"


# What is told of nodes that do not exist.

MISSING = {
    b"/closed/no": ("", ""),
    b"/closed/no/no": ("", ""),
    b"/read/no": ("r", ""),
    b"/read/no/no": ("r", ""),
    b"/write/no": ("", "w"),
    b"/write/no/no": ("", "w"),
    b"/both/no": ("r", "w"),
    b"/both/no/no/no": ("r", "w"),
    b"/closed/both/no": ("r", "w"),
    b"/both/closed/no": ("", ""),
    b"/no": ("", ""),
}
"""Missing nodes, and whether the nearest one above may be read or written."""


@pytest.fixture
def looker(world: World) -> Session:
    """A guest, and nodes above the missing ones."""
    for path, perms in (
        (b"/closed", b"n0"),
        (b"/read", b"r0"),
        (b"/write", b"w0"),
        (b"/both", b"b0"),
        (b"/closed/both", b"b0"),
        (b"/both/closed", b"n0"),
    ):
        world.dom0.make(path, perms)
    return world.guest(5)


@pytest.mark.parametrize("path", MISSING)
def test_names_that_cannot_be_listed_cannot_be_probed(
    world: World, looker: Session, path: bytes
) -> None:
    """ENOENT is for those who have the right above, EACCES for all others."""
    readable, writable = MISSING[path]
    expected = ENOENT if readable else EACCES

    for op in (Op.READ, Op.DIRECTORY, Op.GET_PERMS):
        assert looker.errno(op, path + b"\0") is expected
        assert world.dom0.errno(op, path + b"\0") is ENOENT
    # To change permissions takes two rights, one of which will do here.
    wanted = ENOENT if writable else EACCES
    assert looker.errno(Op.SET_PERMS, strings(path, b"n5")) is wanted
    assert world.dom0.errno(Op.SET_PERMS, strings(path, b"n0")) is ENOENT


@pytest.mark.parametrize("path", MISSING)
def test_missing_node_is_removed_or_made_by_those_who_may_write_above(
    world: World, looker: Session, path: bytes
) -> None:
    """RM of a missing node is fine only if there is one right above it."""
    writable = bool(MISSING[path][1])
    parent = path.rpartition(b"/")[0] or b"/"
    exists = world.dom0.errno(Op.READ, parent + b"\0") is None
    removed = None if exists else ENOENT
    assert looker.errno(Op.RM, path + b"\0") is (removed if writable else EACCES)
    assert world.dom0.errno(Op.RM, path + b"\0") is removed

    for op in (Op.MKDIR, Op.WRITE):
        assert looker.errno(op, path + b"\0") is (None if writable else EACCES)
    assert (world.dom0.errno(Op.READ, path + b"\0") is None) == writable


# Watches.


def test_watcher_is_told_of_what_it_may_see(world: World) -> None:
    """The node, or the list it is in (XSA-115)."""
    (guest,) = world.guests(5)
    guest.watch(b"/")
    for number, (above, below) in enumerate(itertools.product(RIGHTS, RIGHTS)):
        top = b"/%d" % number
        world.dom0.make(top, above + b"0")
        world.dom0.make(top + b"/a", below + b"0")
        guest.events()
        world.dom0.make(top + b"/a")
        seen = guest.events()

        readable = "r" in RIGHTS[above] or "r" in RIGHTS[below]
        assert seen == ([(top + b"/a", b"t")] if readable else []), (above, below)


def test_watcher_is_told_that_it_loses_a_right(world: World) -> None:
    """And that it gets one; of nothing between these two."""
    (guest,) = world.guests(5)
    world.dom0.make(b"/top", b"n0")
    world.dom0.make(b"/top/a", b"r0")
    guest.watch(b"/top/a")
    for perms, told in ((b"n0", 1), (b"n0", 0), (b"w0", 0), (b"r0", 1), (b"b0", 1)):
        assert world.dom0.get(Op.SET_PERMS, strings(b"/top/a", perms)) == OK

        assert guest.events() == [(b"/top/a", b"t")] * told


def test_watcher_is_told_of_removals_it_may_see(world: World) -> None:
    """By the permissions that were; of a tree, each node by its own."""
    (guest,) = world.guests(5)
    for path, perms in (
        (b"/t", b"n0"),
        (b"/t/a", b"n0"),
        (b"/t/a/seen", b"r0"),
        (b"/t/a/hidden", b"n0"),
        (b"/t/b", b"r0"),
        (b"/t/b/listed", b"n0"),
    ):
        world.dom0.make(path, perms)
    for path in (b"/t/a", b"/t/a/seen", b"/t/a/hidden", b"/t/b", b"/t/b/listed"):
        guest.watch(path, path)
    assert world.dom0.get(Op.RM, b"/t/a\0") == OK
    assert guest.events() == [(b"/t/a/seen", b"/t/a/seen")]

    assert world.dom0.get(Op.RM, b"/t/b\0") == OK
    assert guest.events() == [(b"/t/b/listed", b"/t/b/listed"), (b"/t/b", b"/t/b")]


def test_commit_tells_a_watcher_what_it_may_see(world: World) -> None:
    """Of several changes those that are not hidden from it."""
    (guest,) = world.guests(5)
    world.dom0.make(b"/t", b"n0")
    world.dom0.make(b"/t/hidden", b"n0")
    world.dom0.make(b"/t/seen", b"r0")
    guest.watch(b"/t")
    tx = world.dom0.start()
    for path in (b"/t/hidden", b"/t/seen", b"/t/hidden/new", b"/t/seen/new"):
        assert world.dom0.get(Op.WRITE, path + b"\0v", tx) == OK
    assert guest.events() == []
    assert world.dom0.commit(tx) is None

    assert guest.events() == [(b"/t/seen", b"t"), (b"/t/seen/new", b"t")]


def test_first_event_of_a_watch_needs_no_right(world: World) -> None:
    """Nor need there be a node; it says nothing of it."""
    (guest,) = world.guests(5)
    world.dom0.make(b"/hidden", b"n0")
    for path in (b"/hidden", b"/hidden/no", b"/no", b"@introduceDomain"):
        guest.watch(path)

    world.dom0.make(b"/hidden/no")
    world.dom0.make(b"/no")
    world.guest(6)
    assert guest.events() == []


def test_relative_watch_is_told_relative_paths(world: World) -> None:
    """Of the guest's own home."""
    guest, other = world.guests(5, 6)
    for each in (guest, other):
        home = b"/local/domain/%d" % each.domid
        world.dom0.make(home, b"n%d" % each.domid)
        each.watch(b"data")
        world.dom0.make(home + b"/data/a", b"n%d" % each.domid)
        each.events()
    world.dom0.make(b"/local/domain/5/data/a")

    assert guest.events() == [(b"data/a", b"t")]
    assert other.events() == []


def test_own_event_comes_before_the_reply(world: World) -> None:
    """So that a guest knows what its own request has caused."""
    (guest,) = world.guests(5)
    world.dom0.make(b"/a", b"n5")
    guest.watch(b"/a")

    assert guest.ask(Op.WRITE, b"/a/b\0v") == [event(b"/a/b", b"t"), (Op.WRITE, OK)]


def test_end_of_domains_is_for_all_to_know(ours: World) -> None:
    """Their coming is not, unless dom0 says so."""
    (guest,) = ours.guests(5)
    for name in (b"@introduceDomain", b"@releaseDomain"):
        guest.watch(name)
    ours.end(ours.guest(6))
    assert guest.events() == [(b"@releaseDomain", b"t")]

    special = strings(b"@introduceDomain", b"n0", b"r5")
    assert guest.errno(Op.SET_PERMS, special) is EACCES
    assert ours.dom0.get(Op.SET_PERMS, special) == OK
    ours.guest(7)
    assert guest.events() == [(b"@introduceDomain", b"t")]
    assert ours.dom0.get(Op.SET_PERMS, strings(b"@introduceDomain", b"n0")) == OK
