"""What guests owe for much work, and how long they rest for it.

Nobody else is served while a guest's request is carried out. As long as most of the
time is others', it does not matter to them how large the largest commit may be. So what
a request was concerned with is owed, and worked off with time; who owes too much rests.
Guests that rest share the time that they leave to nobody: the more of them, the longer.
"""

from typing import Final

from xsd.engine import tracing
from xsd.engine.connection import Connection
from xsd.engine.core import Core
from xsd.engine.dispatch import answer
from xsd.protocol.frame import Frame
from xsd.store.events import ALL_EVENTS, EVENTS_MAX
from xsd.store.quota import EVENTS

WORK_FREE: Final = 64
"""Nodes and events that a guest's request may be concerned with and owe nothing."""

WORK_PER_MS: Final = 1
"""How many more of them a guest works off in a millisecond. They take some 4 us each:
all guests together keep others waiting for much work in about 1 % of the time."""

KEPT_PER_WORK: Final = 256
"""So many bytes of a guest's requests that are kept cost it as much as a node: of what
guests write in large values all the time, some 250 KB a second are to be kept."""

WORK_OWED: Final = 500
"""How many of them a guest may owe without a rest, so that usual ones need none."""

REST_MAX_MS: Final = 5000
"""The longest rest."""


def answer_guest(core: Core, connection: Connection, frame: Frame) -> None:
    """Answer a guest's request; after much work it has to rest."""
    usage = core.store.usage
    audience = core.store.audience
    before = usage.work
    taped = core.taped
    audience.most = EVENTS_MAX
    try:
        answer(core, connection, frame)
    finally:
        # Whatever has failed here: what dom0 does is told to all.
        audience.most = ALL_EVENTS
    if audience.lost:
        audience.lost = False
        _note_lost(core, connection, frame)
    work = max(usage.work - before - WORK_FREE, 0)
    if core.taped != taped and core.tape is not None and core.tape.is_scarce:
        work += (core.taped - taped) // KEPT_PER_WORK
    if work > 0:
        schedule = core.schedule
        now_ms = core.now_ms
        owed_ms = work * (1 + schedule.resting) // WORK_PER_MS
        owed_ms += max(connection.owes_until_ms - now_ms, 0)
        rest_ms = min(owed_ms - WORK_OWED // WORK_PER_MS, REST_MAX_MS)
        if rest_ms > 0:
            # From now on, and for so long once the work has ended.
            owed_ms = rest_ms + WORK_OWED // WORK_PER_MS
            connection.rests_until_ms = now_ms + REST_MAX_MS
            schedule.rested.append((connection, rest_ms))
        connection.owes_until_ms = now_ms + owed_ms


def _note_lost(core: Core, connection: Connection, frame: Frame) -> None:
    """Have logged that guests could not be told of all that a request has done."""
    fields = tracing.request_fields(connection, frame, with_path=True)
    fields["what"] = "events are lost"
    core.note_quota(connection.caller.domid, EVENTS, EVENTS_MAX, fields)
