"""xsd.store.reasons: why somebody may not, and what is missing, in words."""

from typing import Final

import pytest

from tests.store.script import Play
from tests.store.support import Client, homed, perms
from xsd.protocol.errors import Errno, ForbiddenError, MissingError, XenStoreError
from xsd.protocol.perms import READ, Caller
from xsd.store import Store
from xsd.store.reasons import (
    PARENT_SHOWN,
    PERMS_SHOWN,
    DeniedError,
    MissingNodeError,
)

DEVICE: Final = "/local/domain/8/device"
FRONTEND: Final = f"""
    know 8; know 3; write {DEVICE}/vif/0/state 1; set {DEVICE} n8
    set {DEVICE}/vif/0/state n8 r3; set {DEVICE}/vif n0 b3
"""
"""A frontend's node that dom3, the backend, may read."""

RULES: Final[dict[str, tuple[str, str, str]]] = {
    # What is done first, who does what, and why not.
    "a node above decides on what is gone": (
        f"rm {DEVICE}/vif",
        f"3* read {DEVICE}/vif/0/state",
        f"EACCES node is missing; nearest parent {DEVICE} (n8) gives dom3 no read",
    ),
    "and on what is to be made there": (
        "",
        f"3* mkdir {DEVICE}/new/0",
        f"EACCES node is missing; nearest parent {DEVICE} (n8) gives dom3 no write",
    ),
    "and on who sets permissions there": (
        "",
        f"3* set {DEVICE}/new/0 n3",
        f"EACCES node is missing; nearest parent {DEVICE} (n8) gives dom3 no write",
    ),
    "reading needs read": (
        "write /a; set /a n0 w3",
        "3* dir /a",
        "EACCES needs read; n0,w3 gives dom3 write",
    ),
    "writing needs write": (
        "",
        f"3* write {DEVICE}/vif/0/state 2",
        "EACCES needs write; n8,r3 gives dom3 read",
    ),
    "and so does removing": (
        "",
        f"3* rm {DEVICE}/vif/0/state",
        "EACCES needs write; n8,r3 gives dom3 read",
    ),
    "the entry that names nobody is for the others": (
        "write /a; set /a w0",
        "3* get /a",
        "EACCES needs read; w0 gives dom3 write",
    ),
    "permissions are for the owner": (
        "",
        f"3* set {DEVICE}/vif n3",
        "EACCES only its owner dom0 may (n0,b3)",
    ),
    "who has a target is told of with it": (
        "introduce 8; introduce 3; introduce 4; target 3 4",
        f"3* read {DEVICE}",
        "EACCES needs read; n8 gives dom3 (target dom4) nothing",
    ),
    # Its entry was about a domain of that id before (XSA-322).
    "an entry older than its domain is named": (
        "write /a; set /a n0 r9; know 9",
        "9* read /a",
        (
            "EACCES needs read; n0,r9 gives dom9 nothing;"
            " r9 was set when there was no dom9"
        ),
    ),
    "a special name that dom0 has for itself": (
        "",
        "3* get @introduceDomain",
        "EACCES needs read; n0 gives dom3 nothing",
    ),
    "and its owner": (
        "",
        "3* set @releaseDomain n3",
        "EACCES only its owner dom0 may (n0,r32757)",
    ),
    "a special name that there is not": (
        "",
        "3* get @other",
        "EACCES no such special name; only dom0 is told so",
    ),
    "nor is it there for dom0": ("", "0* get @other", "ENOENT no such special name"),
    "what is missing is told of with what there is": (
        f"rm {DEVICE}/vif",
        f"8* read {DEVICE}/vif/0/state",
        f"ENOENT no such node; nearest parent is {DEVICE}",
    ),
    "for dom0, too": (
        f"rm {DEVICE}/vif/0",
        f"0* read {DEVICE}/vif/0/state",
        f"ENOENT no such node; nearest parent is {DEVICE}/vif",
    ),
    "for who may know": (
        f"rm {DEVICE}/vif/0",
        f"3* set {DEVICE}/vif/0/state n3",
        f"ENOENT no such node; nearest parent is {DEVICE}/vif",
    ),
    "which is the root for what has nothing in common": (
        "",
        "0* rm /no/such",
        "ENOENT no such node; nearest parent is /",
    ),
    "a node cannot be given away": (
        "write /own; set /own n3; know 5",
        "3* set /own n5",
        "EPERM dom3 may not change the owner from dom3 to dom5",
    ),
}


def refusal(play: Play, request: str) -> XenStoreError:
    """What a request is refused with."""
    with pytest.raises(XenStoreError) as caught:
        play.run(request)
    return caught.value


@pytest.mark.parametrize("inside", [False, True], ids=["direct", "in transaction"])
@pytest.mark.parametrize("rule", RULES)
def test_a_refusal_says_what_decided(store: Store, rule: str, *, inside: bool) -> None:
    """The right, the node that has it not, whom it is about; the path is extra."""
    before, request, expected = RULES[rule]
    play = Play(store, inside=inside)
    play.run(FRONTEND + before)

    error = refusal(play, request)

    assert f"{error.errno.name} {error.reason}" == expected
    assert str(error).startswith(error.errno.name + ": " + error.reason + ": ")


LOST: Final[dict[str, tuple[str, str]]] = {
    "t1 write /value x": ("/value", "needs write; n1 gives dom2 (target dom3) nothing"),
    "t1 rm /value": ("/value", "needs write; n1 gives dom2 (target dom3) nothing"),
    "t1 set /value r1": ("/value", "only its owner dom1 may (n1)"),
    "t1 write /dir/new x": (
        "/dir/new",
        "node is missing; nearest parent /dir (n1) gives dom2 (target dom3) no write",
    ),
}


@pytest.mark.parametrize("request_", LOST)
def test_a_commit_says_which_right_was_lost(store: Store, request_: str) -> None:
    """Between what was done in the transaction and its end."""
    path, expected = LOST[request_]
    play = Play(store)
    play.run(f"""
        introduce 1; introduce 2; introduce 3; target 2 1; write /value; write /dir
        set /value n1; set /dir n1; 2 start t1; {request_}; target 2 3""")

    error = refusal(play, "t1 commit")

    assert error.errno is Errno.EACCES
    assert error.reason == f"the right was lost since: {expected}"
    assert error.path == path.encode()


def test_what_is_missing_or_forbidden_is_an_error_of_python(store: Store) -> None:
    """As every other such refusal is."""
    guest = homed(store, 3)

    with pytest.raises(MissingError):
        guest.read(b"no")
    with pytest.raises(ForbiddenError):
        guest.read(b"/tool")


def test_a_reason_is_not_long(dom0: Client, guest: Client) -> None:
    """However long the path of the parent and its permissions are."""
    parent = b"/x" * 1000
    many = [b"n0", *[b"r%d" % domid for domid in range(100, 400)]]
    dom0.write(parent)
    dom0.set_perms(parent, *many)
    shown = ",".join(each.decode() for each in many)[:PERMS_SHOWN] + "..."

    with pytest.raises(DeniedError) as denied:
        guest.read(parent + b"/no")
    with pytest.raises(MissingNodeError) as missing:
        dom0.read(parent + b"/no")

    cut = parent[:PARENT_SHOWN].decode() + "..."
    assert missing.value.reason == f"no such node; nearest parent is {cut}"
    assert denied.value.reason == (
        f"node is missing; nearest parent {cut} ({shown}) gives dom1 no read"
    )


def test_what_just_fits_is_not_cut() -> None:
    """Permissions to their last byte, and a path of bytes that are no text."""
    caller = Caller(7, privileged=False)
    entries = [b"n0", *[b"r11"] * ((PERMS_SHOWN - 2) // 4)]
    fitting = ",".join(each.decode() for each in entries)
    fitting += "1" * (PERMS_SHOWN - len(fitting))
    given = perms(*fitting.encode().split(b","))
    more = perms(*fitting.encode().split(b","), b"r2")

    path = (b"@\xff" + b"x" * (PARENT_SHOWN - 2), b"a")
    reason = DeniedError(caller, path, 1, given, READ).reason
    assert f" @\xff{'x' * (PARENT_SHOWN - 2)} ({fitting}) " in reason
    assert f" ({fitting}...) " in DeniedError(caller, path, 1, more, READ).reason
