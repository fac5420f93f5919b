"""xsd.engine.mark: what is said of a connection, in memory of somebody else's."""

from xsd.engine.mark import BUSY, ENDED, OWING, QUIET, Mark


def test_a_mark_is_one_byte_of_memory() -> None:
    """It says what was said last, and the bytes beside it are others'."""
    memory = bytearray(b"\xff" * 3)
    ended: list[Mark] = []
    mark = Mark(7, BUSY, memoryview(memory), 1, ended)
    seen = [memory[1]]

    for state in (QUIET, OWING, BUSY, BUSY, QUIET):
        mark.set(state)
        seen.append(memory[1])
    mark.end()

    assert seen == [BUSY, QUIET, OWING, BUSY, BUSY, QUIET]
    assert memory == bytes([0xFF, ENDED, 0xFF])
    assert ended == [mark]


def test_an_event_that_waits_is_no_news_of_who_is_busy() -> None:
    """It goes on to be in the middle of something, which is worse."""
    for state, then in ((QUIET, OWING), (OWING, OWING), (BUSY, BUSY)):
        mark = Mark(7, state, memoryview(bytearray(1)), 0, [])

        mark.owe()

        assert mark.state == then
