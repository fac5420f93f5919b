"""XSA-115: watches that tell what the watcher may not read."""

import pytest

from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.testing import Session
from xsd.testing.session import OK, event

SECRET = b"/secret"


def change(dom0: Session, inside: bool, op: int, payload: bytes) -> None:
    """Change the store."""
    if not inside:
        dom0.ok(op, payload)
        return
    number = dom0.start()
    dom0.ok(op, payload, number)
    dom0.ok(Op.TRANSACTION_END, b"T\0", number)


def watch(client: Session, path: bytes) -> None:
    """Watch with the token `t`, and take the first event."""
    assert client.ask(Op.WATCH, path + b"\0t\0") == [(Op.WATCH, OK), event(path, b"t")]


@pytest.mark.parametrize("watched", [b"/", SECRET, SECRET + b"/below"])
def test_what_cannot_be_read_is_not_told(
    dom0: Session, hostile: Session, watched: bytes, inside: bool
) -> None:
    """Not of writing, creation, permissions or removal."""
    watch(hostile, watched)
    for path in (SECRET, SECRET + b"/below"):
        change(dom0, inside, Op.WRITE, path + b"\0value")
        change(dom0, inside, Op.WRITE, path + b"\0other")
        change(dom0, inside, Op.SET_PERMS, path + b"\0n0\0r2\0")
    change(dom0, inside, Op.RM, SECRET + b"/below\0")
    change(dom0, inside, Op.MKDIR, SECRET + b"/below\0")
    change(dom0, inside, Op.RM, SECRET + b"\0")

    assert hostile.take() == []


def test_a_change_of_rights_is_told_while_there_are_any(
    dom0: Session, hostile: Session, inside: bool
) -> None:
    """Given: told. Taken away: told one last time."""
    watch(hostile, b"/")
    change(dom0, inside, Op.WRITE, SECRET + b"\0value")
    assert hostile.take() == []
    change(dom0, inside, Op.SET_PERMS, SECRET + b"\0n0\0r1\0")
    assert hostile.take() == [event(SECRET, b"t")]
    change(dom0, inside, Op.WRITE, SECRET + b"\0value")
    assert hostile.take() == [event(SECRET, b"t")]
    change(dom0, inside, Op.SET_PERMS, SECRET + b"\0n0\0")
    assert hostile.take() == [event(SECRET, b"t")]
    change(dom0, inside, Op.WRITE, SECRET + b"\0value")
    assert hostile.take() == []
    change(dom0, inside, Op.RM, SECRET + b"\0")
    assert hostile.take() == []


def test_the_removal_of_a_readable_node_is_told(
    dom0: Session, hostile: Session, inside: bool
) -> None:
    """By the permissions that it had; also of a node below another that is not."""
    for path in (SECRET, SECRET + b"/shown"):
        dom0.ok(Op.WRITE, path + b"\0value")
    dom0.ok(Op.SET_PERMS, SECRET + b"/shown\0n0\0r1\0")
    watch(hostile, SECRET + b"/shown")
    change(dom0, inside, Op.RM, SECRET + b"\0")

    assert hostile.take() == [event(SECRET + b"/shown", b"t")]


def test_children_of_a_readable_node_are_told(
    dom0: Session, hostile: Session, inside: bool
) -> None:
    """Who may list a directory sees its entries come and go anyway."""
    dom0.make(b"/open", b"n0", b"r1")
    dom0.make(b"/open/x", b"n0")
    watch(hostile, b"/")
    change(dom0, inside, Op.WRITE, b"/open/x\0value")
    assert hostile.take() == [event(b"/open/x", b"t")]
    change(dom0, inside, Op.WRITE, b"/open/x/deeper\0value")
    assert hostile.take() == []
    change(dom0, inside, Op.RM, b"/open/x\0")
    assert hostile.take() == [event(b"/open/x", b"t")]


def test_a_failed_request_tells_nothing(dom0: Session, hostile: Session) -> None:
    """A watcher hears neither of what was refused nor of what was dropped."""
    watch(hostile, b"/")
    assert hostile.refused(Op.WRITE, SECRET + b"\0value") == Errno.EACCES
    number = dom0.start()
    dom0.ok(Op.WRITE, b"/local/domain/1/x\0value", number)
    dom0.ok(Op.TRANSACTION_END, b"F\0", number)

    assert hostile.take() == []


def test_the_coming_of_domains_is_told_to_whom_dom0_allows(
    dom0: Session, hostile: Session
) -> None:
    """`@introduceDomain` can be watched by anyone, and is told to dom0 alone."""
    watch(hostile, b"@introduceDomain")
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
    watch(hostile, name)
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
        change(hostile, inside, Op.RM, b"d/%060d\0" % number)

    assert hostile.reply(Op.DIRECTORY, b"d\0") == (Op.DIRECTORY, b"")
