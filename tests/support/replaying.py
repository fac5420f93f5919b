"""That an engine is a function of its inputs: carried out again, they make it anew."""

from collections.abc import Sequence

from xsd.engine import Engine
from xsd.engine.inputs import Input, MemoryTape
from xsd.engine.replay import replay
from xsd.engine.state import describe, differences
from xsd.store import Store


def replayed(
    inputs: Sequence[Input], control: int = 0, own: int | None = None
) -> Engine:
    engine = Engine(Store(control, own_domid=own))
    replay(engine, inputs)
    return engine


def assert_replays(engine: Engine) -> None:
    """Check that the inputs on an engine's tape make another engine equal to it."""
    tape = engine.tape
    assert isinstance(tape, MemoryTape)
    store = engine.store
    other = replayed(tape.inputs, store.privileged.domid, store.own.domid)
    different = differences(describe(engine), describe(other))
    assert different == [], different
