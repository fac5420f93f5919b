"""What must hold after every step, whatever has happened."""

from tests.simulation.world import World
from xsd.engine import Connection, Engine
from xsd.engine.schedule import EXPIRE, GO_ON
from xsd.store.check import verify
from xsd.store.usage import Account


def check(world: World) -> None:
    """The store finds no fault, what is unsent is counted, and nobody is forgotten."""
    engine = world.engine
    faults = [
        *verify(engine.store),
        *_uncounted(engine),
        *_forgotten(engine),
        *[
            f"{notice.event}: {notice.error!r}"
            for notice in world.notices
            if notice.error is not None
        ],
    ]
    _demand_none(faults)


def check_quiet(world: World) -> None:
    """Everybody has read, and time has passed: nobody waits for anything."""
    engine = world.engine
    faults: list[str] = []
    for peer in world.peers:
        if peer.waits:
            faults.append(f"{peer.connection!r} waits for nothing")
        if peer.unanswered:
            faults.append(f"{peer.connection!r} lacks {peer.unanswered} replies")
    faults += [
        f"{connection!r} has {connection.tally.count} under way"
        for connection in engine.connections
        if connection.tally.count
    ]
    if engine.store.usage.unsent.used:
        faults.append(f"unsent is {engine.store.usage.unsent.used}")
    if engine.busy:
        faults.append("the engine is busy")
    _demand_none(faults)


def _demand_none(faults: list[str]) -> None:
    """Fail with what was found."""
    if faults:
        raise AssertionError("; ".join(faults))


def _uncounted(engine: Engine) -> list[str]:
    """What waits for guests is what is counted for them."""
    counted = Account()
    for each in engine.connections:
        if not each.caller.privileged:
            counted.add(each.caller.domid, each.outbox.count_charge())
    kept = engine.store.usage.unsent.used
    return [] if counted.used == kept else [f"unsent {counted.used}, kept {kept}"]


def _forgotten(engine: Engine) -> list[str]:
    """Who has requests is queued, or registered where the event will come."""
    return [
        f"{each!r} waits for what does not come"
        for each in engine.connections
        if each.backlog and not each.lost and not _is_awaited(engine, each)
    ] + [
        f"{each!r} has events that will not expire"
        for each in engine.connections
        if each.expires_ms and not _has_time(engine, EXPIRE, each.id)
    ]


def _is_awaited(engine: Engine, connection: Connection) -> bool:
    """Whether something will put a connection back into the queue."""
    core = engine.core
    schedule = core.schedule
    protection = core.protection
    queues = (*schedule.privileged, *schedule.with_many, *schedule.guests)
    return (
        (connection.queued and connection in queues)
        or connection in [each for each, _rest_ms in schedule.rested]
        or (
            connection.rests_until_ms > core.now_ms
            and _has_time(engine, GO_ON, connection.id)
        )
        or (connection.tally.waiting and connection.tally.count > 0)
        or connection.tally in schedule.fallen
        or (connection.awaits_reading and connection.outbox.size > 0)
        or (protection is not None and connection.id in protection.waiting)
    )


def _has_time(engine: Engine, what: int, number: int) -> bool:
    times = engine.core.schedule.times
    return any(each[1:] == (what, number) for each in times)
