"""A daemon in a thread, guests on emulated rings beside it, and a look inside."""

import asyncio
import json
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Self, TypeVar, final

from tests.support.dialogue import Dialogue
from tests.support.homes import welcome
from tests.support.processes import wait_until
from tests.support.replaying import assert_replays
from tests.xsa.support import counts_of, message_of
from xsd.client import Client
from xsd.client.transport import SocketTransport
from xsd.engine import Connection, Engine, Notice
from xsd.engine.inputs import MemoryTape
from xsd.hypervisor.emulated import EmulatedHypervisor
from xsd.protocol.frame import Frame
from xsd.protocol.ring import ERROR_PROTOCOL
from xsd.store import Store
from xsd.store.check import verify
from xsd.testing import Guest, Handover, InProcess, PretendedHost, Session
from xsd.transport.reactor import Reactor
from xsd.transport.ring import RingServer
from xsd.transport.ringlink import RingLink
from xsd.transport.unix import UnixServer

T = TypeVar("T")

PATIENCE_S: Final = 30.0
"""Most seconds until something happens that should."""


@final
class NearGuest(Client):
    """A client in a domain of a daemon in process; see `xsd.testing.Guest`."""

    def __init__(self, xenstore: InProcess, domid: int) -> None:
        self.transport = xenstore.create(domid).transport
        super().__init__(transport=self.transport, timeout=PATIENCE_S)
        self.domid = domid
        self.unique_id = xenstore.unique_id(domid)
        self.port = xenstore.port(domid)


AnyGuest = Guest | NearGuest


class AnyHost(ABC):
    """A daemon with guests, wherever it runs, whose inside can be looked at."""

    engine: Engine
    dom0: Client
    _bystander: AnyGuest | None = None
    _count = 0

    @abstractmethod
    def client(self) -> Client:
        """Another privileged client."""

    @abstractmethod
    def session(self, guest: AnyGuest | None = None) -> Session:
        """The same with a guest, in its place, or with another privileged client."""

    @abstractmethod
    def create(self, domid: int) -> AnyGuest:
        """A domain that has no home and is not introduced."""

    @abstractmethod
    def guest(self, domid: int) -> AnyGuest:
        """A domain that has a home and is introduced."""

    @abstractmethod
    def end(self, *domids: int) -> None:
        """Kill domains, all at once for the daemon; wait until they are gone."""

    @abstractmethod
    def replace(self, domid: int) -> AnyGuest:
        """Kill a domain and make another before the daemon sees any of it."""

    @abstractmethod
    def run(self, work: Callable[[], T]) -> T:
        """Do something in the daemon's thread, between two requests."""

    def connections_of(self, domid: int) -> list[Connection]:
        there = self.run(lambda: list(self.engine.connections))
        return [each for each in there if each.caller.domid == domid]

    def counts(self) -> object:
        """What there is of everything in the store."""
        return self.run(lambda: counts_of(self.engine.store))

    def nodes_of(self, domid: int) -> int:
        return self.run(lambda: self.engine.store.usage.nodes.of(domid))

    def transactions(self) -> dict[int, int]:
        return self.run(lambda: dict(self.engine.store.usage.transactions.used))

    def watches(self) -> int:
        return self.run(lambda: self.engine.store.watches.count)

    def play(
        self,
        text: str,
        *,
        who: int = 1,
        inside: bool = False,
        acts: Mapping[str, Callable[..., object]] | None = None,
    ) -> None:
        """Have clients say and be told what a text says; see `Dialogue`.

        Acts are ``end 5 6`` (killed at once), ``replace 5``, ``create 5`` (it has no
        home), ``admit 5`` (and is introduced now), ``served``, ``transactions`` (how
        many there are), ``connections 5``, ``nodes 5`` and those of the caller's.
        """
        made: dict[int, AnyGuest] = {}

        def enter(domid: int) -> Session:
            if domid == 0:
                return self.session()
            return self.session(made.pop(domid, None) or self.guest(domid))

        def create(domid: bytes) -> None:
            made[int(domid)] = self.create(int(domid))

        def admit(domid: bytes) -> None:
            self.dom0.introduce(int(domid), 1, made[int(domid)].port)

        def replace(domid: bytes) -> None:
            made[int(domid)] = self.replace(int(domid))

        def end(*domids: bytes) -> None:
            for domid in domids:
                made.pop(int(domid), None)
            self.end(*map(int, domids))

        known: dict[str, Callable[..., object]] = {
            "end": end,
            "create": create,
            "admit": admit,
            "replace": replace,
            "served": self.is_served,
            "transactions": lambda: sum(self.transactions().values()),
            "nodes": lambda domid: self.nodes_of(int(domid)),
            "connections": lambda domid: len(self.connections_of(int(domid))),
        }
        Dialogue(enter, {**known, **(acts or {})}, who=who, inside=inside).play(text)

    def is_served(self) -> bool:
        """Have the bystander write and read, and the whole store looked over."""
        if self._bystander is not None:
            self._count += 1
            value = b"%d" % self._count
            self._bystander.write("data", value)
            if self._bystander.read("data") != value:
                return False
        return self.run(lambda: verify(self.engine.store)) == []


@final
class NearHost(AnyHost):
    """A daemon in this thread, without sockets and rings."""

    def __init__(self, *, bystander: int) -> None:
        self._xenstore = InProcess(tape=MemoryTape())
        self.engine = self._xenstore.engine
        self.dom0 = self.client()
        self._bystander = self.guest(bystander)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        assert kind is not None or self.is_served()
        assert_replays(self.engine)
        notices = self._xenstore.take_notices()
        assert [each for each in notices if each.level == "error"] == []

    def client(self) -> Client:
        return self._xenstore.library()

    def session(self, guest: AnyGuest | None = None) -> Session:
        return Session(guest.transport if guest else self._xenstore.connect())

    def create(self, domid: int) -> NearGuest:
        return NearGuest(self._xenstore, domid)

    def guest(self, domid: int) -> NearGuest:
        guest = self.create(domid)
        welcome(self.dom0, domid, guest.port)
        return guest

    def end(self, *domids: int) -> None:
        self._xenstore.kill(*domids)

    def replace(self, domid: int) -> NearGuest:
        with self._xenstore.unseen():
            self._xenstore.kill(domid)
            return self.create(domid)

    def run(self, work: Callable[[], T]) -> T:
        return work()


@final
class Host(AnyHost):
    """A daemon in a thread of this process, with a pretended hypervisor."""

    def __init__(self, directory: Path, *, bystander: int = 0) -> None:
        self.engine = Engine(Store())
        self.notices: list[Notice] = []
        self._directory = directory
        self._with = bystander
        self._failures: list[dict[str, Any]] = []
        self._started: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = threading.Thread(target=self._main)
        self._held = ExitStack()

    def __enter__(self) -> Self:
        self._thread.start()
        self._loop = self._started.result(PATIENCE_S)
        self._held.callback(self._join)
        self.hypervisor = self._held.enter_context(PretendedHost(self._path("control")))
        self.dom0 = self.client()
        if self._with:
            self._bystander = self.guest(self._with)
        assert self.is_served()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with self._held:
            assert kind is not None or self.is_served()

    # Clients

    @property
    def bystander(self) -> Guest:
        assert isinstance(self._bystander, Guest)
        return self._bystander

    def client(self) -> Client:
        client = Client(self._path("socket"), timeout=PATIENCE_S)
        return self._held.enter_context(client)

    def session(self, guest: AnyGuest | None = None) -> Session:
        if guest is not None:
            return Session(guest.transport, timeout=PATIENCE_S)
        transport = SocketTransport(self._path("socket"), PATIENCE_S)
        self._held.callback(transport.close)
        return Session(transport, timeout=PATIENCE_S)

    def control(self) -> PretendedHost:
        return self._held.enter_context(PretendedHost(self._path("control")))

    def kernel(self) -> Guest:
        """Domain 0 on a ring of its own, as its kernel is; there is one."""
        kernel = self.hypervisor.attach(0, timeout=PATIENCE_S)
        return self._held.enter_context(kernel)

    def create(self, domid: int, *, lazy: bool = False) -> Guest:
        guest = self.hypervisor.create(domid, lazy=lazy, timeout=PATIENCE_S)
        return self._held.enter_context(guest)

    def guest(self, domid: int, *, lazy: bool = False) -> Guest:
        guest = self.create(domid, lazy=lazy)
        welcome(self.dom0, domid, guest.port)
        return guest

    def end(self, *domids: int) -> None:
        self.at_once(*[{"do": "kill", "domid": domid} for domid in domids])
        wait_until(lambda: not self._left_of(domids), "a domain stays")

    def _left_of(self, domids: tuple[int, ...]) -> list[int]:
        return [domid for domid in domids if self.hypervisor.state(domid) is not None]

    def replace(self, domid: int) -> Guest:
        _, (reply, descriptors) = self.at_once(
            {"do": "kill", "domid": domid}, {"do": "create", "domid": domid}
        )
        numbers = [int(str(reply[name])) for name in Handover._fields[:3]]
        handover = Handover(*numbers, *descriptors)
        return self._held.enter_context(Guest(handover, timeout=PATIENCE_S))

    def at_once(
        self, *requests: dict[str, object]
    ) -> list[tuple[dict[str, object], list[int]]]:
        """Ask the hypervisor for several things between two looks at it."""
        controls = [self.control() for _ in requests]
        for control in controls:
            control.domains()  # so it has been accepted
        with self.frozen():
            for control, request in zip(controls, requests, strict=True):
                control._socket.sendall(json.dumps(request).encode() + b"\n")
        replies = []
        for control in controls:
            descriptors: list[int] = []
            replies.append((control._receive(descriptors), descriptors))
            control.close()
        assert [reply for reply, _ in replies if "error" in reply] == []
        return replies

    # The daemon

    def run(self, work: Callable[[], T]) -> T:
        done: Future[T] = Future()

        def do() -> None:
            try:
                done.set_result(work())
            except BaseException as error:  # noqa: BLE001  it is the caller's
                done.set_exception(error)

        self._loop.call_soon_threadsafe(do)
        return done.result(PATIENCE_S)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Hold the daemon up; what is asked of it meanwhile, it sees all at once."""
        entered, go_on = threading.Event(), threading.Event()

        def hold() -> None:
            entered.set()
            assert go_on.wait(PATIENCE_S)

        self._loop.call_soon_threadsafe(hold)
        assert entered.wait(PATIENCE_S)
        try:
            yield
        finally:
            go_on.set()

    def until(self, happened: Callable[[], bool]) -> None:
        wait_until(lambda: self.run(happened), "it does not happen")

    def link_of(self, guest: Guest) -> RingLink:
        (connection,) = self.connections_of(guest.domid)
        link = connection.link
        assert isinstance(link, RingLink)
        return link

    def _path(self, name: str) -> str:
        return str(self._directory / name)

    def _join(self) -> None:
        try:
            faults = self.run(lambda: verify(self.engine.store))
        finally:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(PATIENCE_S)

        assert faults == []
        assert self._failures == []
        assert [notice for notice in self.notices if notice.level == "error"] == []

    def _main(self) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.run(self._serve())
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self._failures.append(context))
        self._stop = asyncio.Event()
        with ExitStack() as held:
            reactor = Reactor(self.engine, self.notices.append, loop)
            held.callback(reactor.close)
            server = UnixServer(reactor, self._path("socket"), 0)
            server.start()
            held.callback(server.close)
            hypervisor = EmulatedHypervisor(self._path("control"))
            if self._with:
                hypervisor._create({"domid": 0})
            rings = RingServer(reactor, hypervisor, loop)
            held.callback(rings.close)
            self.engine.attach(rings)
            rings.start()
            self._started.set_result(loop)
            await self._stop.wait()


def frames(guest: Guest, count: int) -> list[Frame]:
    session = Session(guest.transport, timeout=PATIENCE_S)
    received = session.frames(count)
    assert session.waiting == 0
    return received


def wait_ignored(guest: Guest, code: int) -> None:
    wait_until(lambda: guest.ring.error == code, f"no error {code} in the ring")


WAYS: Final = ("release", "kill", "offend", "introduce")
"""How a guest's connection ends, or begins anew."""


def end_by(host: Host, guest: Guest, way: str) -> None:
    if way == "offend":
        guest.send_bytes(message_of(5000))
        wait_ignored(guest, ERROR_PROTOCOL)
    elif way == "release":
        host.dom0.release(guest.domid)
    elif way == "introduce":
        host.dom0.introduce(guest.domid, 1, guest.port)
    else:
        host.end(guest.domid)


@final
class Processor:
    """The time that a process has used."""

    def __init__(self, pid: int) -> None:
        self._path = Path(f"/proc/{pid}/stat")

    def used(self) -> float:
        fields = self._path.read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
