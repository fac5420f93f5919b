"""What the log is told of watches: who has many, on what, and what was not there."""

from itertools import islice
from typing import Final

from xsd.engine.connection import Connection
from xsd.engine.core import Core
from xsd.engine.notice import Notice
from xsd.protocol.errors import XenStoreError
from xsd.protocol.path import Path, format_path, parse_path

LOOKED_AT: Final = 1000
"""Watches of a connection that are looked at for what they are on: the newest."""

PLACES_SHOWN: Final = 3
PLACE_SHOWN: Final = 80
"""Places that are told, and bytes of each."""

TOKEN_SHOWN: Final = 64
"""Bytes of a token that a reason shows."""

_LEVELS: Final = PLACE_SHOWN // 2


def note_many(core: Core, connection: Connection) -> None:
    """Have told that one client of dom0's has many watches, and twice as many later.

    Nothing bounds them, so that a client which forgets its watches goes on until all
    is slow. A guest's quota tells of it.
    """
    connection.many_watches *= 2
    caller = connection.caller
    if caller.privileged:
        fields: dict[str, object] = {
            "connection": connection.id,
            "domid": caller.domid,
            "watches": len(connection.watches),
            "watched": places([connection]),
        }
        core.notices.append(Notice("info", "watches.many", fields))


def places(connections: list[Connection]) -> str:
    """Where most of the newest watches are, as ``86 in /local/domain/*/device/vif/*``.

    Numbers in paths are left out, so that the same of many domains is one place.
    """
    counts: dict[Path, int] = {}
    for connection in connections:
        for watch in islice(reversed(connection.watches.values()), LOOKED_AT):
            place = _place(watch.path)
            counts[place] = counts.get(place, 0) + 1
    ordered = sorted([(-count, place) for place, count in counts.items()])
    shown: list[str] = []
    for negative, place in ordered[:PLACES_SHOWN]:
        shown.append(f"{-negative} in {_cut(format_path(place), PLACE_SHOWN)}")
    return ", ".join(shown)


def not_found(connection: Connection, raw: bytes, token: bytes) -> str:
    """Why UNWATCH of a path and a token has found nothing."""
    reason = f"no watch on this path with the token '{_cut(token, TOKEN_SHOWN)}'"
    try:
        path = parse_path(token, connection.home, special=True)
    except XenStoreError:
        return reason
    if (path, raw) in connection.watches:
        reason += "; there is one with path and token swapped"
    return reason


def _place(path: Path) -> Path:
    """The node above a watched path, without numbers; special names as they are."""
    if len(path) == 1:
        return path
    return tuple([b"*" if part.isdigit() else part for part in path[:-1][:_LEVELS]])


def _cut(text: bytes, most: int) -> str:
    # Whatever a client has put into it: the log escapes it.
    return text[:most].decode("latin-1") + ("..." if len(text) > most else "")
