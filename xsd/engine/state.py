"""The whole state of an engine as plain values: what a replay must bring back.

Not part of it is what comes of time and of what clients have read: output that was
not sent, requests that were not carried out, rests, protections, what was logged.
"""

from xsd.engine.engine import Engine
from xsd.store.state import describe as describe_store


def describe(engine: Engine) -> dict[str, object]:
    """Describe everything that must be equal in a replayed engine.

    Returns:
        The parts by their names: those of the store (see `xsd.store.state`), the
        connections with their open transactions and watches, and settings.
    """
    core = engine.core
    state = describe_store(engine.store)
    order = {each: place for place, each in enumerate(engine.store.transactions.all())}
    connections: list[object] = []
    for connection in core.connections.values():
        open_ones = [
            (number, order[each]) for number, each in connection.transactions.items()
        ]
        watches = [watch.order for watch in connection.watches.values()]
        connections.append(
            (
                connection.id,
                connection.caller.domid,
                connection.is_channel,
                connection.last_transaction,
                open_ones,
                watches,
            )
        )
    state["connections"] = connections
    state["last connection"] = core.last
    state["keep orphans"] = core.keep_orphans
    return state


def differences(one: dict[str, object], other: dict[str, object]) -> list[str]:
    """The parts in which two descriptions differ, a line each, with both values."""
    found: list[str] = []
    for name in sorted({*one, *other}):
        mine, theirs = one.get(name), other.get(name)
        if mine != theirs:
            found.append(f"{name}: {_first_difference(mine, theirs)}")
    return found


def _first_difference(one: object, other: object) -> str:
    """Where two values begin to differ; lists are looked into."""
    if isinstance(one, list) and isinstance(other, list):
        for place, (mine, theirs) in enumerate(zip(one, other, strict=False)):
            if mine != theirs:
                return f"[{place}] {mine!r} and {theirs!r}"
        return f"{len(one)} and {len(other)} of them"
    if isinstance(one, dict) and isinstance(other, dict):
        for key in one:
            if key not in other or one[key] != other[key]:
                return f"[{key!r}] {one[key]!r} and {other.get(key)!r}"
        return f"keys {sorted(map(str, one))} and {sorted(map(str, other))}"
    return f"{one!r} and {other!r}"
