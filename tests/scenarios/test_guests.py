"""What guests may do, are told, and are refused: played in several worlds."""

import itertools
from typing import Final

import pytest

from tests.scenarios.conftest import dialogue
from tests.support.worlds import World
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.testing import Session
from xsd.testing.session import OK, strings

EACCES, ENOENT, EINVAL = Errno.EACCES, Errno.ENOENT, Errno.EINVAL

RIGHTS = {b"n": "", b"r": "r", b"w": "w", b"b": "rw"}
"""What each letter lets do."""

RULES: Final[dict[str, str]] = {
    "rights do not pass to what is below; a path leads there whatever is above": """
        0 make /closed n0; 0 make /closed/open b0
        dir /closed -> EACCES; write /closed/open v
        0 make /open b0; 0 make /open/closed n0
        dir /open -> closed
        read /open/closed -> EACCES; rm /open/closed -> EACCES
        rm /open
    """,
    "a new node inherits permissions but for the owner, whom dom0 lets be": """
        enter 5; 0 make /a w0 b5 r5
        write /a/b/c v; 0 make /a/b/c/d; 0 make /a/e
        0 get /a/b -> w5 b5 r5; 0 get /a/b/c/d -> w5 b5 r5
        0 get /a/e -> w0 b5 r5
    """,
    "an owner does not give a node away (XSA-352); who owns none, even less": """
        enter 5 6; 0 make /a n5; 0 make /b b6
        set /a n6 b5 -> EPERM; set /a n0 -> EPERM
        set /b b5 -> EACCES
        set /a b5 r6; 0 set /a n6
    """,
    "an owner exists; who is named beside it need not, and gets nothing later": """
        enter 5; 0 make /a n5
        0 set /a n7 -> ENOENT; 0 set /a n5 b7
        set /a n7 -> ENOENT; set /a n5 b7
        enter 7; get /a -> n5 b7; 7 read /a -> EACCES
        set /a n5 b7; 7 read /a -> -
    """,
    "relative paths begin at home, each guest's own": """
        enter 5 6; 0 make ~5 n5; 0 make ~6 n6
        5 write data/name five; 6 write data/name six
        0 read ~5/data/name -> five; 0 read ~6/data/name -> six
        5 path 5 -> ~5; 6 path 6 -> ~6
    """,
    "requests of the toolstack are not for guests, whomever they are about": """
        introduce 5 1 1 -> EACCES; introduce 5 -> EACCES; resume 5 -> EACCES
        is-introduced 5 -> EACCES; is-introduced 5 1 -> EACCES
        target 5 5 -> EACCES; target 5 -> EACCES; control help -> EACCES
        control 5 -> EACCES; release 0 -> EACCES; release 6 -> EACCES
    """,
    # Watches.
    "a watcher is told that it loses or gets a right, of nothing in between": """
        0 make /top n0; 0 make /top/a r0; watch /top/a t
        0 set /top/a n0; hear -> /top/a:t
        0 set /top/a n0; hear -> -
        0 set /top/a w0; hear -> -
        0 set /top/a r0; hear -> /top/a:t
        0 set /top/a b0; hear -> /top/a:t
    """,
    "removals are told by permissions that were, of a tree each node by its own": """
        0 make /t n0; 0 make /t/a n0; 0 make /t/a/seen r0; 0 make /t/a/hidden n0
        0 make /t/b r0; 0 make /t/b/listed n0
        watch /t/a 1; watch /t/a/seen 2; watch /t/a/hidden 3
        watch /t/b 4; watch /t/b/listed 5
        0 rm /t/a; hear -> /t/a/seen:2
        0 rm /t/b; hear -> /t/b/listed:5 /t/b:4
    """,
    "of a commit's changes those are told that are not hidden": """
        0 make /t n0; 0 make /t/hidden n0; 0 make /t/seen r0; watch /t t
        0 start t1; t1 write /t/hidden v; t1 write /t/seen v
        t1 write /t/hidden/new v; t1 write /t/seen/new v
        hear -> -
        t1 commit -> OK; hear -> /t/seen:t /t/seen/new:t
    """,
    "the first event of a watch needs neither right nor node, and says nothing": """
        0 make /hidden n0
        watch /hidden t; watch /hidden/no t; watch /no t; watch @introduceDomain t
        0 make /hidden/no; 0 make /no; enter 6; hear -> -
    """,
    "a relative watch is told relative paths of the guest's own home": """
        enter 5 6; 0 make ~5 n5; 0 make ~6 n6; 5 watch data t; 6 watch data t
        0 make ~5/data/a n5; 0 make ~6/data/a n6; 5 hear; 6 hear
        0 make ~5/data/a; 5 hear -> data/a:t; 6 hear -> -
    """,
}


@pytest.mark.parametrize("rule", RULES)
def test_guest_may_do_and_is_told_what_its_rights_say(world: World, rule: str) -> None:
    """In every world."""
    dialogue(world).play(RULES[rule])


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
