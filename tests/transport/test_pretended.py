"""xsd.transport.pretended: a socket for each pretended domain."""

import socket
from pathlib import Path

from tests.transport.rings import EAGER, Rings, on_rings
from tests.transport.support import Peer, event, told
from xsd.protocol.ops import Op
from xsd.protocol.reply import OK

OUT = b"@releaseDomain"
EACCES = b"EACCES\0"

on_sockets = on_rings(EAGER, sockets=True)


def path_of(rings: Rings, domid: int) -> Path:
    """Where a domain's socket belongs."""
    return Path(f"{rings.served.path}.dom{domid}")


def client(rings: Rings, domid: int) -> Peer:
    """A client in a domain, which has yet to be accepted."""
    peer = Peer(str(path_of(rings, domid)))
    rings.served._peers.append(peer)
    return peer


def sockets(rings: Rings) -> list[str]:
    """Names of all sockets of guests that there are."""
    names = [path.name for path in rings.served.directory.iterdir()]
    return sorted([name for name in names if name.startswith("socket.")])


@on_sockets
async def test_each_domain_has_a_socket_while_it_lives(rings: Rings) -> None:
    """Nobody but our own user may connect; dom0 has its own."""
    for domid in (0, 5, 6):
        rings.create(domid)
    await rings.quiet()
    assert sockets(rings) == ["socket.dom5", "socket.dom6"]
    assert path_of(rings, 5).stat().st_mode & 0o777 == 0o600

    await rings.stop(6)
    await rings.kill(5)
    assert sockets(rings) == ["socket.dom6"]

    # At the end all are taken away; clients end, the domains stay.
    peer = client(rings, 6)
    await peer.ping()
    rings.sockets.close()
    assert sockets(rings) == []
    assert await peer.rest() == []
    assert rings.hypervisor.domains() == [0, 6]


@on_sockets
async def test_client_has_the_rights_and_quotas_of_the_domain(rings: Rings) -> None:
    """Whether or not it is introduced; clients and ring are one domain."""
    guest = rings.create(5)
    await rings.make(b"/local/domain/5", b"n5")
    await rings.make(b"/a", b"n0")
    one, two = client(rings, 5), client(rings, 5)
    assert await one.ask(Op.WRITE, b"name\0guest") == OK
    assert await rings.perms(b"/local/domain/5/name") == b"n5\0"
    assert await one.ask(Op.READ, b"/a\0") == EACCES
    assert await one.ask(Op.RELEASE, b"5\0") == EACCES
    assert not await rings.is_introduced(5)

    assert await rings.introduce(guest) == OK
    await rings.ask(Op.SET_QUOTA, b"5", b"transactions", b"3")
    for answer in (b"1\0", b"ENOSPC\0"):
        for each in (guest, one, two):
            assert await each.ask(Op.TRANSACTION_START, b"\0") == answer


@on_sockets
async def test_clients_end_with_their_domain(rings: Rings) -> None:
    """With what they had, also if it was never introduced."""
    rings.create(5)
    await rings.make(b"/own", b"n5")
    watcher = await rings.watcher(b"/own", OUT)
    peer, silent = client(rings, 5), client(rings, 5)
    await peer.watch(b"/own")
    await peer.request(Op.TRANSACTION_START, b"\0")
    await rings.kill(5)

    assert await peer.rest() == []
    assert await silent.rest() == []
    assert await rings.events(watcher) == [b"/own"]
    assert rings.engine.store.usage.watches.of(5) == 0
    assert rings.engine.store.usage.transactions.of(5) == 0


@on_sockets
async def test_clients_of_a_released_or_replaced_domain_end(rings: Rings) -> None:
    """Others may come, with nothing of the former one's rights but their own's."""
    await rings.guest(5)
    await rings.make(b"/a", b"n0", b"r5")
    peer, waiting = client(rings, 5), client(rings, 5)
    assert await peer.ask(Op.READ, b"/a\0") == b""
    assert await rings.release(5) == OK
    for each in (peer, waiting):
        assert await each.rest() == []
    assert await client(rings, 5).ask(Op.READ, b"/a\0") == EACCES

    await rings.make(b"/a", b"n0", b"r5")
    peer = client(rings, 5)
    assert await peer.ask(Op.READ, b"/a\0") == b""
    waiting = client(rings, 5)
    rings.host.kill(5)
    rings.create(5)
    await rings.quiet()
    for each in (peer, waiting):
        assert await each.rest() == []
    later = client(rings, 5)
    assert await later.ask(Op.READ, b"/a\0") == EACCES
    await rings.make(b"/a", b"n0", b"r5")
    assert await later.ask(Op.READ, b"/a\0") == b""


@on_sockets
async def test_only_a_socket_that_was_left_behind_is_replaced(rings: Rings) -> None:
    """A killed daemon leaves them all; what else is in the place stays and is told."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path_of(rings, 6)))
    path_of(rings, 5).write_text("not a socket")
    guest = await rings.guest(5)
    rings.create(6)
    await rings.quiet()

    await client(rings, 6).ping()
    # The domain is served on its ring.
    await guest.ping()
    assert {each["domid"] for each in rings.notices("domain.no_socket")} == {5}
    assert path_of(rings, 5).read_text() == "not a socket"
    path_of(rings, 5).unlink()


@on_sockets
async def test_introduction_leaves_clients_that_are_connected(rings: Rings) -> None:
    """They were there before the ring was."""
    guest = rings.create(5)
    await rings.quiet()
    peer = client(rings, 5)
    await peer.watch(b"/a")
    await rings.make(b"/a", b"r0")
    assert told(await peer.frames(1)) == [event(b"/a")]
    assert await rings.introduce(guest) == OK
    rings.create(6)
    await rings.ask(Op.WRITE, b"/a")

    assert told(await peer.frames(1)) == [event(b"/a")]
