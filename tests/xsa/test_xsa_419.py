"""XSA-419: nodes of domains that have ended, left to dom0, which has no quota."""

from pathlib import Path

import pytest

from tests.engine.support import Client, event
from tests.support.processes import Place
from tests.xsa.hosts import Host
from tests.xsa.support import Bystander, Counts, guest_at_home, home
from xsd.engine import Engine
from xsd.protocol.ops import Op
from xsd.store.check import verify

ROUNDS = 50

NODES = 30
"""That each domain makes outside its home."""


@pytest.fixture
def shared(dom0: Client) -> bytes:
    """A directory in which every domain may make nodes."""
    dom0.ok(Op.MKDIR, b"/shared\0")
    dom0.ok(Op.SET_PERMS, b"/shared\0b0\0")
    return b"/shared"


def live_and_die(engine: Engine, dom0: Client, shared: bytes) -> None:
    """Have a domain come, make nodes in and outside its home, and go."""
    guest = guest_at_home(engine, 1)
    for number in range(NODES):
        guest.ok(Op.WRITE, shared + b"/%d/below\0value" % number)
        guest.ok(Op.SET_PERMS, shared + b"/%d\0n1\0b0\0" % number)
        guest.ok(Op.WRITE, b"data/%d\0value" % number)
    dom0.ok(Op.RELEASE, b"1\0")
    engine.disconnect(guest.connection)


def test_domains_that_come_and_go_leave_nothing(
    engine: Engine, dom0: Client, bystander: Bystander, shared: bytes
) -> None:
    """However often, wherever their nodes were."""
    live_and_die(engine, dom0, shared)
    before = Counts(engine.store)
    for _ in range(ROUNDS):
        live_and_die(engine, dom0, shared)
        assert Counts(engine.store) == before

    assert dom0.reply(Op.DIRECTORY, shared + b"\0") == (Op.DIRECTORY, b"")
    assert bystander.is_served()


def test_others_nodes_below_those_of_a_dead_domain_go_with_them(
    engine: Engine, dom0: Client, hostile: Client, bystander: Bystander
) -> None:
    """They are taken off their owners' counters; whoever watched is told."""
    other = guest_at_home(engine, 2)
    hostile.ok(Op.MKDIR, b"mine\0")
    hostile.ok(Op.SET_PERMS, b"mine\0b1\0")
    other.ok(Op.WRITE, home(1) + b"/mine/theirs\0value")
    other.ok(Op.WATCH, home(1) + b"/mine/theirs\0t\0")
    assert engine.store.usage.nodes.of(2) == 2
    dom0.ok(Op.RELEASE, b"1\0")

    assert engine.store.usage.nodes.of(2) == 1
    assert other.take() == [event(home(1) + b"/mine/theirs", b"t")]
    assert bystander.is_served()


def test_domains_that_are_killed_leave_nothing(host: Host) -> None:
    """On rings, as a guest that reboots all the time."""
    host.dom0.mkdir("/shared")
    host.dom0.set_permissions("/shared", ["b0"])
    before = host.run(lambda: Counts(host.engine.store))
    for _ in range(10):
        guest = host.guest(1)
        for number in range(10):
            guest.write(f"/shared/{number}/below", b"value")
        host.end(1)
        assert host.run(lambda: Counts(host.engine.store)) == before
    assert host.is_served()


def test_orphans_are_kept_if_the_operator_wants_it(
    engine: Engine, dom0: Client, bystander: Bystander, shared: bytes
) -> None:
    """They are dom0's then: the counters stay right, and nothing limits them."""
    engine.keep_orphans(keep=True)
    for round_ in range(1, 4):
        guest = guest_at_home(engine, 1)
        of_dom0 = engine.store.usage.nodes.of(0)
        for number in range(NODES):
            guest.ok(Op.WRITE, shared + b"/%d-%d\0value" % (round_, number))
        dom0.ok(Op.RELEASE, b"1\0")
        engine.disconnect(guest.connection)

        # The home is one more.
        assert engine.store.usage.nodes.of(0) == of_dom0 + NODES + 1
        assert engine.store.usage.nodes.of(1) == 0
    assert verify(engine.store) == []
    assert bystander.is_served()


def test_keeping_orphans_is_called_unsafe_where_it_is_offered(place: Place) -> None:
    """In the usage text and where the trust model is written down."""
    lines = place.run("--help").stdout.splitlines()
    (line,) = [line for line in lines if "--keep-orphans" in line]
    page = Path(__file__).resolve().parents[2] / "docs" / "security.md"

    assert "unsafe" in line
    assert "--keep-orphans" in page.read_text(encoding="utf-8")
