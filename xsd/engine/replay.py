"""Carrying inputs out once more: the engine becomes equal to the one they are from."""

from collections.abc import Iterable, Mapping
from typing import Final, final

from xsd.engine.core import Core
from xsd.engine.dispatch import answer
from xsd.engine.engine import Engine
from xsd.engine.inputs import (
    CAME,
    DOMAINS,
    FOUND,
    KINDS,
    LIMIT,
    ORPHANS,
    REQUEST,
    RESTARTED,
    WENT,
    Input,
)
from xsd.engine.owed import Owed
from xsd.protocol.errors import XenStoreError

_OF_CONNECTIONS: Final = (WENT, RESTARTED, REQUEST)

_NOTHING: Final[dict[int, Owed]] = {}

UNKNOWN: Final = -1
"""Generation of an input of which it is not known."""


@final
class DivergenceError(Exception):
    """An input did not do what it did before.

    Attributes:
        place: Of the input, counted from 0.
        entry: The input.
        reason: What was different.
    """

    def __init__(self, place: int, entry: Input, reason: str) -> None:
        super().__init__(place, entry, reason)
        self.place = place
        self.entry = entry
        self.reason = reason

    def __str__(self) -> str:
        return f"input {self.place}, {self.entry!r}: {self.reason}"


def replay(
    engine: Engine, inputs: Iterable[Input], owed: Mapping[int, Owed] = _NOTHING
) -> int:
    """Carry inputs out, in order.

    What they put out is dropped but for what guests are owed, and nothing is asked of
    the world outside.

    Args:
        engine: One that is as the other was before the first of them.
        inputs: What the other's tape was handed.
        owed: What guests are owed, by the numbers of their connections.

    Returns:
        How many there were.

    Raises:
        DivergenceError: If one of them cannot be carried out or leads to another
            generation than before; the engine is of no use then.
    """
    place = 0
    for entry in inputs:
        if entry.kind in _OF_CONNECTIONS and (
            entry.connection not in engine.core.connections
        ):
            reason = f"there is no connection {entry.connection}"
            raise DivergenceError(place, entry, reason)
        if entry.kind == REQUEST and entry.connection in owed:
            whose = engine.core.connections[entry.connection]
            owed[entry.connection].catch_up(engine.core, whose, entry.ordinal)
        try:
            _carry_out(engine, entry)
        except XenStoreError as error:
            raise DivergenceError(place, entry, str(error)) from error
        except LookupError as error:
            # A domain is not there, or the numbers are others'.
            raise DivergenceError(place, entry, repr(error)) from error
        finally:
            left = engine.core.outside.end_replay()
        drop_output(engine, owed)
        if entry.generation not in (UNKNOWN, engine.store.generation):
            reason = f"generation {engine.store.generation}"
            raise DivergenceError(place, entry, reason)
        if left:
            raise DivergenceError(place, entry, f"{left} answers were not asked for")
        place += 1
    return place


def _carry_out(engine: Engine, entry: Input) -> None:
    """Carry one input out, with the answers that the world gave then."""
    core = engine.core
    core.outside.replay(entry.answers)
    kind = entry.kind
    if kind == REQUEST:
        _ask(core, entry)
    elif kind == CAME:
        came = engine.connect(entry.domid, is_kernel=bool(entry.numbers))
        if came.id != entry.connection:
            raise LookupError(came)
    elif kind == WENT:
        engine.disconnect(core.connections[entry.connection])
    elif kind == RESTARTED:
        engine.restart(core.connections[entry.connection])
    elif kind == DOMAINS:
        stopped = entry.numbers[0] + 1
        engine.domains_changed(
            list(entry.numbers[stopped:]), list(entry.numbers[1:stopped])
        )
    elif kind == FOUND:
        engine.introduce_waiting(entry.domid)
    elif kind == LIMIT:
        engine.set_limit(entry.domid, entry.name, entry.numbers[0])
    elif kind == ORPHANS:
        engine.keep_orphans(keep=bool(entry.numbers[0]))
    else:
        raise AssertionError(KINDS[kind])


def _ask(core: Core, entry: Input) -> None:
    """Carry a request out."""
    connection = core.connections[entry.connection]
    frame = entry.frame
    assert frame is not None  # noqa: S101  or it were no request
    if entry.ordinal:
        # Those before it that changed nothing are on no tape.
        connection.served = entry.ordinal - 1
    answer(core, connection, frame)


def drop_output(engine: Engine, owed: Mapping[int, Owed]) -> None:
    """Drop what has been put out: all but what guests are owed has left before.

    After a state was loaded, too, that another daemon has written for itself.
    """
    for connection in engine.take_dirty():
        slip = owed.get(connection.id)
        if slip is not None:
            slip.take(engine.core, connection)
        connection.outbox.clear()
    engine.core.schedule.fallen.clear()
    engine.take_notices()
