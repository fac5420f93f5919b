"""That an engine is a function of its inputs: carried out again, they make it anew."""

from collections.abc import Sequence

from xsd.engine import Engine
from xsd.engine.image import image, load
from xsd.engine.inputs import Input, MemoryTape
from xsd.engine.replay import replay
from xsd.engine.state import describe, differences
from xsd.protocol.stream import StreamWriter, read_stream, write_stream
from xsd.store import Store
from xsd.store.check import verify


def replayed(
    inputs: Sequence[Input], control: int = 0, own: int | None = None
) -> Engine:
    engine = Engine(Store(control, own_domid=own))
    replay(engine, inputs)
    return engine


def loaded(engine: Engine) -> Engine:
    """Another engine, made of the bytes that one is written as."""
    store = engine.store
    other = Engine(Store(store.privileged.domid, own_domid=store.own.domid))
    load(other, read_stream(write_stream(image(engine), StreamWriter())))
    return other


def assert_equal(engine: Engine, other: Engine) -> None:
    """Check that two engines are in the same state."""
    different = differences(describe(engine), describe(other))
    assert different == [], different


def assert_replays(engine: Engine) -> None:
    """Check that the inputs on an engine's tape make another engine equal to it.

    So do the second half of them on one that was written and loaded after the first.
    """
    tape = engine.tape
    assert isinstance(tape, MemoryTape)
    store = engine.store
    half = len(tape.inputs) // 2
    other = replayed(tape.inputs[:half], store.privileged.domid, store.own.domid)
    again = loaded(other)
    assert_equal(other, again)
    assert verify(again.store) == []
    replay(other, tape.inputs[half:])
    assert_equal(engine, other)
    replay(again, tape.inputs[half:])
    assert_equal(engine, again)
    assert_equal(engine, loaded(engine))
