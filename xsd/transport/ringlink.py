"""One domain's ring, and the order in which rings are looked at.

A guest's kernel does not notify each time. After writing it does so only if all it
wrote before had been taken, after reading only if the ring had been full. So after
an index was moved and the other side notified (a system call, and so a barrier), the
ring is looked at once more. And some guests, firmware above all, do not even notify
then: whenever anything wakes the daemon, some of the rings are looked at.
"""

from collections import deque
from typing import Final, final

from xsd.engine import Connection, Notice
from xsd.engine.ledger import Ledger, Slot
from xsd.hypervisor.base import Channel, Hypervisor
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
from xsd.transport.reactor import Reactor, Transport, Wire

VISITS_MAX: Final = 64
"""Rings that are looked at in one pass because they were notified."""

ROUND_MAX: Final = 32
"""Rings that are looked at without a reason whenever the daemon wakes up."""


@final
class Rings(Transport):
    """All rings that are served, and whose turn it is.

    Attributes:
        reactor: Has the passes.
        hypervisor: Is told to notify.
        links: All of them, by domain.
        ledger: Keeps what is under way with them, or None.
    """

    __slots__ = (
        "_moved",
        "_queue",
        "_round",
        "hypervisor",
        "ledger",
        "links",
        "reactor",
    )

    def __init__(self, reactor: Reactor, hypervisor: Hypervisor) -> None:
        self.reactor = reactor
        self.hypervisor = hypervisor
        self.links: dict[int, RingLink] = {}
        self.ledger: Ledger | None = None
        # Our own kernel's goes first.
        self._queue: deque[RingLink] = deque()
        self._moved: list[RingLink] = []
        # Round robin.
        self._round: deque[RingLink] = deque()

    def add(self, link: "RingLink") -> None:
        """Have a link looked at from now on."""
        self.links[link.domain.domid] = link
        self._round.append(link)

    def remove(self, link: "RingLink") -> None:
        """Forget a link, which ends."""
        del self.links[link.domain.domid]
        self._round.remove(link)
        link.end()

    def queue(self, link: "RingLink") -> None:
        """Have a link move what there is to move, when it is its turn."""
        if not link.queued:
            link.queued = True
            if link.domain.caller.privileged:
                self._queue.appendleft(link)
            else:
                self._queue.append(link)
            self.reactor.wake()

    def queue_all(self) -> None:
        """Do so with each of them."""
        for link in self.links.values():
            self.queue(link)

    def notify(self, link: "RingLink") -> None:
        """Have a domain notified at the end of the pass, and its ring looked at."""
        if not link.moved:
            link.moved = True
            self._moved.append(link)
            self.reactor.wake()

    # What the reactor asks for.

    @property
    def busy(self) -> bool:
        """See `Transport.busy`."""
        return len(self._queue) > 0

    def wake(self) -> None:
        """Look at some rings: their guests may not have told what they did."""
        links = self._round
        for _ in range(min(len(links), ROUND_MAX)):
            link = links[0]
            links.rotate(-1)
            self._visit(link)

    def receive(self) -> None:
        """See `Transport.receive`."""
        links = self._queue
        for _ in range(min(len(links), VISITS_MAX)):
            link = links.popleft()
            link.queued = False
            self._visit(link)

    def finish(self) -> None:
        """Notify everybody whose ring has changed in this pass, each once."""
        if not self._moved:
            return
        moved = self._moved
        self._moved = []
        for link in moved:
            link.moved = False
            if not link.ended:
                self._notify(link)
                if not link.ignored:
                    self.queue(link)

    def _visit(self, link: "RingLink") -> None:
        try:
            link.on_input()
        except Exception as error:  # noqa: BLE001  the others must not suffer
            self.reactor.failed(link, error)

    def _notify(self, link: "RingLink") -> None:
        try:
            self.hypervisor.notify(link.channel)
        except OSError as error:
            # The domain is about to end; that will be told in its own time.
            fields: dict[str, object] = {
                "domid": link.domain.domid,
                "reason": str(error),
            }
            self.reactor.note(Notice("debug", "domain.not_notified", fields))


@final
class RingLink(Wire):
    """One domain's ring and the connection behind it.

    Attributes:
        domain: Whose it is.
        channel: Page and event channel.
        ignored: The domain broke the protocol; it is not served any more.
        ended: The page is not ours any more.
        queued: It will be looked at when it is its turn.
        moved: The domain will be notified at the end of the pass.
    """

    __slots__ = (
        "_clock",
        "_is_out",
        "_ring",
        "_rings",
        "_slot",
        "channel",
        "domain",
        "ended",
        "ignored",
        "moved",
        "queued",
    )

    def __init__(
        self, rings: Rings, domain: Domain, channel: Channel, connection: Connection
    ) -> None:
        """Begin, without looking at the ring yet.

        Args:
            rings: Have it looked at and its domain notified.
            domain: Whose it is.
            channel: Page and event channel; they stay the caller's.
            connection: The engine's end.
        """
        super().__init__(connection)
        self.domain = domain
        self.channel = channel
        self.ignored = False
        self.ended = False
        self.queued = False
        self.moved = False
        self._rings = rings
        self._ring = Ring(channel.page)
        self._slot: Slot | None = None
        self._clock = rings.reactor.engine.store.clock
        # Whether the message that is sent next has been noted there.
        self._is_out = False
        self._ring.server_features = domain.features
        rings.add(self)

    def greet(self) -> None:
        """Tell the domain that there is somebody, and look at what it has written."""
        self._open_slot()
        self._rings.notify(self)

    def resume(self) -> None:
        """Go on where a process has ended; what it was sending is sent as a whole."""
        self._open_slot()
        slot = self._slot
        outbox = self.connection.outbox
        if slot is not None and outbox.begun:
            outbox.sent(slot.sent(self._ring.produced))
        self._rings.notify(self)

    def begin(self) -> None:
        """Begin with an empty ring, whatever a former connection left in the page."""
        self._open_slot()
        self._ring.error = ERROR_NONE
        self.restart()

    def restart(self) -> None:
        """Begin with an empty ring; the connection has been restarted."""
        if self.ignored:
            return
        self._empty()
        self._ring.server_features = self.domain.features
        self._ring.connection = CONNECTED
        self._rings.notify(self)

    def unread(self) -> tuple[bytes, bytes]:
        """What is on the ring, see `Ring.unread`; nothing of one that is broken."""
        try:
            return self._ring.unread()
        except RingError:
            return b"", b""

    def end(self) -> None:
        """Let go of the page; the engine has forgotten the connection."""
        self.ended = True
        self._close_slot()
        self._ring.release()
        self.let_go()

    def update(self) -> None:
        """See `Link.update`."""
        if self.ended or self.ignored:
            return
        if self.connection.lost:
            self._ignore(ERROR_COMMUNICATION, "too much waits for it")
            return
        self._send()
        self._settle()

    def on_input(self) -> None:
        """Move what there is to move, in both directions."""
        if self.ended or self.ignored:
            return
        offered = self.domain.features & FEATURE_RECONNECTION
        if offered and self._ring.connection == RECONNECT:
            self._rings.reactor.engine.restart(self.connection)
            self.restart()
        # The guest may have made room.
        self._send()
        self._receive()
        self._settle()

    def on_output(self) -> None:
        """See `Wire.on_output`."""
        self.on_input()

    def give_up(self) -> None:
        """See `Wire.give_up`."""
        if not self.ended and not self.ignored:
            self._ignore(ERROR_COMMUNICATION, "the daemon has failed")

    def _receive(self) -> None:
        """Take what is in the ring, and hand it to the engine."""
        connection = self.connection
        if self.ignored:
            return
        if not self._wants_input:
            connection.paused = True
            return
        try:
            data = self._take()
        except RingError as error:
            self._ignore(ERROR_RING_INDEX, str(error))
            return
        if data:
            self._rings.notify(self)
            self._rings.reactor.engine.feed(connection, data)

    def _send(self) -> None:
        """Put what waits for the domain into its ring, as far as there is room."""
        connection = self.connection
        outbox = connection.outbox
        while outbox.size:
            # One at a time: an event that was not begun need not be sent at all.
            message = bytes(outbox.peek(1))
            slot = self._slot
            if slot is not None and not self._is_out:
                # If nothing else waits, all events up to now have been begun.
                told = 0 if outbox.size > len(message) else self._clock.pulse
                slot.put(message, self._ring.produced, told)
                self._is_out = True
            try:
                count = self._ring.write_responses(message)
            except RingError as error:
                self._ignore(ERROR_RING_INDEX, str(error))
                return
            if not count:
                return
            self._is_out = slot is not None and count < len(message)
            self._rings.reactor.engine.sent(connection, count)
            self._rings.notify(self)

    # What outlives the process.

    @property
    def _wants_input(self) -> bool:
        slot = self._slot
        return self.connection.wants_input and (slot is None or slot.room > 0)

    def _open_slot(self) -> None:
        """Note from now on what is under way; go on with what has been noted."""
        ledger = self._rings.ledger
        if ledger is None:
            return
        self._slot = self._slot_in(ledger)
        self.connection.has_slot = self._slot is not None
        if self._slot is None:
            fields: dict[str, object] = {"domid": self.domain.domid}
            self._rings.reactor.note(Notice("warning", "domain.not_noted", fields))

    def _slot_in(self, ledger: Ledger) -> Slot | None:
        """The slot of the connection, with all that is under way; None without room."""
        found = ledger.slot_of(self.connection)
        if found is None:
            return None
        slot, is_known = found
        ring = self._ring
        if is_known and slot.is_emptied:
            if ring.taken or ring.produced:
                ring.reset()
            is_known = False
        if is_known:
            ring.taken = slot.taken
        elif not slot.begin(self.connection, ring.taken, ring.produced):
            return None
        self._is_out = slot.sent(ring.produced) < slot.size
        return slot

    def _close_slot(self) -> None:
        if self._slot is not None:
            self._slot.free()
            self._slot = None
            self.connection.has_slot = False

    def _empty(self) -> None:
        """Empty the ring; the connection has nothing under way."""
        slot = self._slot
        if slot is None:
            self._ring.reset()
            return
        slot.empty()
        self._ring.reset()
        slot.begin(self.connection, 0, 0)
        self._is_out = False

    def _take(self) -> bytes:
        """Take what is in the ring, as far as it can be noted.

        Raises:
            RingError: On impossible indexes.
        """
        slot = self._slot
        if slot is None:
            return self._ring.read_requests(RING_SIZE)
        room = slot.room
        limit = min(RING_SIZE, room)
        data, taken = self._ring.look_at_requests(limit)
        if data:
            slot.take(data, taken)
            self._ring.taken = taken
        return data

    def _settle(self) -> None:
        """Decide whether to read again, or not to serve the domain any more."""
        connection = self.connection
        if self.ignored:
            return
        if connection.closing:
            if not connection.backlog and not connection.outbox.size:
                self._ignore(ERROR_PROTOCOL, str(connection.decoder.error))
        elif connection.paused and self._wants_input:
            connection.paused = False
            self._rings.queue(self)

    def _ignore(self, code: int, reason: str) -> None:
        """Serve the domain no more, but remember it until it is gone."""
        self.ignored = True
        self._close_slot()
        self._rings.reactor.engine.disconnect(self.connection)
        if self.domain.features & FEATURE_ERROR:
            self._ring.error = code
        self._rings.notify(self)
        fields: dict[str, object] = {"domid": self.domain.domid, "reason": reason}
        self._rings.reactor.note(Notice("warning", "domain.ignored", fields))
