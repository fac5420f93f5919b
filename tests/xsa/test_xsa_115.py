"""XSA-115: watches that tell what the watcher may not read."""

import pytest

from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.testing import Session
from xsd.testing.session import OK, event

SECRET = b"/secret"

BELOW = SECRET + b"/below"


Change = tuple[int, bytes, bytes, list[bytes]]
"""Type, path and rest of a request, and the paths of the events that it causes."""


def check_told(dom0: Session, watcher: Session, inside: bool, *rows: Change) -> None:
    """Make each change, in a transaction of its own or in none; see what is told."""
    for op, path, rest, told in rows:
        with dom0.transaction(inside=inside) as tx:
            dom0.ok(op, path + b"\0" + rest, tx)
        assert watcher.take() == [event(each, b"t") for each in told]


@pytest.mark.parametrize("watched", [b"/", SECRET, BELOW])
def test_what_cannot_be_read_is_not_told(
    dom0: Session, hostile: Session, watched: bytes, inside: bool
) -> None:
    """Not of writing, creation, permissions or removal."""
    hostile.watch(watched)
    for path in (SECRET, BELOW):
        check_told(
            dom0,
            hostile,
            inside,
            (Op.WRITE, path, b"value", []),
            (Op.WRITE, path, b"other", []),
            (Op.SET_PERMS, path, b"n0\0r2\0", []),
        )
    rows = ((Op.RM, BELOW), (Op.MKDIR, BELOW), (Op.RM, SECRET))
    check_told(dom0, hostile, inside, *[(op, path, b"", []) for op, path in rows])


def test_a_change_of_rights_is_told_while_there_are_any(
    dom0: Session, hostile: Session, inside: bool
) -> None:
    """Given: told. Taken away: told one last time."""
    hostile.watch(b"/")
    check_told(
        dom0,
        hostile,
        inside,
        (Op.WRITE, SECRET, b"value", []),
        (Op.SET_PERMS, SECRET, b"n0\0r1\0", [SECRET]),
        (Op.WRITE, SECRET, b"value", [SECRET]),
        (Op.SET_PERMS, SECRET, b"n0\0", [SECRET]),
        (Op.WRITE, SECRET, b"value", []),
        (Op.RM, SECRET, b"", []),
    )


def test_the_removal_of_a_readable_node_is_told(
    dom0: Session, hostile: Session, inside: bool
) -> None:
    """By the permissions that it had; also of a node below another that is not."""
    dom0.make(SECRET)
    dom0.make(BELOW, b"n0", b"r1")
    hostile.watch(BELOW)
    check_told(dom0, hostile, inside, (Op.RM, SECRET, b"", [BELOW]))


def test_children_of_a_readable_node_are_told(
    dom0: Session, hostile: Session, inside: bool
) -> None:
    """Who may list a directory sees its entries come and go anyway."""
    dom0.make(b"/open", b"n0", b"r1")
    dom0.make(b"/open/x", b"n0")
    hostile.watch(b"/")
    check_told(
        dom0,
        hostile,
        inside,
        (Op.WRITE, b"/open/x", b"value", [b"/open/x"]),
        (Op.WRITE, b"/open/x/deeper", b"value", []),
        (Op.RM, b"/open/x", b"", [b"/open/x"]),
    )


def test_a_failed_request_tells_nothing(dom0: Session, hostile: Session) -> None:
    """A watcher hears neither of what was refused nor of what was dropped."""
    hostile.watch(b"/")
    assert hostile.refused(Op.WRITE, SECRET + b"\0value") == Errno.EACCES
    number = dom0.start()
    dom0.ok(Op.WRITE, b"/local/domain/1/x\0value", number)
    dom0.ok(Op.TRANSACTION_END, b"F\0", number)

    assert hostile.take() == []


def test_the_coming_of_domains_is_told_to_whom_dom0_allows(
    dom0: Session, hostile: Session
) -> None:
    """`@introduceDomain` can be watched by anyone, and is told to dom0 alone."""
    hostile.watch(b"@introduceDomain")
    dom0.ok(Op.INTRODUCE, b"30\x001\x001\0")
    assert hostile.take() == []
    assert hostile.refused(Op.GET_PERMS, b"@introduceDomain\0") == Errno.EACCES
    refused = hostile.refused(Op.SET_PERMS, b"@introduceDomain\0n1\0")
    assert refused == Errno.EACCES
    dom0.ok(Op.SET_PERMS, b"@introduceDomain\0n0\0r1\0")
    dom0.ok(Op.INTRODUCE, b"31\x001\x001\0")

    assert hostile.take() == [event(b"@introduceDomain", b"t")]


@pytest.mark.parametrize("name", [b"@releaseDomain", b"@releaseDomain/30"])
def test_the_end_of_domains_is_told_until_dom0_forbids_it(
    dom0: Session, hostile: Session, name: bytes
) -> None:
    """`@releaseDomain` is readable by all at first."""
    hostile.watch(name)
    dom0.ok(Op.INTRODUCE, b"30\x001\x001\0")
    dom0.ok(Op.RELEASE, b"30\0")
    assert hostile.take() == [event(name, b"t")]
    dom0.ok(Op.SET_PERMS, b"@releaseDomain\0n0\0")
    dom0.ok(Op.INTRODUCE, b"30\x001\x001\0")
    dom0.ok(Op.RELEASE, b"30\0")

    assert hostile.take() == []


def test_guests_cannot_ask_which_domains_there_are(hostile: Session) -> None:
    """IS_DOMAIN_INTRODUCED is for dom0, even about oneself."""
    for domid in (b"0", b"1", b"7", b"30", b"32752"):
        refused = hostile.refused(Op.IS_DOMAIN_INTRODUCED, domid + b"\0")
        assert refused == Errno.EACCES


def test_a_transaction_id_does_not_matter_to_watches(
    dom0: Session, hostile: Session
) -> None:
    """WATCH and UNWATCH only echo it, whether or not there is such a transaction."""
    assert hostile.ask(Op.WATCH, b"data\0t\0", tx=999) == [
        (Op.WATCH, OK),
        event(b"data", b"t"),
    ]
    number = hostile.start()
    hostile.ok(Op.WATCH, b"data\0u\0", tx=number)
    hostile.ok(Op.TRANSACTION_END, b"F\0", tx=number)
    dom0.ok(Op.WRITE, b"/local/domain/1/data\0")
    assert hostile.take() == [event(b"data", b"t"), event(b"data", b"u")]
    hostile.ok(Op.UNWATCH, b"data\0t\0", tx=number)
    hostile.ok(Op.UNWATCH, b"data\0u\0", tx=999)
    dom0.ok(Op.WRITE, b"/local/domain/1/data\0")

    assert hostile.take() == []


def test_a_node_goes_although_its_parent_is_over_quota(
    dom0: Session, hostile: Session, inside: bool
) -> None:
    """Removal makes the parent smaller, so it is not held to the parent's size."""
    for number in range(50):
        dom0.ok(Op.MKDIR, b"/local/domain/1/d/%060d\0" % number)
    assert hostile.refused(Op.MKDIR, b"d/new\0") == Errno.ENOSPC
    for number in range(50):
        with hostile.transaction(inside=inside) as tx:
            hostile.ok(Op.RM, b"d/%060d\0" % number, tx)

    assert hostile.reply(Op.DIRECTORY, b"d\0") == (Op.DIRECTORY, b"")
