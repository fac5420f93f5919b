"""Making a failing sequence short."""

from tests.differential.generate import minimal
from tests.differential.model import Sequence, said, script, sequence


def test_only_what_a_failure_needs_is_left() -> None:
    """Wherever it stands, and in its order."""
    needed = script("write /a; 1 rm /a; read /a")
    other = said("ls /")
    steps = [*[other] * 9, needed[0], other, *needed[1:], other]

    def fails(each: Sequence) -> bool:
        return [step for step in each.steps if step in needed] == needed

    assert minimal(sequence("long", *steps), fails).steps == tuple(needed)


def test_a_step_that_is_needed_twice_stays_twice() -> None:
    """Steps are counted, not compared."""
    step = said("write /a")

    shortest = minimal(sequence("long", *[step] * 7), lambda each: len(each.steps) > 1)

    assert shortest.steps == (step, step)
