"""XSA-481: requests about what is no path, and the replies to them."""

import itertools
from typing import Final

import pytest

from tests.support.hosts import Host
from tests.xsa.support import OF_NODES, World
from xsd.protocol.errors import Errno
from xsd.protocol.ops import OP_LIMIT, Op
from xsd.testing import Session

NO_PATHS: Final = [
    *(b"", b"//", b"///", b"/local/domain/", b"/local/domain/5/", b"/local//domain"),
    *(b"/a//b", b"/a/", b"a/", b"a//b", b"//a", b"@", b"@/", b"@no such name"),
    *(b"/@a b", b"/\x80", b"\x80", b"/a\xff", b"/a b", b"/a\n"),
    *(b".", b"..", b"/a/../b", b"/a:b", b"~"),
]
"""What cannot be the name of a node."""

OF_WATCHES: Final = (Op.WATCH, Op.UNWATCH)


@pytest.mark.parametrize("path", NO_PATHS)
def test_what_is_no_path_is_refused_once(
    world: World, dom0: Session, hostile: Session, path: bytes, inside: bool
) -> None:
    """One reply that carries an error, to dom0 and to a guest; nothing changes."""
    for client in (dom0, hostile):
        with client.transaction(inside=inside) as number:
            before = world.state()
            for op, rest in OF_NODES.items():
                refused = client.refused(op, path + b"\0" + rest, number)

                if path == b"@" and op in {Op.GET_PERMS, Op.SET_PERMS}:
                    assert refused in {Errno.ENOENT, Errno.EACCES, Errno.EPERM}
                else:
                    assert refused == Errno.EINVAL
            assert world.state() == before


@pytest.mark.parametrize("op", OF_WATCHES)
def test_what_is_no_path_is_not_watched(
    world: World, dom0: Session, hostile: Session, op: int
) -> None:
    """EINVAL, to WATCH and to UNWATCH; a mere `@` can be watched, as in C."""
    for path in NO_PATHS:
        if path != b"@":
            for client in (dom0, hostile):
                assert client.refused(op, path + b"\0token\0") == Errno.EINVAL
    assert world.store.watches.count == 0


PAYLOADS: Final = [
    *(b"", b"\0", b"\0\0", b"\0" * 5, b"x", b"/", b"/\0"),
    *(b"/local/domain/\0", b"/local/domain/\0/local/domain/\0"),
    *(b"data", b"data\0x", b"data\0x\0", b"data\0x\0\0", b"data\0x\0-1\0"),
    *(b"data\0x\x001\0y\0", b"@releaseDomain\0n1\0"),
    *(b"1\x001\0", b"-1\x00-1\0-1\0", b"99999999999\x0099999999999\0"),
    *(b"1\x002\x003\x004\0", b"T", b"T\0x", b"F\0F\0"),
    *(b"\xff" * 4096, b"\0" * 4096, b"/" * 4096, b"a/" * 2048),
]
"""What may follow any header."""


@pytest.mark.parametrize("op", [*range(OP_LIMIT + 2), 255, 65536, 2**31, 2**32 - 1])
def test_every_request_has_one_reply(
    world: World, dom0: Session, hostile: Session, op: int
) -> None:
    """Whatever its type and payload, in a transaction, in none, in a wrong one."""
    for client, payload in itertools.product((hostile, dom0), PAYLOADS):
        for number in (0, client.start(), 12345):
            messages = client.ask(op, payload, number)
            ((kind, answer),) = [each for each in messages if each[0] != Op.WATCH_EVENT]

            assert kind in {op, Op.ERROR}
            assert answer != b"EIO\0"
            client.ask(Op.RESET_WATCHES, b"\0")
    assert world.transactions() == {}


@pytest.mark.parametrize("lazy", [False, True])
def test_a_ring_full_of_such_requests_is_answered(host: Host, lazy: bool) -> None:
    """In their order, each by its id."""
    session = host.session(host.guest(1, lazy=lazy))
    rows = [(op, path, rest) for path in NO_PATHS for op, rest in OF_NODES.items()]
    asked = [session.frame(op, path + b"\0" + rest) for op, path, rest in rows]
    session.send(b"".join(asked))

    assert {op for op, _ in session.replies(len(asked))} == {Op.ERROR}
