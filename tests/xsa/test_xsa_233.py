"""XSA-233: a domain and the one that works for it end at the same time."""

import pytest

from tests.xsa.hosts import PATIENCE_S, Host
from tests.xsa.support import home, refusal_of
from xsd.client import Client, Event
from xsd.protocol.errors import Errno

DOMAIN = 5
STUB = 6

GONE = Event(b"@releaseDomain", b"gone")

ORDERS = pytest.mark.parametrize("order", [(DOMAIN, STUB), (STUB, DOMAIN)])


@pytest.fixture
def watcher(host: Host) -> Client:
    """A client that waits for domains to end."""
    watcher = host.client()
    watcher.watch("@releaseDomain", "gone")
    assert watcher.next_event(PATIENCE_S) == GONE
    return watcher


def introduce(host: Host, order: tuple[int, int]) -> None:
    """Make the two domains, in this order, and the one work for the other."""
    for domid in order:
        host.guest(domid).watch("data", "t")
    host.dom0.set_target(STUB, DOMAIN)


def check_gone(host: Host, watcher: Client) -> None:
    """Each end was told once; what comes after has nothing to do with them."""
    assert watcher.next_event(PATIENCE_S) == GONE
    assert watcher.next_event(PATIENCE_S) == GONE
    assert host.is_served()
    assert watcher.next_event(0) is None
    for domid in (DOMAIN, STUB):
        assert not host.dom0.is_domain_introduced(domid)
        assert host.connections_of(domid) == []
        assert not host.dom0.exists(home(domid))
    stub = host.guest(STUB)
    host.guest(DOMAIN)
    assert refusal_of(stub.read, home(DOMAIN)) == Errno.EACCES


@ORDERS
def test_both_are_killed_at_once(
    host: Host, watcher: Client, order: tuple[int, int]
) -> None:
    """The daemon hears of both in one look at the domains."""
    introduce(host, order)
    host.end(*order)

    check_gone(host, watcher)


@ORDERS
@pytest.mark.parametrize("first", [DOMAIN, STUB])
def test_both_are_released(
    host: Host, watcher: Client, order: tuple[int, int], first: int
) -> None:
    """By the toolstack, in whichever order; a second RELEASE has nobody to end."""
    introduce(host, order)
    for domid in (first, DOMAIN + STUB - first):
        host.dom0.release(domid)
        assert refusal_of(host.dom0.release, domid) == Errno.ENOENT
    host.end(*order)

    check_gone(host, watcher)


@ORDERS
def test_one_is_released_when_both_are_killed(
    host: Host, watcher: Client, order: tuple[int, int]
) -> None:
    """RELEASE and the hypervisor's news meet; each domain ends once."""
    introduce(host, order)
    host.dom0.release(STUB)
    host.end(DOMAIN, STUB)

    check_gone(host, watcher)


def test_a_domain_that_works_for_itself_ends_like_any_other(
    host: Host, watcher: Client
) -> None:
    """SET_TARGET of a domain to itself adds nothing that could hold it."""
    host.guest(DOMAIN)
    host.dom0.set_target(DOMAIN, DOMAIN)
    host.dom0.release(DOMAIN)

    assert watcher.next_event(PATIENCE_S) == GONE
    assert not host.dom0.is_domain_introduced(DOMAIN)
    assert host.connections_of(DOMAIN) == []


def test_two_domains_that_work_for_each_other_end(host: Host, watcher: Client) -> None:
    """SET_TARGET in a circle does not hold them either."""
    introduce(host, (DOMAIN, STUB))
    host.dom0.set_target(DOMAIN, STUB)
    host.end(DOMAIN, STUB)

    check_gone(host, watcher)


def test_nothing_is_left_of_domains_that_end_together_again_and_again(
    host: Host,
) -> None:
    """The store is as it was before."""
    before = host.counts()
    for _ in range(5):
        introduce(host, (STUB, DOMAIN))
        host.end(STUB, DOMAIN)

    assert host.counts() == before
