"""Guests that are held up by a quota: none of their requests is refused for it.

That is normal for moments: they wait until what they have caused is read. The log is
told of who waits with one and the same request for longer.
"""

from typing import Final

from xsd.engine import tracing
from xsd.engine.connection import Connection
from xsd.engine.core import Core
from xsd.engine.schedule import HELD
from xsd.protocol.frame import Frame
from xsd.store.quota import MEMORY, OUTSTANDING

HELD_MS: Final = 1000
"""How long a guest is held up before that is told, in milliseconds."""


def note(core: Core, connection: Connection, frame: Frame) -> None:
    """Have it looked after a guest that must not be answered this request yet."""
    if connection.held is None:
        connection.held = frame
        core.schedule.at(core.now_ms + HELD_MS, HELD, connection.id)


def look(core: Core, connection: Connection) -> None:
    """Tell of a guest that still waits with the same request."""
    frame = connection.held
    connection.held = None
    backlog = connection.backlog
    if frame is None or connection.lost or not backlog or backlog[0] is not frame:
        return
    if connection.tally.waiting:
        quota = OUTSTANDING
        reason = "held up until what it has caused is read"
    elif connection.awaits_reading:
        quota = MEMORY
        reason = "held up until it reads"
    else:
        return
    domid = connection.caller.domid
    limit = core.store.quotas.limit(domid, quota)
    fields = tracing.request_fields(connection, frame, with_path=True)
    fields["what"] = reason
    core.note_quota(domid, quota, limit, fields)
