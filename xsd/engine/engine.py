"""The engine: bytes of a connection in, bytes for any connections out.

It has no socket, no clock and no thread. Everything in it happens between two
requests or inside one of them.
"""

from collections.abc import Iterable
from typing import Final, final

from xsd.engine import tracing
from xsd.engine.connection import Connection
from xsd.engine.core import Core
from xsd.engine.dispatch import REFUSALS_LOGGED, answer
from xsd.engine.guests import Guests
from xsd.engine.logbook import Logbook
from xsd.engine.outcome import Notice
from xsd.engine.progress import must_wait
from xsd.protocol.errors import XenStoreError
from xsd.protocol.perms import Caller
from xsd.store import Store
from xsd.store.quota import MEMORY, OUTSTANDING
from xsd.store.store import RELEASE_DOMAIN

TURN: Final = 256
"""Requests of one connection that are answered before others have their turn."""

GUEST_TURN: Final = 8
"""The same of a guest, of which there may be many with much to ask."""

HIGH_WATER: Final = 256 * 1024
"""Unsent bytes from which on a client's requests are left until it has read some."""


EFFORT_FREE: Final = 200
"""Nodes and events that a guest's request may be concerned with without a rest."""

EFFORT_PER_MS: Final = 5
"""How many more of them make one millisecond of rest."""

REST_MAX_MS: Final = 1000
"""The longest rest."""


@final
class Engine:
    """Serves connections from one store.

    Attributes:
        store: What is served.
    """

    __slots__ = ("_core", "_last", "store")

    def __init__(self, store: Store) -> None:
        self.store = store
        self._core = Core(store)
        self._last = 0

    @property
    def connections(self) -> list[Connection]:
        """Every connection, the oldest first."""
        return list(self._core.connections.values())

    def serve(self, guests: Guests) -> None:
        """Have other domains served, and learn from their hypervisor who exists."""
        self._core.guests = guests
        self.store.domains.census = guests

    def keep_orphans(self, *, keep: bool) -> None:
        """Say whether the nodes of domains that end are left to dom0."""
        self._core.keep_orphans = keep

    def keep_log(self, logbook: Logbook) -> None:
        """Have operators change where the log goes, and write reports."""
        self._core.logbook = logbook

    def trace(self, switches: Iterable[str], *, on: bool | None = None) -> None:
        """Have things traced, as CONTROL log does.

        Args:
            switches: Some of `tracing.SWITCHES`: what is traced.
            on: Whether it is already, or once it is switched on; None leaves that.
        """
        state = self._core.tracing
        on = state.on if on is None else on
        state.set(self.store, on=on, switches=set(switches))

    def connect(self, caller: Caller) -> Connection:
        """A new client."""
        self._last += 1
        connection = Connection(self._last, caller, self.store.usage)
        self._core.connections[connection.id] = connection
        if self._core.tracing.obj:
            self._core.notices.append(tracing.about("obj.connected", connection))
        return connection

    def disconnect(self, connection: Connection) -> None:
        """A client is gone: its watches and open transactions go with it."""
        if self._core.connections.pop(connection.id, None) is None:
            return
        self._core.forget(connection)
        self._core.dirty.pop(connection.id, None)
        self._core.stalled.pop(connection.id, None)
        connection.backlog.clear()
        connection.outbox.clear()
        connection.closing = connection.lost = True
        suppressed = connection.refusals - REFUSALS_LOGGED
        if suppressed > 0:
            self._note("info", "request.refusals_not_logged", connection, suppressed)
        if self._core.tracing.obj:
            self._core.notices.append(tracing.about("obj.disconnected", connection))
        self._core.trace_accounts()

    def restart(self, connection: Connection) -> None:
        """Forget all that is under way with a client; it begins anew."""
        self._core.forget(connection)
        connection.restart()

    def receive(self, connection: Connection, data: bytes, now_ms: int) -> None:
        """Take bytes from a client and answer the requests they complete.

        Args:
            connection: Whom they came from.
            data: Any number of bytes, cut anywhere.
            now_ms: Time of a monotonic clock in milliseconds.
        """
        if connection.closing or connection.lost:
            return
        frames = connection.decoder.feed(data)
        if connection.backlog:
            connection.backlog.extend(frames)
        else:
            connection.backlog = frames
        self.resume(connection, now_ms)

    def resume(self, connection: Connection, now_ms: int) -> None:
        """Answer requests that wait in a connection's backlog, up to a turn's worth.

        To be called again while there is a backlog and the outbox is below
        HIGH_WATER: see `is_ready`.
        """
        core = self._core
        core.now_ms = now_ms
        frames = connection.backlog
        outbox = connection.outbox
        usage = self.store.usage
        is_guest = not connection.caller.privileged
        turn = GUEST_TURN if is_guest else TURN
        done = 0
        for frame in frames:
            if done == turn or outbox.size > HIGH_WATER or connection.lost:
                break
            if is_guest and self._has_much_under_way(connection):
                break
            if core.protection is not None and must_wait(core, connection, frame):
                core.stalled[connection.id] = connection
                break
            before = usage.work
            answer(core, connection, frame)
            if is_guest and usage.work > before + EFFORT_FREE:
                self._let_rest(connection, usage.work - before)
            connection.waited_for = None
            done += 1
        connection.backlog = frames[done:] if done < len(frames) else []
        if is_guest:
            if done:
                core.look_at_usage(connection)
            if self._has_much_under_way(connection):
                # Even if no frame is left: its transport has stopped reading.
                core.stalled[connection.id] = connection
        if connection.decoder.error is not None and not connection.backlog:
            self._end(connection)

    def is_ready(self, connection: Connection) -> bool:
        """Tell whether `resume` has something to do."""
        backlog = connection.backlog
        if not backlog or not self.has_room(connection):
            return False
        if must_wait(self._core, connection, backlog[0]):
            self._core.stalled[connection.id] = connection
            return False
        return True

    def has_room(self, connection: Connection) -> bool:
        """Tell whether a client's requests may be answered now.

        It must not have too much unread or, as a guest, too much under way.
        """
        return connection.outbox.size <= HIGH_WATER and (
            connection.caller.privileged or not self._has_much_under_way(connection)
        )

    def take_ready(self) -> list[Connection]:
        """Clients that had to wait for others and need not any longer."""
        stalled = self._core.stalled
        if not stalled:
            return []
        ready = [
            each
            for each in stalled.values()
            if self.has_room(each)
            and not (each.backlog and must_wait(self._core, each, each.backlog[0]))
        ]
        for connection in ready:
            del stalled[connection.id]
        return ready

    @property
    def held_until_ms(self) -> int:
        """When clients that wait for others' sake go on in any case; 0 for none.

        What is over already does not count: who is still held up then waits for
        something that no clock brings.
        """
        core = self._core
        if not core.stalled:
            return 0
        times = [each.rests_until_ms for each in core.stalled.values()]
        if core.protection is not None:
            times.append(core.protection.until_ms)
        return min([each for each in times if each > core.now_ms], default=0)

    def look_at_clock(self, now_ms: int) -> None:
        """Take note of the time, so that `take_ready` finds who need not wait."""
        self._core.now_ms = now_ms

    def expire_events(self, now_ms: int, after_ms: int) -> None:
        """Drop the events that guests have not begun to fetch in time.

        Args:
            now_ms: Time of the same clock as for `receive`.
            after_ms: How long an event may wait.
        """
        for connection in self._core.connections.values():
            if connection.outbox.size and not connection.caller.privileged:
                count = connection.outbox.expire(now_ms - after_ms)
                if count:
                    self._note("warning", "events.expired", connection, count)

    def look_at_memory(self, now_ms: int) -> None:
        """Remark on the domains that use more than their soft quota of memory.

        To be called now and then: what others put into a domain's possession is not
        noticed otherwise.
        """
        self._core.now_ms = now_ms
        for domid in self.store.usage.all_memory():
            self._core.look_at_memory(domid)

    def introduce_waiting(self, domid: int) -> None:
        """Introduce a domain of which no toolstack tells, if it can be connected."""
        core = self._core
        known = self.store.domains.get(domid)
        domain = self.store.know(domid)
        if domain.introduced:
            return
        try:
            core.guests.connect(domain, 0)
        except XenStoreError:
            # As a rule its toolstack will introduce it: no port is in its page.
            if known is None:
                self.store.end([domid])
            return
        core.deliver(self.store.introduce(domid, 0))
        core.notices.append(Notice("info", "domain.found", {"domid": domid}))

    def domains_changed(self, ended: list[int], stopped: list[int]) -> None:
        """Domains have come to an end or shut down.

        Args:
            ended: Known domains that are dying or gone.
            stopped: Introduced domains that have newly shut down.
        """
        core = self._core
        for domid in stopped:
            if core.tracing.obj:
                core.notices.append(tracing.domain("obj.domain_stopped", domid))
            core.deliver(self.store.shut_down(domid))
        for domid in ended:
            core.deliver(core.end(domid))
        if stopped:
            # Watches without a depth are told once, whatever the number of domains.
            plain = self.store.tell_domain(RELEASE_DOMAIN, stopped[0], deep=False)
            core.deliver(plain)
        core.trace_accounts()

    def take_dirty(self) -> list[Connection]:
        """Connections with something to send, or that are to be ended."""
        dirty = list(self._core.dirty.values())
        self._core.dirty.clear()
        return dirty

    def take_notices(self) -> list[Notice]:
        """What the log should say since the last call."""
        notices = self._core.notices
        if notices:
            self._core.notices = []
        return notices

    def _has_much_under_way(self, connection: Connection) -> bool:
        """Tell whether a guest has to wait for others, or for its reading.

        That is while it rests, while as much is under way because of it as may be, and
        at its quota of memory until it has read what waits. What else it has there
        only its own requests can make less.
        """
        domid = connection.caller.domid
        quotas = self.store.quotas
        if (
            connection.rests_until_ms > self._core.now_ms
            or 0 < quotas.limit(domid, OUTSTANDING) <= connection.tally.count
        ):
            return True
        if not connection.outbox.size:
            return False
        return 0 < quotas.limit(domid, MEMORY) <= self.store.usage.memory_of(domid)

    def _let_rest(self, connection: Connection, effort: int) -> None:
        """Leave a guest alone for a while that has asked for much work.

        Nobody else was served meanwhile. As long as most of the time is others', it
        does not matter to them how large the largest commit may be.
        """
        rest_ms = min((effort - EFFORT_FREE) // EFFORT_PER_MS, REST_MAX_MS)
        connection.rests_until_ms = self._core.now_ms + rest_ms

    def _end(self, connection: Connection) -> None:
        """Read nothing more: the stream of requests makes no sense any longer."""
        if not connection.closing:
            connection.closing = True
            self._core.dirty[connection.id] = connection
            self._note(
                "warning",
                "connection.broken",
                connection,
                str(connection.decoder.error),
            )

    def _note(
        self, level: str, event: str, connection: Connection, what: object
    ) -> None:
        fields: dict[str, object] = {
            "connection": connection.id,
            "domid": connection.caller.domid,
            "what": what,
        }
        self._core.notices.append(Notice(level, event, fields))
