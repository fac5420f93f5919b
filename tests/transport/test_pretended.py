"""xsd.transport.pretended: a socket for each pretended domain."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import uvloop

from xsd.engine import Engine, Notice
from xsd.hypervisor.base import DYING, RUNNING, Channel, DomainState, Hypervisor
from xsd.store import Store
from xsd.transport.pretended import GuestSockets
from xsd.transport.pump import Pump


class Stated(Hypervisor):
    """A hypervisor that only says which domains there are."""

    def __init__(self) -> None:
        self.states: dict[int, DomainState] = {}

    def fileno(self) -> int:
        raise AssertionError

    def pending(self) -> tuple[list[int], bool]:
        raise AssertionError

    def own(self) -> Channel | None:
        raise AssertionError

    def connect(self, domid: int, remote_port: int) -> Channel:
        raise AssertionError

    def rebind(self, channel: Channel, remote_port: int) -> None:
        raise AssertionError

    def disconnect(self, channel: Channel) -> None:
        raise AssertionError

    def notify(self, channel: Channel) -> None:
        raise AssertionError

    def state(self, domid: int) -> DomainState | None:
        return self.states.get(domid)

    def domains(self) -> list[int]:
        return list(self.states)

    def close(self) -> None:
        raise AssertionError


def with_sockets(
    path: Path, work: Callable[[GuestSockets, Stated, list[Notice]], None]
) -> None:
    """Do something with the sockets of a hypervisor's domains."""

    async def run() -> None:
        hypervisor, notices = Stated(), list[Notice]()
        pump = Pump(Engine(Store()), notices.append)
        sockets = GuestSockets(pump, hypervisor, str(path))
        try:
            work(sockets, hypervisor, notices)
        finally:
            sockets.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def test_sockets_come_and_go_with_their_domains(tmp_path: Path) -> None:
    """Domain 0 has the daemon's own; one that is dying has none."""

    def work(sockets: GuestSockets, hypervisor: Stated, _: list[Notice]) -> None:
        for domid in (0, 5, 6):
            hypervisor.states[domid] = DomainState(RUNNING, 100 + domid)
        sockets.update()
        assert sorted(each.name for each in tmp_path.iterdir()) == ["s.dom5", "s.dom6"]
        hypervisor.states[5] = DomainState(DYING, 105)
        del hypervisor.states[6]
        sockets.update()
        assert list(tmp_path.iterdir()) == []

    with_sockets(tmp_path / "s", work)


def test_another_domain_of_the_same_id_has_another_socket(tmp_path: Path) -> None:
    """Whoever is connected to the first one is not the second one."""

    def work(sockets: GuestSockets, hypervisor: Stated, _: list[Notice]) -> None:
        hypervisor.states[5] = DomainState(RUNNING, 1)
        sockets.update()
        before = sockets._servers[5]
        sockets.update()
        assert sockets._servers[5] is before
        hypervisor.states[5] = DomainState(RUNNING, 2)
        sockets.update()
        assert sockets._servers[5] is not before

    with_sockets(tmp_path / "s", work)


def test_a_socket_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """The domain can still be served on its ring."""

    def work(sockets: GuestSockets, hypervisor: Stated, notices: list[Notice]) -> None:
        (tmp_path / "s.dom5").write_text("in the way")
        hypervisor.states[5] = DomainState(RUNNING, 1)
        sockets.update()
        assert [each.event for each in notices] == ["domain.no_socket"]

    with_sockets(tmp_path / "s", work)
