"""XSA-352: a guest gives its nodes away, and with them what they count for."""

import pytest

from tests.xsa.support import World, home
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.testing import Session


@pytest.mark.parametrize("owner", [b"0", b"2", b"7", b"32752", b"32757", b"-1"])
def test_a_guest_cannot_change_the_owner_of_its_nodes(
    world: World, hostile: Session, owner: bytes, inside: bool
) -> None:
    """Neither to dom0, which has no quota, nor to another, which has one."""
    world.guest(2)
    hostile.ok(Op.MKDIR, b"gift\0")
    before = world.counts()
    with hostile.transaction(inside=inside) as number:
        # Reserved numbers are no domains, so they cannot own anything.
        exists = owner in {b"0", b"2", b"7", b"32757"}
        for letter in (b"n", b"r", b"w", b"b"):
            payload = b"gift\0" + letter + owner + b"\0b1\0"

            assert hostile.refused(Op.SET_PERMS, payload, number) == (
                Errno.EPERM if exists else Errno.ENOENT
            )
    assert world.counts() == before
    assert hostile.reply(Op.GET_PERMS, b"gift\0") == (Op.GET_PERMS, b"n1\0")


def test_a_guest_that_works_for_another_cannot_move_nodes_between_them(
    world: World, dom0: Session, hostile: Session, inside: bool
) -> None:
    """Although it may do all else with the nodes of both."""
    world.guest(2).ok(Op.MKDIR, b"theirs\0")
    hostile.ok(Op.MKDIR, b"mine\0")
    dom0.ok(Op.SET_TARGET, b"1\x002\0")
    before = world.counts()
    with hostile.transaction(inside=inside) as number:
        assert hostile.refused(Op.SET_PERMS, b"mine\0n2\0", number) == Errno.EPERM
        theirs = home(2) + b"/theirs\0"
        assert hostile.refused(Op.SET_PERMS, theirs + b"n1\0", number) == Errno.EPERM
        hostile.ok(Op.SET_PERMS, theirs + b"n2\0r1\0", number)
    assert world.counts() == before


def test_dom0_can_give_nodes_to_whom_it_likes(
    world: World, dom0: Session, hostile: Session, inside: bool
) -> None:
    """They count for the new owner, who cannot give them back."""
    dom0.ok(Op.MKDIR, b"/given\0")
    of_dom0, of_guest = (world.nodes(domid) for domid in (0, 1))
    with dom0.transaction(inside=inside) as number:
        dom0.ok(Op.SET_PERMS, b"/given\0n1\0", number)

    assert world.nodes(0) == of_dom0 - 1
    assert world.nodes(1) == of_guest + 1
    assert hostile.refused(Op.SET_PERMS, b"/given\0n0\0") == Errno.EPERM


def test_what_a_guest_makes_in_anothers_directory_is_its_own(
    world: World, dom0: Session, hostile: Session
) -> None:
    """It cannot use up the quota of whoever lets it write."""
    victim = world.guest(2)
    victim.ok(Op.SET_PERMS, home(2) + b"\0b2\0")
    used = world.nodes(2)
    for number in range(20):
        hostile.ok(Op.MKDIR, home(2) + b"/x%d\0" % number)

    assert world.nodes(2) == used
    assert world.nodes(1) == 21
    assert dom0.reply(Op.GET_PERMS, home(2) + b"/x0\0") == (Op.GET_PERMS, b"b1\0")
