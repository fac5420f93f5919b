"""What is looked after of guests' memory: remarks for the log, and events too old."""

from typing import Final

from xsd.engine.connection import Connection
from xsd.engine.core import Core
from xsd.engine.notice import Notice
from xsd.engine.schedule import EXPIRE, REMARK
from xsd.store.quota import MEMORY

REMARK_EVERY_MS: Final = 1000
"""How often it is looked who uses too much memory, while there are requests."""

REMARK_MS: Final = 10_000
"""Shortest time between two remarks on a domain's memory, in milliseconds."""


def note_requests(core: Core, connection: Connection) -> None:
    """Take note of what requests have come to, and have it looked at once more later.

    Whoever asked: a privileged client can put memory into a guest's possession.
    """
    if not connection.caller.privileged:
        domid = connection.caller.domid
        core.store.usage.outstanding.saw(domid, connection.tally.count)
        _remark(core, domid)
    if not core.remarking:
        _look_later(core)


def look(core: Core) -> None:
    """Remark on whoever is over its soft quota by now, or no longer.

    It is looked again as long as somebody is, or is but may not be told of yet.
    """
    core.remarking = False
    domids = {*core.store.usage.all_memory(), *core.over_soft}
    is_due = False
    for domid in sorted(domids):
        if not _remark(core, domid):
            is_due = True
    if is_due or core.over_soft:
        _look_later(core)


def expire(core: Core, connection: Connection, due_ms: int) -> None:
    """Drop a guest's events that have waited too long.

    Args:
        core: The engine's state.
        connection: The guest's.
        due_ms: For when this was set; another time may hold by now.
    """
    if due_ms != connection.expires_ms:
        return
    connection.expires_ms = 0
    timeout_ms = core.event_timeout_ms
    if not timeout_ms:
        return
    count = connection.outbox.expire(core.now_ms - timeout_ms)
    if count:
        fields: dict[str, object] = {
            "connection": connection.id,
            "domid": connection.caller.domid,
            "what": count,
        }
        core.notices.append(Notice("warning", "events.expired", fields))
        if connection.awaits_reading:
            connection.awaits_reading = False
            core.schedule.queue(connection)
    expire_later(core, connection)


def expire_later(core: Core, connection: Connection) -> None:
    """Set the time at which the oldest event of a connection will have expired."""
    oldest_ms = connection.outbox.oldest_ms()
    if oldest_ms >= 0:
        due_ms = oldest_ms + core.event_timeout_ms
        connection.expires_ms = due_ms
        core.schedule.at(due_ms, EXPIRE, connection.id)


def _look_later(core: Core) -> None:
    core.remarking = True
    core.schedule.at(core.now_ms + REMARK_EVERY_MS, REMARK, 0)


def _remark(core: Core, domid: int) -> bool:
    """Remark on a domain that is over its soft quota of memory, or no longer.

    Returns:
        False if there is something to be told, but not yet.
    """
    limit = core.store.quotas.soft_limit(domid, MEMORY)
    used = core.store.usage.memory_of(domid)
    is_over = 0 < limit < used
    if is_over == (domid in core.over_soft):
        return True
    last_ms = core.remarked_ms.get(domid)
    if last_ms is not None and core.now_ms < last_ms + REMARK_MS:
        return False
    core.remarked_ms[domid] = core.now_ms
    fields: dict[str, object] = {"domid": domid, "used": used, "limit": limit}
    if is_over:
        core.over_soft.add(domid)
        core.notices.append(Notice("warning", "memory.over_soft_quota", fields))
    else:
        core.over_soft.remove(domid)
        core.notices.append(Notice("info", "memory.below_soft_quota", fields))
    return True
