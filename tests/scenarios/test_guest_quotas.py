"""What guests may have, and what they may have under way: played in several worlds."""

from typing import Final

import pytest

from tests.scenarios.conftest import at_home, dialogue
from tests.support.worlds import World
from xsd.client import Event
from xsd.protocol.ops import Op
from xsd.testing.session import OK

WITHOUT_MEMORY: Final = """
    start t1; t1 write /t/1 x*1500; t1 write /t/{2..19} x*1500 -> ...
    t1 write /t/20 x*1500 -> ENOMEM|EIO; t1 commit -> ENOMEM
    dir /t -> -; write /t x*1500
"""

RULES: Final[dict[str, str]] = {
    # Nodes.
    "a guest has N nodes, not N + 1; one that is removed makes room for another": """
        limit nodes 4
        write /t/{1..3}
        write /t/4 -> ENOSPC; write /t/3
        mkdir /t/4 -> ENOSPC; mkdir /t/3
        read /t/4 -> ENOENT
        rm /t/1; mkdir /t/4
        mkdir /t/1 -> ENOSPC
    """,
    "nodes that dom0 makes for a guest or gives it count and are not refused": """
        limit nodes 2
        0 make /t/{1..3}; 0 make /gift n5
        mkdir /t/4 -> ENOSPC; rm /t/1
        mkdir /t/4 -> ENOSPC; rm /t/2
        mkdir /t/4 -> ENOSPC; rm /t/3
        mkdir /t/4 -> ENOSPC; 0 set /gift n0
        mkdir /t/4
    """,
    "nodes of others do not count, wherever they are": """
        enter 6; 0 set /t b5; limit nodes 3
        mkdir /t/a; mkdir /t/b; 6 mkdir /t/c; 6 mkdir /t/d
        mkdir /t/e -> ENOSPC
        6 mkdir /t/e; 6 mkdir /t/f -> ENOSPC
    """,
    # Sizes.
    "dom0 writes a guest's node of any size; the guest makes it only smaller": """
        0 write /t v*4000
        read /t -> v*4000
        write /t v*4001 -> ENOSPC; mkdir /t/a -> ENOSPC
        write /t v*2000
    """,
    "a guest sets 5 permissions; too many are found out before a malformed one": """
        set /t n5 r6 r7 r8; set /t n5 r6 r7 r8 r9
        set /t n5 r6 r7 r8 r9 r10 -> ENOSPC
        set /t n5 r6 r7 r8 r9 x -> ENOSPC
        0 set /t n5 r6 r7 r8 r9 r10
        set /t n5
    """,
    # Memory. C says EIO in some places.
    "a guest without memory gives some back first; nothing is done in part": """
        limit memory 6000
        write /t/{1..3} x*1500
        write /t/4 x*1500 -> ENOMEM|EIO
        write /t/4/5 x*1500 -> ENOMEM|EIO
        dir /t -> 1 2 3
        rm /t/2; write /t/4 x*1500
    """,
    "a transaction without memory fails as a whole; what it took is free again": f"""
        limit memory 20000
        {WITHOUT_MEMORY * 3}
    """,
    "a guest without memory cannot watch; what it watches it is told of": """
        watch /t t; limit memory 3000
        watch /t t*3900 -> ENOMEM
        hear -> -
        0 make /t/a; hear -> /t/a:t
    """,
    # Paths.
    "the relative part of a path has its own length, 2,048 bytes": """
        0 make ~5 n5
        read x*2048 -> ENOENT; read ~5/x*2048 -> ENOENT
        read x*2049 -> EINVAL; read ~5/x*2049 -> EINVAL
    """,
    "an absolute path is as long as that, whatever is asked of it": """
        read /t/x*2046 -> EINVAL; get /t/x*2046 -> EINVAL
        write /t/x*2046 -> EINVAL; mkdir /t/x*2046 -> EINVAL; rm /t/x*2046 -> EINVAL
        rm /t/x*2045; read /t/x*2045 -> ENOENT; get /t/x*2045 -> ENOENT
    """,
}
"""Domain 5 owns `/t` and nothing else; the worlds agree."""


@pytest.mark.parametrize("rule", RULES)
def test_guest_may_have_what_its_quotas_say(world: World, rule: str) -> None:
    """And not more; quotas are for guests."""
    at_home(world)
    dialogue(world).play(RULES[rule])


# What is under way.

COUNT = 90
"""Requests that cause an event each; a ring takes what of them is not answered."""


def test_guest_whose_events_are_not_read_has_to_wait(world: World) -> None:
    """Until they are; others are served meanwhile (XSA-326)."""
    writer, deaf, other = at_home(world), *world.guests(6, 7)
    world.dom0.make(b"/t", b"r5")
    deaf.watch(b"/t")
    for number in range(COUNT):
        writer.post(Op.WRITE, b"/t/%03d\0" % number)
    answered = -1
    while answered < writer.look():
        answered = writer.look()
        world.settle()
    assert answered < 70
    assert other.get(Op.READ, b"/t/000\0") == b""
    assert world.dom0.get(Op.READ, b"/t/%03d\0" % (answered - 1)) == b""

    seen: list[Event] = []
    while len(seen) < COUNT:
        seen += deaf.events()
        writer.look()
    assert seen == [(b"/t/%03d" % number, b"t") for number in range(COUNT)]
    assert writer.replies(COUNT) == [(Op.WRITE, OK)] * COUNT
