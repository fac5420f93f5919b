"""The engine: bytes of a connection in, bytes for any connections out.

It has no socket, no clock and no thread. What comes in is queued; `Engine.turn` alone
carries it out, and decides who goes on and who has to wait. Between two turns the
transport reads what clients have written, and sends what waits for them.

What changes its state are its inputs, and nothing else; see inputs.py.
"""

from collections.abc import Iterable
from typing import Final, final

from xsd.engine import delivery, domains, held, memory, progress
from xsd.engine.connection import HIGH_WATER, Connection
from xsd.engine.consumer import Consumer
from xsd.engine.core import Core
from xsd.engine.dispatch import answer
from xsd.engine.guests import Guests
from xsd.engine.inputs import (
    CAME,
    DOMAINS,
    FOUND,
    LIMIT,
    ORPHANS,
    RESTARTED,
    WENT,
    Input,
    Tape,
)
from xsd.engine.logbook import Logbook
from xsd.engine.notice import Notice
from xsd.engine.plan import Updater
from xsd.engine.rests import answer_guest
from xsd.engine.schedule import DEAF, FEW, GO_ON, HELD, PROTECTION, REMARK, TURNS
from xsd.protocol.errors import XenStoreError
from xsd.protocol.frame import Frame
from xsd.store import Store
from xsd.store.quota import MEMORY, OUTSTANDING

TURN: Final = 64
"""Requests of all of dom0's connections together that are answered in one turn, about.
Who has few comes first, the others share what is left."""

GUEST_TURN: Final = 8
"""Requests of a guest that are answered before others' are."""

GUESTS_WORK: Final = 8
"""Requests of all guests that are answered in one turn, and nodes and events that
they are concerned with beside, about. Nobody else is served meanwhile."""


@final
class Engine:
    """Serves connections from one store.

    Attributes:
        store: What is served.
        core: What its parts work on.
    """

    __slots__ = ("_guests_waited", "core", "store")

    def __init__(self, store: Store) -> None:
        self.store = store
        self.core = Core(store)
        # Dom0 was served in the last turn, and guests were not.
        self._guests_waited = False

    # What it works with.

    def attach(self, guests: Guests) -> None:
        """Have other domains served, and learn from their hypervisor who exists."""
        self.core.outside.guests = guests

    def keep_log(self, logbook: Logbook) -> None:
        """Have operators change where the log goes, and write reports."""
        self.core.logbook = logbook

    def update_by(self, updater: Updater) -> None:
        """Have operators replace the process by another."""
        self.core.updater = updater

    def trace(
        self, switches: Iterable[str] | None = None, *, on: bool | None = None
    ) -> None:
        """Have things traced, as CONTROL log does.

        Args:
            switches: Some of `tracing.SWITCHES`: what is traced; None leaves that.
            on: Whether it is already, or once it is switched on; None leaves that.
        """
        state = self.core.tracing
        switches = state.switches if switches is None else switches
        on = state.on if on is None else on
        self.core.set_tracing(on=on, switches=set(switches))

    def expire_events_after(self, timeout_ms: int) -> None:
        """Drop events that guests have not begun to fetch after so long; 0: never."""
        core = self.core
        core.event_timeout_ms = timeout_ms
        if timeout_ms:
            for connection in core.connections.values():
                memory.expire_later(core, connection)

    def add_consumer(self, consumer: Consumer) -> None:
        """Have somebody told of all changes of the store from now on."""
        self.core.add_consumer(consumer)

    def remove_consumer(self, consumer: Consumer) -> None:
        """Tell somebody no longer."""
        self.core.remove_consumer(consumer)

    @property
    def tape(self) -> Tape | None:
        """What the inputs are handed to; set it before the first of them."""
        return self.core.tape

    @tape.setter
    def tape(self, tape: Tape | None) -> None:
        self.core.tape = tape

    # Inputs, beside requests.

    def connect(self, domid: int, *, is_kernel: bool = False) -> Connection:
        """A new client, or our own kernel; its domain is made known if need be."""
        core = self.core
        connection = core.connect(self.store.know(domid).caller)
        connection.is_kernel = is_kernel
        core.record(CAME, connection=connection.id, domid=domid, is_kernel=is_kernel)
        return connection

    def disconnect(self, connection: Connection) -> None:
        """A client is gone: its watches and open transactions go with it."""
        core = self.core
        if connection.id not in core.connections:
            return
        core.drop(connection)
        core.record(WENT, connection=connection.id)
        core.trace_accounts()

    def abandon(self) -> None:
        """The process ends: have clients go without taking apart what they have."""
        self.core.abandoned = True

    def restart(self, connection: Connection) -> None:
        """Forget all that is under way with a client; it begins anew."""
        if connection.id in self.core.connections:
            self.core.restart(connection)
            self.core.record(RESTARTED, connection=connection.id)

    def domains_changed(self, ended: list[int], stopped: list[int]) -> None:
        """Domains have come to an end or shut down.

        Args:
            ended: Known domains that are dying or gone.
            stopped: Introduced domains that have newly shut down.
        """
        core = self.core
        store = self.store
        if not ended and not stopped:
            return
        store.cause = None
        domains.changed(core, ended, stopped)
        generation, answers = store.generation, core.outside.take()
        numbers = (len(stopped), *stopped, *ended)
        self._finish(Input(DOMAINS, generation, numbers=numbers, answers=answers))
        core.trace_accounts()

    def introduce_waiting(self, domid: int) -> XenStoreError | None:
        """Introduce a domain of which no toolstack tells, if it can be connected.

        Returns:
            Why it cannot.
        """
        core = self.core
        known = self.store.domains.get(domid)
        if known is not None and known.introduced:
            return None
        self.store.cause = None
        refused = domains.find(core, domid)
        core.record(FOUND, domid=domid)
        return refused

    def set_limit(self, domid: int, name: str, value: int) -> None:
        """Set a quota, hard or soft.

        Args:
            domid: The domain, or -1 for all that have no limit of their own.
            name: Its name, as GET_QUOTA tells it.
            value: The limit; 0 is none.

        Raises:
            XenStoreError: EINVAL for an unknown name.
        """
        self.core.set_limit(domid, name, value)
        generation = self.store.generation
        entry = Input(LIMIT, generation, domid=domid, name=name, numbers=(value,))
        self._finish(entry)

    def keep_orphans(self, *, keep: bool) -> None:
        """Say whether the nodes of domains that end are left to dom0."""
        self.core.keep_orphans = keep
        self._finish(Input(ORPHANS, self.store.generation, numbers=(int(keep),)))

    # Requests come in.

    def feed(self, connection: Connection, data: bytes) -> None:
        """Take bytes from a client; the requests that they complete wait for a turn.

        Args:
            connection: Whom they came from.
            data: Any number of bytes, cut anywhere.
        """
        if connection.closing or connection.lost:
            return
        decoder = connection.decoder
        frames = decoder.feed(data)
        if frames:
            if connection.backlog:
                connection.backlog.extend(frames)
            else:
                connection.backlog = frames
                if not connection.queued:
                    self.core.schedule.queue(connection)
        if decoder.error is not None and not connection.backlog:
            self._break_off(connection)

    def end_input(self, connection: Connection) -> None:
        """A client writes no more, but may still wait for replies."""
        connection.closing = True
        if not connection.backlog:
            self.core.touch(connection)

    def sent(self, connection: Connection, count: int) -> None:
        """So many bytes of what a connection's outbox shows have been taken."""
        connection.outbox.sent(count)
        connection.has_read = True
        if connection.awaits_reading:
            connection.awaits_reading = False
            self.core.schedule.queue(connection)

    # Turns.

    @property
    def busy(self) -> bool:
        """Whether there is something to carry out at once."""
        return self.core.schedule.busy

    @property
    def next_ms(self) -> int:
        """When `turn` has to be called in any case, on its clock; 0 for never."""
        return self.core.schedule.next_ms

    def tell_time(self, now_ms: int) -> None:
        """Say what time it is, for events that come of no request."""
        self.core.now_ms = now_ms

    def turn(self, now_ms: int) -> None:
        """Carry out what is due, as much as may be done at a time.

        Afterwards `take_dirty` tells whose links have to do something, and `busy`
        whether there is more to carry out.

        Args:
            now_ms: Time of a monotonic clock in milliseconds.
        """
        core = self.core
        schedule = core.schedule
        core.now_ms = now_ms
        try:
            if schedule.fallen or schedule.rested:
                self._wake(now_ms)
            if schedule.times and schedule.times[0][0] <= now_ms:
                self._do_what_is_due(now_ms)
            done = 0
            if schedule.privileged:
                done = self._serve_queue(schedule.privileged, FEW, TURN)
            if schedule.with_many:
                turn = TURN - done
                share = max(turn // len(schedule.with_many), FEW)
                done += self._serve_queue(schedule.with_many, share, turn)
            if schedule.guests:
                # What dom0 was answered is sent first; then it is at last their turn.
                self._guests_waited = done > 0 and not self._guests_waited
                if not self._guests_waited:
                    self._serve_guests()
        finally:
            # Whatever has failed: what was answered until then is sent.
            if core.tape is not None:
                core.tape.end_turn()

    def take_dirty(self) -> list[Connection]:
        """Connections whose links have something to do; see `Link.update`."""
        core = self.core
        dirty = core.dirty
        if not dirty:
            return dirty
        core.dirty = []
        for connection in dirty:
            connection.dirty = False
        return dirty

    def take_notices(self) -> list[Notice]:
        """What the log should say since the last call."""
        notices = self.core.notices
        if notices:
            self.core.notices = []
        return notices

    @property
    def connections(self) -> list[Connection]:
        """Every connection, the oldest first."""
        return list(self.core.connections.values())

    def _wake(self, now_ms: int) -> None:
        """Queue whom an event concerns, and set the ends of rests."""
        core = self.core
        schedule = core.schedule
        for tally in schedule.fallen:
            waiting = core.connections.get(tally.connection)
            if waiting is not None:
                schedule.queue(waiting)
        schedule.fallen.clear()
        for connection, rest_ms in schedule.rested:
            connection.rests_until_ms = now_ms + rest_ms
            schedule.at(connection.rests_until_ms, GO_ON, connection.id)
        schedule.resting += len(schedule.rested)
        schedule.rested.clear()

    def _do_what_is_due(self, now_ms: int) -> None:
        core = self.core
        while True:
            due = core.schedule.due(now_ms)
            if due is None:
                return
            due_ms, what, number = due
            try:
                self._do(due_ms, what, number)
            except Exception as error:  # noqa: BLE001  others' times must not end
                core.note_defect("timer.failed", error)

    def _do(self, due_ms: int, what: int, number: int) -> None:
        """Do one thing that is due; see schedule.py."""
        core = self.core
        if what == REMARK:
            memory.look(core)
            return
        if what == PROTECTION:
            progress.timed_out(core, number)
            return
        if what == TURNS:
            core.contests.look(due_ms, core.now_ms)
            return
        connection = core.connections.get(number)
        if what == GO_ON:
            core.schedule.resting -= 1
            if connection is not None:
                core.schedule.queue(connection)
        elif connection is not None and what == DEAF:
            delivery.look(core, connection)
        elif connection is not None and what == HELD:
            held.look(core, connection)
        elif connection is not None:
            memory.expire(core, connection, due_ms)

    def _serve_queue(self, waiting: list[Connection], share: int, most: int) -> int:
        """Serve those of dom0 in a queue, until enough requests are answered.

        Args:
            waiting: The queue.
            share: How many of each may be answered.
            most: How many of all, about.

        Returns:
            How many were.
        """
        served = done = 0
        try:
            # Whoever is queued meanwhile is so behind these, for the next turn.
            for connection in waiting[:]:
                served += 1
                try:
                    done += self._serve(connection, share)
                except Exception as error:  # noqa: BLE001  the others must not suffer
                    self._give_up(connection, error)
                if done >= most:
                    break
        finally:
            del waiting[:served]
        return done

    def _serve_guests(self) -> None:
        """Serve guests in turn until they have asked for enough work together."""
        guests = self.core.schedule.guests
        usage = self.store.usage
        before = usage.work
        done = 0
        for _ in range(len(guests)):
            connection = guests.popleft()
            try:
                done += self._serve(connection, GUEST_TURN)
            except Exception as error:  # noqa: BLE001  the others must not suffer
                self._give_up(connection, error)
            if done + usage.work - before >= GUESTS_WORK:
                return

    def _serve(self, connection: Connection, turn: int) -> int:  # noqa: C901
        """Answer requests of one connection, up to a turn's worth.

        Returns:
            How many.
        """
        connection.queued = False
        core = self.core
        frames = connection.backlog
        outbox = connection.outbox
        is_guest = not connection.caller.privileged
        done = 0
        for frame in frames:
            if connection.lost:
                break
            if done == turn:
                core.schedule.queue(connection)
                break
            if outbox.size > HIGH_WATER:
                connection.awaits_reading = True
                break
            if is_guest and self._wait_if_needed(connection, frame):
                break
            if (
                core.protection is not None or core.contests.nodes or core.plan
            ) and progress.wait_if_needed(core, connection, frame):
                break
            if is_guest:
                answer_guest(core, connection, frame)
            else:
                answer(core, connection, frame)
            connection.waited_for = 0
            done += 1
        if done < len(frames):
            del frames[:done]
        elif connection.backlog is frames:
            # Else the connection has begun anew meanwhile.
            connection.backlog = []
            # Its link will look at it for the replies, and read again if it paused.
            if connection.decoder.error is not None:
                self._break_off(connection)
        if done and (is_guest or not core.remarking):
            memory.note_requests(core, connection)
        return done

    def _wait_if_needed(self, connection: Connection, frame: Frame) -> bool:
        """Have a guest wait for others, or for its own reading, if it must.

        That is while it rests, while as much is under way because of it as may be, and
        at its quota of memory until it has read what waits. What else it has there
        only its own requests can make less.
        """
        if connection.rests_until_ms > self.core.now_ms:
            return True
        domid = connection.caller.domid
        quotas = self.store.quotas
        tally = connection.tally
        if 0 < quotas.limit(domid, OUTSTANDING) <= tally.count:
            tally.waiting = True
            held.note(self.core, connection, frame)
            return True
        if connection.outbox.size:
            limit = quotas.limit(domid, MEMORY)
            if 0 < limit <= self.store.usage.memory_of(domid):
                connection.awaits_reading = True
                held.note(self.core, connection, frame)
                return True
        return False

    def _give_up(self, connection: Connection, error: Exception) -> None:
        """End a connection that cannot be served for a defect of ours."""
        self.core.lose(connection)
        self.core.note_defect("connection.failed", error)

    def _break_off(self, connection: Connection) -> None:
        """Read nothing more: the stream of requests makes no sense any longer."""
        if not connection.closing:
            connection.closing = True
            self.core.touch(connection)
            fields: dict[str, object] = {
                "connection": connection.id,
                "domid": connection.caller.domid,
                "what": str(connection.decoder.error),
            }
            self.core.notices.append(Notice("warning", "connection.broken", fields))

    def _finish(self, entry: Input) -> None:
        """Hand an input to the tape, and its changes to whoever asks."""
        core = self.core
        if core.tape is not None:
            core.tape.take(entry)
        core.publish()
