"""XSA-353: a root that is held to no permissions."""

from typing import Final

import pytest

from tests.xsa.support import World
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.testing import Session
from xsd.testing.session import event

REQUESTS: Final = [
    (Op.DIRECTORY, b""),
    (Op.DIRECTORY_PART, b"0\0"),
    (Op.READ, b""),
    (Op.GET_PERMS, b""),
    (Op.WRITE, b"value"),
    (Op.MKDIR, b""),
    (Op.RM, b""),
    (Op.SET_PERMS, b"n1\0"),
    (Op.SET_PERMS, b"b0\0"),
]
"""All that can be asked of a node, and what follows its name."""


@pytest.mark.parametrize("path", [b"/", b"/local", b"/tool/xenstored", b"/new"])
def test_a_guest_has_no_rights_at_the_root(
    world: World, hostile: Session, path: bytes, inside: bool
) -> None:
    """Nor to what dom0 has there; it is not told what there is."""
    before = world.counts()
    with hostile.transaction(inside=inside) as number:
        for op, rest in REQUESTS:
            assert hostile.refused(op, path + b"\0" + rest, number) == Errno.EACCES
    assert world.counts() == before


def test_nobody_removes_the_root(
    world: World, dom0: Session, hostile: Session, inside: bool
) -> None:
    """Not dom0, and not a guest that may write there."""
    for client in (dom0, hostile):
        with client.transaction(inside=inside) as number:
            assert client.refused(Op.RM, b"/\0", number) == (
                Errno.EINVAL if client is dom0 else Errno.EACCES
            )
    dom0.ok(Op.SET_PERMS, b"/\0b0\0")
    before = world.counts()

    assert hostile.refused(Op.RM, b"/\0") == Errno.EINVAL
    assert world.counts() == before


@pytest.mark.parametrize("name", [b"@introduceDomain", b"@releaseDomain"])
def test_nobody_removes_or_writes_a_special_name(
    dom0: Session, hostile: Session, name: bytes
) -> None:
    """They are needed as long as there are domains, and have only permissions."""
    for client in (dom0, hostile):
        for op in (Op.RM, Op.WRITE, Op.MKDIR, Op.READ, Op.DIRECTORY):
            assert client.refused(op, name + b"\0") == Errno.EINVAL
    assert hostile.refused(Op.SET_PERMS, name + b"\0n1\0") == Errno.EACCES
    dom0.ok(Op.WATCH, name + b"\0t\0")
    dom0.ok(Op.INTRODUCE, b"30\x001\x001\0")
    dom0.ok(Op.RELEASE, b"30\0")


def test_the_root_obeys_its_permissions(dom0: Session, hostile: Session) -> None:
    """What dom0 allows is allowed there as anywhere, and no more than that."""
    dom0.ok(Op.SET_PERMS, b"/\0r0\0")

    assert hostile.reply(Op.DIRECTORY, b"/\0") == (Op.DIRECTORY, b"tool\0local\0")
    assert hostile.refused(Op.WRITE, b"/\0value") == Errno.EACCES
    assert hostile.refused(Op.MKDIR, b"/new\0") == Errno.EACCES
    hostile.ok(Op.WATCH, b"/\0t\0")
    dom0.ok(Op.WRITE, b"/\0value")
    assert hostile.take() == [event(b"/", b"t")]
    assert hostile.reply(Op.READ, b"/\0") == (Op.READ, b"value")
