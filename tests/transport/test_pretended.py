"""xsd.transport.pretended: a socket for each pretended domain."""

import socket
from pathlib import Path

from tests.transport.rings import EAGER, OK, Rings, event, on_rings, told
from tests.transport.support import Peer
from xsd.protocol.ops import Op

IN, OUT = b"@introduceDomain", b"@releaseDomain"
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
        await rings.create(domid)
    await rings.quiet()
    assert sockets(rings) == ["socket.dom5", "socket.dom6"]
    assert path_of(rings, 5).stat().st_mode & 0o777 == 0o600

    await rings.stop(6)
    await rings.kill(5)
    assert sockets(rings) == ["socket.dom6"]


@on_sockets
async def test_client_has_the_rights_of_the_domain(rings: Rings) -> None:
    """Whether or not it is introduced."""
    await rings.create(5)
    await rings.make(b"/local/domain/5", b"n5")
    await rings.make(b"/a", b"n0")
    peer = client(rings, 5)

    assert (await peer.request(Op.WRITE, b"name\0guest")).payload == OK
    assert await rings.perms(b"/local/domain/5/name") == b"n5\0"
    assert (await peer.request(Op.READ, b"/a\0")).payload == EACCES
    assert (await peer.request(Op.RELEASE, b"5\0")).payload == EACCES
    assert not await rings.is_introduced(5)


@on_sockets
async def test_clients_and_ring_of_a_domain_share_its_quotas(rings: Rings) -> None:
    """They are one domain."""
    guest = await rings.guest(5)
    one, two = client(rings, 5), client(rings, 5)
    await rings.ask(Op.SET_QUOTA, b"5", b"transactions", b"3")
    for peer in (guest, one, two):
        assert (await peer.request(Op.TRANSACTION_START, b"\0")).payload == b"1\0"

    for peer in (guest, one, two):
        refused = await peer.request(Op.TRANSACTION_START, b"\0")
        assert refused.payload == b"ENOSPC\0"


@on_sockets
async def test_clients_end_with_their_domain(rings: Rings) -> None:
    """With what they had, also if it was never introduced."""
    await rings.create(5)
    await rings.make(b"/own", b"n5")
    watcher = await rings.watcher(b"/own", OUT)
    peer, silent = client(rings, 5), client(rings, 5)
    await peer.send(peer.frame(Op.WATCH, b"/own\0t\0"))
    await peer.frames(2)
    await peer.request(Op.TRANSACTION_START, b"\0")
    await rings.kill(5)

    assert await peer.rest() == []
    assert await silent.rest() == []
    assert await rings.events(watcher) == [b"/own"]
    assert rings.engine.store.usage.watches.of(5) == 0
    assert rings.engine.store.usage.transactions.of(5) == 0


@on_sockets
async def test_clients_of_a_released_domain_end(rings: Rings) -> None:
    """It still exists, so that others may come; they have nothing of the former."""
    await rings.guest(5)
    await rings.make(b"/a", b"n0", b"r5")
    peer = client(rings, 5)
    assert (await peer.request(Op.READ, b"/a\0")).payload == b""
    assert await rings.release(5) == OK

    assert await peer.rest() == []
    later = client(rings, 5)
    assert (await later.request(Op.READ, b"/a\0")).payload == EACCES


@on_sockets
async def test_domain_that_is_replaced_in_one_turn_has_another_socket(
    rings: Rings,
) -> None:
    """Clients of the former one end; its rights are not the new one's."""
    await rings.guest(5)
    await rings.make(b"/a", b"n0", b"r5")
    peer = client(rings, 5)
    assert (await peer.request(Op.READ, b"/a\0")).payload == b""
    waiting = client(rings, 5)
    await rings.at_once(kill=(5,), create=(5,))

    assert await peer.rest() == []
    assert await waiting.rest() == []
    later = client(rings, 5)
    assert (await later.request(Op.READ, b"/a\0")).payload == EACCES
    await rings.make(b"/a", b"n0", b"r5")
    assert (await later.request(Op.READ, b"/a\0")).payload == b""


@on_sockets
async def test_domain_without_a_socket_is_served_on_its_ring(rings: Rings) -> None:
    """Something else is in the place; that is told, and others have theirs."""
    path_of(rings, 5).write_text("not a socket")
    guest = await rings.guest(5)
    await rings.create(6)
    await rings.quiet()

    assert (await guest.request(Op.GET_DOMAIN_PATH, b"5\0")).op == Op.GET_DOMAIN_PATH
    assert {each["domid"] for each in rings.notices("domain.no_socket")} == {5}
    assert path_of(rings, 5).read_text() == "not a socket"
    assert (await client(rings, 6).request(Op.GET_DOMAIN_PATH, b"6\0")).op == 10
    path_of(rings, 5).unlink()


@on_sockets
async def test_socket_that_was_left_behind_is_replaced(rings: Rings) -> None:
    """A daemon that was killed leaves them all."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path_of(rings, 5)))
    await rings.create(5)
    await rings.quiet()

    assert (await client(rings, 5).request(Op.GET_DOMAIN_PATH, b"5\0")).op == 10


@on_sockets
async def test_introduction_leaves_clients_that_are_connected(rings: Rings) -> None:
    """They were there before the ring was."""
    guest = await rings.create(5)
    await rings.quiet()
    peer = client(rings, 5)
    await peer.send(peer.frame(Op.WATCH, b"/a\0t\0"))
    await peer.frames(2)
    await rings.make(b"/a", b"r0")
    assert told(await peer.frames(1)) == [event(b"/a", b"t")]
    assert await rings.introduce(guest) == OK
    await rings.create(6)
    await rings.ask(Op.WRITE, b"/a")

    assert told(await peer.frames(1)) == [event(b"/a", b"t")]


@on_sockets
async def test_all_sockets_are_taken_away_at_the_end(rings: Rings) -> None:
    """Clients end, the domains stay."""
    for domid in (5, 6):
        await rings.create(domid)
    await rings.quiet()
    peer = client(rings, 5)
    await peer.request(Op.GET_DOMAIN_PATH, b"5\0")
    rings.sockets.close()

    assert sockets(rings) == []
    assert await peer.rest() == []
    assert rings.hypervisor.domains() == [5, 6]
