"""Rings: domains that talk through a shared page and an event channel.

A domain may write anything into its page at any time. What it does wrong ends its
own service and nothing else: it is ignored from then on, and only its real death, or
RELEASE, makes the daemon forget it (XSA-325).

A guest's kernel does not notify each time. After writing it does so only if all it
wrote before had been taken, after reading only if the ring had been full. So after
an index was moved and the other side notified (a system call, and so a barrier), the
ring is looked at once more.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import final

from xsd.engine import Notice
from xsd.engine.guests import Guests
from xsd.hypervisor.base import DYING, SHUT_DOWN, Channel, Hypervisor
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.limits import RING_SIZE
from xsd.protocol.ops import FEATURE_ERROR, FEATURE_RECONNECTION
from xsd.protocol.ring import (
    CONNECTED,
    ERROR_COMMUNICATION,
    ERROR_NONE,
    ERROR_PROTOCOL,
    ERROR_RING_INDEX,
    RECONNECT,
    Ring,
    RingError,
)
from xsd.store.domains import Domain
from xsd.transport.pump import Link, Pump


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
    """Serves the domains of a hypervisor, and watches over their lives."""

    def __init__(
        self,
        pump: Pump,
        hypervisor: Hypervisor,
        *,
        lenient: bool = False,
        on_domains: Callable[[], None] = _do_nothing,
    ) -> None:
        """Make a server that does nothing until `start`.

        Args:
            pump: Where requests go.
            hypervisor: Whose domains are served; it is closed with the server.
            lenient: A domain that the hypervisor does not have can be introduced,
                too, without a ring. Toolstacks are tested so without guests.
            on_domains: Is called after domains have come or gone.
        """
        self._pump = pump
        self._lenient = lenient
        self._on_domains = on_domains
        self._hypervisor = hypervisor
        self._loop = asyncio.get_running_loop()
        self._links: dict[int, RingLink] = {}
        self._by_port: dict[int, RingLink] = {}
        # Guests whose turn it is, one after the other.
        self._queue: deque[RingLink] = deque()
        self._scheduled = False

    def start(self) -> None:
        """Serve our own domain's kernel, if it has a ring, and wait for events.

        Domains that Xen has made itself (dom0less) are there already, and nobody
        introduces them: Xen has put the port into their pages.
        """
        self._loop.add_reader(self._hypervisor.fileno(), self._on_event)
        channel = self._hypervisor.own()
        if channel is not None:
            link = self._link(self._pump.engine.store.privileged, channel)
            # Its kernel waits for this to begin.
            link.greet()
        for domid in self._hypervisor.domains():
            if domid not in self._links:
                self._pump.engine.introduce_waiting(domid)

    def close(self) -> None:
        """Give all rings up, and the hypervisor."""
        self._loop.remove_reader(self._hypervisor.fileno())
        for link in list(self._links.values()):
            self._unlink(link)
        self._hypervisor.close()

    # What the engine asks for.

    def unique_id(self, domid: int) -> int | None:
        """See `Census.unique_id`."""
        state = self._hypervisor.state(domid)
        return None if state is None or state.state == DYING else state.unique_id

    def connect(self, domain: Domain, port: int) -> None:
        """See `Guests.connect`."""
        if self._lenient and self._hypervisor.state(domain.domid) is None:
            return
        try:
            channel = self._hypervisor.connect(domain.domid, port, port_in)
        except OSError as error:
            reason = f"dom{domain.domid} cannot be connected: {error}"
            raise XenStoreError(Errno.EINVAL, reason) from error
        self._link(domain, channel).begin()

    def reconnect(self, domain: Domain, port: int) -> None:
        """See `Guests.reconnect`."""
        link = self._links.get(domain.domid)
        if link is None:
            return
        channel = link.channel
        port = port_in(channel.page) or port
        old = channel.port
        try:
            # The number may be the same and the event channel another one.
            self._hypervisor.rebind(channel, port)
        except OSError as error:
            # The C daemon does not mind either; the old channel goes on. Xen does
            # not bind a port twice, so one that is bound already ends here too.
            if port != channel.remote_port:
                self._note("warning", "domain.not_rebound", domain, str(error))
        else:
            del self._by_port[old]
            self._by_port[channel.port] = link
        link.restart()

    def disconnect(self, domain: Domain) -> None:
        """See `Guests.disconnect`."""
        link = self._links.get(domain.domid)
        if link is not None:
            self._unlink(link)

    # What the hypervisor tells.

    def _on_event(self) -> None:
        ports, domains_changed = self._hypervisor.pending()
        for port in ports:
            link = self._by_port.get(port)
            if link is not None:
                self._queue_up(link)
        if domains_changed:
            self.look_at_domains()
            self._pump.flush()

    # Turns.

    def _queue_up(self, link: "RingLink") -> None:
        """Have a link served when it is its turn; our own kernel's goes first."""
        if not link.queued:
            link.queued = True
            if link.domain.caller.privileged:
                self._queue.appendleft(link)
            else:
                self._queue.append(link)
            self._schedule()

    def _schedule(self) -> None:
        if self._queue and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._on_turn)

    def _on_turn(self) -> None:
        """Serve the first link in the queue, and no other.

        Between two guests the loop looks at everybody else's sockets, so that nobody
        waits for more than one of them, however many there are.
        """
        self._scheduled = False
        link = self._queue.popleft()
        link.queued = False
        if not link.ended:
            try:
                if link.take_turn():
                    self._queue_up(link)
            except Exception as error:  # noqa: BLE001  the others must not suffer
                fields: dict[str, object] = {"domid": link.domain.domid}
                self._pump.on_notice(Notice("error", "domain.failed", fields, error))
            self._pump.flush()
        self._schedule()

    def look_at_domains(self) -> None:
        """Find out which domains have ended or shut down, and have it told."""
        ended: list[int] = []
        stopped: list[int] = []
        for domain in self._pump.engine.store.domains.all():
            if domain.caller.privileged:
                continue
            state = self._hypervisor.state(domain.domid)
            if state is None:
                # Without a unique id it was never one of the hypervisor's.
                if domain.unique_id or not self._lenient:
                    ended.append(domain.domid)
            elif state.state == DYING or state.unique_id != domain.unique_id:
                ended.append(domain.domid)
            elif (
                domain.introduced and state.state == SHUT_DOWN and not domain.shut_down
            ):
                stopped.append(domain.domid)
        # Their events begin to wait now, however long ago the last request was.
        self._pump.engine.look_at_clock(int(self._loop.time() * 1000))
        self._pump.engine.domains_changed(ended, stopped)
        self._on_domains()

    # Links.

    def _link(self, domain: Domain, channel: Channel) -> "RingLink":
        link = RingLink(
            self._pump, self._hypervisor, self._loop, domain, channel, self._queue_up
        )
        self._links[domain.domid] = link
        self._by_port[channel.port] = link
        return link

    def _unlink(self, link: "RingLink") -> None:
        del self._links[link.domain.domid]
        del self._by_port[link.channel.port]
        link.end()
        try:
            self._hypervisor.disconnect(link.channel)
        except OSError as error:
            # The end of one domain must not keep others' from being told.
            fields: dict[str, object] = {
                "domid": link.channel.domid,
                "what": str(error),
            }
            self._pump.on_notice(Notice("error", "domain.not_disconnected", fields))

    def _note(self, level: str, event: str, domain: Domain, what: str) -> None:
        fields: dict[str, object] = {"domid": domain.domid, "what": what}
        self._pump.on_notice(Notice(level, event, fields))


@final
class RingLink(Link):
    """One domain's ring and the connection behind it.

    Attributes:
        domain: Whose it is.
        channel: Page and event channel.
        ignored: The domain broke the protocol; it is not served any more.
        ended: The page is not ours any more.
        queued: It waits for its turn.
    """

    def __init__(
        self,
        pump: Pump,
        hypervisor: Hypervisor,
        loop: asyncio.AbstractEventLoop,
        domain: Domain,
        channel: Channel,
        queue_up: "Callable[[RingLink], None]",
    ) -> None:
        self.domain = domain
        self.channel = channel
        self.ignored = False
        self.ended = False
        self.queued = False
        self._queue_up = queue_up
        self._pump = pump
        self._hypervisor = hypervisor
        self._loop = loop
        self._ring = Ring(channel.page)
        self._connection = pump.engine.connect(domain.caller)
        pump.add(self._connection, self)
        self._ring.server_features = domain.features

    def greet(self) -> None:
        """Tell the domain that there is somebody, and look at what it has written."""
        self._notify()
        self._queue_up(self)

    def begin(self) -> None:
        """Begin with an empty ring, whatever a former connection left in the page."""
        self._ring.error = ERROR_NONE
        self.restart()

    def restart(self) -> None:
        """Begin with an empty ring; the connection has been restarted."""
        if self.ignored:
            return
        self._ring.reset()
        self._ring.server_features = self.domain.features
        self._ring.connection = CONNECTED
        self._notify()

    def end(self) -> None:
        """Let go of the page."""
        self.ended = True
        self._pump.drop(self._connection)
        self._ring.release()

    def take_turn(self) -> bool:
        """Answer some of what waits: of one ring full, and a turn's worth, at most.

        Returns:
            Whether there may be more by now.
        """
        offered = self.domain.features & FEATURE_RECONNECTION
        if offered and self._ring.connection == RECONNECT:
            self._pump.engine.restart(self._connection)
            self.restart()
        engine = self._pump.engine
        connection = self._connection
        # The guest may have notified because it has made room.
        self.send()
        if self.ignored:
            return False
        engine.resume(connection, self._now_ms())
        if connection.backlog:
            return engine.is_ready(connection)
        if not engine.has_room(connection):
            return False
        if connection.closing:
            self._ignore(ERROR_PROTOCOL, str(connection.decoder.error))
            return False
        return self._receive()

    def _receive(self) -> bool:
        """Take what is in the ring; tell whether there was something."""
        try:
            data = self._ring.read_requests(RING_SIZE)
        except RingError as error:
            self._ignore(ERROR_RING_INDEX, str(error))
            return False
        if not data:
            return False
        self._notify()
        self._pump.receive(self._connection, data, self._now_ms())
        # Only a look after the notification tells that there is no more.
        return True

    def send(self) -> None:
        """Put what waits for the domain into its ring, as far as there is room."""
        if self.ended or self.ignored:
            return
        if self._connection.lost:
            self._ignore(ERROR_COMMUNICATION, "too much waits for it")
        while self._fill():
            self._notify()

    def _fill(self) -> bool:
        """Tell whether there was something to send, and room for some of it."""
        outbox = self._connection.outbox
        before = outbox.size
        while outbox.size:
            # One at a time: an event that was not begun need not be sent at all.
            message = outbox.peek(1)
            try:
                count = self._ring.write_responses(bytes(message))
            except RingError as error:
                self._ignore(ERROR_RING_INDEX, str(error))
                return False
            if not count:
                break
            outbox.sent(count)
        return outbox.size < before

    def wake(self) -> None:
        """Go on with requests that had to wait."""
        self._queue_up(self)

    def _ignore(self, code: int, reason: str) -> None:
        """Serve the domain no more, but remember it until it is gone."""
        self.ignored = True
        self._pump.drop(self._connection)
        if self.domain.features & FEATURE_ERROR:
            self._ring.error = code
        self._notify()
        fields: dict[str, object] = {"domid": self.channel.domid, "reason": reason}
        self._pump.on_notice(Notice("warning", "domain.ignored", fields))

    def _notify(self) -> None:
        try:
            self._hypervisor.notify(self.channel)
        except OSError as error:
            # The domain is about to end; that will be told in its own time.
            fields: dict[str, object] = {
                "domid": self.channel.domid,
                "reason": str(error),
            }
            self._pump.on_notice(Notice("debug", "domain.not_notified", fields))

    def _now_ms(self) -> int:
        return int(self._loop.time() * 1000)
