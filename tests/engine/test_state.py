"""xsd.engine.state: what has to be equal, and where two engines differ."""

from collections.abc import Callable

import pytest

from tests.engine.support import Client, guest_of
from xsd.engine import Engine
from xsd.engine.state import describe, differences
from xsd.protocol.ops import Op
from xsd.store import Store

Step = Callable[[Engine, Client], object]

STEPS: dict[str, Step] = {
    "tree": lambda _, dom0: dom0.ok(Op.MKDIR, b"/a\0"),
    "watches": lambda _, dom0: dom0.ask(Op.WATCH, b"/a\0t\0"),
    "transactions": lambda _, dom0: dom0.start(),
    "domains": lambda engine, _: guest_of(engine, 5),
    "quotas": lambda engine, _: engine.set_limit(5, "nodes", 9),
    "accounts": lambda _, dom0: dom0.ok(Op.WRITE, b"/tool\0v"),
    "connections": lambda engine, _: engine.connect(0),
    "last connection": lambda engine, _: engine.disconnect(engine.connect(0)),
    "keep orphans": lambda engine, _: engine.keep_orphans(keep=True),
}


@pytest.mark.parametrize("part", STEPS)
def test_a_difference_is_seen_in_its_part(part: str) -> None:
    """And the same steps make no difference; to describe changes nothing."""
    pairs = []
    for steps in ((), (part,), (part,)):
        engine = Engine(Store())
        dom0 = Client(engine)
        for step in steps:
            STEPS[step](engine, dom0)
        pulse = engine.store.pulse
        pairs.append(describe(engine))
        assert describe(engine) == pairs[-1]
        assert engine.store.pulse == pulse

    before, one, other = pairs
    assert differences(one, other) == []
    assert part in [line.partition(":")[0] for line in differences(before, one)]


def test_a_difference_says_where_it_begins() -> None:
    """In lists and tables, or as a whole."""
    one: dict[str, object] = {"a": [1, 2, 3], "b": {"x": 1}, "c": 5, "d": 1}
    other: dict[str, object] = {"a": [1, 4], "b": {"x": 2}, "c": 6, "d": 1}

    assert differences(one, other) == [
        "a: [1] 2 and 4",
        "b: ['x'] 1 and 2",
        "c: 5 and 6",
    ]
    assert differences({"a": [1]}, {"a": [1, 2]}) == ["a: 1 and 2 of them"]
    assert differences({"a": {}}, {"a": {"k": 1}}) == ["a: keys [] and ['k']"]
    assert differences({"a": 1}, {}) == ["a: 1 and None"]
