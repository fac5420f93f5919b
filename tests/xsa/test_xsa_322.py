"""XSA-322: a new domain inherits what its domid's last bearer was given."""

from collections.abc import Callable

import pytest

from tests.support.hosts import PATIENCE_S, AnyGuest, AnyHost
from tests.xsa.support import home, refusal_of
from xsd.client import Event
from xsd.protocol.errors import Errno

DOMID = 5

Again = Callable[[AnyHost], AnyGuest]
"""A way to have another domain of the same id."""


def killed(anywhere: AnyHost) -> AnyGuest:
    """The daemon has seen the end of the first one."""
    anywhere.end(DOMID)
    return anywhere.guest(DOMID)


def released(anywhere: AnyHost) -> AnyGuest:
    """The toolstack has said that it ended, and then it did."""
    anywhere.dom0.release(DOMID)
    anywhere.end(DOMID)
    return anywhere.guest(DOMID)


def replaced(anywhere: AnyHost) -> AnyGuest:
    """The daemon sees both at once: there is a domain, yet it is another one."""
    guest = anywhere.replace(DOMID)
    anywhere.dom0.mkdir(home(DOMID))
    anywhere.dom0.set_permissions(home(DOMID), [b"n%d" % DOMID])
    anywhere.dom0.introduce(DOMID, 1, guest.port)
    return guest


@pytest.fixture(params=[killed, released, replaced])
def again(request: pytest.FixtureRequest) -> Again:
    """The ways to have another domain of the same id."""
    found: Again = request.param
    return found


def test_rights_on_others_nodes_end(anywhere: AnyHost, again: Again) -> None:
    """Those that were set and those that new nodes have inherited."""
    guest = anywhere.guest(DOMID)
    anywhere.dom0.write("/x", b"secret")
    anywhere.dom0.set_permissions("/x", ["n0", "r3", f"b{DOMID}"])
    anywhere.dom0.write("/x/below", b"secret")
    assert guest.read("/x") == guest.read("/x/below") == b"secret"

    guest = again(anywhere)
    for path in ("/x", "/x/below"):
        assert refusal_of(guest.read, path) == Errno.EACCES
        assert refusal_of(guest.write, path, b"mine") == Errno.EACCES
        assert refusal_of(guest.get_permissions, path) == Errno.EACCES
        assert anywhere.dom0.get_permissions(path) == [b"n0", b"r3"]
    assert refusal_of(guest.mkdir, "/x/mine") == Errno.EACCES


def test_nodes_do_not_pass_to_the_next_domain(anywhere: AnyHost, again: Again) -> None:
    """Neither in its home nor elsewhere."""
    guest = anywhere.guest(DOMID)
    guest.write("data/secret", b"1")
    anywhere.dom0.mkdir("/backend")
    anywhere.dom0.set_permissions("/backend", [f"n{DOMID}"])
    guest.write("/backend/secret", b"1")

    guest = again(anywhere)
    assert guest.directory(home(DOMID)) == []
    assert refusal_of(guest.read, "/backend/secret") == Errno.EACCES
    assert not anywhere.dom0.exists("/backend")


@pytest.mark.parametrize("name", ["@releaseDomain", "@introduceDomain"])
def test_rights_on_special_names_end(
    anywhere: AnyHost, again: Again, name: str
) -> None:
    """The next domain can watch them and is told nothing."""
    guest = anywhere.guest(DOMID)
    anywhere.dom0.set_permissions(name, ["n0", f"r{DOMID}"])
    guest.watch(name, "t")
    anywhere.guest(20)
    anywhere.end(20)
    assert [guest.next_event(PATIENCE_S) for _ in range(2)] == [
        Event(name.encode(), b"t")
    ] * 2

    guest = again(anywhere)
    guest.watch(name, "t")
    assert guest.next_event(PATIENCE_S) == Event(name.encode(), b"t")
    anywhere.guest(20)
    anywhere.end(20)
    assert not guest.exists("data")  # what was under way has come
    assert guest.next_event(0) is None
    assert anywhere.dom0.get_permissions(name) == [b"n0"]


def test_a_special_name_that_a_guest_owned_is_dom0s_again(
    anywhere: AnyHost, again: Again
) -> None:
    """It cannot be removed with the guest's nodes."""
    anywhere.guest(DOMID)
    anywhere.dom0.set_permissions("@releaseDomain", [f"n{DOMID}"])

    guest = again(anywhere)
    refused = refusal_of(guest.set_permissions, "@releaseDomain", ["r5"])
    assert refused == Errno.EACCES
    assert anywhere.dom0.get_permissions("@releaseDomain") == [b"n0"]


def test_rights_given_in_a_transaction_are_not_the_next_domains(
    anywhere: AnyHost, again: Again
) -> None:
    """The transaction names a domain that has ended before the commit."""
    anywhere.guest(DOMID)
    anywhere.dom0.write("/x", b"secret")
    transaction = anywhere.dom0.transaction()
    transaction.set_permissions("/x", ["n0", f"r{DOMID}"])
    transaction.write("/y", b"secret")
    transaction.set_permissions("/y", [f"n{DOMID}"])

    guest = again(anywhere)
    assert refusal_of(transaction.commit) == Errno.EAGAIN
    assert refusal_of(guest.read, "/x") == Errno.EACCES
    assert not anywhere.dom0.exists("/y")


def test_transactions_and_watches_end_with_their_domain(
    anywhere: AnyHost, again: Again
) -> None:
    """The next domain's ids begin anew, and nothing of the first one's is told it."""
    guest = anywhere.guest(DOMID)
    guest.watch("data", "t")
    transaction = guest.transaction()
    transaction.write("data", b"1")

    guest = again(anywhere)
    guest.write("data", b"2")
    assert guest.next_event(0) is None
    assert anywhere.transactions() == {}
    assert guest.transaction().read("data") == b"2"


def test_who_worked_for_a_domain_does_not_work_for_the_next(
    anywhere: AnyHost, again: Again
) -> None:
    """SET_TARGET names a domain, not a number."""
    anywhere.guest(DOMID).write("data", b"1")
    stub = anywhere.guest(6)
    anywhere.dom0.set_target(6, DOMID)
    transaction = stub.transaction()
    transaction.write(home(DOMID) + b"/data", b"2")

    guest = again(anywhere)
    guest.write("data", b"3")
    for request in (stub.read, stub.rm, transaction.read):
        assert refusal_of(request, home(DOMID) + b"/data") == Errno.EACCES
    assert refusal_of(transaction.commit) in {Errno.EACCES, Errno.EAGAIN}
    assert guest.read("data") == b"3"
