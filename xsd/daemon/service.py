"""Store, engine, hypervisor and transports, put together from the settings."""

import asyncio
from contextlib import ExitStack
from typing import Final, final

import structlog

from xsd.daemon.config import Config
from xsd.daemon.daemonize import StartError
from xsd.daemon.record import FileRecorder
from xsd.engine import Engine, Notice
from xsd.hypervisor import xen
from xsd.hypervisor.base import Hypervisor
from xsd.hypervisor.emulated import EmulatedHypervisor
from xsd.store import Store
from xsd.store.quota import SOFT_PREFIX
from xsd.transport.pretended import GuestSockets
from xsd.transport.pump import Pump
from xsd.transport.ring import RingServer
from xsd.transport.unix import UnixServer, take_away

EVERY_DOMAIN: Final = -1
"""In the place of a domain id: a limit for all that have none of their own."""

EXPIRY_PERIOD_S: Final = 1.0
"""How often it is looked for events that nobody has fetched."""

log = structlog.get_logger(__name__)


@final
class Service:
    """What a running daemon consists of, beside its process.

    Attributes:
        store: The store.
        hypervisor: ``xen``, ``emulated`` or ``none``, for the log.
    """

    def __init__(self, config: Config) -> None:
        """Put things together; nothing is served before `start`."""
        self.store = make_store(config)
        self.hypervisor = "emulated"
        self._config = config
        engine = Engine(self.store)
        engine.keep_orphans(keep=config.keep_orphans)
        loop = asyncio.get_running_loop()
        self._pump = Pump(engine, log_notice, loop)
        self._timer: asyncio.TimerHandle | None = None
        self._held = ExitStack()

    def start(self) -> None:
        """Serve.

        Raises:
            OSError: If the socket or the hypervisor cannot be had; what had been
                begun is undone.
            StartError: If the recording that is wanted cannot be made.
        """
        path = str(self._config.socket)
        try:
            server = UnixServer(self._pump, path, lambda: self.store.privileged.caller)
            server.start()
            self._held.callback(server.close)
            # Not before, for the file may be that of a daemon that serves there.
            self._record()
            self._serve_domains(path)
            self._held.callback(self._stop_timer)
            self._expire_events()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End all clients and give everything back."""
        self._held.close()

    def _record(self) -> None:
        """Record what comes in, if that is wanted."""
        path = self._config.record_file
        if path is None:
            return
        try:
            recorder = FileRecorder(path)
        except OSError as error:
            reason = f"cannot record to {path}: {error.strerror}"
            raise StartError(reason) from error
        self._held.callback(recorder.close)
        self._pump.record(recorder)
        log.warning("traffic.recorded", file=str(path))

    def _serve_domains(self, path: str) -> None:
        wanted = self._config.hypervisor
        hypervisor: Hypervisor
        if wanted == "xen" or (wanted == "auto" and xen.available()):
            self.hypervisor = "xen"
            hypervisor = xen.XenHypervisor()
            rings = RingServer(self._pump, hypervisor)
        else:
            control = f"{path}.hypervisor"
            take_away(control)
            try:
                hypervisor = EmulatedHypervisor(control)
            except OSError as error:
                if wanted == "emulated":
                    raise
                # Nobody has asked for domains; the path may be too long for them.
                self.hypervisor = "none"
                log.warning("domains.not_served", reason=str(error))
                return
            sockets = GuestSockets(self._pump, hypervisor, path)
            self._held.callback(sockets.close)
            rings = RingServer(
                self._pump, hypervisor, lenient=True, on_domains=sockets.update
            )
        self._held.callback(rings.close)
        self._pump.engine.serve(rings)
        rings.start()

    def _expire_events(self) -> None:
        """Drop the events that guests have not fetched in time, and go on so."""
        after_s = self._config.watch_event_timeout_s
        if after_s == 0:
            return
        loop = asyncio.get_running_loop()
        self._pump.engine.expire_events(int(loop.time() * 1000), after_s * 1000)
        self._pump.flush()
        self._timer = loop.call_later(EXPIRY_PERIOD_S, self._expire_events)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def make_store(config: Config) -> Store:
    """Return an empty store with the limits of the settings."""
    store = Store(config.control_domid)
    for name, limit in config.quotas.items():
        store.quotas.set(EVERY_DOMAIN, name, limit)
    for name, limit in config.soft_quotas.items():
        store.quotas.set(EVERY_DOMAIN, SOFT_PREFIX + name, limit)
    return store


def log_notice(notice: Notice) -> None:
    """Log what the engine has to say."""
    write = getattr(log, notice.level)
    write(notice.event, exc_info=notice.error, **notice.fields)
