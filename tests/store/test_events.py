"""Watch events: which, in which order, and for whom (XSA-115)."""

from typing import Final

import pytest

from tests.store.script import Play
from tests.store.support import Client
from xsd.store import Store

RULES: Final[dict[str, str]] = {
    # Which and in which order.
    "WRITE, MKDIR and SET_PERMS tell the named path, to watches in their order": """
        watch /a/b; watch /; watch /a; watch /a/b/c; watch /x
        mkdir /a/b -> /a/b:/a/b /a/b:/ /a/b:/a
        write /a/b 1 -> /a/b:/a/b /a/b:/ /a/b:/a
        write /a/b 1 -> /a/b:/a/b /a/b:/ /a/b:/a
        set /a/b r0 -> /a/b:/a/b /a/b:/ /a/b:/a""",
    "nodes made on the way are not told; watches on them are told what was named": """
        watch /a; watch /a/p; watch /a/p/q; watch /a/p/other
        write /a/p/q/r -> /a/p/q/r:/a /a/p/q/r:/a/p /a/p/q/r:/a/p/q""",
    "requests without effect tell nobody": """
        watch /; mkdir /tool -> -; rm /nothing -> -""",
    "a write of the root tells the root only": """
        watch /; watch /tool; write / 1 -> /:/; set / r0 -> /:/""",
    "RM tells leaves first and the named path last, each watch below its own": """
        write /a/b/c/e; write /a/b/c/f; write /a/b/d/g; write /a/b/i; write /a/z
        watch /; watch /a/b; watch /a/b/c; watch /a/b/d/g; watch /a/b/c/f
        watch /a/b/c/e; watch /a/b/d; watch /a/b/i; watch /a/b/missing; watch /a/z
        rm /a/b -> /a/b/c/e:/a/b/c/e /a/b/c/f:/a/b/c/f /a/b/c:/a/b/c \
/a/b/d/g:/a/b/d/g /a/b/d:/a/b/d /a/b/i:/a/b/i /a/b:/ /a/b:/a/b""",
    "several watches of one place are told in their order, below a removal too": """
        write /a/b; 1 mkdir here; set /a/b r0
        watch /a/b 1; 1 watch /a/b 2; watch /a/b 3
        write /a/b -> /a/b:1 /a/b:2 /a/b:3
        rm /a -> /a/b:1 /a/b:2 /a/b:3""",
    "a depth does not matter to a watch below a removal; one above is held to it": """
        write /a/b; watch /a/b own 0; watch / too-far 0; watch / near 1
        rm /a -> /a/b:own /a:near""",
    "a relative watch is shown relative paths, whoever makes the change": """
        1 watch some token; write /local/domain/1/some/path -> some/path:token""",
    "an absolute watch is shown absolute paths": """
        1 watch /local/domain/1/some all
        1 write some/path -> /local/domain/1/some/path:all""",
    "permissions of a special node are nobody's event, in a commit too": """
        watch @releaseDomain; watch /
        set @introduceDomain r0 -> -
        set @releaseDomain r0 -> -
        start t1; t1 set @releaseDomain n0; write /other
        t1 commit -> -
        get @releaseDomain -> n0""",
    "nothing is told where nobody watches": "write /a/b; rm /a -> -",
    # For whom.
    "a guest is told of what it may read, whatever is above": """
        mkdir /secret; 1 watch /
        write /secret/a -> -
        set /secret/a n0 r1 -> /secret/a:/
        write /secret/a -> /secret/a:/
        write /secret/a/b -> /secret/a/b:/""",
    "a guest is told of what is in a directory that it may read": """
        mkdir /d; set /d r0; 1 watch /d; write /d/a -> /d/a:/d; set /d/a n0 -> /d/a:/d
        write /d/a -> /d/a:/d; rm /d/a -> /d/a:/d""",
    "the root is a parent like any other": """
        1 watch /; write /a -> -; write / -> -; set / r0; write /a -> /a:/
        write / -> /:/""",
    "the node above the parent gives no right": """
        write /d/e; set /d r0; 1 watch /d; write /d/e/f -> -""",
    "a guest that loses the right to read is told of that, and no more": """
        1 mkdir here; write /secret/a; set /secret/a n0 r1; 1 watch /
        set /secret/a n0 -> /secret/a:/; set /secret/a n0 -> -""",
    "a guest is not told of removals that it may not see": """
        write /secret/a/b; write /secret/c/d; set /secret/c r0
        1 watch /; 1 watch /secret/a/b; 1 watch /secret/c/d; 1 watch /secret/c
        rm /secret -> /secret/c/d:/secret/c/d /secret/c:/secret/c""",
    "a guest that could read a removed node is told of it": """
        1 mkdir here; write /secret/a; set /secret/a n0 r1; 1 watch /secret/a
        rm /secret -> /secret/a:/secret/a""",
    "a commit asks for the same rights, those before it and those after it": """
        write /secret/gone/a; write /secret/lost; set /secret/gone/a r0
        set /secret/lost r0; write /open/gone; set /open r0
        1 watch /; 1 watch /secret/gone/a; start t1
        t1 rm /secret/gone; t1 set /secret/lost n0; t1 write /secret/kept
        t1 rm /open/gone; t1 write /open/new; t1 set /open n0
        t1 commit -> /secret/gone/a:/secret/gone/a /secret/lost:/ \
/open/gone:/ /open/new:/ /open:/""",
    "rights that a commit gives count for its events, the parent's too": """
        write /secret/a; 1 watch /secret/a; start t1; t1 write /secret/a 1
        t1 set /secret r0; t1 commit -> /secret/a:/secret/a""",
    "a child removed before its parent is told to who may know": """
        write /a/open; write /a/secret; set /a/open r0
        1 watch /a/open; 1 watch /a/secret; start t1
        t1 rm /a/open; t1 rm /a/secret; t1 rm /a
        t1 commit -> /a/open:/a/open""",
    "the target of a watcher lets it know": """
        1 mkdir here; introduce 2; 2 watch /local/domain/1/a a; 1 write a -> -
        target 2 1; 1 write a -> /local/domain/1/a:a""",
    "dom0 is told of everything": """
        watch /; 1 write a; 1 set a n1; 1 write a -> /local/domain/1/a:/""",
    "watches of several callers are told in the order of registration": """
        mkdir /a; set /a r0; 1 watch / 1; watch /a 2; 1 watch /a 3; watch / 4
        write /a -> /a:1 /a:2 /a:3 /a:4
        start t1; t1 write /a; t1 write /a/b
        t1 commit -> /a:1 /a:2 /a:3 /a:4 /a/b:1 /a/b:2 /a/b:3 /a/b:4""",
}


@pytest.mark.parametrize("rule", RULES)
def test_events(store: Store, rule: str) -> None:
    """Requests, and whom they tell of what."""
    Play(store).run(RULES[rule])


def test_an_event_knows_the_absolute_path_too(guest: Client) -> None:
    """For whoever compares; the client is shown its own."""
    guest.watch(b"some", b"token")
    guest.write(b"some/path")
    (event,) = guest.store.rm(guest.caller, guest.at(b"some"))

    assert (event.path, event.shown) == (b"/local/domain/1/some", b"some")
    assert repr(event) == "Event(b'some', b'token')"
