"""xsd.transport.ring: a control domain that is not the one that the daemon runs in."""

from contextlib import closing
from pathlib import Path

import pytest

from tests.support.replaying import assert_replays
from tests.transport.kernels import EmulatedHost
from tests.transport.rings import CONTROL, EAGER, NOTIFYING, Rings, on_rings
from tests.transport.support import Body, Served, event, run, told
from xsd.engine.inputs import MemoryTape
from xsd.protocol.ops import FEATURES, Op
from xsd.protocol.reply import OK
from xsd.protocol.ring import CONNECTED, EVTCHN_PORT

EACCES, EINVAL, TRUE = b"EACCES\0", b"EINVAL\0", b"T\0"

apart = on_rings(NOTIFYING, control=True)


@apart
async def test_control_domain_has_all_rights_on_its_ring(rings: Rings) -> None:
    """It owns the root, introduces guests, and has no limits."""
    control = rings.control
    await rings.quiet()
    assert control.take_notification()
    assert control.ring.connection == CONNECTED
    assert control.ring.server_features == FEATURES
    assert await control.ask(Op.GET_PERMS, b"/\0") == b"n3\0"
    assert await control.ask(Op.GET_PERMS, b"@releaseDomain\0") == b"n3\0r32757\0"
    assert await control.ask(Op.WRITE, b"/x\0v") == OK
    assert await control.ask(Op.CONTROL, b"check\0") == OK
    assert await control.ask(Op.IS_DOMAIN_INTRODUCED, b"3\0") == TRUE
    for number in range(200):
        await control.watch(b"/a/%d" % number)

    guest = rings.create(5)
    assert await control.ask(Op.INTRODUCE, b"5\x001\x00%d\0" % guest.port) == OK
    await guest.ping()
    assert await guest.ask(Op.WRITE, b"/x\0v") == EACCES
    await control.watch(b"@releaseDomain")
    await control.send(control.frame(Op.RELEASE, b"5\0"))
    assert told(await control.frames(2)) == [event(b"@releaseDomain"), (Op.RELEASE, OK)]


@apart
async def test_clients_of_the_socket_are_the_daemons_own_domain(rings: Rings) -> None:
    """It has the rights that it is given, and no limits."""
    for op, words in (
        *((Op.WRITE, [b"/x"]), (Op.READ, [b"/"]), (Op.CONTROL, [b"check"])),
        *((Op.INTRODUCE, [b"5", b"1", b"1"]), (Op.RELEASE, [b"5"])),
        (Op.SET_QUOTA, [b"nodes", b"1"]),
    ):
        assert await rings.ask(op, *words) == EACCES
    control = rings.control
    assert await control.ask(Op.WRITE, b"/local/domain/0\0") == OK
    assert await control.ask(Op.SET_PERMS, b"/local/domain/0\0n0\0") == OK

    assert await rings.ask(Op.WRITE, b"name", b"own") == OK
    assert await control.ask(Op.READ, b"/local/domain/0/name\0") == b"own\0"
    client = await rings.dom0()
    for number in range(200):
        await client.watch(b"many/%d" % number)


@on_rings(NOTIFYING, own=True, control=True)
async def test_own_domain_and_control_domain_never_end(rings: Rings) -> None:
    """Neither can be released or resumed; introduced again they go on as they are."""
    control, kernel = rings.control, rings.attach(0)
    assert await kernel.ask(Op.WRITE, b"/x\0") == EACCES
    for domid in (0, CONTROL):
        assert await control.ask(Op.IS_DOMAIN_INTRODUCED, b"%d\0" % domid) == TRUE
        for op in (Op.RELEASE, Op.RESUME):
            assert await control.ask(op, b"%d\0" % domid) == EINVAL
    await control.watch(b"/local/x")
    await kernel.watch(b"/local")
    socket = await rings.watcher(b"/local")
    assert await control.ask(Op.WRITE, b"/local\0") == OK
    assert await control.ask(Op.SET_PERMS, b"/local\0n3\0b0\0") == OK
    assert told(await kernel.frames(1)) == [event(b"/local")]
    assert await rings.events(socket) == [b"/local"]
    for domid in (0, CONTROL):
        assert await control.ask(Op.INTRODUCE, b"%d\x001\x001\0" % domid) == OK
    rings.host.stop(CONTROL)
    await rings.quiet()

    assert await rings.ask(Op.WRITE, b"/local/x") == OK
    assert told(await control.frames(1)) == [event(b"/local/x")]
    assert told(await kernel.frames(1)) == [event(b"/local/x")]
    assert await rings.events(socket) == [b"/local/x"]


def refused(served: Served, host: EmulatedHost, reason: str) -> None:
    """Start a server that cannot."""
    with closing(host), pytest.raises(OSError, match=reason):
        Rings(served, host)
    served.reactor.ignore(host.hypervisor.fileno())
    host.hypervisor.close()


async def find_none(served: Served) -> None:
    """There is no such domain."""
    host = EmulatedHost(served.directory, lazy=False, own=False)
    refused(served, host, r"dom3, the control domain, does not exist")


async def find_no_port(served: Served) -> None:
    """It is there, and nobody says how to reach it."""
    host = EmulatedHost(served.directory, lazy=False, own=False)
    host.create(CONTROL).release()
    refused(served, host, "the control domain: dom3 cannot be connected: ")


@pytest.mark.parametrize("body", [find_none, find_no_port])
def test_nothing_is_served_without_the_control_domain(
    directory: Path, body: Body
) -> None:
    """Nobody else could introduce it, or anybody."""
    run(directory, body, CONTROL)


def test_control_domain_is_reached_by_the_port_in_its_page(directory: Path) -> None:
    """As Xen has made it, without a toolstack; and what was done can be done again."""

    async def start(served: Served) -> None:
        served.engine.tape = MemoryTape()
        host = EmulatedHost(served.directory, lazy=False, own=False)
        control = host.create(CONTROL)
        control.fields[EVTCHN_PORT] = control.port
        with closing(Rings(served, host)) as rings:
            assert await control.ask(Op.WRITE, b"/x\0v") == OK
            assert rings.connection(CONTROL).is_kernel
            assert_replays(served.engine)
            control.release()

    run(directory, start, CONTROL)


@on_rings(EAGER, lenient=True)
async def test_own_domain_that_comes_later_is_served_once_introduced(
    rings: Rings,
) -> None:
    """A pretended one; until it is there, its introduction means nothing."""
    assert await rings.ask(Op.INTRODUCE, b"0", b"1", b"1") == OK
    kernel = rings.create(0)
    assert await rings.introduce(kernel) == OK
    await kernel.ping()


@on_rings(EAGER)
async def test_own_domain_without_a_ring_cannot_be_introduced(rings: Rings) -> None:
    """It would not be served: whoever asks for that is told."""
    assert await rings.ask(Op.INTRODUCE, b"0", b"1", b"1") == EINVAL
    assert await rings.is_introduced(0)
