"""Store, engine, hypervisor and transports, put together from the settings."""

import asyncio
import socket
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import final

import structlog

from xsd.daemon.daemonize import StartError, reason_of
from xsd.daemon.record import FileTape
from xsd.daemon.setting import Value
from xsd.daemon.settings import LIMITS, Config
from xsd.daemon.watchdog import Watchdog
from xsd.engine import Engine, Notice
from xsd.engine.logbook import Logbook
from xsd.hypervisor import xen
from xsd.hypervisor.base import Hypervisor
from xsd.hypervisor.emulated import EmulatedHypervisor
from xsd.protocol.request import GLOBAL
from xsd.store import Store
from xsd.transport.listening import take_away
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

    def __init__(self, config: Config, listener: socket.socket | None = None) -> None:
        """Put things together; nothing is served before `start`.

        Args:
            config: The settings.
            listener: A socket that listens on the settings' path already.
        """
        self.store = make_store(config)
        self.hypervisor = "emulated"
        self._config = config
        self._listener = listener
        self._held = ExitStack()
        self._engine = Engine(self.store)
        self._engine.keep_orphans(keep=config.keep_orphans)
        self._engine.expire_events_after(config.watch_event_timeout_s * 1000)
        self._loop = asyncio.get_running_loop()
        self._reactor = Reactor(self._engine, log_notice, self._loop)
        self._held.callback(self._reactor.close)
        self._server = UnixServer(
            self._reactor, str(config.socket), self.store.own.domid
        )
        self._watches_itself = False

    def start(self) -> None:
        """Serve.

        Raises:
            StartError: If the socket, the hypervisor or the recording that is wanted
                cannot be had; what had been begun is undone.
            OSError: If something else is missing; the same.
        """
        path = str(self._config.socket)
        try:
            try:
                self._server.start(self._listener)
            except OSError as error:
                reason = f"cannot listen on {path}: {reason_of(error)}"
                raise StartError(reason) from error
            self._held.callback(self._server.close)
            # Not before, for the file may be that of a daemon that serves there.
            self._record()
            self._serve_domains(path)
        except BaseException:
            self.stop()
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
        watchdog = Watchdog(period_s, tell)
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
        return f"connections: {connections}, guests: {guests}"

    def _record(self) -> None:
        """Record what changes the state, if that is wanted."""
        config = self._config
        path = config.record_file
        if path is None:
            return
        try:
            store = self.store
            recorder = FileTape(path, store.privileged.domid, store.own.domid)
        except OSError as error:
            reason = f"cannot record to {path}: {error.strerror}"
            raise StartError(reason) from error
        self._held.callback(recorder.close)
        self._engine.tape = recorder
        # The settings stand at its beginning: a replay starts without any.
        for name, limit in config.limits.items():
            self._engine.set_limit(GLOBAL, name, limit)
        self._engine.keep_orphans(keep=config.keep_orphans)
        log.warning("traffic.recorded", file=str(path))

    def _serve_domains(self, path: str) -> None:
        wanted = self._config.hypervisor
        port = self._config.control_event_channel
        apart = self.store.own is not self.store.privileged
        hypervisor: Hypervisor
        if wanted == "xen" or (wanted == "auto" and xen.available()):
            self.hypervisor = "xen"
            try:
                hypervisor = xen.XenHypervisor(self._config.own_domid)
            except OSError as error:
                raise StartError(f"cannot serve domains on Xen: {error}") from error
            rings = RingServer(
                self._reactor, hypervisor, self._loop, control_port=port or 0
            )
        else:
            control = f"{path}.hypervisor"
            take_away(control)
            try:
                hypervisor = EmulatedHypervisor(control, self._config.own_domid)
            except OSError as error:
                if wanted == "emulated" or apart:
                    reason = error.strerror or str(error)
                    raise StartError(f"cannot listen on {control}: {reason}") from error
                # Nobody has asked for domains; the path may be too long for them.
                self.hypervisor = "none"
                log.warning("domains.not_served", reason=str(error))
                return
            sockets = GuestSockets(self._reactor, hypervisor, path)
            self._held.callback(sockets.close)
            rings = RingServer(
                self._reactor,
                hypervisor,
                self._loop,
                lenient=True,
                on_domains=sockets.update,
            )
        self._held.callback(rings.close)
        self._engine.attach(rings)
        try:
            rings.start()
        except OSError as error:
            raise StartError(f"cannot serve domains: {error}") from error


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
