"""XSA-417: permissions that name a domain which does not exist yet."""

import pytest

from tests.xsa.hosts import Host
from tests.xsa.support import home, refusal_of
from xsd.client import Transaction
from xsd.client.nodes import NodeOperations
from xsd.protocol.errors import Errno
from xsd.testing import Guest

LATER = 8
"""A domain that comes after it has been named."""


@pytest.fixture(params=["directly", "in_a_transaction"])
def inside(request: pytest.FixtureRequest) -> bool:
    """Whether dom0 sets the permissions in a transaction."""
    found: bool = request.param == "in_a_transaction"
    return found


def set_permissions(host: Host, inside: bool, path: str, *entries: str) -> None:
    """Set permissions as dom0."""
    if not inside:
        host.dom0.set_permissions(path, entries)
        return
    with host.dom0.transaction() as transaction:
        transaction.set_permissions(path, entries)


def check_denied(guest: Guest, *paths: str) -> None:
    """Check that a guest has no right at all to these nodes."""
    for path in paths:
        assert refusal_of(guest.read, path) == Errno.EACCES
        assert refusal_of(guest.write, path, b"mine") == Errno.EACCES
        assert refusal_of(guest.directory, path) == Errno.EACCES
        assert refusal_of(guest.mkdir, path + "/mine") == Errno.EACCES


@pytest.mark.parametrize("letter", ["r", "w", "b"])
def test_a_right_for_nobody_is_nobodys_later(
    host: Host, inside: bool, letter: str
) -> None:
    """The entry stays in the list, as in C, and gives nothing."""
    host.dom0.write("/x", b"secret")
    set_permissions(host, inside, "/x", "n0", f"{letter}{LATER}")
    host.dom0.write("/x/below", b"secret")
    assert host.dom0.get_permissions("/x") == [b"n0", f"{letter}{LATER}".encode()]

    check_denied(host.guest(LATER), "/x", "/x/below")


def test_a_right_can_be_given_when_the_domain_is_there(
    host: Host, inside: bool
) -> None:
    """The same list, set again, is about the domain that there is now."""
    host.dom0.write("/x", b"shared")
    for _ in range(2):
        set_permissions(host, inside, "/x", "n0", f"r{LATER}")
        guest = host.create(LATER)
        host.dom0.introduce(LATER, 1, guest.port)
        check_denied(guest, "/x")
        set_permissions(host, inside, "/x", *texts(host, "/x"))

        assert guest.read("/x") == b"shared"
        host.end(LATER)


def texts(host: Host, path: str) -> list[str]:
    """The permissions of a node, as a tool that copies them would set them."""
    return [entry.decode() for entry in host.dom0.get_permissions(path)]


def test_a_domain_can_be_named_before_it_is_introduced(
    host: Host, inside: bool
) -> None:
    """If the hypervisor has it: the toolstack prepares its nodes first."""
    guest = host.create(LATER)
    host.dom0.write("/x", b"shared")
    set_permissions(host, inside, "/x", "n0", f"r{LATER}")
    host.dom0.write(home(LATER) + b"/data", b"1")
    set_permissions(host, inside, home(LATER).decode(), f"n{LATER}")
    host.dom0.introduce(LATER, 1, guest.port)

    assert guest.read("/x") == b"shared"
    guest.write("mine", b"2")


def test_a_domain_that_ends_before_it_was_introduced_has_left_nothing(
    host: Host, inside: bool
) -> None:
    """Its nodes go, and the next one has none of its rights."""
    host.create(LATER)
    host.dom0.write("/x", b"secret")
    set_permissions(host, inside, "/x", "n0", f"r{LATER}")
    host.dom0.mkdir(home(LATER))
    set_permissions(host, inside, home(LATER).decode(), f"n{LATER}")
    host.end(LATER)
    assert not host.dom0.exists(home(LATER))

    check_denied(host.guest(LATER), "/x")


def test_nobody_can_own_a_node(host: Host) -> None:
    """An owner that does not exist is ENOENT, for dom0 and for guests."""
    host.dom0.mkdir("/x")
    guest = host.guest(1)
    guest.mkdir("data")
    with host.dom0.transaction() as transaction:
        transaction.write("/y", b"")
        cases: list[tuple[NodeOperations | Transaction, str]] = [
            (host.dom0, "/x"),
            (transaction, "/y"),
            (guest, "data"),
        ]
        for client, path in cases:
            for owner in (LATER, 32752, 32756):
                refused = refusal_of(client.set_permissions, path, [f"n{owner}"])
                assert refused == Errno.ENOENT
    assert host.dom0.get_permissions("/x") == [b"n0"]
