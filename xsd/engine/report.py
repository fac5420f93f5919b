"""Who uses what: the report that an operator asks for with `memreport`.

Its numbers are those that are kept anyway. Nothing is gone through but connections
and domains, so that it takes no longer for a big store.
"""

from typing import Final, final

from xsd.engine.core import Core

ABOUT_BYTES: Final[dict[str, int]] = {
    "nodes": 300,
    "watches": 800,
    "transactions": 700,
    "connections": 1750,
    "unsent_bytes": 1,
}
"""What one takes of the process, roughly, without long values and paths and without
what a transaction has changed. Measured with CPython 3.11.

This is no quota: what a domain is charged for stands in `xsd.store.usage`. A node is
charged there as by C, whatever it takes here, and its NODE_BYTES is a transaction's own
copy of one; a watch is charged by the length of its path."""

BYTES: Final = "about_bytes"
"""The column of what a domain takes in all, estimated."""


@final
class Report:
    """What domains use.

    Attributes:
        columns: Numbers by domain id, by what they are numbers of.
        domids: Everybody who has something, or is known.
    """

    __slots__ = ("columns", "domids")

    def __init__(self, columns: dict[str, dict[int, int]], domids: list[int]) -> None:
        self.columns = columns
        self.domids = domids

    def total(self, column: str) -> int:
        """What all domains use together."""
        return sum(self.columns[column].values())

    def totals(self) -> dict[str, int]:
        """The totals of all columns."""
        return {name: self.total(name) for name in self.columns}

    def of(self, domid: int) -> dict[str, int]:
        """What one domain uses."""
        return {name: used.get(domid, 0) for name, used in self.columns.items()}


def report(core: Core) -> Report:
    """Put together what each domain uses now."""
    store = core.store
    connections: dict[int, int] = {}
    unsent: dict[int, int] = {}
    for connection in core.connections.values():
        domid = connection.caller.domid
        connections[domid] = connections.get(domid, 0) + 1
        unsent[domid] = unsent.get(domid, 0) + connection.outbox.size
    usage = store.usage
    columns = {
        "nodes": usage.nodes.used,
        "watches": usage.watches.used,
        "transactions": usage.transactions.used,
        "connections": connections,
        "unsent_bytes": unsent,
        "memory_quota": usage.all_memory(),
    }
    domids = {domain.domid for domain in store.domains.all()}
    for used in columns.values():
        domids.update(used)
    columns[BYTES] = _estimate(columns)
    return Report(columns, sorted(domids))


def as_text(shown: Report, process: dict[str, int]) -> str:
    """The report for people: the process, the totals, a table of domains.

    Args:
        shown: What domains use.
        process: What the process occupies in bytes, by the name of the figure.
    """
    lines = [f"{name:<17}: {value:12}" for name, value in process.items()]
    lines.append("")
    lines.append(f"{'':<17}  {'number':>12} {'bytes, about':>14}")
    for name, each in ABOUT_BYTES.items():
        total = shown.total(name)
        lines.append(f"{name:<17}: {total:12} {total * each:14}")
    lines.append("")
    lines.append("domain" + "".join([f" {name:>16}" for name in shown.columns]))
    for domid in shown.domids:
        numbers = shown.of(domid).values()
        lines.append(f"{domid:6}" + "".join([f" {number:16}" for number in numbers]))
    return "\n".join([*lines, ""])


def _estimate(columns: dict[str, dict[int, int]]) -> dict[int, int]:
    """Bytes by domain."""
    total: dict[int, int] = {}
    for name, each in ABOUT_BYTES.items():
        for domid, number in columns[name].items():
            total[domid] = total.get(domid, 0) + number * each
    return total
