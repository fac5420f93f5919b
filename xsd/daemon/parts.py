"""What serves whom, handed on to another process and taken over from one."""

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import structlog

from xsd.daemon.copies import StateCopies
from xsd.daemon.daemonize import StartError
from xsd.daemon.durability import Durability
from xsd.daemon.fdstore import DescriptorStore
from xsd.daemon.proof import Replaceable
from xsd.daemon.record import FileTape
from xsd.daemon.settings import Config
from xsd.daemon.succession import HOST, Inheritance, SuccessionError, digest
from xsd.engine import Engine
from xsd.engine.adopted import Adopted, Takeover
from xsd.engine.handover import HandoverError, for_c
from xsd.engine.image import End, image
from xsd.engine.plan import Plan
from xsd.engine.unread import OnRings
from xsd.engine.update import answer_later
from xsd.protocol.errors import XenStoreError
from xsd.protocol.records import GlobalData, UnknownData
from xsd.protocol.request import GLOBAL
from xsd.protocol.stream import StreamWriter, write_stream
from xsd.transport.pretended import GuestSockets
from xsd.transport.reactor import Reactor
from xsd.transport.ring import RingServer
from xsd.transport.unix import UnixServer

log = structlog.get_logger(__name__)


@final
class Parts(Replaceable):
    """The engine and all that brings it clients.

    Attributes:
        rings: Serves the domains of a hypervisor, if there is one.
        sockets: Serves pretended domains on sockets, if there are some.
        recorder: Writes what changes the state into a file, if that is wanted.
        copies: Makes copies of the state for operators.
        durability: Keeps the state in files, if that is wanted.
    """

    __slots__ = (
        "_config",
        "_engine",
        "_held",
        "_reactor",
        "_server",
        "copies",
        "durability",
        "recorder",
        "rings",
        "sockets",
    )

    def __init__(
        self,
        config: Config,
        engine: Engine,
        reactor: Reactor,
        server: UnixServer,
        held: DescriptorStore,
    ) -> None:
        self._config = config
        self._held = held
        self._engine = engine
        self._reactor = reactor
        self._server = server
        self.rings: RingServer | None = None
        self.sockets: GuestSockets | None = None
        self.recorder: FileTape | None = None
        self.copies: StateCopies | None = None
        self.durability: Durability | None = None

    def take_over(self, left: Inheritance, taken: Takeover | None) -> None:
        """Go on with the clients of the daemon that was here before.

        Args:
            left: What it has left.
            taken: What came of that, if the engine has been made of it already.

        Raises:
            StartError: If the engine cannot be made of it.
        """
        if taken is None:
            try:
                taken = left.give_to(self._engine)
            except SuccessionError as error:
                raise StartError(f"cannot take over: {error}") from error
        if self.sockets is not None:
            self.sockets.take_over(left.host.get("guest_sockets", {}))
        for client in taken.clients:
            try:
                self._link(client)
            except (LookupError, OSError, XenStoreError) as error:
                self._engine.disconnect(client.connection)
                log.error(  # noqa: TRY400  no defect
                    "client.not_taken_over",
                    domid=client.connection.caller.domid,
                    reason=str(error),
                )
        self._engine.core.asked_again = left.is_of_oxenstored
        self._take_settings(left.host)
        log.info("daemon.took_over", clients=len(taken.clients))

    def resume(self, *, is_complete: bool) -> None:
        """Go on after a recovery with domains, and with clients that were held for us.

        All others are gone.

        Args:
            is_complete: Whether nothing is missing that a client was told of.
        """
        rings = self.rings
        engine = self._engine
        held = self._held
        # Their events begin to wait now.
        engine.tell_time(self._reactor.now_ms)
        resumed = 0
        for connection in engine.connections:
            is_ring = connection.is_channel or connection.is_kernel
            if not is_ring or rings is None:
                if is_complete and held.give(engine, connection, self._server):
                    resumed += 1
                else:
                    engine.disconnect(connection)
                continue
            try:
                rings.resume(connection)
            except (OSError, XenStoreError) as error:
                self._engine.disconnect(connection)
                domid = connection.caller.domid
                log.warning("domain.not_resumed", domid=domid, reason=str(error))
        closed = held.close_rest()
        if resumed or closed:
            log.info("clients.resumed", clients=resumed, closed=closed)
        self._reactor.wake()

    def _link(self, client: Adopted) -> None:
        """Make the link of a client that goes on."""
        connection = client.connection
        if client.is_ring:
            if self.rings is None:
                raise LookupError("no hypervisor")
            self.rings.take_over(connection, client.record.port)
            return
        if client.record.fd < 0:
            # It was one of ourselves.
            self._engine.disconnect(connection)
            return
        sock = socket.socket(fileno=client.record.fd)
        domid = connection.caller.domid
        server = None if self.sockets is None else self.sockets.servers().get(domid)
        (server or self._server).take_over(sock, connection)

    def _take_settings(self, host: Mapping[str, Any]) -> None:
        """Have those settings count that are others than when the state was made."""
        limits = host.get("limits", {})
        for name, limit in self._config.limits.items():
            if limits.get(name, limit) != limit:
                self._engine.set_limit(GLOBAL, name, limit)
        keep = self._config.keep_orphans
        if host.get("keep_orphans") != keep:
            self._engine.keep_orphans(keep=keep)

    def _asked(self) -> tuple[int, str]:
        """Who asked for this, and the header of the request, as hexadecimal digits."""
        plan = self._engine.core.plan
        number = 0 if plan is None else plan.connection
        return number, self._engine.core.deferred.get(number, b"").hex()

    def _recording(self) -> dict[str, float]:
        """The file that is written, and since when, if there is one."""
        recorder = self.recorder
        if recorder is None or not recorder.is_open:
            return {}
        recorder.end_turn()
        return {str(recorder.path): recorder.begun}

    def unread(self) -> OnRings:
        """What is on the rings of domains."""
        return {} if self.rings is None else self.rings.unread()

    def end_children(self) -> None:
        """See `Replaceable.end_children`."""
        if self.copies is not None:
            self.copies.end_children()
        if self.durability is not None:
            self.durability.end_child()

    def let_go(self) -> None:
        """See `Replaceable.let_go`."""
        self._held.empty()
        if self.durability is not None:
            self.durability.let_go()
        if self.rings is not None:
            self.rings.hypervisor.let_go()

    def take_back(self) -> None:
        """See `Replaceable.take_back`."""
        if self.durability is not None:
            self.durability.let_go(back=True)
        if self.rings is not None:
            self.rings.hypervisor.take_back()

    def answer(self, plan: Plan, reason: str) -> None:
        """See `Replaceable.answer`."""
        answer_later(self._engine.core, plan.connection, reason)
        self._reactor.wake()

    def digest(self) -> str:
        """See `Replaceable.digest`."""
        return digest(self._engine)

    def transactions(self) -> dict[int, int]:
        """See `Replaceable.transactions`."""
        return dict(self._engine.store.usage.transactions.used)

    @property
    def directory(self) -> Path:
        """See `Replaceable.directory`."""
        return self._config.socket.parent

    def state(self, version: int | None) -> tuple[bytes, list[int]]:
        """See `Replaceable.state`."""
        ends: dict[int, End] = {}
        servers = [self._server]
        host: dict[str, object] = {
            "who": [self._engine.store.privileged.domid, self._engine.store.own.domid],
            "owns_socket": self._server.owns_path,
            "limits": dict(self._config.limits),
            "keep_orphans": self._config.keep_orphans,
            "asked": self._asked(),
            "recording": self._recording(),
        }
        descriptors = [self._server.listener]
        kept: dict[str, object] = {}
        if self.rings is not None:
            kept, held = self.rings.hypervisor.keep()
            descriptors += held
            for connection, port in self.rings.clients():
                ends[connection.id] = End(port=port)
        if self.sockets is not None:
            guests = self.sockets.servers()
            servers += guests.values()
            listeners = {domid: each.listener for domid, each in guests.items()}
            host["guest_sockets"] = listeners
            descriptors += listeners.values()
        for server in servers:
            for connection, descriptor in server.clients():
                ends[connection.id] = End(fd=descriptor)
                descriptors.append(descriptor)
        host["kept"] = kept
        host["descriptors"] = descriptors
        evtchn = kept.get("evtchn", -1)
        shared = GlobalData(self._server.listener, int(str(evtchn)))
        if version is not None:
            try:
                records = list(for_c(self._engine, ends, shared, version))
            except HandoverError as error:
                raise ValueError(str(error)) from error
            return write_stream(records, StreamWriter(version)), descriptors
        told = UnknownData(HOST, json.dumps(host).encode())
        records = [shared, *image(self._engine, ends), told]
        return write_stream(records, StreamWriter()), descriptors
