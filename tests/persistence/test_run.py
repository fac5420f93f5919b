"""Runs: all requests come back, and bytes that are none are refused."""

import pytest

from tests.persistence.inputs import frame_of, write_of
from tests.persistence.journals import all_of
from xsd.engine.inputs import REQUEST, Input
from xsd.persistence.entries import EntryError, decode, encode, length_at, number_at
from xsd.persistence.run import Run

SEED = 0x89ABCDEF


def written(run: Run, number: int, seed: int = SEED) -> bytes:
    """The entry of a run, as it stands in a segment."""
    memory = bytearray(16 + run.size + 8)
    run.write(memory, 16, number, seed)
    # No other byte of the file is touched.
    assert memory[:16] == bytes(16)
    assert memory[16 + run.size :] == bytes(8)
    return bytes(memory[16:-8])


def run_of(*requests: Input) -> Run:
    """A run of them."""
    run = Run()
    for each in requests:
        assert each.frame is not None
        whose = (each.connection, each.domid, each.ordinal, each.generation)
        run.add(*whose, each.frame)
    return run


def test_a_run_comes_back(run_and_number: tuple[list[Input], int]) -> None:
    """All its requests, and as many bytes as it has said."""
    requests, number = run_and_number
    run = run_of(*requests)

    data = written(run, number)

    assert all_of(decode(data, 0, SEED)) == all_of(requests)
    assert (number_at(data, 0), run.count) == (number, len(requests))
    assert len(data) == run.size == length_at(data, 0)


@pytest.fixture(
    params=[
        ([b"/a\0v"], 1),
        ([b"/a\0v", b"", b"x" * 255, b"y" * 256, b"z" * 4096], 2**63),
        ([b"0123456"[:size] for size in range(8)] * 8, 7),
        *(([b"x" * size], 7) for size in (120, 127, 128, 129, 4096)),
    ],
    ids=["one", "long", "short", "120", "127", "128", "129", "4096"],
)
def run_and_number(request: pytest.FixtureRequest) -> tuple[list[Input], int]:
    """The requests of a run, and the number of the first."""
    payloads, number = request.param
    requests = [
        Input(REQUEST, 9 + place, 7, 5, frame_of(payload), ordinal=12 + place)
        for place, payload in enumerate(payloads)
    ]
    return requests, number


def test_a_run_of_one_is_as_if_it_were_none() -> None:
    """Who reads need not know how it was taken."""
    entry = Input(REQUEST, 9, 7, 5, frame_of(b"/a\0vw"), ordinal=12)

    assert written(run_of(entry), 3) == encode(entry, 3, SEED)


def test_a_run_begins_anew() -> None:
    """Nothing of the one before is in the next one."""
    run = run_of(write_of(1), write_of(2))
    run.clear()
    assert run.count == 0
    first = Input(REQUEST, 3, 9, 4, frame_of(b"/a\0vw"), ordinal=5)
    assert first.frame is not None
    run.add(9, 4, 5, 3, first.frame)

    assert written(run, 3) == encode(first, 3, SEED)


def test_what_is_not_the_next_request_is_not_added_to_a_run() -> None:
    """Of the same connection, next in ordinal and generation, and not too long."""
    run = Run(100)
    assert run.add(7, 5, 11, 8, frame_of(b"x" * 4096))
    run.clear()
    assert run.add(7, 5, 12, 9, frame_of(b"x" * 50))

    assert not run.add(7, 5, 13, 10, frame_of(b"x" * 19))
    assert not run.add(8, 5, 13, 10, frame_of(b"x"))
    assert not run.add(7, 5, 14, 10, frame_of(b"x"))
    assert not run.add(7, 5, 13, 9, frame_of(b"x"))
    assert run.count == 1
    assert run.add(7, 5, 13, 10, frame_of(b"x" * 18))


@pytest.mark.parametrize("requests", [1, 3])
def test_a_run_with_another_bit_is_none(requests: int) -> None:
    """Wherever it is, in the numbers, too, of which the checksum has only a sum."""
    chosen = [
        Input(REQUEST, 9 + place, 7, 5, frame_of(b"/a\0vw"), ordinal=12 + place)
        for place in range(requests)
    ]
    for seed in (SEED, 0, 2**32 - 1, 65_521):
        whole = written(run_of(*chosen), 3, seed)
        for bit in range(8 * len(whole)):
            data = bytearray(whole)
            data[bit // 8] ^= 1 << bit % 8
            with pytest.raises(EntryError):
                decode(bytes(data), 0, seed)


def test_a_write_of_20_bytes_takes_36_more_in_a_run() -> None:
    """The numbers are there once."""
    writes = [Input(REQUEST, n, 1, 0, frame_of(bytes(20)), ordinal=n) for n in range(9)]

    assert run_of(writes[0]).size == 88
    assert run_of(*writes).size - run_of(*writes[:-2]).size == 72
