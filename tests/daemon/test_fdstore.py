"""xsd.daemon.fdstore: clients that go on after a kill, under a service manager."""

import asyncio
import errno
import io
import os
import re
import signal
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.peers.build import on_shim
from tests.support.manager import ServiceManager
from tests.support.processes import connect, descriptors
from tests.support.services import on_loop
from tests.takeover.moving import client, guest
from tests.update.running import program, update
from xsd.client import DisconnectedError
from xsd.daemon.activation import Passed
from xsd.daemon.daemonize import StartError
from xsd.daemon.fdstore import DescriptorStore
from xsd.daemon.service import Service
from xsd.daemon.settings import Config
from xsd.hypervisor.base import Hypervisor
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op
from xsd.testing import Session

pytestmark = pytest.mark.slow

FILL = 1 << 16
"""Events of so many bytes together are more than a socket's buffer holds."""


@pytest.fixture
def manager(directory: Path) -> Iterator[ServiceManager]:
    """It has started a daemon."""
    with ServiceManager(directory, "--journal") as found:
        yield found


def kept(manager: ServiceManager, count: int = 1) -> None:
    """Wait until so many clients, and the socket, are held."""
    manager.wait_until(
        lambda: len(manager.held) == count + 1, f"{count} clients are not held"
    )


def kill(manager: ServiceManager) -> None:
    """Kill the daemon when all that it was at has been done, and start another."""
    with closing(client(manager.socket)) as last:
        last.get(Op.GET_DOMAIN_PATH, b"1\0")
    manager.kill()


def ended(session: Session) -> bool:
    """Whether the daemon has ended a connection; it is waited for."""
    try:
        session.get(Op.READ, b"/\0")
    except (DisconnectedError, OSError):
        return True
    return False


def test_an_idle_client_goes_on(manager: ServiceManager) -> None:
    """Its watch is there and told nothing, and its transaction goes on."""
    with closing(client(manager.socket)) as idle:
        idle.watch(b"/a")
        number = idle.start()
        idle.ok(Op.WRITE, b"/inside\0v", number)
        kept(manager)

        kill(manager)

        assert idle.waiting == 0
        with closing(client(manager.socket)) as other:
            assert other.errno(Op.READ, b"/inside\0") is not None
            other.ok(Op.WRITE, b"/a/b\0v")
            assert idle.next_event() == (b"/a/b", b"t")
            assert idle.commit(number) is None
            assert other.get(Op.READ, b"/inside\0") == b"v"
        assert "clients.resumed" in manager.log


def test_a_client_of_the_time_between_waits_and_is_served(
    manager: ServiceManager,
) -> None:
    """The socket is held, too; what a client has asked meanwhile is answered."""
    with closing(client(manager.socket)) as idle:
        idle.get(Op.GET_DOMAIN_PATH, b"1\0")
        kept(manager)
        manager.end(signal.SIGKILL)
        with connect(manager.socket) as new:
            request = encode_frame(Op.GET_DOMAIN_PATH, 7, 0, b"5\0")
            new.sendall(request)
            idle.post(Op.GET_DOMAIN_PATH, b"6\0")

            manager.start()

            assert new.recv(100).endswith(b"/local/domain/5\0")
            assert idle.replies() == [(Op.GET_DOMAIN_PATH, b"/local/domain/6\0")]


def test_events_that_waited_are_made_up_for(manager: ServiceManager) -> None:
    """Who has not read is told each of its watches once more; others are not."""
    token = b"t" * 4000
    with (
        closing(client(manager.socket)) as deaf,
        closing(client(manager.socket)) as idle,
        closing(client(manager.socket)) as writer,
    ):
        deaf.watch(b"/a", token)
        idle.watch(b"/b")
        kept(manager, 3)
        for number in range(FILL // 1000):
            writer.ok(Op.WRITE, b"/a/%d\0v" % number)

        kill(manager)

        assert idle.waiting == 0
        told: list[tuple[bytes, bytes]] = []
        while not told or told[-1] != (b"/a", token):
            told.append(deaf.next_event())
        # What the socket held, and then the watch itself.
        assert len(told) < FILL // 1000
        assert told[0] == (b"/a/0", token)
        writer.ok(Op.WRITE, b"/a/last\0v")
        assert deaf.next_event() == (b"/a/last", token)


def test_a_client_in_the_middle_of_a_request_is_closed(
    manager: ServiceManager,
) -> None:
    """It does not wait for ever, and nobody else is concerned."""
    with (
        closing(client(manager.socket)) as idle,
        closing(client(manager.socket)) as half,
    ):
        idle.get(Op.GET_DOMAIN_PATH, b"1\0")
        half.get(Op.GET_DOMAIN_PATH, b"1\0")
        kept(manager, 2)
        half.send(encode_frame(Op.READ, 9, 0, b"/\0")[:10])
        # It has been read when somebody else is answered.
        idle.get(Op.GET_DOMAIN_PATH, b"1\0")

        kill(manager)

        assert ended(half)
        assert idle.get(Op.GET_DOMAIN_PATH, b"1\0") == b"/local/domain/1\0"
        kept(manager, 1)


def test_who_comes_and_goes_is_not_held(manager: ServiceManager) -> None:
    """That would be a message to process 1 for each `xenstore-read`."""
    with closing(client(manager.socket)) as idle:
        for _ in range(100):
            with closing(client(manager.socket)) as short:
                short.get(Op.GET_DOMAIN_PATH, b"1\0")
        kept(manager)
        idle.get(Op.GET_DOMAIN_PATH, b"1\0")

    stored = [each for each in manager.heard if each.startswith("FDSTORE=1")]
    assert len(stored) == 2


def test_a_client_that_is_held_sees_its_end_at_once(manager: ServiceManager) -> None:
    """Though somebody else has its socket, too; that is held no longer."""
    with closing(client(manager.socket)) as broken:
        broken.get(Op.GET_DOMAIN_PATH, b"1\0")
        kept(manager)
        broken.send(b"\xff" * 16)
        assert ended(broken)
        kept(manager, 0)
        manager.wait_until(
            lambda: any("FDSTOREREMOVE" in each for each in manager.heard[-2:]),
            "it is not told",
        )


def test_a_client_that_has_gone_is_forgotten(manager: ServiceManager) -> None:
    """Also if it goes while there is no daemon."""
    with closing(client(manager.socket)) as staying:
        staying.watch(b"/a")
        leaving = client(manager.socket)
        leaving.watch(b"/b")
        leaving.start()
        kept(manager, 2)
        manager.end(signal.SIGKILL)
        leaving.close()
        manager.start()
        staying.ok(Op.WRITE, b"/b\0v")
        kept(manager, 1)
        report = staying.get(Op.CONTROL, b"memreport\0").decode()
        assert re.search(r"^connections +: +1 ", report, re.MULTILINE), report
        assert re.search(r"^transactions +: +0 ", report, re.MULTILINE), report


def test_many_kills_leave_no_descriptor_behind(manager: ServiceManager) -> None:
    """Nor do they cost a client anything."""
    with (
        closing(client(manager.socket)) as idle,
        closing(client(manager.socket)) as other,
    ):
        idle.watch(b"/a")
        other.get(Op.GET_DOMAIN_PATH, b"1\0")
        kept(manager, 2)
        counts = []
        for turn in range(20):
            kill(manager)
            other.ok(Op.WRITE, b"/a\0%d" % turn)
            assert idle.next_event() == (b"/a", b"t")
            counts.append(descriptors(manager.pid))
        kept(manager, 2)
    assert len(set(counts)) == 1, counts


def test_a_clean_stop_leaves_nothing_with_the_manager(manager: ServiceManager) -> None:
    """The clients are at their end, and the socket is away."""
    with closing(client(manager.socket)) as idle:
        idle.watch(b"/a")
        kept(manager)

        assert manager.end() == 0

        assert ended(idle)
        manager.wait_until(lambda: manager.held == [], "something is held")
        assert not manager.socket.exists()


def test_after_an_update_the_clients_are_still_held(
    manager: ServiceManager, tmp_path: Path
) -> None:
    """Under the same names, without being sent anew; and so are those that come."""
    with closing(client(manager.socket)) as idle:
        idle.watch(b"/a")
        number = idle.start()
        kept(manager)
        names = manager.held
        with closing(client(manager.socket)) as asking:
            assert update(asking, program(tmp_path / "ours")) == "OK"
        assert manager.held == names
        with closing(client(manager.socket)) as late:
            late.watch(b"/b")
            kept(manager, 2)

            kill(manager)

            late.ok(Op.WRITE, b"/a\0v")
            assert idle.next_event() == (b"/a", b"t")
            assert idle.commit(number) is None
            idle.ok(Op.WRITE, b"/b\0v")
            assert late.next_event() == (b"/b", b"t")


def test_without_a_journal_nothing_is_held(directory: Path) -> None:
    """What somebody held for one with a journal is closed and forgotten."""
    with (
        ServiceManager(directory, "--journal") as manager,
        closing(client(manager.socket)) as idle,
    ):
        idle.watch(b"/a")
        kept(manager)
        manager.end(signal.SIGKILL)

        manager.options = ()
        manager.start()

        assert ended(idle)
        manager.wait_until(
            lambda: manager.held in ([], ["listener"]), "something is held"
        )


def test_a_journal_that_is_gone_means_others(manager: ServiceManager) -> None:
    """The numbers of a new store's connections are no longer those of who is held."""
    with closing(client(manager.socket)) as idle:
        idle.watch(b"/a")
        kept(manager)
        manager.end(signal.SIGKILL)
        for file in (manager.directory / "journal").iterdir():
            file.unlink()

        manager.start()

        assert ended(idle)


def test_an_older_state_is_nothing_to_go_on_with(manager: ServiceManager) -> None:
    """Where the journal was set aside, watches may be missing that clients count on."""
    with closing(client(manager.socket)) as idle:
        idle.watch(b"/a")
        kept(manager)
        for _ in range(3):
            manager.end(signal.SIGKILL)
            manager.start()

        assert "journal.set_aside" in manager.log
        assert ended(idle)


def ports_of(shim: Path, domid: int) -> list[int]:
    """Ports of ours that are bound to a domain, as the pretended Xen has them."""
    data = (shim / "ports").read_bytes()
    rows = list(struct.iter_unpack("=iiiII", data))
    return [
        port
        for port, (used, _stale, is_virq, source, _remote) in enumerate(rows)
        if used and not is_virq and source == domid
    ]


def test_a_domain_goes_on_by_the_port_that_it_had(directory: Path) -> None:
    """The device of event channels is held, too; what is bound there stays so."""
    shim = directory / "shim"
    options = ("--journal", "--hypervisor", "xen")
    with (
        ServiceManager(directory, *options, **on_shim(directory)) as manager,
        closing(client(manager.socket)) as dom0,
    ):
        gone, domain = guest(dom0, shim, 5), guest(dom0, shim, 6)
        domain.watch(b"data", b"token")
        dom0.ok(Op.RELEASE, b"5\0")
        gone.close()
        manager.wait_until(
            lambda: sorted(manager.held)[1:] == ["evtchn", "listener"],
            "it is not held",
        )
        ports = ports_of(shim, 6)

        kill(manager)

        dom0.ok(Op.WRITE, b"/local/domain/6/data\0v")
        assert domain.next_event() == (b"data", b"token")
        assert domain.get(Op.READ, b"data\0") == b"v"
        assert ports_of(shim, 6) == ports
        domain.close()
        assert manager.end() == 0
        manager.wait_until(lambda: manager.held == [], "something is held")


def test_channels_that_are_of_no_use_are_bound_anew(
    directory: Path, monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    """As though nobody had held them; what is wrong then is the start's trouble."""
    asked: list[object] = []

    def refuse(_own: int, kept: object) -> Hypervisor:
        asked.append(kept)
        raise OSError(errno.EBUSY, "no")

    monkeypatch.setattr("xsd.hypervisor.xen.XenHypervisor", refuse)
    device = os.open(os.devnull, os.O_RDONLY)
    held = DescriptorStore({}, [Passed(device, "evtchn")])

    @on_loop
    async def start() -> None:
        config = Config(socket=directory / "socket", hypervisor="xen")
        service = Service(config, asyncio.get_running_loop(), held=held)
        with pytest.raises(StartError, match="cannot serve domains on Xen"):
            service.start()

    start()

    os.close(device)
    assert asked == [{"evtchn": device, "held": True}, None]
    assert "channels.not_adopted" in log.getvalue()
