"""In what two states differ, as far as clients see it."""

from collections.abc import Iterator
from typing import Final, final

from xsd.cli.escape import escape
from xsd.persistence.statejson import shown_entry
from xsd.protocol.records import (
    ConnectionData,
    DomainData,
    NodeData,
    QuotaData,
    Record,
    WatchData,
)
from xsd.protocol.request import UNLIMITED

_SOCKET: Final = "a socket"


@final
class Seen:
    """What clients see of a state.

    Attributes:
        nodes: Value and permissions by path.
        children: Names by path, in order.
        watches: How often there is each, by what is said of it.
        domains: What is known of each domain, by what it is.
        limits: Of all.
    """

    def __init__(self, records: list[Record]) -> None:
        self.nodes: dict[bytes, tuple[str, str]] = {}
        self.children: dict[bytes, list[bytes]] = {}
        self.watches: dict[str, int] = {}
        self.domains: dict[int, dict[str, str]] = {}
        self.limits: dict[str, int] = {}
        self._clients: dict[int, str] = {}
        for record in records:
            if isinstance(record, NodeData) and not record.connection:
                self._node(record)
            elif isinstance(record, ConnectionData):
                self._connection(record)
            elif isinstance(record, WatchData):
                self._watch(record)
            elif isinstance(record, DomainData):
                domain = self.domains.setdefault(record.domid, {})
                domain["features"] = str(record.features)
                for name, limit in record.quotas.items():
                    domain[f"quota {name}"] = str(limit)
            elif isinstance(record, QuotaData):
                self.limits = record.of_domains

    def _node(self, record: NodeData) -> None:
        perms = ",".join([shown_entry(entry) for entry in record.entries])
        self.nodes[record.path] = _quoted(record.value), perms
        above, slash, name = record.path.rpartition(b"/")
        if not name or not slash:
            # The root, and special nodes, are listed nowhere.
            return
        self.children.setdefault(above, []).append(name)

    def _connection(self, record: ConnectionData) -> None:
        if record.domid < 0:
            self._clients[record.number] = _SOCKET
            return
        self._clients[record.number] = f"domain {record.domid}"
        domain = self.domains.setdefault(record.domid, {})
        domain["ring"] = "yes"
        if record.target >= 0:
            domain["target"] = str(record.target)

    def _watch(self, record: WatchData) -> None:
        whose = self._clients.get(record.connection, "nobody")
        text = f"{whose} {_shown(record.path)} {_quoted(record.token)}"
        if record.depth != UNLIMITED:
            text += f" depth {record.depth}"
        self.watches[text] = self.watches.get(text, 0) + 1


def differences(one: Seen, other: Seen) -> Iterator[str]:
    """A line for each difference: what only one has, what only the other, what changed.

    Args:
        one: Whose lines begin with ``-``.
        other: Whose lines begin with ``+``; where both have something that is not the
            same, the line begins with ``!``.
    """
    yield from _nodes(one, other)
    for text in sorted({*one.watches, *other.watches}):
        more = one.watches.get(text, 0) - other.watches.get(text, 0)
        sign = "-" if more > 0 else "+"
        for _ in range(abs(more)):
            yield f"{sign} watch of {text}"
    for domid in sorted({*one.domains, *other.domains}):
        mine, theirs = one.domains.get(domid), other.domains.get(domid)
        if theirs is None:
            yield f"- domain {domid}"
        elif mine is None:
            yield f"+ domain {domid}"
        else:
            yield from _changes(f"domain {domid} ", mine, theirs)
    mine = {name: str(limit) for name, limit in one.limits.items()}
    theirs = {name: str(limit) for name, limit in other.limits.items()}
    yield from _changes("quota ", mine, theirs)


def _nodes(one: Seen, other: Seen) -> Iterator[str]:
    for path, (value, perms) in one.nodes.items():
        if path not in other.nodes:
            yield f"- {_shown(path)} = {value} ({perms})"
            continue
        new_value, new_perms = other.nodes[path]
        if value != new_value:
            yield f"! {_shown(path)} = {value} -> {new_value}"
        if perms != new_perms:
            yield f"! {_shown(path)} ({perms}) -> ({new_perms})"
    for path, (value, perms) in other.nodes.items():
        if path not in one.nodes:
            yield f"+ {_shown(path)} = {value} ({perms})"
    for path, names in one.children.items():
        those = other.children.get(path, [])
        known = {*names, *those} - ({*names} ^ {*those})
        if [each for each in names if each in known] != [
            each for each in those if each in known
        ]:
            yield f"! {_shown(path) or '/'} has its children in another order"


def _changes(what: str, mine: dict[str, str], theirs: dict[str, str]) -> Iterator[str]:
    for name in sorted({*mine, *theirs}):
        old, new = mine.get(name, "none"), theirs.get(name, "none")
        if old != new:
            yield f"! {what}{name} {old} -> {new}"


def _quoted(text: bytes) -> str:
    return f'"{_shown(text)}"'


def _shown(text: bytes) -> str:
    return escape(text).decode("ascii")
