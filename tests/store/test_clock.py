"""The clock of the store."""

from xsd.store.clock import Clock


def test_generations_count_from_1() -> None:
    """No two changes have the same one; a beat takes none."""
    clock = Clock()

    assert (clock.now, clock.beats) == (0, 0)
    assert [clock.tick(), clock.tick()] == [1, 2]
    clock.beat()
    assert (clock.now, clock.beats) == (2, 1)
