"""The real process is killed: what it has said holds, and domains go on."""

import contextlib
import time
from pathlib import Path

import pytest

from tests.crash.guests import begin
from tests.crash.killed import CLIENTS, Counter, Killed, kill_at_random
from tests.peers.build import on_shim
from tests.peers.domu import DomU
from tests.support.daemons import PATIENCE_S
from tests.takeover.moving import RingTransport, client, guest
from tests.update.running import program, update
from xsd.protocol.frame import Frame, FrameDecoder, encode_frame
from xsd.protocol.ops import Op
from xsd.testing import Session

KILLS = 20


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_was_acknowledged_outlives_any_kill(directory: Path) -> None:
    """Nothing is lost, nothing is done twice, and nobody waits for ever."""
    killed = Killed(directory, "--hypervisor", "xen", **on_shim(directory))
    with contextlib.ExitStack() as held:
        held.callback(killed.stop)
        guests = begin(killed.daemon.socket, directory / "shim")
        for guest_ in guests:
            held.callback(guest_.close)
            held.callback(guest_.stop)
        clients = [Counter(killed.daemon.socket, str(n)) for n in range(CLIENTS)]
        for each in clients:
            held.callback(each.stop)
        kill_at_random(killed, KILLS, seed=20261130)
        for guest_ in guests:
            guest_.stop()
        for each in clients:
            each.stop()

    assert [fault for guest_ in guests for fault in guest_.faults] == []
    assert all(guest_.count > 0 for guest_ in guests)
    assert [fault for each in clients for fault in each.faults] == []
    assert sum(each.acknowledged for each in clients) > KILLS
    log = (directory / "log").read_text()
    assert "store.recovered" in log
    assert "error" not in log


def test_a_domain_goes_on_with_what_it_had(directory: Path) -> None:
    """Its ring is where it was, its watch is told, and its transaction goes on."""
    killed = Killed(directory, "--hypervisor", "xen", **on_shim(directory))
    with contextlib.ExitStack() as held:
        held.callback(killed.stop)
        with contextlib.closing(client(killed.daemon.socket)) as dom0:
            domain = guest(dom0, directory / "shim", 5)
            held.callback(domain.close)
            domain.ok(Op.WRITE, b"data\0before")
            domain.watch(b"data", b"token")
            number = int(domain.get(Op.TRANSACTION_START, b"\0").rstrip(b"\0"))
            domain.ok(Op.WRITE, b"other\0inside", number)

        killed.kill()

        with contextlib.closing(client(killed.daemon.socket)) as dom0:
            assert domain.get(Op.READ, b"data\0") == b"before"
            dom0.ok(Op.WRITE, b"/local/domain/5/data\0after")
            assert domain.next_event() == (b"data", b"token")
            domain.ok(Op.TRANSACTION_END, b"T\0", number)
            assert dom0.get(Op.READ, b"/local/domain/5/other\0") == b"inside"
            assert dom0.get(Op.IS_DOMAIN_INTRODUCED, b"5\0") == b"T\0"


def test_our_own_kernel_goes_on_with_what_it_had(directory: Path) -> None:
    """Nobody introduces it, and its backends hear of all guests by its watches."""
    variables = on_shim(directory)
    ring = DomU(directory / "shim", 0, port=1)
    killed = Killed(directory, "--hypervisor", "xen", **variables)
    with contextlib.ExitStack() as held:
        held.callback(killed.stop)
        held.callback(ring.close)
        kernel = Session(RingTransport(ring), 0, timeout=PATIENCE_S)
        kernel.ok(Op.WRITE, b"/backend\0")
        kernel.watch(b"/backend", b"token")
        number = int(kernel.get(Op.TRANSACTION_START, b"\0").rstrip(b"\0"))
        kernel.ok(Op.WRITE, b"/other\0inside", number)

        killed.kill()

        with contextlib.closing(client(killed.daemon.socket)) as dom0:
            dom0.ok(Op.WRITE, b"/backend/vif\0new")
            assert kernel.next_event() == (b"/backend/vif", b"token")
            kernel.ok(Op.TRANSACTION_END, b"T\0", number)
            assert dom0.get(Op.READ, b"/other\0") == b"inside"


def test_what_is_under_way_outlives_an_update_and_a_kill(directory: Path) -> None:
    """Half a request, half a reply, and replies that wait behind that."""
    killed = Killed(directory, "--hypervisor", "xen", **on_shim(directory))
    last = encode_frame(Op.WRITE, 99, 0, b"last\0v")
    asked = b"".join(
        encode_frame(Op.GET_DOMAIN_PATH, number, 0, b"5\0") for number in range(48)
    )
    with contextlib.ExitStack() as held:
        held.callback(killed.stop)
        ring = DomU(directory / "shim", 5)
        held.callback(ring.close)
        with contextlib.closing(client(killed.daemon.socket)) as dom0:
            dom0.ok(Op.INTRODUCE, b"5\x001\0%d\0" % ring.port)
            dom0.make(b"/local/domain/5", b"n5")
            ring.send(asked + last[:-1])
            assert update(dom0, program(directory / "ours")) == "OK"

        killed.kill()

        ring.send(last[-1:])
        decoder = FrameDecoder()
        frames: list[Frame] = []
        deadline = time.monotonic() + PATIENCE_S
        while len(frames) < 49 and time.monotonic() < deadline:
            frames += decoder.feed(ring.receive_some(deadline))
    assert [frame.req_id for frame in frames] == [*range(48), 99]
    assert {frame.payload for frame in frames} == {b"/local/domain/5\0", b"OK\0"}


def test_a_domain_that_went_meanwhile_is_told_of(directory: Path) -> None:
    """Its nodes are gone, as after any end."""
    killed = Killed(directory, "--hypervisor", "xen", **on_shim(directory))
    with contextlib.ExitStack() as held:
        held.callback(killed.stop)
        with contextlib.closing(client(killed.daemon.socket)) as dom0:
            domain = guest(dom0, directory / "shim", 5)
            domain.ok(Op.WRITE, b"data\0before")
        domain.close()

        killed.kill()

        with contextlib.closing(client(killed.daemon.socket)) as dom0:
            assert dom0.get(Op.IS_DOMAIN_INTRODUCED, b"5\0") == b"F\0"
            assert b"5\0" not in dom0.get(Op.DIRECTORY, b"/local/domain\0")
