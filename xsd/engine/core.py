"""What requests work on: the store, and who is connected."""

from typing import TYPE_CHECKING, Final, final

from xsd.engine import tracing
from xsd.engine.connection import Connection
from xsd.engine.guests import Guests, NoGuests
from xsd.engine.logbook import Logbook, NoLogbook
from xsd.engine.outbox import Tally
from xsd.engine.outcome import Notice
from xsd.protocol.ops import FEATURES
from xsd.protocol.path import Path
from xsd.protocol.reply import encode_event
from xsd.store import Event, Store
from xsd.store.quota import MEMORY, PATH_MAX
from xsd.store.usage import MESSAGE_BYTES

if TYPE_CHECKING:
    from xsd.engine.progress import Protection

UNSENT_MAX: Final = 16 * 1024 * 1024
"""Bytes that may wait for a client which does not read; then it is cut off."""

REMARK_MS: Final = 10_000
"""Shortest time between two remarks on a domain's memory, in milliseconds."""


@final
class Core:
    """The state that handlers work on.

    Attributes:
        store: The store.
        guests: The channels of other domains.
        logbook: The log.
        tracing: What is traced.
        keep_orphans: Leave the nodes of domains that end to dom0.
        connections: Every connection by its number.
        dirty: Those that have something new to send, or are to be ended.
        stalled: Those of guests that have to wait until others have read what they
            caused.
        over_soft: The domains over their soft quota of memory, as far as told.
        remarked_ms: When that was told of a domain, or the opposite.
        over_quota: How often a domain was refused for a quota, by both.
        notices: What the log should say, in order.
        protection: The transaction that others have to wait for; see progress.py.
        now_ms: Time of the request that is carried out, of a monotonic clock.
    """

    __slots__ = (
        "connections",
        "dirty",
        "guests",
        "keep_orphans",
        "logbook",
        "notices",
        "now_ms",
        "over_quota",
        "over_soft",
        "protection",
        "remarked_ms",
        "stalled",
        "store",
        "tracing",
    )

    def __init__(self, store: Store) -> None:
        self.store = store
        self.guests: Guests = NoGuests()
        self.logbook: Logbook = NoLogbook()
        self.tracing = tracing.Tracing()
        self.keep_orphans = False
        self.connections: dict[int, Connection] = {}
        self.dirty: dict[int, Connection] = {}
        self.stalled: dict[int, Connection] = {}
        self.over_quota: dict[tuple[int, str], int] = {}
        self.over_soft: set[int] = set()
        self.remarked_ms: dict[int, int] = {}
        self.notices: list[Notice] = []
        self.protection: Protection | None = None
        self.now_ms = 0

    def path(
        self, connection: Connection, raw: bytes, *, special: bool = False
    ) -> Path:
        """The path that a client means; the length counts for guests only."""
        caller = connection.caller
        limit = 0
        if not caller.privileged:
            limit = self.store.quotas.limit(caller.domid, PATH_MAX)
            self.store.saw_path(caller.domid, len(raw))
        return connection.resolve(raw, limit=limit, special=special)

    def features(self, connection: Connection) -> int:
        """Server features that are offered to a client."""
        domain = self.store.domains.get(connection.caller.domid)
        return FEATURES if domain is None else domain.features

    def forget(self, connection: Connection) -> None:
        """Drop a connection's watches and transactions."""
        if self.tracing.obj:
            self._trace_forgotten(connection)
        for watch in connection.watches.values():
            self.store.unwatch(watch)
        connection.watches.clear()
        for transaction in connection.transactions.values():
            self.store.abort(transaction)
        connection.transactions.clear()
        if self.protection is not None and self.protection.connection is connection:
            self.protection = None
            if self.tracing.wrl:
                self.notices.append(tracing.about("wrl.over", connection))

    def connections_of(self, domid: int) -> list[Connection]:
        """The connections of a domain itself; dom0's sockets are not meant."""
        return [
            connection
            for connection in self.connections.values()
            if connection.caller.domid == domid and not connection.caller.privileged
        ]

    def end(self, domid: int) -> list[Event]:
        """End a known domain: by RELEASE, or because it is gone.

        Returns:
            The events of its nodes, and @releaseDomain if it was introduced.
        """
        if self.tracing.obj:
            self.notices.append(tracing.domain("obj.domain_ended", domid))
        for connection in self.connections_of(domid):
            self.forget(connection)
            connection.outbox.clear()
            connection.lost = True
            self.dirty[connection.id] = connection
        for key in [key for key in self.over_quota if key[0] == domid]:
            del self.over_quota[key]
        self.over_soft.discard(domid)
        self.remarked_ms.pop(domid, None)
        domain = self.store.known(domid)
        if domain.introduced:
            self.guests.disconnect(domain)
        return self.store.end([domid], keep_orphans=self.keep_orphans)

    def end_if_replaced(self, domid: int) -> list[Event]:
        """End a known domain if there is another one of that id by now."""
        domain = self.store.domains.get(domid)
        if domain is None or domain.caller.privileged:
            return []
        unique_id = self.guests.unique_id(domid)
        if unique_id is None or unique_id == domain.unique_id:
            return []
        return self.end(domid)

    def deliver(self, events: list[Event], cause: Connection | None = None) -> None:
        """Queue events on the connections they are for.

        One that is too long to be sent is dropped (XSA-324), and so is one that
        equals another which still waits; but not of the names with ``@``, since
        two of those may be about two domains. One for a guest that has no memory
        left is dropped, too (XSA-326).

        Args:
            events: In order.
            cause: Whose request caused them. What a guest causes others counts as
                under way for it until they have read it (XSA-326).
        """
        traced = self.tracing.io
        tally = None
        if cause is not None and not cause.caller.privileged:
            tally = cause.tally
        for event in events:
            watch = event.watch
            connection = self.connections.get(watch.connection)
            if connection is None or connection.lost:
                if watch.connection == tracing.TRACER:
                    self.notices.append(tracing.change(event, self.store))
                continue
            frame = encode_event(event.shown, watch.token)
            if frame is None:
                continue
            if not self._queue(connection, event, frame, tally):
                continue
            if traced:
                self.notices.append(tracing.event(connection, frame))
            if connection.outbox.size > UNSENT_MAX:
                self._cut_off(connection)
            self.dirty[connection.id] = connection

    def _queue(
        self, connection: Connection, event: Event, frame: bytes, tally: Tally | None
    ) -> bool:
        """Queue one event; tell whether that was necessary and possible."""
        outbox = connection.outbox
        is_special = event.path[:1] == b"@"
        if not is_special and outbox.holds(frame):
            return False
        queued_ms = -1
        if not connection.caller.privileged:
            # Only a guest's events may be lost for not being read.
            queued_ms = self.now_ms
            if not self._has_memory(connection, len(frame) + MESSAGE_BYTES):
                return False
        if is_special:
            outbox.append(frame, tally, queued_ms)
        else:
            outbox.append_event(frame, tally, queued_ms)
        return True

    def _has_memory(self, connection: Connection, more: int) -> bool:
        """Tell whether a guest has room for an event; the first one lost is told."""
        domid = connection.caller.domid
        limit = self.store.quotas.limit(domid, MEMORY)
        if limit == 0 or self.store.usage.memory_of(domid) + more <= limit:
            return True
        fields: dict[str, object] = {
            "connection": connection.id,
            "domid": domid,
            "what": "events are lost",
        }
        self.note_quota(domid, MEMORY, limit, fields)
        return False

    def note_quota(
        self, domid: int, quota: str, limit: int, fields: dict[str, object]
    ) -> None:
        """Have the first refusal for each quota of a domain logged; count the others.

        Who runs into a quota does so again and again, and an operator needs to know
        it once: guests that fail for a quota in silence are hard to find.
        """
        key = (domid, quota)
        count = self.over_quota.get(key, 0) + 1
        self.over_quota[key] = count
        if count == 1:
            fields["quota"] = quota
            fields["limit"] = limit
            self.notices.append(Notice("warning", "quota.exceeded", fields))

    def look_at_usage(self, connection: Connection) -> None:
        """Take note of what a guest's requests have come to."""
        domid = connection.caller.domid
        self.store.usage.outstanding.saw(domid, connection.tally.count)
        self.look_at_memory(domid)

    def look_at_memory(self, domid: int) -> None:
        """Remark on a domain that is over its soft quota of memory, or no longer."""
        limit = self.store.quotas.soft_limit(domid, MEMORY)
        used = self.store.usage.memory_of(domid)
        is_over = 0 < limit < used
        if is_over == (domid in self.over_soft):
            return
        last_ms = self.remarked_ms.get(domid)
        if last_ms is not None and self.now_ms < last_ms + REMARK_MS:
            return
        self.remarked_ms[domid] = self.now_ms
        fields: dict[str, object] = {"domid": domid, "used": used, "limit": limit}
        if is_over:
            self.over_soft.add(domid)
            self.notices.append(Notice("warning", "memory.over_soft_quota", fields))
        else:
            self.over_soft.remove(domid)
            self.notices.append(Notice("info", "memory.below_soft_quota", fields))

    def trace_accounts(self) -> None:
        """Have logged what domains use more or less of, if that is traced."""
        if self.tracing.acc:
            self.notices.extend(self.tracing.accounts(self.store))

    def _trace_forgotten(self, connection: Connection) -> None:
        for watch in connection.watches.values():
            self.notices.append(tracing.watch("obj.watch_removed", connection, watch))
        for number in connection.transactions:
            more: dict[str, object] = {"transaction": number, "commit": False}
            self.notices.append(
                tracing.about("obj.transaction_ended", connection, more)
            )

    def _cut_off(self, connection: Connection) -> None:
        connection.lost = True
        fields: dict[str, object] = {
            "connection": connection.id,
            "domid": connection.caller.domid,
            "unsent_bytes": connection.outbox.size,
        }
        self.notices.append(Notice("warning", "connection.too_slow", fields))
