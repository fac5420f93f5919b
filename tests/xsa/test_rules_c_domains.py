"""Rules that concern domains: who they are, who works for whom, what they may use."""

from typing import Final

import pytest

from tests.support.hosts import AnyHost
from tests.xsa.support import World, home
from xsd.store.quota import DEFAULTS

# 6. A domid is not enough to know who somebody is.


def test_a_domain_that_took_anothers_place_is_a_new_one(anywhere: AnyHost) -> None:
    """Even if the daemon has never seen that there was none in between."""
    anywhere.play("""
        0 watch @releaseDomain gone; 5 write data secret; replace 5
        0 wait -> @releaseDomain:gone; 0 is-introduced 5 -> F; 0 read ~5 -> ENOENT
        admit 5; 5 write data mine -> EACCES
    """)


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
    world: World, quota: str, limit: int
) -> None:
    """What is there can be read and given back; every request has its reply."""
    requests = (
        *("read data", f"write data/1 {'v' * 200}", "mkdir new/one", "watch new t"),
        *("start no", "set data/1 n1 r2 r3 r7 r8"),
    )
    text = "".join([f"{each} -> ...; t1 {each} -> ...;" for each in requests])
    with world.bystander.away():
        world.play(f"""
            {USE}; start t1; t1 write data/1 value
            limit {quota} {limit} -1; limit {quota} {limit} 1
            {text}
            t1 commit -> ...; reset; 0 rm ~1/data; 0 rm ~1/new -> ...; hear
            limit {quota} {DEFAULTS[quota]} -1; nodes 1 -> 1
        """)


def test_a_limit_for_one_domain_is_not_one_for_others(world: World) -> None:
    """Nor for dom0, which has none; 0 is no limit."""
    for quota in DEFAULTS:
        world.limit(quota, 1, 1)
    assert world.bystander.is_served()
    world.play("""
        limit nodes 0; limit memory 0; limit outstanding 0; limit path-max 0
        limit node-size 0; limit transaction-nodes 0
        mkdir some/{1..1100}; 0 mkdir /of-dom0/{1..1100}; served -> True
    """)
