"""xsd.engine.consumer: who is told of changes, and cannot fail a request."""

from typing import final

import pytest

from tests.engine.script import Verb, play
from tests.engine.support import told
from xsd.engine import Engine
from xsd.engine.consumer import Consumer
from xsd.store import Change


@final
class Kept(Consumer):
    """Keeps what it is told, and can fail.

    Attributes:
        paths: Of what was changed, by input.
        causes: The ids of connection and transaction of each of them.
        fails: Whether it does.
    """

    def __init__(self) -> None:
        self.paths: list[list[bytes]] = []
        self.causes: list[tuple[int, int] | None] = []
        self.fails = False

    def take(self, changes: list[Change]) -> None:
        if self.fails:
            raise ZeroDivisionError
        self.paths.append([b"/".join(change.path) for change in changes])
        for change in changes:
            cause = change.cause
            found = None if cause is None else (cause.connection, cause.transaction)
            self.causes.append(found)


def test_a_consumer_is_told_of_each_input_with_its_cause(engine: Engine) -> None:
    """Requests, commits and ends of domains alike, until it is removed."""
    kept = Kept()
    verbs: dict[str, Verb] = {
        "add": lambda *_: engine.add_consumer(kept),
        "remove": lambda *_: engine.remove_consumer(kept),
    }
    script = """
        5 hear; node /own n5; add; write /a v; start -> 1,; t1 write /a w; t1 write /b w
        read /a -> v; t1 end T; gone 5; read /a -> w; remove; write /a x
    """
    play(engine, script, verbs)

    told_of = [paths for paths in kept.paths if paths]
    assert told_of == [[b"/a"], [b"/a", b"/b"], [b"/own"]]
    assert kept.causes == [(1, 0), (1, 1), (1, 1), None]


@pytest.mark.parametrize(
    "steps",
    [
        "write /a w -> /a:t OK",
        "start -> 1,; t1 write /a w; t1 end T -> /a:t OK",
        "gone 5; hear -> /a:t",
    ],
    ids=["request", "commit", "domain"],
)
def test_a_consumer_that_fails_concerns_nobody_else(engine: Engine, steps: str) -> None:
    """What happened stands, clients are told, others get theirs, the log the defect."""
    broken, kept = Kept(), Kept()
    play(engine, "5 hear; node /a n5")
    for each in (broken, kept):
        engine.add_consumer(each)
    engine.take_notices()
    broken.fails = True
    play(engine, f"watch /a t -> OK /a:t; {steps}")

    assert [paths for paths in kept.paths if paths] == [[b"/a"]]
    assert set(told(engine)) == {"changes.not_taken"}
    broken.fails = False
    play(engine, "write /b v")
    assert broken.paths == [[b"/b"]]
