"""xsd.daemon.service: what a running daemon is put together from."""

import asyncio
import dataclasses
import errno
import io
import json
import os
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import ClassVar, final

import pytest

from tests.support.services import on_loop, serve_client, serving, with_client
from tests.transport.support import Peer
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


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """Where the socket is to be; nothing may be left behind."""
    yield tmp_path / "socket"
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def config(path: Path) -> Config:
    """Without Xen."""
    return Config(socket=path, hypervisor="emulated")


@on_loop
async def start_fails(config: Config, reason: str) -> None:
    """Start a service that cannot; it may be stopped all the same."""
    service = Service(config, asyncio.get_running_loop())
    with pytest.raises(StartError, match=reason):
        service.start()
    service.stop()


def limits(store: Store) -> dict[str, int]:
    """What every domain may have at most."""
    return {name: store.quotas.get(-1, name) for name in store.quotas.names()}


def test_clients_and_pretended_domains_are_served(path: Path, config: Config) -> None:
    """On the socket, on a ring and on the domain's own socket."""

    def talk(dom0: Client) -> None:
        with (
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

    serve_client(config, talk)


def test_a_socket_that_cannot_be_had_is_an_error(path: Path) -> None:
    """It is said to be that; other errors are not."""
    path.write_text("in the way")

    start_fails(Config(socket=path), f"^cannot listen on {path}: ")

    path.unlink()


def test_a_hypervisor_that_is_not_there_is_an_error(path: Path) -> None:
    """Who asks for Xen does not get something else."""
    start_fails(
        Config(socket=path, hypervisor="xen"), r"^cannot serve domains on Xen: "
    )


def test_a_hypervisor_that_says_nothing_is_an_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not the socket that is at fault."""

    def domains(_: StandIn) -> list[int]:
        raise OSError(errno.EIO, "no answer")

    monkeypatch.setattr(StandIn, "made", [])
    monkeypatch.setattr(StandIn, "domains", domains)
    monkeypatch.setattr("xsd.hypervisor.xen.XenHypervisor", StandIn)

    start_fails(
        Config(socket=path, hypervisor="xen"), r"^cannot serve domains: .*no answer"
    )

    assert [each.closed for each in StandIn.made] == [True]


def test_a_hypervisor_that_cannot_be_had_leaves_no_socket(
    path: Path, config: Config
) -> None:
    """Clients would wait for guests that nobody serves."""
    control = path.with_suffix(".hypervisor")
    control.write_text("in the way")

    start_fails(config, f"^cannot listen on {control}: ")

    assert not path.exists()
    control.unlink()


@on_loop
async def test_pretended_domains_are_not_needed_unless_they_are_demanded(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket's path may be so long that those named after it cannot be made."""
    directory = tmp_path_factory.mktemp("xs")
    path = directory / ("s" * (SOCKET_PATH_MAX - len(str(directory)) - 1))
    config = Config(socket=path)
    monkeypatch.setattr("xsd.hypervisor.xen.available", lambda: False)

    def talk(dom0: Client) -> None:
        dom0.introduce(5, 1, 1)
        dom0.release(5)

    async with serving(config) as service:
        assert service.hypervisor == "none"
        await asyncio.to_thread(with_client, config, talk)
    for demanding in (
        dataclasses.replace(config, hypervisor="emulated"),
        dataclasses.replace(config, control_domid=3),
    ):
        with pytest.raises(StartError, match="hypervisor: AF_UNIX path too long"):
            Service(demanding, asyncio.get_running_loop()).start()

    assert list(path.parent.iterdir()) == []


@final
class StandIn(Hypervisor):
    """In the place of Xen: there is no domain, and nothing happens.

    Attributes:
        made: Those that were made.
        own_domid: The daemon's domain.
        closed: Whether it has been closed.
    """

    made: ClassVar[list["StandIn"]] = []

    def __init__(self, own_domid: int, kept: dict[str, object] | None = None) -> None:
        assert kept is None
        self.own_domid = own_domid
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

    def adopt(self, domid: int, port: int) -> Channel:
        raise AssertionError

    def keep(self) -> tuple[dict[str, object], list[int]]:
        raise AssertionError

    def let_go(self) -> None:
        raise AssertionError

    def take_back(self) -> None:
        raise AssertionError

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
@on_loop
async def test_xen_is_used_if_it_is_there_or_demanded(
    path: Path,
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

    def introduce(dom0: Client) -> None:
        dom0.introduce(5, 1, 1)

    config = Config(socket=path, hypervisor=wanted)
    refused = used == "xen"
    async with serving(config) as service:
        assert service.hypervisor == used
        with pytest.raises(XenStoreError, match="EINVAL") if refused else nullcontext():
            await asyncio.to_thread(with_client, config, introduce)

    assert [each.closed for each in StandIn.made] == [True] * (used == "xen")


@pytest.mark.parametrize("keep", [True, False])
def test_orphans_are_kept_if_that_is_wanted(config: Config, *, keep: bool) -> None:
    """Else they go with their owner."""

    def talk(dom0: Client) -> None:
        dom0.introduce(5, 1, 1)
        dom0.write("/own", b"")
        dom0.set_permissions("/own", [b"n5"])
        dom0.release(5)
        assert dom0.exists("/own") == keep
        if keep:
            assert dom0.get_permissions("/own") == [b"n0"]

    serve_client(dataclasses.replace(config, keep_orphans=keep), talk)


@on_loop
async def test_the_time_that_events_may_wait_can_be_changed(config: Config) -> None:
    """It is the configuration's at first, and holds from then on; 0 is for ever."""
    config = dataclasses.replace(config, watch_event_timeout_s=7)
    async with serving(config) as service:
        core = service._engine.core
        assert core.event_timeout_ms == 7000
        for seconds in (8, 0, 9):
            service.change({"timeout.watch-event": seconds})
            assert core.event_timeout_ms == seconds * 1000


@on_loop
async def test_limits_can_be_changed(config: Config) -> None:
    """Each by its key; the others stay as they are."""
    async with serving(config) as service:
        before = limits(service.store)
        service.change({"quota.memory": 8, "quota.soft.memory": 9})
        assert limits(service.store) == {**before, "memory": 8, "soft-memory": 9}


@on_loop
async def test_a_setting_that_cannot_be_changed_is_a_defect(config: Config) -> None:
    """Whoever makes one reloadable has to say here what is to be done."""
    async with serving(config) as service:
        for setting in SETTINGS.values():
            if setting.live and setting.section != "log":
                service.change({setting.key: setting.default})
        with pytest.raises(AssertionError, match=r"daemon\.socket"):
            service.change({"daemon.socket": Path("/s")})


@on_loop
async def test_a_service_may_be_stopped_twice(config: Config) -> None:
    """Or before it has been started."""
    async with serving(config) as service:
        service.stop()
        service.stop()


@on_loop
async def test_an_end_takes_no_time_for_what_clients_have(config: Config) -> None:
    """They are cut off; their watches go with the process."""
    async with serving(config) as service:
        peer = Peer(str(config.socket))
        for _ in range(2):
            await peer.watch(b"/a", os.urandom(4).hex().encode())
        service.stop()
        assert await peer.rest() == []
        assert service.store.usage.watches.used == {0: 2}
        assert service.status.endswith(", guests: 0")
        peer.close()


@on_loop
async def test_a_journal_that_is_broken_is_told_to_the_manager(
    config: Config, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Beside how much there is to do; clients are served."""
    directory = tmp_path_factory.mktemp("kept") / "journal"
    config = dataclasses.replace(config, journal=True, journal_directory=directory)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "posix_fallocate", no_room)
        async with serving(config) as service:
            assert service.status.endswith(", journal broken: [Errno 28] no room")
            await asyncio.to_thread(with_client, config, lambda dom0: dom0.mkdir("/a"))
    async with serving(config) as service:
        assert service.status.endswith(", guests: 0")


@on_loop
async def test_a_journal_that_cannot_be_had_is_done_without(
    config: Config, tmp_path_factory: pytest.TempPathFactory, log: io.StringIO
) -> None:
    """A host can do without it, but not without the store; it is said loudly."""
    directory = tmp_path_factory.mktemp("kept")
    missing = directory / "no" / "journal"
    config = dataclasses.replace(config, journal=True, journal_directory=missing)
    async with serving(config) as service:
        assert ", journal none: " in service.status
        await asyncio.to_thread(with_client, config, lambda dom0: dom0.mkdir("/a"))
    assert "journal.none" in log.getvalue()
    assert str(missing) in log.getvalue()


def test_a_state_that_is_there_is_not_done_without(
    config: Config, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Guests would be served an empty store."""
    directory = tmp_path_factory.mktemp("kept") / "journal"
    directory.mkdir(mode=0o700)
    (directory / "lock").symlink_to("nowhere")
    (directory / "segment.0000000001").touch()
    config = dataclasses.replace(config, journal=True, journal_directory=directory)

    start_fails(config, "cannot keep a journal: ")


def no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, "no room")


def test_notices_reach_the_log(log: io.StringIO) -> None:
    """With their level, their fields made printable, and what went wrong."""
    log_notice(Notice("error", "request.failed", {"domid": 5}, KeyError("nothing")))
    log_notice(Notice("warning", "request.refused", {"path": b"/a\n", "domid": 5}))

    failed, refused = (json.loads(line) for line in log.getvalue().splitlines())
    assert "KeyError: 'nothing'" in failed.pop("exception")
    for line, expected in (
        (failed, {"event": "request.failed", "level": "error"}),
        (refused, {"event": "request.refused", "level": "warning", "path": r"/a\n"}),
    ):
        del line["timestamp"]
        assert line == {**expected, "domid": 5}


def test_what_an_operator_asked_for_is_written_whatever_the_level() -> None:
    """Traces are for debugging, and have been switched on."""
    stream = io.StringIO()
    configure(StreamSink(stream), log_level="error")
    log_notice(Notice("debug", "io.request", {"payload": b"/a\n"}, wanted=True))
    log_notice(Notice("debug", "request.refused", {"path": b"/a"}))

    (line,) = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (line["event"], line["level"]) == ("io.request", "debug")
    assert line["payload"] == r"/a\n"


@pytest.mark.parametrize(
    ("settings", "begins"),
    [
        (set(), False),
        ({"log_file"}, False),
        ({"trace_file"}, True),
        ({"tracing"}, True),
    ],
    ids=str,
)
@on_loop
async def test_it_is_traced_from_the_start_if_that_is_wanted(
    tmp_path: Path, settings: set[str], *, begins: bool
) -> None:
    """Wherever the log goes; else once somebody switches it on."""
    trace = tmp_path / "trace"
    config = Config(
        socket=tmp_path / "socket",
        hypervisor="emulated",
        trace_switches=frozenset({"tdb"}),
        tracing="tracing" in settings,
        log_file=trace if "log_file" in settings else None,
        trace_file=trace if "trace_file" in settings else None,
    )
    is_file = bool(settings - {"tracing"})
    stream = io.StringIO()
    kept = Log(FileSink(trace) if is_file else StreamSink(stream))

    def talk(dom0: Client) -> None:
        dom0.write("/first", b"")
        dom0.control("log", "on")
        dom0.write("/second", b"")

    service = Service(config, asyncio.get_running_loop())
    service.keep_log(kept)
    service.start()
    try:
        await asyncio.to_thread(with_client, config, talk)
    finally:
        service.stop()
        kept.close()

    text = trace.read_text() if is_file else stream.getvalue()
    told = [json.loads(line) for line in text.splitlines()]
    changed = [line["path"] for line in told if line["event"] == "tdb.changed"]
    assert changed == ["/first", "/second"][not begins :]
    assert {line["event"] for line in told} == {"tdb.changed"}


def test_settings_reach_the_store() -> None:
    """Limits, hard and soft, and who is privileged; others are as they always are."""
    config = Config(quota_nodes=7, quota_transactions=0, soft_memory=8, control_domid=3)
    config = dataclasses.replace(config, own_domid=2)

    store = make_store(config)

    changed = {"nodes": 7, "transactions": 0, "soft-memory": 8}
    assert limits(store) == {**limits(Store()), **changed}
    assert store.quotas.limit(5, "nodes") == 7
    assert (store.privileged.domid, store.privileged.caller.domid) == (3, 3)
    assert (store.own.domid, store.own.caller.domid) == (2, 2)


@pytest.mark.parametrize("hypervisor", ["emulated", "auto", "xen"])
def test_a_control_domain_that_is_not_there_is_an_error(
    path: Path, monkeypatch: pytest.MonkeyPatch, hypervisor: str
) -> None:
    """Nobody could introduce it, or any other; the daemon's own domain may not."""
    monkeypatch.setattr(StandIn, "made", [])
    monkeypatch.setattr("xsd.hypervisor.xen.XenHypervisor", StandIn)
    monkeypatch.setattr("xsd.hypervisor.xen.available", lambda: False)

    start_fails(
        Config(socket=path, hypervisor=hypervisor, control_domid=3, own_domid=2),
        "^cannot serve domains: dom3, the control domain, does not exist$",
    )

    assert [each.own_domid for each in StandIn.made] == [2] * (hypervisor == "xen")


@on_loop
async def test_another_own_domain_is_who_the_clients_are(config: Config) -> None:
    """With all rights if it is the control domain, too; it is no guest."""
    config = dataclasses.replace(config, own_domid=3, control_domid=3)

    def talk(dom3: Client) -> None:
        dom3.write("name", b"three")
        assert dom3.read("/local/domain/3/name") == b"three"
        assert dom3.get_permissions("/") == [b"n3"]

    async with serving(config) as service:
        await asyncio.to_thread(with_client, config, talk)
        assert service.status.endswith(", guests: 0")
