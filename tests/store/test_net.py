"""What a commit is told as: what really changed, each path once, in order."""

from typing import Final

import pytest

from tests.store.script import pairs, play
from tests.store.support import Client, perms, watched
from xsd.store import Store
from xsd.store.changes import CHANGED, IMPLIED, REMOVED, REMOVED_BELOW, REMOVED_WITHIN

ROWS: Final[dict[str, str]] = {
    "each changed path once, in the order of first change": """
        | / | write /x 1; write /y 1; write /x 2; write /z; set /y r0; read /z
        | /x:/ /y:/ /z:/""",
    "not what leaves no trace, nor nodes on the way": """
        write /a/b | / /a/b /n/m | write /n/m/o; rm /n; mkdir /a/b; write /a/x/y
        | /a/x/y:/""",
    "a node created, removed and created once": """
        | / | write /n 1; rm /n; write /n 1
        | /n:/""",
    "a new node keeps its place though it went in between": """
        | / | write /n; write /m; rm /n; write /n
        | /n:/ /m:/""",
    "what was made below a node that went has its place from then on": """
        | / | write /n/x; write /m; rm /n; write /n/x
        | /m:/ /n/x:/""",
    "not a node that was named before it came back on the way": """
        | / | write /n 1; rm /n; write /n/m
        | /n/m:/""",
    "a written node that was then removed as removed": """
        write /a/b; write /c | / /a/b | write /a/b 1; rm /a; write /c 1; rm /c
        | /a:/ /a/b:/a/b /c:/""",
    "a removed tree from the top down, siblings in the order of DIRECTORY": """
        write /a/c/e; write /a/c/f; write /a/d | / /a /a/c /a/c/f /a/c/e /a/d /a/no |
        rm /a
        | /a:/ /a:/a /a/c:/a/c /a/c/e:/a/c/e /a/c/f:/a/c/f /a/d:/a/d""",
    "each node that an RM named to those above, each watch at or below once": """
        write /a/b/c; write /a/b/x/y; write /a/b/d | /a /a/b /a/b/c /a/b/d |
        rm /a/b/c; rm /a/b/x/y; rm /a/b
        | /a/b/c:/a /a/b/c:/a/b /a/b/c:/a/b/c /a/b/x/y:/a /a/b/x/y:/a/b /a/b:/a
        /a/b:/a/b /a/b/d:/a/b/d""",
    # Linux heeds only events of paths such as device/vif/0. If it is not told of one,
    # it keeps the device, and none with the same number can be attached any more.
    "a device that is taken away with its directory, to its guest": """
        write /local/domain/1/device/vif/0/state 6 | /local/domain/1/device |
        rm /local/domain/1/device/vif/0; rm /local/domain/1/device/vif
        | /local/domain/1/device/vif/0:/local/domain/1/device
        /local/domain/1/device/vif:/local/domain/1/device""",
    "a removed child also if its parent is told first": """
        write /a/b/c | /a /a/b/c | write /a/b; rm /a/b/c; rm /a/b
        | /a/b:/a /a/b/c:/a/b/c /a/b/c:/a""",
    "a child that only the transaction knew goes with its parent": """
        write /a/b/c | /a /a/b/c | rm /a/b; write /a/b/c; rm /a/b/c; rm /a/b
        | /a/b:/a /a/b/c:/a/b/c""",
    "a node that came back without its value or permissions": """
        write /a/value 1; write /a/empty; write /a/perms; set /a/perms r0 | / |
        rm /a; mkdir /a/value/x; mkdir /a/empty/x; mkdir /a/perms/x
        | /a/value:/ /a/perms:/ /a/value/x:/ /a/empty/x:/ /a/perms/x:/""",
    "what did not come back by its topmost node": """
        write /a/b/c/d | / /a/b/c/d | rm /a; write /a/b/x
        | /a/b/c:/ /a/b/c/d:/a/b/c/d /a/b/x:/""",
    "a node written again after its removal once, and its children": """
        write /a/b 1; write /a 1 | / | rm /a; write /a 1
        | /a/b:/ /a:/""",
    "children of a node written before and after its end": """
        write /a/b/c | / /a/b/c | write /a/b 1; rm /a; write /a/b 2
        | /a/b:/ /a/b/c:/ /a/b/c:/a/b/c""",
    "a node removed by name that came back on the way, twice": """
        write /a/b 1 | / | rm /a/b; mkdir /a/b/c; rm /a; mkdir /a/b/d
        | /a/b:/ /a/b/d:/""",
}
"""What is told: requests before, watches, those of the transaction, the events."""


@pytest.mark.parametrize("others", [False, True], ids=["alone", "others wrote"])
@pytest.mark.parametrize("rule", ROWS)
def test_a_commit_tells(dom0: Client, rule: str, *, others: bool) -> None:
    """Whether its version takes the store's place or is made again."""
    before, watches, steps, expected = ROWS[rule].split("|")
    play(dom0, before)
    watched(dom0, *watches.encode().split())
    transaction = dom0.start()
    play(transaction, steps)
    if others:
        play(dom0, "set @introduceDomain n0")

    assert transaction.commit() == pairs(expected)


def test_changes_say_where_and_below_what(store: Store, dom0: Client) -> None:
    """The kinds, with what was there before and after, and who may read above."""
    play(dom0, "write /a/b/c 1; write /d 2; write /e/f; set /e r0; write /x/y/z")
    store.listening = True
    transaction = dom0.start()
    play(transaction, "rm /a/b/c; rm /a/b; write /d 3; write /e/g/h 4; rm /e/f")
    # The parent is told first, and its watches with it.
    play(transaction, "write /x/y; rm /x/y/z; rm /x/y")
    transaction.commit()
    news = store.take_news()

    assert [(each.kind, b"/".join(each.path)) for each in news] == [
        (REMOVED_BELOW, b"/a/b/c"),
        (REMOVED, b"/a/b"),
        (CHANGED, b"/d"),
        (IMPLIED, b"/e/g"),
        (CHANGED, b"/e/g/h"),
        (REMOVED, b"/e/f"),
        (REMOVED, b"/x/y"),
        (REMOVED_WITHIN, b"/x/y/z"),
    ]
    values = [(each.old_value, each.value) for each in news[1:5]]
    assert values == [(b"", b""), (b"2", b"3"), (None, b""), (None, b"4")]
    assert news[0].above_before == perms(b"n0")
    assert news[0].above_after is None
    assert news[3].above_after == perms(b"r0")
