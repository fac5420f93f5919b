"""Rules that concern domains: who they are, who works for whom, what they may use."""

from typing import Final

import pytest

from tests.support.hosts import PATIENCE_S, AnyHost
from tests.xsa.support import EVERY_DOMAIN, World, home, refusal_of
from xsd.client import Event
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.store.quota import (
    DEFAULTS,
    MEMORY,
    NODE_SIZE,
    NODES,
    OUTSTANDING,
    PATH_MAX,
    TRANSACTION_NODES,
)
from xsd.testing import Session

# 6. A domid is not enough to know who somebody is.


def test_a_domain_that_took_anothers_place_is_a_new_one(anywhere: AnyHost) -> None:
    """Even if the daemon has never seen that there was none in between."""
    watcher = anywhere.client()
    watcher.watch("@releaseDomain", "gone")
    guest = anywhere.guest(5)
    guest.write("data", b"secret")
    first = guest.unique_id
    replaced = anywhere.replace(5)
    assert replaced.unique_id != first

    for _ in range(2):  # the first event of a watch comes at once
        assert watcher.next_event(PATIENCE_S) == Event(b"@releaseDomain", b"gone")
    assert not anywhere.dom0.is_domain_introduced(5)
    assert not anywhere.dom0.exists(home(5))
    anywhere.dom0.introduce(5, 1, replaced.port)
    assert refusal_of(replaced.write, "data", b"mine") == Errno.EACCES


def test_introducing_a_domain_that_took_anothers_place_ends_the_other(
    anywhere: AnyHost,
) -> None:
    """INTRODUCE may come before the hypervisor's news; nothing is inherited."""
    anywhere.guest(5).write("data", b"secret")
    (old,) = anywhere.connections_of(5)
    replaced = anywhere.replace(5)
    anywhere.dom0.introduce(5, 1, replaced.port)

    (new,) = anywhere.connections_of(5)
    assert new is not old
    assert not anywhere.dom0.exists(home(5))


# 7. SET_TARGET gives rights, not quotas, and as long as there is a target.
# 10. A limit below what is in use already refuses growth and nothing else.

USE: Final = "write data/{0..9} v*100; watch data/{0..9} t; set data n1 r2 r3 r7"
"""Some of everything."""

RULES: Final[dict[str, str]] = {
    "a stub domain reads, writes, lists and watches what its target may": """
        enter 1; 2 write data value; read ~2/data -> EACCES; 0 target 1 2
        read ~2/data -> value; watch ~2 t; write ~2/data other; hear -> ~2/data:t
        2 write data third; hear -> ~2/data:t
        2 read ~1 -> EACCES; read ~7 -> EACCES
    """,
    "a stub domain pays for itself, up to its own quota": """
        enter 2 1; 0 target 1 2; limit nodes 10
        mkdir ~2/{0..8}; mkdir ~2/more -> ENOSPC
        nodes 1 -> 10; nodes 2 -> 1; 2 mkdir mine
    """,
    "a stub domain's rights end with its target, for watches and transactions too": """
        enter 1; 2 write data value; 0 write /x value; 0 set /x n0 r2; 0 target 1 2
        watch /x t; start t1; t1 read /x -> value; 0 release 2
        enter 2; 0 set /x n0 r2; 0 write /x other
        read /x -> EACCES; t1 read /x -> EACCES; hear -> -; read ~2 -> EACCES
    """,
    "nodes beyond a new limit are used and removed; there are no new ones": f"""
        {USE}; limit nodes 5; write data/1 value; mkdir new -> ENOSPC
        rm data/0; mkdir new -> ENOSPC; rm data/{{1..6}}
        mkdir new -> ENOSPC
        rm data/7; mkdir new; hear
    """,
    "watches and transactions beyond a new limit go on, and there are no more": f"""
        {USE}; start t{{1..3}}; limit watches 2; limit transactions 2; hear
        0 write ~1/data/9 value; hear -> data/9:t
        watch new t -> ENOSPC; start no -> ENOSPC
        t{{1..3}} write t{{1..3}} value; t{{1..3}} commit -> OK
    """,
    "a node beyond a new size is made smaller, and cannot grow": """
        write data v*1000; limit node-size 100
        write data v*900; write data v*500; write data v*501 -> ENOSPC; write data
    """,
    "permissions beyond a new number stay until they are replaced by fewer": f"""
        {USE}; limit node-permissions 2; get data -> n1 r2 r3 r7
        set data n1 r2 r3 -> ENOSPC; set data n1 r2; hear
    """,
    "a transaction beyond a new size cannot commit; the next one can": f"""
        {USE}; start t1; t1 write data/{{0..4}} value; limit transaction-nodes 3
        t1 write data/7 value -> ENOSPC; t1 commit -> ENOMEM
        start t2; t2 write data/1 value; t2 commit -> OK; hear
    """,
}


@pytest.mark.parametrize("rule", RULES)
def test_targets_and_limits_mean_no_more_than_they_say(world: World, rule: str) -> None:
    """For stub domains, and for what there was before a limit."""
    world.play(RULES[rule])


@pytest.mark.parametrize("limit", [1, 2])
@pytest.mark.parametrize("quota", DEFAULTS)
def test_a_limit_below_the_use_breaks_nothing(
    world: World, dom0: Session, hostile: Session, quota: str, limit: int
) -> None:
    """What is there can be read and given back; every request has its reply."""
    for node in range(10):
        hostile.ok(Op.WRITE, b"data/%d\0" % node + b"v" * 100)
        hostile.ok(Op.WATCH, b"data/%d\0t\0" % node)
    hostile.ok(Op.SET_PERMS, b"data\0n1\0r2\0r3\0r7\0")
    number = hostile.start()
    hostile.ok(Op.WRITE, b"data/1\0value", number)
    with world.bystander.away():
        for domid in (EVERY_DOMAIN, 1):
            world.limit(quota, limit, domid)
        for op, payload in (
            (Op.READ, b"data\0"),
            (Op.WRITE, b"data/1\0" + b"v" * 200),
            (Op.MKDIR, b"new/one\0"),
            (Op.WATCH, b"new\0t\0"),
            (Op.TRANSACTION_START, b"\0"),
            (Op.SET_PERMS, b"data/1\0n1\0r2\0r3\0r7\0r8\0"),
        ):
            for transaction in (0, number):
                assert len(hostile.ask(op, payload, transaction)) >= 1
        hostile.ask(Op.TRANSACTION_END, b"T\0", number)
        hostile.ok(Op.RESET_WATCHES, b"\0")
        dom0.ok(Op.RM, home(1) + b"/data\0")
        dom0.ask(Op.RM, home(1) + b"/new\0")
        world.limit(quota, DEFAULTS[quota])

    assert world.nodes(1) == 1


def test_a_limit_for_one_domain_is_not_one_for_others(
    dom0: Session, hostile: Session, world: World
) -> None:
    """Nor for dom0, which has none; 0 is no limit."""
    for quota in DEFAULTS:
        world.limit(quota, 1, 1)
    assert world.bystander.is_served()
    for quota in (NODES, MEMORY, OUTSTANDING, PATH_MAX, NODE_SIZE, TRANSACTION_NODES):
        world.limit(quota, 0, 1)
    for number in range(DEFAULTS[NODES] + 100):
        hostile.ok(Op.MKDIR, b"%d/%d\0" % (number // 100, number))
        dom0.ok(Op.MKDIR, b"/of-dom0/%d\0" % number)
    assert world.bystander.is_served()
