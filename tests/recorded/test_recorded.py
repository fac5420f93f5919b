"""What a toolstack and guests sent on a real host, and what they must be answered.

The files were made as `make.py` tells: the requests on Xen 4.17 with our daemon, the
replies by Xen's C daemon.
"""

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.recorded.replay import CLOSE, Exchange, exchanges_of, read, replay
from tests.support.replaying import assert_replays, replayed
from tests.support.worlds import WORLDS, EngineWorld
from xsd.engine.inputs import CAME, DOMAINS, REQUEST, WENT
from xsd.engine.state import describe, differences
from xsd.persistence.tape import TapeReader
from xsd.protocol.ops import Op

HERE: Final = Path(__file__).resolve().parent

LIVES: Final = "lives.jsonl.gz"
"""Guests are created, shut down, destroyed, rebooted, saved and restored."""

CROWD: Final = "crowd.jsonl.gz"
"""One guest, then eight that are created at once, as our daemon took it; no replies."""


@cache
def recorded(name: str) -> list[Exchange]:
    """What is in a file: not read by who only looks for a test's name."""
    return list(exchanges_of(read(HERE / name)))


def test_recording_is_of_whole_lives() -> None:
    """Of a toolstack, a guest and their transactions: else it would prove little."""
    asked = Counter(each.op for each in recorded(LIVES))
    assert asked[Op.INTRODUCE] >= 1
    assert asked[Op.TRANSACTION_END] == asked[Op.TRANSACTION_START] > 10
    assert asked[CLOSE] > 10
    assert any(each.domid and each.op == Op.WATCH for each in recorded(LIVES))


@pytest.mark.parametrize(
    "name",
    [
        "engine",
        *[
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("rings", "shim", "c")
        ],
    ],
)
def test_every_daemon_answers_as_c_did(name: str) -> None:
    """Each request of a real host, type, errno and payload.

    Ours as the engine alone, as a process and through the code that talks to Xen's
    libraries; and C itself, so the files are what they are said to be.
    """
    with WORLDS[name]() as world:
        replayed = list(replay(recorded(LIVES), world))
    differences = [
        f"{index}: {now}\n    instead of {Op(was.reply_op).name} {was.reply!r}"
        for index, (was, now) in enumerate(zip(recorded(LIVES), replayed, strict=True))
        if was != now
    ]
    assert not differences, "\n".join(differences)


@pytest.mark.parametrize(
    "name", ["engine", pytest.param("rings", marks=pytest.mark.slow)]
)
def test_eight_toolstacks_at_once_do_not_fail_each_other(name: str) -> None:
    """Interleaved as they were, all their transactions commit; 25 do not with C."""
    with WORLDS[name]() as world:
        ends = [x for x in replay(recorded(CROWD), world) if x.op == Op.TRANSACTION_END]
    assert len(ends) > 200
    assert {(each.reply_op, each.reply) for each in ends} == {(ends[0].op, "OK\0")}


@pytest.mark.parametrize("name", [LIVES, CROWD])
def test_what_was_carried_out_makes_the_same_again(name: str) -> None:
    """From the engine's tape: all of it, and what there was of it half way."""
    exchanges = recorded(name)
    half = len(exchanges) // 2
    with EngineWorld() as world:
        engine, inputs = world.xenstore.engine, world.tape.inputs
        for place, _each in enumerate(replay(exchanges, world)):
            if place == half:
                count, state = len(inputs), describe(engine)
        assert_replays(engine)
        whole = describe(engine)
    assert differences(state, describe(replayed(inputs[:count]))) == []
    assert differences(state, whole) != []


@pytest.mark.parametrize("name", [LIVES, CROWD])
def test_files_are_tapes(name: str) -> None:
    """As `--record` writes them; requests that change nothing do no harm there."""
    tape = list(TapeReader(read(HERE / name)))
    kinds = Counter(each.entry.kind for each in tape)
    replayed([each.entry for each in tape])
    assert kinds[REQUEST] > 5000
    assert kinds[CAME] > kinds[WENT] > 200
    assert kinds[DOMAINS] > 5
