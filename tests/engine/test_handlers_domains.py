"""xsd.engine.handlers: domains, features and quotas."""

import pytest

from tests.engine.script import play
from tests.engine.support import OK, Client, event, guest_of
from xsd.engine import Engine
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.protocol.perms import Caller
from xsd.store import Store

EINVAL, ENOENT = Errno.EINVAL, Errno.ENOENT
OUT = b"@releaseDomain"
INTRODUCE, RELEASE, READ, WATCH = Op.INTRODUCE, Op.RELEASE, Op.READ, Op.WATCH
GET_FEATURE, PATH_OF = Op.GET_FEATURE, Op.GET_DOMAIN_PATH

WATCHES = """
    a watch @introduceDomain i -> OK @introduceDomain:i
    a watch @releaseDomain o -> OK @releaseDomain:o
"""
QUOTAS = (
    "nodes watches outstanding memory soft-memory transactions transaction-nodes "
    "node-permissions path-max node-size,"
)

RULES: dict[str, str] = {
    # To introduce it again only changes its event channel.
    "introduced domain is known and told once": f"""
        {WATCHES}; is_domain_introduced 5 -> F,
        introduce 5 4101 105; is_domain_introduced 5 -> T,; a hear -> @introduceDomain:i
        introduce 5 x 106 extra; a hear -> -""",
    # The name alone would not say which one; depth 0 is told nothing.
    "domain is told to watches with a depth by its number": """
        a watch @introduceDomain 0 0 -> OK @introduceDomain:0
        a watch @introduceDomain 1 1 -> OK @introduceDomain:1
        a watch @introduceDomain/5 own -> OK @introduceDomain/5:own; introduce 5 1 1
        a hear -> @introduceDomain/5:1 @introduceDomain/5:own""",
    # Sockets are dom0's, but not its connection.
    "introducing dom0 again leaves its clients alone": """
        a watch /a t -> OK /a:t; introduce 0 1 1; write /a v; a hear -> /a:t""",
    # No hypervisor has such a domain; DOMID_ANY would be everybody's owner.
    "reserved number cannot be introduced": "\n".join(
        f"introduce {domid} 1 1 -> EINVAL; release {domid} -> ENOENT"
        for domid in (32752, 32753, 32756, 32757, 65535)
    ),
    "self and dom0 count as introduced, other reserved numbers do not": """
        is_domain_introduced 0 -> T,; is_domain_introduced 32752 -> T,
        is_domain_introduced 32753 -> F,""",
    # With events, before the name itself; rights elsewhere too.
    "released domain is gone with all it had": f"""
        {WATCHES}; introduce 5 1 1
        write /own/child v; write /other v; perms /own n5; perms /other n0 r5
        a watch / r -> @introduceDomain:i OK /:r; release 5
        a hear -> /own:r @releaseDomain:o; is_domain_introduced 5 -> F,
        read /own/child -> ENOENT; get_perms /other -> n0,; release 5 -> ENOENT""",
    # A stub domain works for the guest it serves.
    "domain has the rights of its target": """
        5 read /a -> EACCES; write /a v; perms /a n5; 6 read /a -> EACCES
        set_target 6 5; 6 read /a -> v; set_target 6 7 -> ENOENT
        set_target 7 6 -> ENOENT""",
    "path of a domain need not exist, and anyone may ask for anyone's": "\n".join(
        f"{who} get_domain_path {domid} -> /local/domain/{domid},"
        for who in (0, 1)
        for domid in (0, 7, 65535)
    ),
    # ERROR, WATCH_DEPTH and DOMID_ANY. C reads one NUL as domain 0.
    "features are the caller's own, and for dom0 others' too": """
        get_feature -> 15,; 5 get_feature -> 15,; 5 get_feature 0 -> EACCES
        5 get_feature 5 -> EACCES; 5 get_feature '' -> EINVAL; get_feature 5 -> 15,
        get_feature 7 -> ENOENT; get_feature '' -> EINVAL""",
    # Afterwards it is EBUSY, of an unknown domain ENOENT.
    "features are set before a domain is introduced": """
        come 5; set_feature 5 16 -> EINVAL; set_feature 5 17 -> EINVAL; set_feature 5 2
        get_feature 5 -> 2,; introduce 5 1 1; get_feature 5 -> 2,
        set_feature 5 14 -> EBUSY; set_feature 7 14 -> ENOENT""",
    # In C's order.
    "quotas have names, all in one string": f"get_quota -> {QUOTAS}",
    "quota that is not set for a domain is the common one": """
        5 get_feature -> 15,; get_quota nodes -> 1000,; set_quota nodes 7
        set_quota 5 watches 8; set_quota 5 soft-memory 9; get_quota nodes -> 7,
        get_quota 5 nodes -> 7,; get_quota 5 watches -> 8,
        get_quota 5 soft-memory -> 9,; get_quota watches -> 128,""",
    # In the newest C only one that becomes known later is held to it.
    "common quota holds for domains that run already": """
        5 get_feature -> 15,; set_quota watches 1; 5 watch /a t -> OK /a:t
        5 watch /b t -> ENOSPC; set_quota watches 2; 5 watch /b t -> OK /b:t
        set_quota 5 watches 3; set_quota watches 1; 5 watch /c t -> OK /c:t""",
    # The newest C ignores blanks and a sign before it, and takes none for 0.
    "domain id is digits and nothing else": "\n".join(
        f"""get_domain_path {text} -> EINVAL; is_domain_introduced {text} -> EINVAL
        release {text} -> EINVAL; resume {text} -> EINVAL; get_feature {text} -> EINVAL
        introduce {text} 1 1 -> EINVAL; set_target {text} 0 -> EINVAL
        set_target 0 {text} -> EINVAL; set_feature {text} 2 -> EINVAL
        get_quota {text} nodes -> EINVAL; set_quota {text} nodes 1 -> EINVAL"""
        for text in ("''", "␣5", "+5", "5␣", "0x5", "-0", "five")
    ),
    # ENOENT for the domain, EINVAL for the name, which may be any bytes.
    "unknown domain or quota": "\n".join(
        f"{op} 7 nodes {rest} -> ENOENT\n"
        + "\n".join(
            f"{op} {name} {rest} -> EINVAL; {op} 0 {name} {rest} -> EINVAL"
            for name in ("no", "Nodes", "soft-nodes", "soft-", "\xff\xfe")
        )
        for op, rest in (("get_quota", ""), ("set_quota", "5"))
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_domains(engine: Engine, rule: str) -> None:
    """Each rule as the script that shows it."""
    play(engine, RULES[rule])


def test_connections_of_a_released_domain_end(engine: Engine) -> None:
    """Wherever they stand in the list beside the releasing one's."""
    before, dom0, other = guest_of(engine, 5), Client(engine), Client(engine)
    guests = [before, guest_of(engine, 5)]
    for client in (*guests, other):
        client.ask(WATCH, b"/local/domain/5\0t\0")
        client.ask(WATCH, OUT + b"\0t\0")
        client.start()
    engine.take_dirty()
    dom0.send(dom0.frame(RELEASE, b"5\0") + dom0.frame(READ, b"/tool\0"))

    assert dom0.take() == [(RELEASE, OK), (READ, b"")]
    assert other.take() == [event(OUT, b"t")]
    dirty = engine.take_dirty()
    for guest in guests:
        assert guest.connection.lost
        assert guest.connection in dirty
        assert guest.take() == []
        assert guest.connection.watches == {}
        engine.disconnect(guest.connection)
    usage = engine.store.usage
    assert (usage.watches.of(5), usage.transactions.of(5)) == (0, 0)
    assert engine.connections == [dom0.connection, other.connection]


@pytest.mark.parametrize("op", [RELEASE, Op.RESUME])
def test_own_domain_cannot_be_released_or_resumed(op: Op) -> None:
    """The privileged domain's, whatever its number is; others may be unknown."""
    for domid, other in ((0, 1), (3, 0)):
        client = Client(Engine(Store(domid)))

        assert client.errno(op, b"%d\0" % domid) is EINVAL
        for unknown in (other, 32752):
            assert client.errno(op, b"%d\0" % unknown) is ENOENT


def test_a_caller_that_is_not_known_has_the_features_of_all(engine: Engine) -> None:
    """Such as one whose domain was released a moment ago."""
    engine.tape = None
    connection = engine.core.connect(Caller(9, privileged=False))

    assert engine.core.features(connection) == 15
    assert engine.store.domains.get(9) is None
