"""What requests work on: the store, and who is connected."""

from typing import TYPE_CHECKING, Final, final

from protocol.ops import FEATURES
from protocol.path import Path
from protocol.reply import encode_event
from xsd.engine import tracing
from xsd.engine.connection import Connection
from xsd.engine.guests import Guests, NoGuests
from xsd.engine.journal import Journal, NoJournal
from xsd.engine.outcome import Notice
from xsd.store import Event, Store
from xsd.store.quota import PATH_MAX

if TYPE_CHECKING:
    from xsd.engine.progress import Protection

UNSENT_MAX: Final = 16 * 1024 * 1024
"""Bytes that may wait for a client which does not read; then it is cut off."""


@final
class Core:
    """The state that handlers work on.

    Attributes:
        store: The store.
        guests: The channels of other domains.
        journal: The log.
        tracing: What is traced.
        keep_orphans: Leave the nodes of domains that end to dom0.
        connections: Every connection by its number.
        dirty: Those that have something new to send, or are to be ended.
        stalled: Those of guests that have to wait until others have read what they
            caused.
        over_quota: How often a domain was refused for a quota, by both.
        notices: What the log should say, in order.
        protection: The transaction that others have to wait for; see progress.py.
        now_ms: Time of the request that is carried out, of a monotonic clock.
    """

    __slots__ = (
        "connections",
        "dirty",
        "guests",
        "journal",
        "keep_orphans",
        "notices",
        "now_ms",
        "over_quota",
        "protection",
        "stalled",
        "store",
        "tracing",
    )

    def __init__(self, store: Store) -> None:
        self.store = store
        self.guests: Guests = NoGuests()
        self.journal: Journal = NoJournal()
        self.tracing = tracing.Tracing()
        self.keep_orphans = False
        self.connections: dict[int, Connection] = {}
        self.dirty: dict[int, Connection] = {}
        self.stalled: dict[int, Connection] = {}
        self.over_quota: dict[tuple[int, str], int] = {}
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
            connection.lost = True
            self.dirty[connection.id] = connection
        for key in [key for key in self.over_quota if key[0] == domid]:
            del self.over_quota[key]
        store = self.store
        domain = store.known(domid)
        if not domain.introduced:
            return store.forget(domid, keep_orphans=self.keep_orphans)
        self.guests.disconnect(domain)
        return store.release(domid, keep_orphans=self.keep_orphans)

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
        two of those may be about two domains.

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
            outbox = connection.outbox
            # Only a guest's events may be lost for not being read.
            queued_ms = -1 if connection.caller.privileged else self.now_ms
            if event.path[:1] == b"@":
                outbox.append(frame, tally, queued_ms)
            elif not outbox.append_event(frame, tally, queued_ms):
                continue
            if traced:
                self.notices.append(tracing.event(connection, frame))
            if outbox.size > UNSENT_MAX:
                self._cut_off(connection)
            self.dirty[connection.id] = connection

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
