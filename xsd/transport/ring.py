"""Rings: domains that talk through a shared page and an event channel.

A domain may write anything into its page at any time. What it does wrong ends its
own service and nothing else: it is ignored from then on, and only its real death, or
RELEASE, makes the daemon forget it (XSA-325).
"""

import errno
from collections.abc import Callable
from functools import partial
from typing import Final, final

from xsd.engine import Connection, Notice
from xsd.engine.guests import Guests
from xsd.engine.ledger import Ledger
from xsd.engine.unread import OnRings
from xsd.hypervisor.base import DYING, SHUT_DOWN, Channel, DomainState, Hypervisor
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.ring import Ring
from xsd.store.domains import Domain
from xsd.transport.loop import Loop, Timer
from xsd.transport.reactor import Reactor
from xsd.transport.ringlink import RingLink, Rings

VISIT_ALL_S: Final = 2.0
"""How often every ring is looked at, even if nothing else wakes the daemon."""


def _do_nothing() -> None:
    """Nobody else minds."""


def port_in(page: memoryview) -> int:
    """Return the port that a domain's page names, or 0.

    Xen fills it in for a domain that it has made itself, without a toolstack, and it
    is then right about it where INTRODUCE is not. Any other domain can write there
    what it likes: that is a port of its own all the same, or none.
    """
    ring = Ring(page)
    try:
        return ring.evtchn_port
    finally:
        ring.release()


@final
class RingServer(Guests):
    """Serves the domains of a hypervisor, and watches over their lives.

    Attributes:
        rings: Those of the domains that are served.
    """

    __slots__ = (
        "_by_port",
        "_control_port",
        "_hypervisor",
        "_lenient",
        "_loop",
        "_on_domains",
        "_reactor",
        "_scan_is_due",
        "_timer",
        "rings",
    )

    def __init__(
        self,
        reactor: Reactor,
        hypervisor: Hypervisor,
        loop: Loop,
        *,
        lenient: bool = False,
        control_port: int = 0,
        on_domains: Callable[[], None] = _do_nothing,
    ) -> None:
        """Make a server that does nothing until `start`.

        Args:
            reactor: Has the passes in which rings are served.
            hypervisor: Whose domains are served; it is closed with the server.
            loop: Wakes us when nothing else does.
            lenient: A domain that the hypervisor does not have can be introduced,
                too, without a ring. Toolstacks are tested so without guests.
            control_port: Event channel of the control domain, if it is not our own and
                its page does not name one.
            on_domains: Is called after domains have come or gone.
        """
        self.rings = Rings(reactor, hypervisor)
        self._reactor = reactor
        self._lenient = lenient
        self._control_port = control_port
        self._on_domains = on_domains
        self._hypervisor = hypervisor
        self._loop = loop
        self._by_port: dict[int, RingLink] = {}
        self._timer: Timer | None = None
        self._scan_is_due = False

    def start(self) -> None:
        """Serve our own domain's kernel, if it has a ring, and wait for events.

        Domains that Xen has made itself (dom0less) are there already, and nobody
        introduces them: Xen has put the port into their pages. The control domain must
        be one of them if it is not our own, for nobody else may introduce any.

        Raises:
            OSError: If the hypervisor does not let us, or the control domain cannot be
                served.
        """
        self._reactor.include(self.rings)
        self._reactor.listen(self._hypervisor.fileno(), self.take_events)
        self._serve_own_kernel()
        self._serve_control()
        self._introduce_waiting()
        if self._scan_is_due:
            self.scan_domains()
        self._set_timer()
        self._reactor.wake()

    def take_over(self, connection: Connection, port: int) -> None:
        """Serve a domain whose connection of another process goes on.

        Raises:
            OSError: If its page cannot be had any more.
        """
        domid = connection.caller.domid
        channel = self._hypervisor.adopt(domid, port)
        domain = self._reactor.engine.store.introduced(domid)
        # With this it can be found again after a crash.
        domain.port = domain.port or channel.remote_port
        # It may have told us something meanwhile, or made room.
        self._link(domain, channel, connection).greet()
        self._reactor.engine.core.touch(connection)

    def resume(self, connection: Connection) -> None:
        """Serve a domain again whose connection was recovered, where its ring is.

        What it has written and was not taken is carried out.

        Raises:
            OSError: If its page or event channel cannot be had any more.
            XenStoreError: ENOENT if it is not introduced.
        """
        self._scan_is_due = True
        engine = self._reactor.engine
        domain = engine.store.introduced(connection.caller.domid)
        if domain is engine.store.own:
            channel = self._hypervisor.own()
            if channel is None:
                raise OSError(errno.ENODEV, "our kernel has no ring any more")
        else:
            channel = self._hypervisor.connect(domain.domid, domain.port, port_in)
        self._link(domain, channel, connection).resume()

    def keep_in(self, ledger: Ledger | None) -> None:
        """Have what is under way with guests outlive the process; before `start`."""
        self.rings.ledger = ledger

    @property
    def hypervisor(self) -> Hypervisor:
        """Whose domains are served."""
        return self._hypervisor

    def clients(self) -> list[tuple[Connection, int]]:
        """The connections of domains that are served, and our ports of theirs."""
        return [
            (link.connection, link.channel.port)
            for link in self.rings.links.values()
            if not link.ignored
        ]

    def unread(self) -> OnRings:
        """What is on the rings of domains that are served."""
        return {
            domid: link.unread()
            for domid, link in self.rings.links.items()
            if not link.ignored
        }

    def _serve_own_kernel(self) -> None:
        if self._reactor.engine.store.privileged.domid in self.rings.links:
            return
        channel = self._hypervisor.own()
        if channel is not None:
            # It waits for this to begin.
            self._link_staying(self._reactor.engine.store.own, channel).greet()

    def _expect_own_ring(self) -> None:
        """See to it that our own kernel has a ring, or need not have one."""
        try:
            if self._lenient or self._hypervisor.own() is not None:
                return
            reason = "our own kernel offers no ring"
        except OSError as error:
            reason = f"the ring of our own kernel cannot be had: {error}"
        raise XenStoreError(Errno.EINVAL, reason)

    def _serve_control(self) -> None:
        """Serve the control domain, if it is not our own."""
        store = self._reactor.engine.store
        domain = store.privileged
        if domain.introduced:
            return
        if self._hypervisor.state(domain.domid) is None:
            raise OSError(f"dom{domain.domid}, the control domain, does not exist")
        refused = self._reactor.engine.introduce_waiting(domain.domid)
        if refused is not None:
            raise OSError(f"the control domain: {refused.reason}")

    def _link_staying(self, domain: Domain, channel: Channel) -> RingLink:
        """Link our own kernel, or the control domain's, which are always served.

        Whatever waits for them.
        """
        connection = self._reactor.engine.connect(domain.domid, is_kernel=True)
        return self._link(domain, channel, connection)

    def _serve_again(self, domain: Domain) -> None:
        """Serve our own kernel, or the control domain's, that is not served.

        If it was given up for a defect, it is served from the start, and what it had
        is forgotten: it watches nothing.
        """
        link = self.rings.links.get(domain.domid)
        if link is None:
            self._serve_own_kernel()
        elif link.ignored:
            self.rings.remove(link)
            self._link_staying(domain, link.channel).begin()

    def close(self) -> None:
        """Give all rings up, and the hypervisor."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._reactor.ignore(self._hypervisor.fileno())
        for link in list(self.rings.links.values()):
            link.leave_slot()
            self._reactor.engine.disconnect(link.connection)
            self._unlink(link)
        self._reactor.exclude(self.rings)
        self._hypervisor.close()

    def _introduce_waiting(self) -> None:
        for domid in self._hypervisor.domains():
            if domid in self.rings.links:
                continue
            try:
                self._reactor.engine.introduce_waiting(domid)
            except Exception as error:  # noqa: BLE001  the others must not suffer
                fields: dict[str, object] = {"domid": domid}
                self._reactor.note(Notice("error", "domain.failed", fields, error))

    # What the engine asks for.

    def unique_id(self, domid: int) -> int | None:
        """See `Census.unique_id`.

        Raises:
            XenStoreError: EIO if the hypervisor does not answer.
        """
        try:
            state = self._hypervisor.state(domid)
        except OSError as error:
            reason = f"the state of dom{domid} is not known: {error}"
            raise XenStoreError(Errno.EIO, reason) from error
        return None if state is None or state.state == DYING else state.unique_id

    def connect(self, domain: Domain, port: int, connection: Connection) -> bool:
        """See `Guests.connect`."""
        try:
            if self._lenient and self._hypervisor.state(domain.domid) is None:
                return False
            if domain.stays:
                port = port or self._control_port
            channel = self._hypervisor.connect(domain.domid, port, port_in)
        except OSError as error:
            reason = f"dom{domain.domid} cannot be connected: {error}"
            raise XenStoreError(Errno.EINVAL, reason) from error
        self._link(domain, channel, connection).begin()
        self._set_timer()
        return True

    def reconnect(self, domain: Domain, port: int) -> None:
        """See `Guests.reconnect`.

        Raises:
            XenStoreError: EINVAL if our own kernel has no ring.
        """
        link = self.rings.links.get(domain.domid)
        if domain.stays:
            if link is None:
                self._expect_own_ring()
            # Its connection is an input of its own, after this one.
            self._loop.call_soon(partial(self._serve_again, domain))
            return
        if link is None:
            return
        channel = link.channel
        old = channel.port
        wanted = port_in(channel.page)
        error: OSError | None = None
        for each in (wanted, port) if wanted not in {0, port} else (port,):
            try:
                # The number may be the same and the event channel another one.
                self._hypervisor.rebind(channel, each)
            except OSError as failure:
                if each == channel.remote_port:
                    # Xen does not bind a port twice: one that is bound goes on.
                    error = None
                    break
                error = failure
            else:
                error = None
                break
        if error is not None:
            # The C daemon does not mind either; the old channel goes on.
            self._note("warning", "domain.not_rebound", domain.domid, error)
        if channel.port != old:
            del self._by_port[old]
            self._by_port[channel.port] = link
        link.restart()

    def disconnect(self, domain: Domain) -> None:
        """See `Guests.disconnect`."""
        link = self.rings.links.get(domain.domid)
        if link is not None:
            self._unlink(link)

    # What the hypervisor tells.

    def take_events(self) -> None:
        """Take note of what has happened: notifications, and ends of domains."""
        ports, domains_changed = self._hypervisor.pending()
        for port in ports:
            link = self._by_port.get(port)
            if link is not None:
                self.rings.queue(link)
        if domains_changed:
            self._scan_is_due = True
        try:
            if self._scan_is_due:
                self.scan_domains()
        finally:
            self._set_timer()

    def scan_domains(self) -> None:
        """Find out which domains have ended or shut down, and have it told.

        It stays due if that could not be found out of each.
        """
        ended: list[int] = []
        stopped: list[int] = []
        is_complete = True
        for domain in self._reactor.engine.store.domains.all():
            if domain.stays:
                continue
            try:
                state = self._hypervisor.state(domain.domid)
            except OSError as error:
                # The others' ends must not wait for it.
                self._note("error", "domain.state_unknown", domain.domid, error)
                is_complete = False
                continue
            if self._has_ended(domain, state):
                ended.append(domain.domid)
            elif (
                state is not None
                and state.state == SHUT_DOWN
                and domain.introduced
                and not domain.shut_down
            ):
                stopped.append(domain.domid)
        # Their events begin to wait now, however long ago the last turn was.
        self._reactor.engine.tell_time(self._reactor.now_ms)
        self._reactor.engine.domains_changed(ended, stopped)
        self._on_domains()
        if is_complete:
            self._scan_is_due = False

    def _has_ended(self, domain: Domain, state: DomainState | None) -> bool:
        if state is None:
            # Without a unique id it was never one of the hypervisor's.
            return domain.unique_id != 0 or not self._lenient
        return state.state == DYING or state.unique_id != domain.unique_id

    # When nothing else wakes the daemon.

    def _set_timer(self) -> None:
        """Have every ring looked at in a while, and what was left undone done."""
        if self._timer is None and (self.rings.links or self._is_undone):
            self._timer = self._loop.call_later(VISIT_ALL_S, self.on_time)

    @property
    def _is_undone(self) -> bool:
        return self._scan_is_due or self._hypervisor.is_short

    def on_time(self) -> None:
        """Look at every ring, and at the hypervisor if it needs that."""
        self._timer = None
        try:
            self.rings.queue_all()
            if self._is_undone:
                self.take_events()
        except Exception as error:  # noqa: BLE001  there is another time
            self._reactor.report("on_time", error)
        finally:
            self._set_timer()

    # Links.

    def _link(
        self, domain: Domain, channel: Channel, connection: Connection
    ) -> RingLink:
        link = RingLink(self.rings, domain, channel, connection)
        self._by_port[channel.port] = link
        return link

    def _unlink(self, link: RingLink) -> None:
        del self._by_port[link.channel.port]
        self.rings.remove(link)
        try:
            self._hypervisor.disconnect(link.channel)
        except OSError as error:
            # The end of one domain must not keep others' from being told.
            self._note("error", "domain.not_disconnected", link.channel.domid, error)

    def _note(self, level: str, event: str, domid: int, error: OSError) -> None:
        fields: dict[str, object] = {"domid": domid, "what": str(error)}
        self._reactor.note(Notice(level, event, fields))
