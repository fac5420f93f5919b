"""Requests whose payload does not fit their type: one reply, the right one, at once."""

from typing import Final

import pytest

from tests.support.hosts import AnyHost, Host
from tests.xsa.support import home
from xsd.protocol.errors import Errno
from xsd.protocol.ops import Op
from xsd.testing import Session
from xsd.testing.session import OK, refusal

ONE_STRING: Final = [Op.DIRECTORY, Op.READ, Op.GET_PERMS, Op.MKDIR, Op.RM]
"""Types whose payload is a path and its NUL, and nothing else."""

ONE_DOMID: Final = [Op.GET_DOMAIN_PATH, Op.RELEASE, Op.RESUME, Op.IS_DOMAIN_INTRODUCED]
"""The same with a domain id."""

SUCCESSES: Final = [
    *((Op.RM, b"data\0"), (Op.WRITE, b"data\0value"), (Op.READ, b"data\0")),
    *((Op.READ, b"missing\0"), (Op.DIRECTORY, b"/\0")),
]
"""What may have come before: some of them succeed, some are refused."""


@pytest.mark.parametrize(("before", "payload"), SUCCESSES)
@pytest.mark.parametrize("op", ONE_STRING)
@pytest.mark.parametrize("rest", [b"", b"\0more", b"\0more\0", b"\0\0"])
def test_what_is_not_one_string_is_einval_whatever_came_before(
    dom0: Session, hostile: Session, before: int, payload: bytes, op: int, rest: bytes
) -> None:
    """No NUL, or something behind it; the error is of this request, not the last."""
    for client, path in ((hostile, b"data"), (dom0, home(1) + b"/data")):
        client.ok(Op.WRITE, path + b"\0value")
        client.ask(before, payload)

        assert client.refused(op, path + rest) == Errno.EINVAL


@pytest.mark.parametrize("op", [*ONE_STRING, *ONE_DOMID, Op.WRITE, Op.SET_PERMS])
def test_no_payload_is_einval_at_once(dom0: Session, hostile: Session, op: int) -> None:
    """A header is a whole request; nothing else has to come first."""
    assert dom0.refused(op, b"") == Errno.EINVAL
    refused = hostile.refused(op, b"")
    of_dom0_only = op in ONE_DOMID and op != Op.GET_DOMAIN_PATH
    assert refused == (Errno.EACCES if of_dom0_only else Errno.EINVAL)


@pytest.mark.parametrize("privileged", [False, True])
def test_malformed_requests_are_answered_each(
    anywhere: AnyHost, privileged: bool
) -> None:
    """One after another, after a removal that succeeded; who asked is served on."""
    guest = anywhere.guest(1)
    session = anywhere.session(None if privileged else guest)
    path = home(1) + b"/data"
    rows = [(op, path + rest) for op in ONE_STRING for rest in (b"", b"\0more")]
    rows += [(op, b"") for op in ONE_STRING]
    asked = b""
    for op, payload in rows:
        asked += session.frame(Op.WRITE, path + b"\0value")
        asked += session.frame(Op.RM, path + b"\0")
        asked += session.frame(op, payload)
    session.send(asked)

    each = [(Op.WRITE, OK), (Op.RM, OK), refusal(Errno.EINVAL)]
    assert session.replies(3 * len(rows)) == each * len(rows)
    assert session.get(Op.GET_DOMAIN_PATH, b"1\0") == home(1) + b"\0"


@pytest.mark.parametrize("domid", [b"", b"abc", b"x5", b"5x", b"-1", b" 5", b"65536"])
def test_introducing_what_is_no_number_is_einval(host: Host, domid: bytes) -> None:
    """It is not taken for another domain; domain 0's ring stays as it is."""
    kernel = host.kernel()
    kernel.watch("/data", "t")
    assert kernel.next_event(10) is not None
    for payload in (domid + b"\x001\x001\0", domid + b"\0"):
        assert host.session().refused(Op.INTRODUCE, payload) is Errno.EINVAL
    host.dom0.write("/data", b"value")

    assert kernel.next_event(10) is not None
    assert kernel.read("/data") == b"value"
