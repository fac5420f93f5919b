"""xsd.daemon.service: what a running daemon is put together from."""

import asyncio
import errno
import io
import json
import os
from pathlib import Path
from typing import ClassVar, final

import pytest
import structlog

from tests.support.services import serve
from xsd.client import Client
from xsd.daemon.daemonize import StartError
from xsd.daemon.logbook import Log
from xsd.daemon.logsetup import FileSink, StreamSink, configure
from xsd.daemon.service import Service, log_notice, make_store
from xsd.daemon.settings import SETTINGS, SOCKET_PATH_MAX, Config
from xsd.engine import Notice
from xsd.hypervisor.base import Channel, DomainState, Hypervisor, PortIn
from xsd.protocol.errors import XenStoreError
from xsd.store import Store
from xsd.testing.guests import PretendedHost


def test_clients_and_pretended_domains_are_served(tmp_path: Path) -> None:
    """On the socket, on a ring and on the domain's own socket."""
    path = tmp_path / "socket"

    def talk() -> None:
        with (
            Client(str(path), timeout=20) as dom0,
            PretendedHost(f"{path}.hypervisor", timeout=20) as host,
            host.create(5) as guest,
        ):
            dom0.write("/local/domain/5/x", b"1")
            dom0.set_permissions("/local/domain/5/x", [b"n5"])
            dom0.introduce(5, 1, guest.port)
            assert guest.read("x") == b"1"
            with Client(f"{path}.dom5", timeout=20) as other:
                other.write("x", b"2")
            assert dom0.read("/local/domain/5/x") == b"2"
            host.kill(5)

    async def work(service: Service) -> None:
        assert service.hypervisor == "emulated"
        await asyncio.to_thread(talk)

    serve(Config(socket=path, hypervisor="emulated"), work)

    assert list(tmp_path.iterdir()) == []


def test_a_start_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    """Another daemon's socket least of all."""
    path = tmp_path / "socket"
    config = Config(socket=path, hypervisor="emulated")

    async def work(_: Service) -> None:
        with pytest.raises(OSError, match="another xenstored is serving there"):
            Service(config).start()
        assert path.exists()

    serve(config, work)


def test_a_hypervisor_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """Who asks for Xen does not get something else."""

    async def start() -> None:
        with pytest.raises(StartError, match=r"^cannot serve domains on Xen: "):
            Service(Config(socket=tmp_path / "socket", hypervisor="xen")).start()

    asyncio.run(start())

    assert list(tmp_path.iterdir()) == []


def test_a_hypervisor_that_says_nothing_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not the socket that is at fault; nothing is left behind."""

    def domains(_: StandIn) -> list[int]:
        raise OSError(errno.EIO, "no answer")

    monkeypatch.setattr(StandIn, "made", [])
    monkeypatch.setattr(StandIn, "domains", domains)
    monkeypatch.setattr("xsd.hypervisor.xen.XenHypervisor", StandIn)

    async def start() -> None:
        with pytest.raises(StartError, match=r"^cannot serve domains: .*no answer"):
            Service(Config(socket=tmp_path / "socket", hypervisor="xen")).start()

    asyncio.run(start())

    assert [each.closed for each in StandIn.made] == [True]
    assert list(tmp_path.iterdir()) == []


def test_a_hypervisor_that_cannot_be_had_leaves_no_socket(tmp_path: Path) -> None:
    """Clients would wait for guests that nobody serves."""
    control = tmp_path / "socket.hypervisor"
    control.write_text("in the way")

    async def start() -> None:
        service = Service(Config(socket=tmp_path / "socket", hypervisor="emulated"))
        with pytest.raises(StartError, match=f"^cannot listen on {control}: "):
            service.start()
        service.stop()

    asyncio.run(start())

    assert list(tmp_path.iterdir()) == [control]


def test_pretended_domains_are_not_needed_unless_they_are_demanded(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A socket's path may be so long that those named after it cannot be made."""
    directory = tmp_path_factory.mktemp("xs")
    path = directory / ("s" * (SOCKET_PATH_MAX - len(str(directory)) - 1))

    def talk() -> None:
        with Client(str(path), timeout=20) as dom0:
            dom0.introduce(5, 1, 1)
            dom0.release(5)

    async def work(service: Service) -> None:
        assert service.hypervisor == "none"
        await asyncio.to_thread(talk)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xsd.hypervisor.xen.available", lambda: False)
        serve(Config(socket=path), work)
    with pytest.raises(StartError, match="hypervisor: AF_UNIX path too long"):
        serve(Config(socket=path, hypervisor="emulated"), work)

    assert list(directory.iterdir()) == []


@final
class StandIn(Hypervisor):
    """In the place of Xen: there is no domain, and nothing happens.

    Attributes:
        made: Those that were made.
        closed: Whether it has been closed.
    """

    made: ClassVar[list["StandIn"]] = []

    def __init__(self) -> None:
        self.closed = False
        self._descriptor = os.eventfd(0, os.EFD_NONBLOCK)
        self.made.append(self)

    def fileno(self) -> int:
        return self._descriptor

    def pending(self) -> tuple[list[int], bool]:
        return [], False

    def own(self) -> Channel | None:
        return None

    def connect(
        self, domid: int, remote_port: int, port_in: PortIn | None = None
    ) -> Channel:
        raise OSError(errno.EINVAL, "no such domain")

    def rebind(self, channel: Channel, remote_port: int) -> None:
        raise AssertionError

    def disconnect(self, channel: Channel) -> None:
        raise AssertionError

    def notify(self, channel: Channel) -> None:
        raise AssertionError

    def state(self, domid: int) -> DomainState | None:
        return None

    def domains(self) -> list[int]:
        return []

    def close(self) -> None:
        self.closed = True
        os.close(self._descriptor)


@pytest.mark.parametrize(
    ("wanted", "available", "used"),
    [
        ("auto", True, "xen"),
        ("auto", False, "emulated"),
        ("xen", False, "xen"),
        ("emulated", True, "emulated"),
    ],
)
def test_xen_is_used_if_it_is_there_or_demanded(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wanted: str,
    used: str,
    *,
    available: bool,
) -> None:
    """Without it domains are pretended, each with a socket of its own."""
    monkeypatch.setattr(StandIn, "made", [])
    monkeypatch.setattr("xsd.hypervisor.xen.XenHypervisor", StandIn)
    monkeypatch.setattr("xsd.hypervisor.xen.available", lambda: available)
    path = tmp_path / "socket"

    def talk() -> None:
        with Client(str(path), timeout=20) as dom0:
            if used == "emulated":
                dom0.introduce(5, 1, 1)
            else:
                with pytest.raises(XenStoreError, match="EINVAL"):
                    dom0.introduce(5, 1, 1)

    async def work(service: Service) -> None:
        assert service.hypervisor == used
        await asyncio.to_thread(talk)

    serve(Config(socket=path, hypervisor=wanted), work)

    assert [each.closed for each in StandIn.made] == [True] * (used == "xen")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("keep", "owner"), [(True, b"n0"), (False, None)])
def test_orphans_are_kept_if_that_is_wanted(
    tmp_path: Path, owner: bytes | None, *, keep: bool
) -> None:
    """Else they go with their owner."""
    path = tmp_path / "socket"

    def talk() -> None:
        with Client(str(path), timeout=20) as dom0:
            dom0.introduce(5, 1, 1)
            dom0.write("/own", b"")
            dom0.set_permissions("/own", [b"n5"])
            dom0.release(5)
            if owner is None:
                assert not dom0.exists("/own")
            else:
                assert dom0.get_permissions("/own") == [owner]

    async def work(_: Service) -> None:
        await asyncio.to_thread(talk)

    serve(Config(socket=path, hypervisor="emulated", keep_orphans=keep), work)


def test_the_time_that_events_may_wait_can_be_changed(tmp_path: Path) -> None:
    """It is the configuration's at first, and holds from then on; 0 is for ever."""

    async def work(service: Service) -> None:
        core = service._engine.core
        assert core.event_timeout_ms == 7000
        for seconds in (8, 0, 9):
            service.change({"timeout.watch-event": seconds})
            assert core.event_timeout_ms == seconds * 1000

    config = Config(
        socket=tmp_path / "socket", hypervisor="emulated", watch_event_timeout_s=7
    )
    serve(config, work)


def test_limits_and_orphans_can_be_changed(tmp_path: Path) -> None:
    """Each by its key; the others stay as they are."""
    path = tmp_path / "socket"

    def talk() -> None:
        with Client(str(path), timeout=20) as dom0:
            dom0.introduce(5, 1, 1)
            dom0.write("/own", b"")
            dom0.set_permissions("/own", [b"n5"])
            dom0.release(5)
            assert dom0.get_permissions("/own") == [b"n0"]

    async def work(service: Service) -> None:
        names = service.store.quotas.names()
        before = {name: service.store.quotas.get(-1, name) for name in names}
        service.change(
            {
                "quota.memory": 8,
                "quota.soft.memory": 9,
                "domains.keep-orphans": True,
            }
        )
        after = {name: service.store.quotas.get(-1, name) for name in names}
        assert after == {**before, "memory": 8, "soft-memory": 9}
        await asyncio.to_thread(talk)

    serve(Config(socket=path, hypervisor="emulated"), work)


def test_a_setting_that_cannot_be_changed_is_a_defect(tmp_path: Path) -> None:
    """Whoever makes one reloadable has to say here what is to be done."""

    async def work(service: Service) -> None:
        for setting in SETTINGS.values():
            if setting.live and setting.section != "log":
                service.change({setting.key: setting.default})
        with pytest.raises(AssertionError, match=r"daemon\.socket"):
            service.change({"daemon.socket": Path("/s")})

    serve(Config(socket=tmp_path / "socket", hypervisor="emulated"), work)


def test_a_service_may_be_stopped_twice(tmp_path: Path) -> None:
    """Or before it has been started."""

    async def work(service: Service) -> None:
        service.stop()
        service.stop()

    serve(Config(socket=tmp_path / "socket", hypervisor="emulated"), work)


def test_notices_reach_the_log() -> None:
    """With their level, their fields and what went wrong."""
    error = ValueError("a defect")
    with structlog.testing.capture_logs() as lines:
        log_notice(Notice("error", "request.failed", {"domid": 5}, error))
        log_notice(Notice("debug", "request.refused", {"path": b"/a"}))

    assert lines == [
        {
            "event": "request.failed",
            "log_level": "error",
            "domid": 5,
            "exc_info": error,
        },
        {
            "event": "request.refused",
            "log_level": "debug",
            "path": b"/a",
            "exc_info": None,
        },
    ]


def test_what_an_operator_asked_for_is_written_whatever_the_level() -> None:
    """Traces are for debugging, and have been switched on."""
    stream = io.StringIO()
    configure(StreamSink(stream), log_level="error")
    try:
        log_notice(Notice("debug", "io.request", {"payload": b"/a\n"}, wanted=True))
        log_notice(Notice("debug", "request.refused", {"path": b"/a"}))
    finally:
        structlog.reset_defaults()

    (line,) = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (line["event"], line["level"]) == ("io.request", "debug")
    assert line["payload"] == r"/a\n"


@pytest.mark.parametrize("is_file", [True, False])
def test_it_is_traced_from_the_start_if_the_log_is_a_file(
    tmp_path: Path, *, is_file: bool
) -> None:
    """What the settings say; else once somebody switches it on."""
    path, trace = tmp_path / "socket", tmp_path / "trace"
    config = Config(
        socket=path, hypervisor="emulated", trace_switches=frozenset({"tdb"})
    )
    stream = io.StringIO()
    kept = Log(FileSink(trace) if is_file else StreamSink(stream))

    def talk() -> None:
        with Client(str(path), timeout=20) as dom0:
            dom0.write("/first", b"")
            dom0.control("log", "on")
            dom0.write("/second", b"")

    async def run() -> None:
        service = Service(config)
        service.keep_log(kept)
        service.start()
        try:
            await asyncio.to_thread(talk)
        finally:
            service.stop()
            kept.close()
            structlog.reset_defaults()

    asyncio.run(run())

    text = trace.read_text() if is_file else stream.getvalue()
    told = [json.loads(line) for line in text.splitlines()]
    changed = [line["path"] for line in told if line["event"] == "tdb.changed"]
    assert changed == ["/first", "/second"][not is_file :]
    assert {line["event"] for line in told} == {"tdb.changed"}


def test_limits_reach_the_store_hard_and_soft() -> None:
    """What is not set is as it always is."""
    quotas = make_store(Config(quota_nodes=0, soft_memory=9)).quotas

    assert quotas.get(-1, "nodes") == 0
    assert quotas.get(-1, "soft-memory") == 9
    assert quotas.get(-1, "watches") == Store().quotas.get(-1, "watches")


def test_settings_reach_the_store() -> None:
    """Limits by name, and who is privileged."""
    store = make_store(Config(quota_nodes=7, control_domid=3))

    assert store.quotas.limit(5, "nodes") == 7
    assert store.privileged.domid == 3
