"""XSA-233: a domain and the one that works for it end at the same time."""

import pytest

from tests.support.hosts import PATIENCE_S, AnyHost
from tests.xsa.support import home, refusal_of
from xsd.client import Client, Event
from xsd.protocol.errors import Errno

DOMAIN = 5
STUB = 6

GONE = Event(b"@releaseDomain", b"gone")

ORDERS = pytest.mark.parametrize("order", [(DOMAIN, STUB), (STUB, DOMAIN)])


@pytest.fixture
def watcher(anywhere: AnyHost) -> Client:
    """A client that waits for domains to end."""
    watcher = anywhere.client()
    watcher.watch("@releaseDomain", "gone")
    assert watcher.next_event(PATIENCE_S) == GONE
    return watcher


def introduce(anywhere: AnyHost, order: tuple[int, int]) -> None:
    """Make the two domains, in this order, and the one work for the other."""
    for domid in order:
        anywhere.guest(domid).watch("data", "t")
    anywhere.dom0.set_target(STUB, DOMAIN)


def check_gone(anywhere: AnyHost, watcher: Client) -> None:
    """Each end was told once; what comes after has nothing to do with them."""
    assert watcher.next_event(PATIENCE_S) == GONE
    assert watcher.next_event(PATIENCE_S) == GONE
    assert anywhere.is_served()
    assert watcher.next_event(0) is None
    for domid in (DOMAIN, STUB):
        assert not anywhere.dom0.is_domain_introduced(domid)
        assert anywhere.connections_of(domid) == []
        assert not anywhere.dom0.exists(home(domid))
    stub = anywhere.guest(STUB)
    anywhere.guest(DOMAIN)
    assert refusal_of(stub.read, home(DOMAIN)) == Errno.EACCES


@ORDERS
def test_both_are_killed_at_once(
    anywhere: AnyHost, watcher: Client, order: tuple[int, int]
) -> None:
    """The daemon hears of both in one look at the domains."""
    introduce(anywhere, order)
    anywhere.end(*order)

    check_gone(anywhere, watcher)


@ORDERS
@pytest.mark.parametrize("first", [DOMAIN, STUB])
def test_both_are_released(
    anywhere: AnyHost, watcher: Client, order: tuple[int, int], first: int
) -> None:
    """By the toolstack, in whichever order; a second RELEASE has nobody to end."""
    introduce(anywhere, order)
    for domid in (first, DOMAIN + STUB - first):
        anywhere.dom0.release(domid)
        assert refusal_of(anywhere.dom0.release, domid) == Errno.ENOENT
    anywhere.end(*order)

    check_gone(anywhere, watcher)


@ORDERS
def test_one_is_released_when_both_are_killed(
    anywhere: AnyHost, watcher: Client, order: tuple[int, int]
) -> None:
    """RELEASE and the hypervisor's news meet; each domain ends once."""
    introduce(anywhere, order)
    anywhere.dom0.release(STUB)
    anywhere.end(DOMAIN, STUB)

    check_gone(anywhere, watcher)


def test_a_domain_that_works_for_itself_ends_like_any_other(
    anywhere: AnyHost, watcher: Client
) -> None:
    """SET_TARGET of a domain to itself adds nothing that could hold it."""
    anywhere.guest(DOMAIN)
    anywhere.dom0.set_target(DOMAIN, DOMAIN)
    anywhere.dom0.release(DOMAIN)

    assert watcher.next_event(PATIENCE_S) == GONE
    assert not anywhere.dom0.is_domain_introduced(DOMAIN)
    assert anywhere.connections_of(DOMAIN) == []


def test_two_domains_that_work_for_each_other_end(
    anywhere: AnyHost, watcher: Client
) -> None:
    """SET_TARGET in a circle does not hold them either."""
    introduce(anywhere, (DOMAIN, STUB))
    anywhere.dom0.set_target(DOMAIN, STUB)
    anywhere.end(DOMAIN, STUB)

    check_gone(anywhere, watcher)


def test_nothing_is_left_of_domains_that_end_together_again_and_again(
    anywhere: AnyHost,
) -> None:
    """The store is as it was before."""
    before = anywhere.counts()
    for _ in range(5):
        introduce(anywhere, (STUB, DOMAIN))
        anywhere.end(STUB, DOMAIN)

    assert anywhere.counts() == before
