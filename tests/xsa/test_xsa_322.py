"""XSA-322: a new domain inherits what its domid's last bearer was given."""

from collections.abc import Callable

import pytest

from tests.xsa.hosts import PATIENCE_S, Host
from tests.xsa.support import home, refusal_of
from xsd.client import Event
from xsd.protocol.errors import Errno
from xsd.testing import Guest

DOMID = 5

Again = Callable[[Host], Guest]
"""A way to have another domain of the same id."""


def killed(host: Host) -> Guest:
    """The daemon has seen the end of the first one."""
    host.end(DOMID)
    return host.guest(DOMID)


def released(host: Host) -> Guest:
    """The toolstack has said that it ended, and then it did."""
    host.dom0.release(DOMID)
    host.end(DOMID)
    return host.guest(DOMID)


def replaced(host: Host) -> Guest:
    """The daemon sees both at once: there is a domain, yet it is another one."""
    guest = host.replace(DOMID)
    host.dom0.mkdir(home(DOMID))
    host.dom0.set_permissions(home(DOMID), [b"n%d" % DOMID])
    host.dom0.introduce(DOMID, 1, guest.port)
    return guest


@pytest.fixture(params=[killed, released, replaced])
def again(request: pytest.FixtureRequest) -> Again:
    """The ways to have another domain of the same id."""
    found: Again = request.param
    return found


def test_rights_on_others_nodes_end(host: Host, again: Again) -> None:
    """Those that were set and those that new nodes have inherited."""
    guest = host.guest(DOMID)
    host.dom0.write("/x", b"secret")
    host.dom0.set_permissions("/x", ["n0", "r3", f"b{DOMID}"])
    host.dom0.write("/x/below", b"secret")
    assert guest.read("/x") == guest.read("/x/below") == b"secret"

    guest = again(host)
    for path in ("/x", "/x/below"):
        assert refusal_of(guest.read, path) == Errno.EACCES
        assert refusal_of(guest.write, path, b"mine") == Errno.EACCES
        assert refusal_of(guest.get_permissions, path) == Errno.EACCES
        assert host.dom0.get_permissions(path) == [b"n0", b"r3"]
    assert refusal_of(guest.mkdir, "/x/mine") == Errno.EACCES


def test_nodes_do_not_pass_to_the_next_domain(host: Host, again: Again) -> None:
    """Neither in its home nor elsewhere."""
    guest = host.guest(DOMID)
    guest.write("data/secret", b"1")
    host.dom0.mkdir("/backend")
    host.dom0.set_permissions("/backend", [f"n{DOMID}"])
    guest.write("/backend/secret", b"1")

    guest = again(host)
    assert guest.directory(home(DOMID)) == []
    assert refusal_of(guest.read, "/backend/secret") == Errno.EACCES
    assert not host.dom0.exists("/backend")


@pytest.mark.parametrize("name", ["@releaseDomain", "@introduceDomain"])
def test_rights_on_special_names_end(host: Host, again: Again, name: str) -> None:
    """The next domain can watch them and is told nothing."""
    guest = host.guest(DOMID)
    host.dom0.set_permissions(name, ["n0", f"r{DOMID}"])
    guest.watch(name, "t")
    host.guest(20)
    host.end(20)
    assert [guest.next_event(PATIENCE_S) for _ in range(2)] == [
        Event(name.encode(), b"t")
    ] * 2

    guest = again(host)
    guest.watch(name, "t")
    assert guest.next_event(PATIENCE_S) == Event(name.encode(), b"t")
    host.guest(20)
    host.end(20)
    assert not guest.exists("data")  # what was under way has come
    assert guest.next_event(0) is None
    assert host.dom0.get_permissions(name) == [b"n0"]


def test_a_special_name_that_a_guest_owned_is_dom0s_again(
    host: Host, again: Again
) -> None:
    """It cannot be removed with the guest's nodes."""
    host.guest(DOMID)
    host.dom0.set_permissions("@releaseDomain", [f"n{DOMID}"])

    guest = again(host)
    refused = refusal_of(guest.set_permissions, "@releaseDomain", ["r5"])
    assert refused == Errno.EACCES
    assert host.dom0.get_permissions("@releaseDomain") == [b"n0"]


def test_rights_given_in_a_transaction_are_not_the_next_domains(
    host: Host, again: Again
) -> None:
    """The transaction names a domain that has ended before the commit."""
    host.guest(DOMID)
    host.dom0.write("/x", b"secret")
    transaction = host.dom0.transaction()
    transaction.set_permissions("/x", ["n0", f"r{DOMID}"])
    transaction.write("/y", b"secret")
    transaction.set_permissions("/y", [f"n{DOMID}"])

    guest = again(host)
    assert refusal_of(transaction.commit) == Errno.EAGAIN
    assert refusal_of(guest.read, "/x") == Errno.EACCES
    assert not host.dom0.exists("/y")


def test_transactions_and_watches_end_with_their_domain(
    host: Host, again: Again
) -> None:
    """The next domain's ids begin anew, and nothing of the first one's is told it."""
    guest = host.guest(DOMID)
    guest.watch("data", "t")
    transaction = guest.transaction()
    transaction.write("data", b"1")

    guest = again(host)
    guest.write("data", b"2")
    assert guest.next_event(0) is None
    assert host.transactions() == {}
    assert guest.transaction().read("data") == b"2"


def test_who_worked_for_a_domain_does_not_work_for_the_next(
    host: Host, again: Again
) -> None:
    """SET_TARGET names a domain, not a number."""
    host.guest(DOMID).write("data", b"1")
    stub = host.guest(6)
    host.dom0.set_target(6, DOMID)
    transaction = stub.transaction()
    transaction.write(home(DOMID) + b"/data", b"2")

    guest = again(host)
    guest.write("data", b"3")
    for request in (stub.read, stub.rm, transaction.read):
        assert refusal_of(request, home(DOMID) + b"/data") == Errno.EACCES
    assert refusal_of(transaction.commit) in {Errno.EACCES, Errno.EAGAIN}
    assert guest.read("data") == b"3"
