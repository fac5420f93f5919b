"""xsd.daemon.service: what a running daemon is put together from."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvloop

from xsd.client import Client
from xsd.daemon.config import Config
from xsd.daemon.service import Service, make_store
from xsd.testing.guests import PretendedHost


def serve(config: Config, work: Callable[[Service], Awaitable[None]]) -> None:
    """Have a service run while something is done."""

    async def run() -> None:
        service = Service(config)
        service.start()
        try:
            await work(service)
        finally:
            service.stop()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


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
        with pytest.raises(OSError, match=r"."):
            Service(Config(socket=tmp_path / "socket", hypervisor="xen")).start()

    asyncio.run(start())

    assert list(tmp_path.iterdir()) == []


def test_settings_reach_the_store() -> None:
    """Limits by name, and who is privileged."""
    store = make_store(Config(quotas={"nodes": 7}, control_domid=3))

    assert store.quotas.limit(5, "nodes") == 7
    assert store.privileged.domid == 3
