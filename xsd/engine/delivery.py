"""Events on their way to those who watch, and who does not read them.

Who reads is never cut off, however much one commit tells it: only who has not taken
a byte for some time, with too much waiting. What guests cause is held back by their
own quota ``outstanding`` meanwhile.
"""

from typing import Final, final

from xsd.engine import tracing
from xsd.engine.connection import Connection
from xsd.engine.core import Core
from xsd.engine.notice import Notice
from xsd.engine.outbox import Outbox, Tally
from xsd.engine.schedule import DEAF, EXPIRE
from xsd.protocol.limits import HEADER_SIZE, PAYLOAD_MAX
from xsd.protocol.path import format_path
from xsd.protocol.reply import encode_event, event_start
from xsd.store import Event
from xsd.store.quota import MEMORY
from xsd.store.usage import MESSAGE_BYTES

UNSENT_MAX: Final = 16 * 1024 * 1024
"""Bytes that wait for a client, from which on it is looked at whether it reads. Each
event counts as its bytes and MESSAGE_BYTES, which is more than is kept of it."""

DEAF_MS: Final = 20_000
"""How long it must not have taken a byte to be cut off then, in milliseconds.

As long as that events count for the guests that caused them, though fewer wait."""

TOKEN_SHORT: Final = 192
"""Bytes of a token of which each event that waits may have a copy of its own. A longer
one is shared once many wait: for a client that does not read they are very many."""

MANY_WAIT: Final = 64
"""Events that are many."""

FEW_TOLD: Final = 32
"""Events of one request up to which a connection is kept their paths as texts. One
of more shares the way to all of them."""


def deliver(core: Core, events: list[Event], cause: Connection | None = None) -> None:
    """Queue events on the connections they are for.

    One that is too long to be sent is dropped (XSA-324), and so is one that
    equals another which still waits; but not of the names with ``@``, since
    two of those may be about two domains. One for a guest that has no memory
    left is dropped, too (XSA-326).

    Args:
        core: The engine's state.
        events: In order.
        cause: Whose request caused them. What a guest causes others counts as
            under way for it until they have read it (XSA-326).
    """
    if not events:
        return
    tally = None
    if cause is not None and not cause.caller.privileged:
        tally = cause.tally
    place = events[0].place
    if place is not events[-1].place or not isinstance(place, bytes):
        _write_out(events)
    writer = _Writer()
    number = 0
    connection: Connection | None = None
    for event in events:
        if event.watch.connection != number:
            number = event.watch.connection
            connection = core.connections.get(number)
        if connection is None or connection.lost:
            continue
        try:
            if event.size <= PAYLOAD_MAX:
                frame = writer.frame(event) if _is_short(event, connection) else None
                _tell(core, connection, event, frame, tally)
        except Exception as error:  # noqa: BLE001  it has happened; tell the others
            core.note_defect("event.failed", error)


@final
class _Writer:
    """Makes the bytes of events: most are of one path, with tokens of one length."""

    __slots__ = ("_cut", "_path", "_size", "_start")

    def __init__(self) -> None:
        self._path: bytes | None = None
        self._cut = 0
        self._size = 0
        self._start = b""

    def frame(self, event: Event) -> bytes | None:
        """The bytes of an event; None if it shares a trail."""
        place = event.place
        if not isinstance(place, bytes):
            return None
        watch = event.watch
        cut = watch.cut
        size = len(place) - cut + len(watch.token) + 2
        if place is not self._path or cut != self._cut or size != self._size:
            self._path = place
            self._cut = cut
            self._size = size
            self._start = event_start(place[cut:] if cut else place, size)
        return self._start + watch.token + b"\0"


def retell(core: Core, connection: Connection) -> None:
    """Tell each of a client's watches once, as though it had just been set.

    For events that may have been lost with a process: who is told looks for himself.

    Args:
        core: The engine's state; it has been told the time.
        connection: The client.
    """
    watches = connection.watches.values()
    deliver(core, [Event(watch, format_path(watch.path)) for watch in watches])


def _write_out(events: list[Event]) -> None:
    """Have those wait as texts that would hold a long way for themselves."""
    counts: dict[int, int] = {}
    if len(events) > FEW_TOLD:
        for event in events:
            number = event.watch.connection
            counts[number] = counts.get(number, 0) + 1
    last: object = None
    text = b""
    for event in events:
        place = event.place
        if isinstance(place, bytes) or counts.get(event.watch.connection, 0) > FEW_TOLD:
            continue
        if place is not last:
            last = place
            text = place.text()
        event.place = text


def _tell(
    core: Core,
    connection: Connection,
    event: Event,
    frame: bytes | None,
    tally: Tally | None,
) -> None:
    """Queue one event, if that is necessary and there is room."""
    outbox = connection.outbox
    if outbox.waiting and not _is_special(event) and outbox.holds(event, frame):
        return
    if connection.caller.privileged:
        outbox.tell(event, frame, tally)
        is_owed = tally is not None
    elif _has_room(core, connection, event):
        outbox.tell(event, frame, tally, core.now_ms)
        is_owed = False
    else:
        return
    if connection.mark is not None:
        connection.mark.owe()
    if not connection.is_watched and (is_owed or _is_too_much(outbox)):
        _look_later(core, connection)
    if core.tracing.io:
        told = encode_event(event.shown, event.watch.token)
        if told is not None:
            core.notices.append(tracing.event(connection, told))
    if not connection.dirty:
        core.touch(connection)


def _is_short(event: Event, connection: Connection) -> bool:
    """Tell whether an event may wait as its bytes."""
    token = event.watch.token
    return len(token) <= TOKEN_SHORT or connection.outbox.waiting < MANY_WAIT


def _is_special(event: Event) -> bool:
    """Tell whether it is of a name with ``@``: those never merge."""
    place = event.place
    return isinstance(place, bytes) and place[:1] == b"@"


def _has_room(core: Core, connection: Connection, event: Event) -> bool:
    """Tell whether a guest has room for an event; the first one lost is told."""
    # Only a guest's events may be lost for not being read.
    if core.event_timeout_ms and not connection.expires_ms:
        due_ms = core.now_ms + core.event_timeout_ms
        connection.expires_ms = due_ms
        core.schedule.at(due_ms, EXPIRE, connection.id)
    domid = connection.caller.domid
    limit = core.store.quotas.limit(domid, MEMORY)
    more = HEADER_SIZE + event.size + MESSAGE_BYTES
    if limit == 0 or core.store.usage.memory_of(domid) + more <= limit:
        return True
    fields: dict[str, object] = {
        "connection": connection.id,
        "domid": domid,
        "what": "events are lost",
    }
    if core.note_quota(domid, MEMORY, limit, fields):
        fields["path"] = event.shown[: tracing.PATH_SHOWN]
    return False


def look(core: Core, connection: Connection) -> None:
    """See to a connection that may not be read from.

    If nothing was taken from it since this was set, it is cut off if too much waits;
    and else who caused what waits need not wait for it any longer. Our own kernel
    is not cut off: guests wait for it then.
    """
    connection.is_watched = False
    outbox = connection.outbox
    if connection.lost or not outbox.size:
        return
    if connection.has_read:
        _look_later(core, connection)
    elif not _is_too_much(outbox):
        outbox.forgive()
    elif not connection.is_kernel:
        core.lose(connection)
        fields: dict[str, object] = {
            "connection": connection.id,
            "domid": connection.caller.domid,
            "unsent_bytes": outbox.size,
        }
        core.notices.append(Notice("warning", "connection.too_slow", fields))


def _is_too_much(outbox: Outbox) -> bool:
    """Tell whether more waits for a client than may for one that does not read."""
    return outbox.size + MESSAGE_BYTES * outbox.waiting > UNSENT_MAX


def _look_later(core: Core, connection: Connection) -> None:
    """Find out whether some of its output is taken from now on."""
    connection.is_watched = True
    connection.has_read = False
    core.schedule.at(core.now_ms + DEAF_MS, DEAF, connection.id)
