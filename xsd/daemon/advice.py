"""What is no mistake in the settings, and yet not what somebody can have meant.

Limits are looked at two at a time: one that another makes unreachable says something
that does not hold. Not every number over another is that: `node-size` may exceed the
4,096 bytes of a message, as lists of children come in parts, and `transaction-nodes`
may exceed `nodes`, as a transaction depends on others' nodes as well.
"""

from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Final

from xsd.daemon.settings import ROWS, Config
from xsd.protocol.limits import ABS_PATH_MAX, HEADER_SIZE
from xsd.protocol.path import parse_path
from xsd.protocol.perms import Caller
from xsd.store import Watch, quota
from xsd.store.footprint import SPOT_BYTES
from xsd.store.node import RECORD_ENTRY, RECORD_HEADER
from xsd.store.usage import MESSAGE_BYTES

WATCHED: Final = b"/local/domain/1/device/vif/0/state"
"""What a guest's watches are like: one of its devices, with the path as token."""

_WATCH: Final = Watch(
    0, Caller(1, privileged=False), parse_path(WATCHED), WATCHED, WATCHED, -1
)
_EVENT_CHANNEL: Final = "domains.control-event-channel"

_NODE_MIN: Final = RECORD_HEADER + RECORD_ENTRY

_LEAST_BYTES: Final[Mapping[str, tuple[int, str]]] = {
    quota.NODES: (_NODE_MIN, "empty nodes"),
    quota.WATCHES: (_WATCH.size, f"watches of paths such as {WATCHED.decode()}"),
    quota.TRANSACTION_NODES: (SPOT_BYTES + 1, "nodes of a transaction"),
    quota.OUTSTANDING: (MESSAGE_BYTES + HEADER_SIZE, "messages"),
    quota.NODE_SIZE: (1, "bytes of one node"),
}
"""Limit -> what one of it takes of a domain's memory, in bytes, and what it is."""


def without_effect(config: Config) -> dict[str, str]:
    """Return the settings that somebody has made and that do nothing, and why."""
    found = {
        row.key: "has no effect yet"
        for row in ROWS.values()
        if row.idle and getattr(config, row.field) != row.default
    }
    is_own = config.control_domid == config.own_domid
    if config.control_event_channel is not None and is_own:
        # Its kernel says which it is.
        found[_EVENT_CHANNEL] = "has no effect: the control domain is the daemon's own"
    if config.log_file is not None and config.trace_file is not None:
        found["log.file"] = "has no effect: the log goes to log.trace-file"
    return found


def advice(config: Config) -> list[tuple[str, str]]:
    """Look for settings without effect, and for those that contradict each other.

    Returns:
        The key of a setting and what is to be said of it, for each.
    """
    idle = without_effect(config).items()
    return [*idle, *_of_traces(config), *_of_files(config), *_of_limits(config)]


def _of_traces(config: Config) -> Iterator[tuple[str, str]]:
    if config.traces and not config.trace_switches:
        key = "log.tracing" if config.tracing else "log.trace-file"
        yield key, "nothing is traced: log.trace is empty"


def _of_files(config: Config) -> Iterator[tuple[str, str]]:
    """Files that would spoil each other; a log and a trace in one are one file."""
    found = {
        key: value
        for key, row in ROWS.items()
        if isinstance(value := getattr(config, row.field), Path)
    }
    for (one, path), (other, same) in combinations(found.items(), 2):
        if path == same and {one, other} != {"log.file", "log.trace-file"}:
            yield other, f"is the same file as {one}: {path}"


def _of_limits(config: Config) -> Iterator[tuple[str, str]]:
    limits = config.limits
    memory = limits[quota.MEMORY]
    soft = limits[quota.SOFT_PREFIX + quota.MEMORY]
    if 0 < memory < soft:
        text = f"{soft} is over quota.memory, {memory}: nobody is remarked on in time"
        yield "quota.soft.memory", text
    for name, (size, what) in _LEAST_BYTES.items():
        needed = limits[name] * size
        if 0 < memory < needed:
            said = f"{limits[name]} {what} take about {needed} bytes"
            yield f"quota.{name}", f"{said}, more than quota.memory, {memory}"
    yield from _of_nodes(limits)


def _of_nodes(limits: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    size, count = limits[quota.NODE_SIZE], limits[quota.NODE_PERMISSIONS]
    needed = RECORD_HEADER + RECORD_ENTRY * count
    if 0 < size < _NODE_MIN:
        yield (
            "quota.node-size",
            f"an empty node has {_NODE_MIN} bytes, more than {size}",
        )
    elif 0 < size < needed:
        text = f"{count} entries take {needed} bytes, more than quota.node-size, {size}"
        yield "quota.node-permissions", text
    longest = limits[quota.PATH_MAX]
    if longest > ABS_PATH_MAX:
        text = f"{longest} has no effect: no path has more than {ABS_PATH_MAX} bytes"
        yield "quota.path-max", text
