"""XSA-419: nodes of domains that have ended, left to dom0, which has no quota."""

from pathlib import Path

import pytest

from tests.support.hosts import AnyHost
from tests.support.processes import Place
from tests.xsa.support import World, home
from xsd.protocol.ops import Op
from xsd.testing import Session
from xsd.testing.session import event

ROUNDS = 50

NODES = 30
"""That each domain makes outside its home."""


@pytest.fixture
def shared(dom0: Session) -> bytes:
    """A directory in which every domain may make nodes."""
    dom0.make(b"/shared", b"b0")
    return b"/shared"


def live_and_die(world: World, dom0: Session, shared: bytes) -> None:
    """Have a domain come, make nodes in and outside its home, and go."""
    guest = world.guest(1)
    for number in range(NODES):
        guest.ok(Op.WRITE, shared + b"/%d/below\0value" % number)
        guest.ok(Op.SET_PERMS, shared + b"/%d\0n1\0b0\0" % number)
        guest.ok(Op.WRITE, b"data/%d\0value" % number)
    dom0.ok(Op.RELEASE, b"1\0")
    guest.close()


def test_domains_that_come_and_go_leave_nothing(
    world: World, dom0: Session, shared: bytes
) -> None:
    """However often, wherever their nodes were."""
    live_and_die(world, dom0, shared)
    before = world.counts()
    for _ in range(ROUNDS):
        live_and_die(world, dom0, shared)
        assert world.counts() == before

    assert dom0.reply(Op.DIRECTORY, shared + b"\0") == (Op.DIRECTORY, b"")


def test_others_nodes_below_those_of_a_dead_domain_go_with_them(
    world: World, dom0: Session, hostile: Session
) -> None:
    """They are taken off their owners' counters; whoever watched is told."""
    other = world.guest(2)
    hostile.make(b"mine", b"b1")
    other.ok(Op.WRITE, home(1) + b"/mine/theirs\0value")
    other.ok(Op.WATCH, home(1) + b"/mine/theirs\0t\0")
    assert world.nodes(2) == 2
    dom0.ok(Op.RELEASE, b"1\0")

    assert world.nodes(2) == 1
    assert other.take() == [event(home(1) + b"/mine/theirs", b"t")]


def test_domains_that_are_killed_leave_nothing(anywhere: AnyHost) -> None:
    """On rings, as a guest that reboots all the time."""
    anywhere.dom0.mkdir("/shared")
    anywhere.dom0.set_permissions("/shared", ["b0"])
    before = anywhere.counts()
    for _ in range(10):
        guest = anywhere.guest(1)
        for number in range(10):
            guest.write(f"/shared/{number}/below", b"value")
        anywhere.end(1)
        assert anywhere.counts() == before


def test_orphans_are_kept_if_the_operator_wants_it(
    world: World, dom0: Session, shared: bytes
) -> None:
    """They are dom0's then: the counters stay right, and nothing limits them."""
    world.xenstore.engine.keep_orphans(keep=True)
    for round_ in range(1, 4):
        guest = world.guest(1)
        of_dom0 = world.nodes(0)
        for number in range(NODES):
            guest.ok(Op.WRITE, shared + b"/%d-%d\0value" % (round_, number))
        dom0.ok(Op.RELEASE, b"1\0")
        guest.close()

        # The home is one more.
        assert world.nodes(0) == of_dom0 + NODES + 1
        assert world.nodes(1) == 0


def test_keeping_orphans_is_called_unsafe_where_it_is_offered(place: Place) -> None:
    """In the usage text and where the trust model is written down."""
    lines = place.run("--help").stdout.splitlines()
    (line,) = [line for line in lines if "--keep-orphans" in line]
    page = Path(__file__).resolve().parents[2] / "docs" / "security.md"

    assert "unsafe" in line
    assert "--keep-orphans" in page.read_text(encoding="utf-8")
