"""Store, engine, hypervisor and transports, put together from the settings."""

import errno
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import final

import structlog

from xsd.daemon.boot import boot_id
from xsd.daemon.copies import StateCopies
from xsd.daemon.daemonize import StartError, reason_of
from xsd.daemon.durability import Durability, NoJournal, RecoveryError
from xsd.daemon.fdstore import DescriptorStore
from xsd.daemon.parts import Parts
from xsd.daemon.record import FileTape
from xsd.daemon.setting import Value
from xsd.daemon.settings import LIMITS, Config
from xsd.daemon.succession import Inheritance
from xsd.daemon.update import Update
from xsd.daemon.watchdog import Watchdog
from xsd.daemon.wayback import Invocation
from xsd.engine import Engine, Notice
from xsd.engine.adopted import Takeover
from xsd.engine.delivery import retell
from xsd.engine.logbook import Logbook
from xsd.hypervisor.base import Hypervisor
from xsd.hypervisor.emulated import EmulatedHypervisor
from xsd.persistence.directory import holds_state
from xsd.persistence.journal import NEVER, OK, SYNCS
from xsd.protocol.request import GLOBAL
from xsd.store import Store
from xsd.transport.listening import take_away
from xsd.transport.loop import Loop
from xsd.transport.pretended import GuestSockets
from xsd.transport.reactor import Reactor
from xsd.transport.ring import RingServer
from xsd.transport.unix import UnixServer

log = structlog.get_logger(__name__)

wanted = structlog.wrap_logger(
    None, wrapper_class=structlog.make_filtering_bound_logger(0)
)
"""For what an operator has asked for: it is written whatever the level."""


@final
class Service:
    """What a running daemon consists of, beside its process.

    Attributes:
        store: The store.
        hypervisor: ``xen``, ``emulated`` or ``none``, for the log.
    """

    def __init__(
        self,
        config: Config,
        loop: Loop,
        listener: socket.socket | None = None,
        left: Inheritance | None = None,
        held: DescriptorStore | None = None,
    ) -> None:
        """Put things together; nothing is served before `start`.

        Args:
            config: The settings.
            loop: The loop that runs.
            listener: A socket that listens on the settings' path already.
            left: What the daemon has left that was here before.
            held: What the service manager holds for us, if it does.

        Raises:
            SuccessionError: If one of our own has left something that cannot be
                taken over; nothing of it has been touched.
        """
        self.store = make_store(config)
        self.hypervisor = "emulated"
        self._config = config
        self._listener = listener
        self._held = ExitStack()
        self._engine = Engine(self.store)
        self._engine.keep_orphans(keep=config.keep_orphans)
        self._left = left
        self._taken: Takeover | None = None
        if left is not None and left.is_ours:
            self._taken = left.give_to(self._engine)
        self._engine.expire_events_after(config.watch_event_timeout_s * 1000)
        self._loop = loop
        self._reactor = Reactor(self._engine, log_notice, self._loop)
        self._held.callback(self._reactor.close)
        self._server = UnixServer(
            self._reactor, str(config.socket), self.store.own.domid
        )
        self._descriptors = held or DescriptorStore({})
        self._parts = Parts(
            config, self._engine, self._reactor, self._server, self._descriptors
        )
        copies = StateCopies(self._engine, loop, self._reactor.wake, self._parts.unread)
        self._held.callback(copies.close)
        self._engine.core.copies = self._parts.copies = copies
        self._watches_itself = False

    def start(self) -> None:
        """Serve.

        Raises:
            StartError: If the socket, the hypervisor or the recording that is wanted
                cannot be had; what had been begun is undone.
            OSError: If something else is missing; the same.
        """
        path = str(self._config.socket)
        left = self._left
        try:
            try:
                self._listen(left)
            except OSError as error:
                reason = f"cannot listen on {path}: {reason_of(error)}"
                raise StartError(reason) from error
            # Behind the server: its clients are closed then.
            self._held.callback(self._descriptors.close)
            self._held.callback(self._server.close)
            # Not before, for the file may be that of a daemon that serves there.
            self._record(left)
            durability = self._recover()
            rings = self._make_rings(path)
            if rings is not None:
                self._held.callback(rings.close)
                self._engine.attach(rings)
                if durability is not None:
                    rings.keep_in(durability.ledger)
            if left is not None:
                self._parts.take_over(left, self._taken)
                self._reactor.wake()
            if durability is not None:
                self._descriptors.open(durability.directory)
                self._keep(durability)
                self._held.callback(durability.leave)
            self._descriptors.close_rest()
            channels = -1
            if rings is not None and self.hypervisor == "xen":
                channels = rings.hypervisor.fileno()
            self._descriptors.begin(self._engine, self._server, self._loop, channels)
            if rings is not None:
                self._start_rings(rings)
        except BaseException:
            if self._taken is None:
                self.stop()
            else:
                # Another one may go on with what is open: so nothing of it is closed,
                # and nobody is answered, while the loop ends.
                self._reactor.close()
            raise

    def keep_log(self, kept: Logbook) -> None:
        """Have CONTROL change the log, and trace at once if that is wanted."""
        engine = self._engine
        engine.keep_log(kept)
        engine.trace(self._config.trace_switches, on=self._config.traces)

    def stop(self) -> None:
        """End all clients and give everything back but what is in the store."""
        # With many watches it would take seconds.
        self._engine.abandon()
        self._held.close()

    def watch_over(self, period_s: float, tell: Callable[[], None]) -> None:
        """Make a request of oneself every so often.

        Args:
            period_s: Seconds between two requests.
            tell: Is called for each reply.

        Raises:
            OSError: If there are no sockets to be had.
        """
        watchdog = Watchdog(self._loop, period_s, tell)
        self._held.callback(watchdog.stop)
        watchdog.start(self._server.adopt)
        self._watches_itself = True

    def change(self, settings: Mapping[str, Value]) -> None:
        """Take new values of settings that need no restart; all others stay.

        Args:
            settings: Values by the keys of `SETTINGS`.
        """
        for key, value in settings.items():
            match key.split("."):
                case ["quota", *_] if isinstance(value, int):
                    self._engine.set_limit(GLOBAL, LIMITS[key], value)
                case ["domains", "keep-orphans"]:
                    self._engine.keep_orphans(keep=value is True)
                case ["timeout", "watch-event"] if isinstance(value, int):
                    self._engine.expire_events_after(value * 1000)
                case ["log", "trace"] if isinstance(value, frozenset):
                    self._engine.trace(value)
                case ["log", "tracing"]:
                    traced = self._config.trace_file is not None
                    self._engine.trace(on=value is True or traced)
                case ["log", _]:
                    pass  # not the service's
                case _:
                    raise AssertionError(key)
        # Some may have waited for just that.
        self._reactor.wake()

    @property
    def status(self) -> str:
        """How much there is to do, in words for the service manager."""
        connections = len(self._engine.connections) - self._watches_itself
        guests = sum(
            domain.introduced and not domain.stays
            for domain in self.store.domains.all()
        )
        status = f"connections: {connections}, guests: {guests}"
        tape = self._engine.tape
        if tape is None or tape.condition in ("off", OK):
            return status
        return f"{status}, journal {tape.condition}"

    def _record(self, left: Inheritance | None) -> None:
        """Record what changes the state, if that is wanted."""
        config = self._config
        path = config.record_file
        if path is None:
            return
        begun: float | None = None
        if left is not None:
            begun = left.host.get("recording", {}).get(str(path))
            if begun is None:
                reason = "a recording has to begin with the store"
                log.error("record.failed", reason=reason)
                return
        store = self.store
        try:
            recorder = FileTape(path, store.privileged.domid, store.own.domid, begun)
        except OSError as error:
            reason = f"cannot record to {path}: {error.strerror}"
            if begun is not None:
                log.error("record.failed", reason=reason)  # noqa: TRY400  no defect
                return
            raise StartError(reason) from error
        self._held.callback(recorder.close)
        self._engine.tape = self._parts.recorder = recorder
        if begun is None:
            # The settings stand at its beginning: a replay starts without any.
            for name, limit in config.limits.items():
                self._engine.set_limit(GLOBAL, name, limit)
            self._engine.keep_orphans(keep=config.keep_orphans)
        log.warning("traffic.recorded", file=str(path))

    def _recover(self) -> Durability | None:
        """Bring back what was kept, if that is wanted."""
        config = self._config
        if not config.journal:
            return None
        if config.record_file is not None:
            # That begins with an empty store.
            raise StartError("cannot keep a journal and record at once")
        path = config.journal_directory or config.socket.with_name("journal")
        try:
            durability = Durability(
                path,
                self._engine,
                self._loop,
                self._reactor.note,
                sync=SYNCS.index(config.journal_sync),
                checkpoint_bytes=config.journal_checkpoint_mib << 20,
                boot="" if config.journal_sync != SYNCS[NEVER] else boot_id(),
            )
        except OSError as error:
            reason = reason_of(error)
            # There is a state that would be left out, or another daemon.
            if holds_state(path):
                raise StartError(f"cannot keep a journal: {reason}") from error
            log.critical("journal.none", path=str(path), reason=reason)
            self._engine.tape = NoJournal(reason)
            return None
        self._held.callback(durability.close)
        try:
            durability.recover(taken=self._left is not None)
        except (OSError, RecoveryError) as error:
            reason = f"cannot recover from {path}: {error} (see xsd journal verify)"
            raise StartError(reason) from error
        return durability

    def _keep(self, durability: Durability) -> None:
        """Have all that changes the state kept from now on."""
        limits = self._config.limits
        durability.begin(limits)
        self._parts.durability = durability
        if self._left is not None:
            # What was kept is an earlier state, and settings were looked at already.
            durability.keep_all()
            return
        if not durability.is_new:
            self._parts.resume(is_complete=durability.is_complete)
            self._retell(durability.untold)
        before = {} if durability.is_new else durability.limits
        for name, limit in limits.items():
            if before.get(name) != limit:
                self._engine.set_limit(GLOBAL, name, limit)
        self._engine.keep_orphans(keep=self._config.keep_orphans)

    def _retell(self, untold: list[int]) -> None:
        """Tell guests each of their watches, who may have lost an event."""
        core = self._engine.core
        for number in untold:
            connection = core.connections.get(number)
            if connection is not None:
                retell(core, connection)

    def _listen(self, left: Inheritance | None) -> None:
        if left is None:
            is_own = self._descriptors.has_listener
            self._server.start(self._listener, is_own=is_own)
            return
        descriptor = left.shared.socket_fd
        if descriptor >= 0:
            listener = socket.socket(fileno=descriptor)
            # Somebody may have passed it to the first of us.
            is_own = left.host.get("owns_socket", True) is True
            self._server.start(listener, is_own=is_own)
            return
        raise OSError(errno.EBADF, "no listening socket was handed on")

    def _make_rings(self, path: str) -> RingServer | None:
        """What serves the domains of a hypervisor, or None if there is none."""
        wanted = self._config.hypervisor
        port = self._config.control_event_channel or 0
        own_domid = self._config.own_domid
        apart = self.store.own is not self.store.privileged
        kept = None if self._left is None else self._left.kept
        hypervisor: Hypervisor
        if wanted == "xen" or (wanted == "auto" and _is_on_xen()):
            self.hypervisor = "xen"
            try:
                hypervisor = self._open_xen(kept)
            except OSError as error:
                raise StartError(f"cannot serve domains on Xen: {error}") from error
            rings = RingServer(self._reactor, hypervisor, self._loop, control_port=port)
        else:
            control = f"{path}.hypervisor"
            if kept is None or "control" not in kept:
                kept = None
                take_away(control)
            try:
                hypervisor = EmulatedHypervisor(control, own_domid, kept)
            except OSError as error:
                if wanted == "emulated" or apart or kept is not None:
                    reason = error.strerror or str(error)
                    raise StartError(f"cannot listen on {control}: {reason}") from error
                # Nobody has asked for domains; the path may be too long for them.
                self.hypervisor = "none"
                log.warning("domains.not_served", reason=str(error))
                return None
            sockets = GuestSockets(self._reactor, hypervisor, path)
            self._parts.sockets = sockets
            self._held.callback(sockets.close)
            rings = RingServer(
                self._reactor,
                hypervisor,
                self._loop,
                lenient=True,
                on_domains=sockets.update,
            )
        self._parts.rings = rings
        return rings

    def _open_xen(self, kept: dict[str, object] | None) -> Hypervisor:
        """Xen, with the event channels that were held for us, if they are of use."""
        from xsd.hypervisor import xen  # noqa: PLC0415  others need no ctypes

        own_domid = self._config.own_domid
        held = self._descriptors.take_channels()
        if kept is None and held is not None:
            try:
                return xen.XenHypervisor(own_domid, held)
            except OSError as error:
                # It is closed by that: all can be bound anew.
                log.warning("channels.not_adopted", reason=str(error))
        return xen.XenHypervisor(own_domid, kept)

    def _start_rings(self, rings: RingServer) -> None:
        try:
            rings.start()
        except OSError as error:
            raise StartError(f"cannot serve domains: {error}") from error

    def allow_updates(self, started: Invocation) -> None:
        """Have operators replace the daemon, which was started so."""
        stays = self._config.foreground
        self._engine.update_by(
            Update(self._parts, self._loop, started, foreground=stays)
        )


def _is_on_xen() -> bool:
    from xsd.hypervisor import xen  # noqa: PLC0415  as above

    return xen.available()


def make_store(config: Config) -> Store:
    """Return an empty store with the limits of the settings."""
    store = Store(config.control_domid, own_domid=config.own_domid)
    for name, limit in config.limits.items():
        store.set_quota(GLOBAL, name, limit)
    return store


def log_notice(notice: Notice) -> None:
    """Log what the engine has to say."""
    write = getattr(wanted if notice.wanted else log, notice.level)
    write(notice.event, exc_info=notice.error, **notice.fields)
