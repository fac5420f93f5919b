"""What a guest can have kept in a journal, whatever it repeats, and however fast."""

from typing import Final, final

import pytest

from tests.bounds.attacks import CONTEXTS, KINDS, Stage
from tests.engine.support import guest_at_home
from xsd.engine.inputs import Input, Tape
from xsd.engine.rests import KEPT_PER_WORK, WORK_OWED, WORK_PER_MS
from xsd.persistence.entries import encode
from xsd.protocol.limits import PAYLOAD_MAX
from xsd.protocol.ops import Op

ROUNDS: Final = 120
"""More than are kept for nothing, if all are as large as may be."""

LARGE: Final = ("long", "below special", "refused", "new and deep")
"""Places with a path that is as long as may be."""

SMALL: Final = KEPT_PER_WORK + 100
"""Bytes of an entry for which nothing is owed: so many a request are kept for nothing,
and what a daemon can answer bounds them."""


@final
class Scales(Tape):
    """Counts what a journal would keep of guests' requests."""

    def __init__(self) -> None:
        self.bytes = 0
        self.count = 0

    def take(self, entry: Input) -> None:
        """Weigh it."""
        if entry.domid:
            self.bytes += len(encode(entry, 1, 1))
            self.count += 1

    def end_turn(self) -> None:
        """Nothing is to be made safe."""

    @property
    def is_scarce(self) -> bool:
        """As a journal."""
        return True


def weighed(stage: Stage) -> Scales:
    stage.engine.tape = scales = Scales()
    return scales


@pytest.mark.slow
@pytest.mark.parametrize("place", LARGE)
@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("has_slot", [False, True], ids=["changes", "all"])
def test_what_is_kept_of_what_a_guest_repeats_takes_time(
    context: str, place: str, *, has_slot: bool
) -> None:
    """What is large is kept at a bounded rate: it rests for it, refused or not."""
    for kind in KINDS:
        stage = Stage()
        stage.prepare(place)
        begin, commit = CONTEXTS[context]
        begin(stage)
        stage.guest.connection.has_slot = has_slot
        scales = weighed(stage)
        begun_ms = stage.engine.core.now_ms
        for _ in range(ROUNDS):
            stage.attack(kind, place, commit=commit)
        free = scales.count * SMALL + WORK_OWED * KEPT_PER_WORK + PAYLOAD_MAX
        passed_ms = stage.engine.core.now_ms - begun_ms
        per_ms = WORK_PER_MS * KEPT_PER_WORK
        assert scales.bytes <= free + passed_ms * per_ms, kind


def test_all_guests_share_what_large_values_may_be_kept() -> None:
    """Ten that write them all the time are kept as much of as one."""
    stage = Stage()
    guests = [stage.guest, *(guest_at_home(stage.engine, n) for n in range(3, 12))]
    scales = weighed(stage)
    value = b"data\0" + b"v" * 2000
    for each in guests:
        for _ in range(WORK_OWED * KEPT_PER_WORK // len(value) + 2):
            each.ask(Op.WRITE, value)
    begun_ms = stage.engine.core.now_ms
    before = scales.bytes
    for _ in range(100):
        for each in guests:
            each.post(Op.WRITE, value)
    engine = stage.engine
    while engine.core.now_ms < begun_ms + 1000:
        engine.turn(engine.core.now_ms + 1)
    rate = (scales.bytes - before) / (engine.core.now_ms - begun_ms)

    assert rate <= 2 * WORK_PER_MS * KEPT_PER_WORK
