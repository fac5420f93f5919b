"""XSA-417: permissions that name a domain which does not exist yet."""

import pytest

from tests.support.hosts import AnyGuest, AnyHost
from tests.xsa.support import home, refusal_of
from xsd.client import Transaction
from xsd.client.nodes import NodeOperations
from xsd.protocol.errors import Errno

LATER = 8
"""A domain that comes after it has been named."""


def set_permissions(anywhere: AnyHost, inside: bool, path: str, *entries: str) -> None:
    """Set permissions as dom0."""
    if not inside:
        anywhere.dom0.set_permissions(path, entries)
        return
    with anywhere.dom0.transaction() as transaction:
        transaction.set_permissions(path, entries)


def check_denied(guest: AnyGuest, *paths: str) -> None:
    """Check that a guest has no right at all to these nodes."""
    for path in paths:
        assert refusal_of(guest.read, path) == Errno.EACCES
        assert refusal_of(guest.write, path, b"mine") == Errno.EACCES
        assert refusal_of(guest.directory, path) == Errno.EACCES
        assert refusal_of(guest.mkdir, path + "/mine") == Errno.EACCES


@pytest.mark.parametrize("letter", ["r", "w", "b"])
def test_a_right_for_nobody_is_nobodys_later(
    anywhere: AnyHost, inside: bool, letter: str
) -> None:
    """The entry stays in the list, as in C, and gives nothing."""
    anywhere.dom0.write("/x", b"secret")
    set_permissions(anywhere, inside, "/x", "n0", f"{letter}{LATER}")
    anywhere.dom0.write("/x/below", b"secret")
    assert anywhere.dom0.get_permissions("/x") == [b"n0", f"{letter}{LATER}".encode()]

    check_denied(anywhere.guest(LATER), "/x", "/x/below")


def test_a_right_can_be_given_when_the_domain_is_there(
    anywhere: AnyHost, inside: bool
) -> None:
    """The same list, set again, is about the domain that there is now."""
    anywhere.dom0.write("/x", b"shared")
    for _ in range(2):
        set_permissions(anywhere, inside, "/x", "n0", f"r{LATER}")
        guest = anywhere.create(LATER)
        anywhere.dom0.introduce(LATER, 1, guest.port)
        check_denied(guest, "/x")
        set_permissions(anywhere, inside, "/x", *texts(anywhere, "/x"))

        assert guest.read("/x") == b"shared"
        anywhere.end(LATER)


def texts(anywhere: AnyHost, path: str) -> list[str]:
    """The permissions of a node, as a tool that copies them would set them."""
    return [entry.decode() for entry in anywhere.dom0.get_permissions(path)]


def test_a_domain_can_be_named_before_it_is_introduced(
    anywhere: AnyHost, inside: bool
) -> None:
    """If the hypervisor has it: the toolstack prepares its nodes first."""
    guest = anywhere.create(LATER)
    anywhere.dom0.write("/x", b"shared")
    set_permissions(anywhere, inside, "/x", "n0", f"r{LATER}")
    anywhere.dom0.write(home(LATER) + b"/data", b"1")
    set_permissions(anywhere, inside, home(LATER).decode(), f"n{LATER}")
    anywhere.dom0.introduce(LATER, 1, guest.port)

    assert guest.read("/x") == b"shared"
    guest.write("mine", b"2")


def test_a_domain_that_ends_before_it_was_introduced_has_left_nothing(
    anywhere: AnyHost, inside: bool
) -> None:
    """Its nodes go, and the next one has none of its rights."""
    anywhere.create(LATER)
    anywhere.dom0.write("/x", b"secret")
    set_permissions(anywhere, inside, "/x", "n0", f"r{LATER}")
    anywhere.dom0.mkdir(home(LATER))
    set_permissions(anywhere, inside, home(LATER).decode(), f"n{LATER}")
    anywhere.end(LATER)
    assert not anywhere.dom0.exists(home(LATER))

    check_denied(anywhere.guest(LATER), "/x")


def test_nobody_can_own_a_node(anywhere: AnyHost) -> None:
    """An owner that does not exist is ENOENT, for dom0 and for guests."""
    anywhere.dom0.mkdir("/x")
    guest = anywhere.guest(1)
    guest.mkdir("data")
    with anywhere.dom0.transaction() as transaction:
        transaction.write("/y", b"")
        cases: list[tuple[NodeOperations | Transaction, str]] = [
            (anywhere.dom0, "/x"),
            (transaction, "/y"),
            (guest, "data"),
        ]
        for client, path in cases:
            for owner in (LATER, 32752, 32756):
                refused = refusal_of(client.set_permissions, path, [f"n{owner}"])
                assert refused == Errno.ENOENT
    assert anywhere.dom0.get_permissions("/x") == [b"n0"]
