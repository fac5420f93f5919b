"""xsd.engine.report: who uses what."""

import gc
import tracemalloc
from collections.abc import Callable

import pytest

from tests.engine.script import play
from tests.engine.support import Client, guest_of
from xsd.engine import Engine
from xsd.engine.report import ABOUT_BYTES, BYTES, as_text, report
from xsd.protocol.ops import Op
from xsd.store.node import Node, _shared


def test_a_domain_has_its_numbers_and_an_estimate(engine: Engine) -> None:
    """Who has nothing but is known has zeros."""
    script = """
        node /local/domain/5 n5; 5 write a v; 5 watch a t -> OK a:t; 5 write b v
        5 watch b t -> OK b:t; 5 start -> 1,; 5 send read a; found 7
    """
    play(engine, script)
    found = report(engine.core)

    assert found.domids == [0, 5, 7]
    assert found.of(5) == {
        "nodes": 3,
        "watches": 2,
        "transactions": 1,
        "connections": 1,
        "unsent_bytes": 17,
        "memory_quota": engine.store.usage.memory_of(5),
        BYTES: 3 * ABOUT_BYTES["nodes"]
        + 2 * ABOUT_BYTES["watches"]
        + ABOUT_BYTES["transactions"]
        + ABOUT_BYTES["connections"]
        + 17,
    }
    assert set(found.of(7).values()) == {0}


def test_text_has_process_totals_and_a_line_for_each_domain(engine: Engine) -> None:
    """For people: a table."""
    Client(engine)
    guest_of(engine, 5)

    text = as_text(report(engine.core), {"resident_bytes": 123456})

    lines = [line.split() for line in text.splitlines()]
    nodes = 5 * ABOUT_BYTES["nodes"]
    of_dom0 = engine.store.usage.memory.of(0)
    both = ABOUT_BYTES["connections"]
    assert text.endswith("\n")
    assert lines == [
        ["resident_bytes", ":", "123456"],
        [],
        ["number", "bytes,", "about"],
        ["nodes", ":", "5", str(nodes)],
        ["watches", ":", "0", "0"],
        ["transactions", ":", "0", "0"],
        ["connections", ":", "2", str(2 * both)],
        ["unsent_bytes", ":", "0", "0"],
        [],
        [
            *("domain", "nodes", "watches", "transactions", "connections"),
            *("unsent_bytes", "memory_quota", "about_bytes"),
        ],
        ["0", "5", "0", "0", "1", "0", str(of_dom0), str(nodes + both)],
        ["5", "0", "0", "0", "1", "0", "0", str(both)],
    ]


@pytest.mark.pure_only
def test_a_report_looks_at_no_node(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are, it takes no longer."""
    dom0 = Client(engine)
    for number in range(300):
        dom0.ok(Op.WRITE, b"/a/%d\0v" % number)
    with monkeypatch.context() as patch:
        patch.setattr(Node, "child", _fail)
        patch.setattr(Node, "children", _fail)

        assert report(engine.core).total("nodes") == 306


def _fail(*_: object) -> None:
    raise AssertionError


@pytest.mark.pure_only
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nodes", "watches", "transactions", "connections"])
def test_estimates_are_of_the_right_size(engine: Engine, kind: str) -> None:
    """Between half and twice of what a typical one takes."""
    dom0 = Client(engine)
    others = [Client(engine) for _ in range(500)]

    path = b"/local/domain/%d/device/vif/0/key%d"
    makers: dict[str, Callable[[int], object]] = {
        "nodes": lambda number: dom0.ok(
            Op.WRITE, path % divmod(number, 25) + b"\0value-%d" % number
        ),
        "watches": lambda number: dom0.ask(
            Op.WATCH, path % divmod(number, 25) + b"\0token-%d\0" % number
        ),
        "transactions": lambda number: others[number].start(),
        "connections": lambda _: engine.connect(0),
    }
    engine.tape = None
    estimate = ABOUT_BYTES[kind]
    before = report(engine.core).total(kind)
    _shared.clear()
    gc.collect()
    tracemalloc.start()
    for number in range(500):
        makers[kind](number)
    _shared.clear()  # is for all nodes, and has its bound
    gc.collect()
    size, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    made = report(engine.core).total(kind) - before
    assert estimate / 2 <= size / made <= estimate * 2
