"""What requests work on: the store, and who is connected."""

from typing import Final, final

from xsd.engine import tracing
from xsd.engine.connection import Connection
from xsd.engine.consumer import Consumer
from xsd.engine.contest import TURN_MS, Contests, charge
from xsd.engine.copies import Copies, NoCopies
from xsd.engine.guests import NoGuests
from xsd.engine.inputs import REQUEST, Input, Tape
from xsd.engine.logbook import Logbook, NoLogbook
from xsd.engine.notice import Notice
from xsd.engine.outside import Outside
from xsd.engine.plan import NoUpdater, Plan, Updater
from xsd.engine.protection import PROTECT_MS, Protection, Starved
from xsd.engine.schedule import PROTECTION, Schedule
from xsd.protocol.frame import Frame
from xsd.protocol.ops import FEATURES
from xsd.protocol.path import Path, parse_path
from xsd.protocol.perms import Caller
from xsd.protocol.request import one_string
from xsd.store import Event, Store, Transaction
from xsd.store.node import shared
from xsd.store.quota import PATH_MAX
from xsd.store.usage import LEVELS_PER_WORK

_KEPT_MAX: Final = 4096
_KEPT_SIZE: Final = 200
"""Paths of dom0's requests that are kept, and their bytes."""


_NOBODY: Final[list[Connection]] = []

QUOTA_EVERY_MS: Final = 600_000
"""How often it is logged that a domain's requests of one kind are refused for one
quota, in milliseconds."""


@final
class OverQuota:
    """How a domain's requests of one kind have fared with one of its quotas.

    Attributes:
        count: Refusals so far.
        told_ms: When one was logged.
    """

    __slots__ = ("count", "told_ms")

    def __init__(self) -> None:
        self.count = 0
        self.told_ms = 0


@final
class Core:
    """The state that handlers work on.

    Attributes:
        store: The store.
        outside: The channels of other domains, and who exists.
        logbook: The log.
        updater: Carries live updates out.
        copies: Those of the state that clients have asked for.
        brought: What clients have brought so far of a domain's, by connection.
        plan: The one that is asked for, or None.
        asked_again: Who has asked for the update, which oxenstored does not tell, will
            ask again.
        deferred: Headers of requests that are answered later, by connection.
        tracing: What is traced.
        consumers: Who is told of changes of the store beside those who watch.
        tape: Is handed what changes the state, or None.
        taped: Bytes of the requests that it was handed.
        keep_orphans: Leave the nodes of domains that end to dom0.
        event_timeout_ms: How long an event may wait for a guest; 0 is for ever.
        connections: Every connection by its number.
        last: Number of the newest connection.
        dirty: Those that have something new for their links.
        schedule: Whose turn it is, and who waits.
        over_soft: The domains over their soft quota of memory, as far as told.
        remarked_ms: When that was told of a domain, or the opposite.
        remarking: Whether a time is set at which it is looked at again.
        over_quota: Who was refused for a quota, by domain, quota and kind of request.
        notices: What the log should say, in order.
        protection: The transaction that others have to wait for; see progress.py.
        protections: How many there have been.
        starved: Who waits to have one of their own protected.
        contests: The nodes that transactions take turns at; see turns.py.
        now_ms: Time of the turn, of a monotonic clock.
        transaction_id: The transaction of the request that is carried out, 0 for none.
        after_reply: An event that is due after the reply to it.
        abandoned: Nobody will ask for the store any more.
    """

    __slots__ = (
        "_change_trace",
        "_guests",
        "_paths",
        "abandoned",
        "after_reply",
        "asked_again",
        "brought",
        "connections",
        "consumers",
        "contests",
        "copies",
        "deferred",
        "dirty",
        "event_timeout_ms",
        "keep_orphans",
        "last",
        "logbook",
        "notices",
        "now_ms",
        "outside",
        "over_quota",
        "over_soft",
        "plan",
        "protection",
        "protections",
        "remarked_ms",
        "remarking",
        "schedule",
        "starved",
        "store",
        "tape",
        "taped",
        "tracing",
        "transaction_id",
        "updater",
    )

    def __init__(self, store: Store) -> None:
        self.store = store
        self.outside = Outside(NoGuests())
        store.domains.census = self.outside
        self.logbook: Logbook = NoLogbook()
        self.updater: Updater = NoUpdater()
        self.plan: Plan | None = None
        self.copies: Copies = NoCopies()
        self.asked_again = False
        self.brought: dict[int, bytes] = {}
        self.deferred: dict[int, bytes] = {}
        self.tracing = tracing.Tracing()
        self.consumers: list[Consumer] = []
        self._change_trace = tracing.ChangeTrace()
        self.tape: Tape | None = None
        self.taped = 0
        self.keep_orphans = False
        self.event_timeout_ms = 0
        self.connections: dict[int, Connection] = {}
        self._guests: dict[int, list[Connection]] = {}
        self._paths: dict[bytes, Path] = {}
        self.last = 0
        self.dirty: list[Connection] = []
        self.schedule = Schedule()
        self.contests = Contests(self.schedule)
        self.over_quota: dict[tuple[int, str, str], OverQuota] = {}
        self.over_soft: set[int] = set()
        self.remarked_ms: dict[int, int] = {}
        self.remarking = False
        self.notices: list[Notice] = []
        self.protection: Protection | None = None
        self.protections = 0
        self.starved = Starved(self.schedule)
        self.transaction_id = 0
        self.after_reply: Event | None = None
        self.now_ms = 0
        self.abandoned = False

    # Connections.

    def connect(self, caller: Caller) -> Connection:
        """Make the connection of a new client."""
        connection = self.make(caller)
        if self.tracing.obj:
            self.notices.append(tracing.about("obj.connected", connection))
        return connection

    def make(self, caller: Caller) -> Connection:
        """Make a connection that is not told of yet."""
        self.last += 1
        schedule = self.schedule
        connection = Connection(self.last, caller, self.store.usage, schedule.fallen)
        self.connections[connection.id] = connection
        if not caller.privileged:
            self._guests.setdefault(caller.domid, []).append(connection)
        return connection

    def unmake(self, connection: Connection) -> None:
        """Take out the newest connection, as though it had never been."""
        self.last -= 1
        self._take_out(connection)

    def drop(self, connection: Connection) -> None:
        """Take a connection out, with all that it has."""
        self._take_out(connection)
        if not self.abandoned:
            self.forget(connection)
        connection.outbox.clear()
        if self.tracing.obj:
            self.notices.append(tracing.about("obj.disconnected", connection))

    def restart(self, connection: Connection) -> None:
        """Forget all that is under way with a client; it begins anew."""
        self.forget(connection)
        connection.restart()
        if connection.paused:
            self.touch(connection)

    def touch(self, connection: Connection) -> None:
        """Have a connection's link look at it after this turn."""
        if not connection.dirty:
            connection.dirty = True
            self.dirty.append(connection)

    def lose(self, connection: Connection) -> None:
        """End a connection at once."""
        connection.lost = True
        self.touch(connection)

    def record(
        self, kind: int, *, connection: int = 0, domid: int = 0, is_kernel: bool = False
    ) -> None:
        """Hand an input that names no more than these to the tape."""
        answers = self.outside.take()
        tape = self.tape
        if tape is not None:
            generation = self.store.generation
            entry = Input(kind, generation, connection, domid, answers=answers)
            if is_kernel:
                entry.numbers = (1,)
            tape.take(entry)

    def record_request(self, connection: Connection, frame: Frame) -> None:
        """Hand a request that has changed something to the tape."""
        tape = self.tape
        if tape is None:
            return
        self.taped += len(frame.payload)
        number, domid = connection.id, connection.caller.domid
        ordinal, generation = connection.served, self.store.clock.now
        if self.outside.answers:
            entry = Input(REQUEST, generation, number, domid, frame, ordinal=ordinal)
            entry.answers = self.outside.take()
            tape.take(entry)
        else:
            tape.take_request(number, domid, ordinal, generation, frame)

    def path(
        self, connection: Connection, raw: bytes, *, special: bool = False
    ) -> Path:
        """The path that a client means; the length counts for guests only."""
        caller = connection.caller
        if not caller.privileged:
            domid = caller.domid
            limit = self.store.quotas.limit(domid, PATH_MAX)
            self.store.saw_path(domid, len(raw))
            named = parse_path(raw, connection.home, special=special, limit=limit)
            # It is gone along a few times.
            self.store.usage.work += len(named) // LEVELS_PER_WORK
            return named
        path = self._paths.get(raw)
        if path is None:
            path = parse_path(raw, connection.home, special=special)
            # Names that are the nodes' own are found without a look at their bytes.
            path = tuple([shared(name) for name in path])
            self._keep(raw, path)
        return path

    def only_path(
        self, connection: Connection, payload: bytes, *, special: bool = False
    ) -> Path:
        """The path that a client means by a payload that is nothing else."""
        # Nothing that is kept for `path` has a NUL.
        is_kept = connection.caller.privileged and payload.endswith(b"\0")
        if is_kept:
            path = self._paths.get(payload)
            if path is not None:
                return path
        path = self.path(connection, one_string(payload), special=special)
        if is_kept:
            self._keep(payload, path)
        return path

    def _keep(self, text: bytes, path: Path) -> None:
        """Keep what a text of dom0's means, with its NUL or without."""
        # What is a path for some requests only is not kept.
        if text[:1] == b"/" and len(text) <= _KEPT_SIZE:
            paths = self._paths
            if len(paths) == _KEPT_MAX:
                paths.clear()
            paths[text] = path

    def features(self, connection: Connection) -> int:
        """Server features that are offered to a client."""
        domain = self.store.domains.get(connection.caller.domid)
        return FEATURES if domain is None else domain.features

    def forget(self, connection: Connection) -> None:
        """Drop a connection's watches, transactions, turns and protection."""
        if self.tracing.obj:
            self._trace_forgotten(connection)
        for watch in connection.watches.values():
            self.store.unwatch(watch)
        connection.watches.clear()
        self.contests.forget(connection)
        self.starved.forget(connection)
        for transaction in connection.transactions.values():
            self.store.abort(transaction)
            self.contests.leave(transaction, self.now_ms)
        connection.transactions.clear()
        protection = self.protection
        if protection is not None and protection.connection is connection:
            self.end_protection(protection)
        # Or one could be protected after the other without ever committing.
        connection.conflicts = 0
        connection.conflicted = None

    def end_protection(self, protection: Protection) -> None:
        """Let those go on who wait for a transaction, and protect the next one."""
        self.protection = None
        charge(protection.connection, protection.awaited_ms, self.now_ms)
        for connection in protection.waiting.values():
            self.schedule.queue(connection)
        protection.waiting = {}
        if self.tracing.wrl:
            self.notices.append(tracing.about("wrl.over", protection.connection))
        starved = self.starved.next(self.now_ms)
        if starved is not None:
            self.protect(starved, None)

    def protect(self, connection: Connection, transaction: Transaction | None) -> None:
        """Protect a client's transaction, which it may still have to begin."""
        self.protections += 1
        number = self.protections
        protection = Protection(
            number, connection, transaction, connection.conflicted, self.now_ms
        )
        connection.conflicted = None
        privileged = connection.caller.privileged
        protection.until_ms += PROTECT_MS if privileged else TURN_MS
        self.protection = protection
        self.schedule.at(protection.until_ms, PROTECTION, number)
        if self.tracing.wrl:
            more: dict[str, object] = {"conflicts": connection.conflicts}
            self.notices.append(tracing.about("wrl.protected", connection, more))

    def connections_of(self, domid: int) -> list[Connection]:
        """The connections of a domain itself; dom0's sockets are not meant."""
        return list(self._guests.get(domid, _NOBODY))

    def set_limit(self, domid: int, name: str, value: int) -> None:
        """Set a quota; those whom the old one held up look at the new one.

        Raises:
            XenStoreError: EINVAL for an unknown name.
        """
        self.store.set_quota(domid, name, value)
        for guests in self._guests.values():
            for connection in guests:
                if connection.backlog:
                    self.schedule.queue(connection)

    def note_quota(
        self, domid: int, quota: str, limit: int, fields: dict[str, object]
    ) -> bool:
        """Have the first refusal for each quota of a domain logged, and later some.

        Who runs into a quota does so again and again, and an operator needs to know
        it: guests that fail for a quota in silence are hard to find. Requests of one
        kind do not hide that another one is refused, too, nor do lost events.

        Args:
            domid: Whose quota it is.
            quota: Its name.
            limit: Its value.
            fields: What else is known; `request` is what was refused.

        Returns:
            Whether it is logged.
        """
        request = fields.get("request")
        key = (domid, quota, request if isinstance(request, str) else "")
        over = self.over_quota.get(key)
        if over is None:
            over = self.over_quota[key] = OverQuota()
        over.count += 1
        if over.count > 1 and self.now_ms < over.told_ms + QUOTA_EVERY_MS:
            return False
        over.told_ms = self.now_ms
        fields["quota"] = quota
        fields["limit"] = limit
        fields["count"] = over.count
        self.notices.append(Notice("warning", "quota.exceeded", fields))
        return True

    def trace_accounts(self) -> None:
        """Have logged what domains use more or less of, if that is traced."""
        if self.tracing.acc:
            self.notices.extend(self.tracing.accounts(self.store))

    def _take_out(self, connection: Connection) -> None:
        """Have a connection found nowhere any more."""
        del self.connections[connection.id]
        self.deferred.pop(connection.id, None)
        self.copies.drop(connection.id)
        self.brought.pop(connection.id, None)
        if self.plan is not None and self.plan.connection == connection.id:
            # Nobody is there any more who wants the update.
            self.end_plan()
            self.updater.cancel()
        if connection.dirty:
            # Its link has nothing to do any more.
            connection.dirty = False
            self.dirty.remove(connection)
        if not connection.caller.privileged:
            domid = connection.caller.domid
            left = self._guests[domid]
            left.remove(connection)
            if not left:
                del self._guests[domid]
        connection.closing = connection.lost = True
        connection.backlog = []

    def end_plan(self) -> None:
        """There is no update; who has waited for it goes on."""
        plan = self.plan
        self.plan = None
        if plan is not None:
            for number in plan.held:
                connection = self.connections.get(number)
                if connection is not None:
                    self.schedule.queue(connection)

    def _trace_forgotten(self, connection: Connection) -> None:
        for watch in connection.watches.values():
            self.notices.append(tracing.watch("obj.watch_removed", connection, watch))
        for number in connection.transactions:
            more: dict[str, object] = {"transaction": number, "commit": False}
            self.notices.append(
                tracing.about("obj.transaction_ended", connection, more)
            )

    def add_consumer(self, consumer: Consumer) -> None:
        """Have somebody told of all changes of the store from now on."""
        self.consumers.append(consumer)
        self.store.listening = True

    def remove_consumer(self, consumer: Consumer) -> None:
        """Tell somebody no longer."""
        self.consumers.remove(consumer)
        self.store.listening = bool(self.consumers)

    def publish(self) -> None:
        """Hand what an input has changed in the store to whoever asks."""
        store = self.store
        if store.defects:
            # What failed after the input had happened, as the derivation of events.
            for defect in store.defects:
                self.note_defect("events.failed", defect)
            store.defects = []
        changes = store.take_news()
        if not changes:
            return
        for consumer in list(self.consumers):
            try:
                consumer.take(changes)
            except Exception as error:  # noqa: BLE001  the request has happened
                self.note_defect("changes.not_taken", error)
        self.notices.extend(self._change_trace.take_notices())

    def set_tracing(self, *, on: bool, switches: set[str]) -> None:
        """Trace from now on.

        Args:
            on: Whether anything is traced.
            switches: Names of what is.
        """
        before = self.tracing.tdb
        self.tracing.set(self.store, on=on, switches=switches)
        if self.tracing.tdb and not before:
            self.add_consumer(self._change_trace)
        elif before and not self.tracing.tdb:
            self.remove_consumer(self._change_trace)

    def note_defect(self, event: str, error: BaseException) -> None:
        """Have a defect of ours logged with its trace."""
        self.notices.append(Notice("error", event, {}, error))
