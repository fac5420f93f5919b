"""Reading: what was written, or less of it from its end, or nothing; never another."""

import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.lives import SCENARIOS, World
from tests.persistence.inputs import END
from tests.persistence.journals import (
    EVERY_KIND,
    INPUTS,
    WRITES,
    Files,
    all_of,
    checkpoint,
    flip,
    offsets_of,
    refusal_of,
    size_of,
    zero,
)
from xsd.engine.inputs import Input
from xsd.engine.state import describe, differences
from xsd.persistence.directory import Directory, checkpoint_name
from xsd.persistence.journal import ALWAYS, NEVER
from xsd.persistence.segment import SIZE, START, JournalError


def test_what_was_taken_comes_back(files: Files) -> None:
    """Every kind, in order, with its place and its number."""
    files.write(EVERY_KIND, size=SIZE)
    kept, reading = files.read()

    assert all_of(each.entry for each in kept) == all_of(EVERY_KIND)
    assert [each.number for each in kept] == [*range(1, len(EVERY_KIND) + 1)]
    assert [each.offset for each in kept] == offsets_of(EVERY_KIND)[:-1]
    assert {each.name for each in kept} == {"segment.0000000001"}
    assert (reading.checkpoint, reading.torn, reading.lost) == (None, None, False)
    assert (reading.number, reading.control) == (len(EVERY_KIND), 0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(runs=st.lists(st.lists(INPUTS, max_size=6), min_size=1, max_size=3))
def test_each_process_goes_on_with_the_journal(
    tmp_path_factory: pytest.TempPathFactory, runs: list[list[Input]]
) -> None:
    """Whatever the inputs are, and however many segments they take."""
    files = Files(tmp_path_factory.mktemp("journals") / "journal")
    for inputs in runs:
        files.write(inputs, size=1 << 14)

    assert all_of(files.inputs()) == all_of(each for run in runs for each in run)


def test_a_journal_that_is_not_there_is_empty(files: Files) -> None:
    """It begins with an empty store."""
    Directory(files.path, make=True).close()
    kept, reading = files.read()

    assert (kept, reading.checkpoint, reading.number) == ([], None, 0)
    assert (reading.next, reading.last) == (1, 0)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_replay_of_the_files_is_one_of_the_tape(files: Files, scenario: str) -> None:
    """The engine is equal, generation by generation."""
    world = World(SCENARIOS[scenario])
    files.write(world.tape.inputs, size=1 << 14)
    engine = world.again(files.inputs())

    assert differences(describe(world.engine), describe(engine)) == []


def test_cut_anywhere_it_is_a_prefix(files: Files) -> None:
    """Of the inputs; how much was cut is said, and the journal goes on from there."""
    inputs = [*EVERY_KIND[:3], *WRITES[:3]]
    files.write(inputs)
    file = files.segment(1)
    ends = offsets_of(inputs)
    whole = file.read_bytes()[: ends[-1]]
    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        kept, reading = files.read()
        count = max(0, sum(end <= size for end in ends) - 1)
        begin = ends[count] if size >= START else 0
        assert all_of(each.entry for each in kept) == all_of(inputs[:count])
        torn = reading.torn
        if size > begin:
            # Zeros at the end of an entry are as good as none.
            used = max(begin, len(whole[:size].rstrip(b"\0"))) if begin else size
            found = (torn.offset, torn.size) if torn is not None else (begin, 0)
            assert found == (begin, used - begin)
        else:
            assert torn is None
    for size in range(0, len(whole), 31):
        for each in files.path.iterdir():
            each.unlink()
        file.write_bytes(whole[:size])
        before = files.inputs()
        files.write(WRITES[50:52])
        assert all_of(files.inputs()) == all_of([*before, *WRITES[50:52]])


def test_a_flipped_bit_is_refused_or_ends_it(files: Files) -> None:
    """Wherever it is: inputs that nobody has sent never come out."""
    files.write(WRITES)
    assert len(list(files.path.glob("segment.*"))) > 3
    wanted = all_of(WRITES)
    chance = random.Random(11)  # noqa: S311  the same each time
    outcomes = set()
    places = set()
    for _ in range(600):
        sequence = chance.randrange(1, 4)
        offset = chance.randrange(4096)
        flip(files, offset, sequence)
        try:
            found = all_of(files.inputs())
        except JournalError as error:
            outcomes.add("refused")
            places.add(error.name)
        else:
            outcomes.add("whole" if found == wanted else "prefix")
            # Nobody can tell that the last one was whole.
            assert found in (wanted, wanted[:-1])
        flip(files, offset, sequence)

    assert outcomes >= {"refused", "whole"}
    assert places == {files.segment(sequence).name for sequence in (1, 2, 3)}


def test_whatever_was_overwritten_it_is_a_prefix_or_refused(files: Files) -> None:
    """With zeros, with anything, or with what stands somewhere else."""
    files.write(WRITES)
    wanted = all_of(WRITES)
    segments = [files.segment(sequence) for sequence in (1, 2, 3)]
    whole = [segment.read_bytes() for segment in segments]
    chance = random.Random(7)  # noqa: S311  the same each time
    outcomes = set()
    for _ in range(300):
        begin, other = chance.randrange(4096), chance.randrange(4096)
        size = chance.choice([8, 104, 512, 4096])
        pieces = [bytes(size), chance.randbytes(size), whole[0][other:][:size]]
        place = chance.randrange(3)
        data = bytearray(whole[place])
        piece = chance.choice(pieces)[: len(data) - begin]
        data[begin : begin + len(piece)] = piece
        segments[place].write_bytes(data)
        try:
            found = all_of(files.inputs())
        except JournalError:
            outcomes.add("refused")
        else:
            outcomes.add("whole" if found == wanted else "prefix")
            assert found == wanted[: len(found)]
        segments[place].write_bytes(whole[place])

    assert outcomes == {"refused", "whole", "prefix"}


@pytest.mark.parametrize("sync", [NEVER, ALWAYS])
def test_inputs_that_are_missing_are_refused(files: Files, sync: int) -> None:
    """Between two segments, or in one."""
    files.write(WRITES, sync)
    second = files.segment(2).read_bytes()
    places = offsets_of(WRITES)
    last = max(each for each in places if each < 4096 - size_of(WRITES[0]) + 1)
    begin = places[places.index(last) - 1]

    def shift(data: bytearray) -> None:
        size = size_of(WRITES[0])
        data[places[3] : places[4]] = data[places[4] : places[4] + size]

    whole = files.segment(1).read_bytes()
    files.edit(1, shift)
    assert refusal_of(files) == (
        f"segment.0000000001, offset {places[3]}: it has input 5, not 4"
    )
    if sync == NEVER:
        files.segment(1).write_bytes(whole[:begin])
        assert refusal_of(files) == (
            f"segment.0000000001, offset {begin}: input {places.index(begin) + 1} is"
            " missing; segment.0000000002 goes on behind it"
        )
    files.segment(1).write_bytes(whole)
    files.segment(2).write_bytes(second)
    files.segment(2).unlink()
    assert refusal_of(files) == "segment.0000000002, offset 0: it is missing"


def test_inputs_are_missing_also_if_a_head_does_not_say_so(files: Files) -> None:
    """The first entry of the next segment has its number, too."""
    files.write(WRITES)
    end = len(files.segment(1).read_bytes().rstrip(b"\0"))
    last = max(each for each in offsets_of(WRITES) if each < end)
    zero(files, last, 4096)
    zero(files, 56, 64, 2)

    assert "is missing; segment.0000000002 goes on behind it" in refusal_of(files)


def test_an_entry_that_says_what_is_no_input_is_refused(files: Files) -> None:
    """It is whole: somebody else's version has written it."""
    files.write(WRITES[:3])
    place = offsets_of(WRITES)[1]

    def change(data: bytearray) -> None:
        (seed,) = struct.unpack_from("=I", data, 32)
        numbers = list(struct.unpack_from("=IIQqQQiHHIIII", data, place))
        numbers[7] = 99
        numbers[1] = 0
        end = place + size_of(WRITES[1])
        rest = data[end + 56 - numbers[0] : end]
        numbers[1] = zlib.adler32(rest, (seed + sum(numbers)) % (2**32 - 5))
        struct.pack_into("=IIQqQQiHHIIII", data, place, *numbers)

    files.edit(1, change)
    assert refusal_of(files) == (
        f"segment.0000000001, offset {place}: kind 99 is not known"
    )


def test_the_first_input_of_all_is_not_missing(files: Files) -> None:
    """Without a checkpoint it is number one."""
    files.write(WRITES[:5])
    places = offsets_of(WRITES)

    def shift(data: bytearray) -> None:
        size = size_of(WRITES[0])
        data[START : START + size] = data[places[1] : places[1] + size]

    files.edit(1, shift)
    assert refusal_of(files) == "segment.0000000001, offset 64: it has input 2, not 1"
    files.edit(1, lambda data: struct.pack_into("=Q", data, 56, 2))
    assert refusal_of(files) == "segment.0000000001, offset 64: it has input 2, not 1"


def test_a_segment_without_a_head_ends_it_or_is_damage(files: Files) -> None:
    """The last one is made anew."""
    files.write(WRITES)
    last = max(files.path.glob("segment.*"))
    assert not last.read_bytes()[START:].strip(b"\0")
    last.write_bytes(bytes(4096))
    kept, reading = files.read()
    assert (len(kept), reading.torn) == (len(WRITES), None)
    files.write(WRITES[:1])
    assert len(files.inputs()) == len(WRITES) + 1

    files.segment(2).write_bytes(bytes(4096))
    assert refusal_of(files) == "segment.0000000002, offset 0: it has no head"


def test_damage_before_a_segment_without_a_head_is_refused(files: Files) -> None:
    """Two things are wrong, and one of them is no torn tail."""
    files.write(WRITES[:60])
    zero(files, 0, 4096, 3)
    flip(files, offsets_of(WRITES)[3] + 60)
    zero(files, 0, 4096, 2)

    with pytest.raises(JournalError):
        files.read()


def test_the_newest_whole_checkpoint_is_taken(files: Files) -> None:
    """With the segments from its number on; what is older is not looked at."""
    files.write(WRITES)
    middle = [each for each in files.read()[0] if each.name > "segment.0000000001"]
    checkpoint(files, 2)
    files.segment(1).write_bytes(b"what is older")
    checkpoint(files, 3, b"not whole")
    kept, reading = files.read()

    assert reading.checkpoint == b"state" + END
    assert reading.checkpoint_name == checkpoint_name(2)
    assert reading.passed_over == [checkpoint_name(3)]
    assert all_of(each.entry for each in kept) == all_of(each.entry for each in middle)
    assert kept[0].number == middle[0].number > 1
    assert reading.number == len(WRITES)


def test_a_checkpoint_that_is_not_whole_is_passed_over(files: Files) -> None:
    """If there is all that came before it; else it is damage."""
    files.write(WRITES)
    checkpoint(files, 3, b"not whole")
    assert len(files.inputs()) == len(WRITES)
    files.segment(1).unlink()
    files.segment(2).unlink()

    assert refusal_of(files) == "checkpoint.0000000003, offset 0: it is not whole"
    checkpoint(files, 3)
    assert files.inputs()
    (files.path / checkpoint_name(3)).unlink()
    assert refusal_of(files) == "segment.0000000001, offset 0: it is missing"


def test_behind_a_checkpoint_no_input_is_missing(files: Files) -> None:
    """Its segment says with which it goes on, whatever became of its inputs."""
    files.write(WRITES)
    checkpoint(files, 2)
    zero(files, START, 4096, 2)

    assert "is missing; segment.0000000003 goes on behind it" in refusal_of(files)
    zero(files, 56, 64, 2)
    assert "input 1 is missing; segment.0000000003 goes" in refusal_of(files)


def test_a_checkpoint_with_nothing_behind_it_is_gone_on_with(files: Files) -> None:
    """By one process after the other, in the numbers of the inputs."""
    files.write(WRITES[:10])
    journal = files.open()
    sequence = journal.rotate()
    checkpoint(files, sequence)
    journal.drop_before(sequence)
    journal.close()
    assert files.read()[1].number == 10
    for count in (10, 11):
        files.write(WRITES[count : count + 1])
        kept, reading = files.read()
        assert [each.number for each in kept] == [*range(11, count + 2)]
        assert reading.number == count + 1


def test_a_checkpoint_alone_is_enough(files: Files) -> None:
    """Nothing was taken behind it."""
    Directory(files.path, make=True).close()
    checkpoint(files, 7)
    kept, reading = files.read()

    assert (kept, reading.checkpoint, reading.next) == ([], b"state" + END, 7)
    files.write(WRITES[:3])
    assert files.segment(7).exists()
    assert all_of(files.inputs()) == all_of(WRITES[:3])


def drop(files: Files, change: Callable[[Path], None]) -> None:
    """A journal that breaks in its first segment and goes on in the third."""
    journal = files.open(size=1 << 14)
    for each in WRITES[:5]:
        journal.take(each)
    journal.take(Input(0, 2**70))
    for each in WRITES[5:8]:
        journal.take(each)
    journal.rotate()
    for each in WRITES[8:12]:
        journal.take(each)
    journal.close()
    change(files.path)


def test_inputs_that_were_lost_end_it(files: Files) -> None:
    """What comes behind them is of no use; that it is so is said."""
    drop(files, lambda _: None)
    kept, reading = files.read()

    assert all_of(each.entry for each in kept) == all_of(WRITES[:5])
    assert (reading.lost, reading.torn) == (True, None)
    files.write(WRITES[50:60])
    kept, reading = files.read()
    assert all_of(each.entry for each in kept) == all_of([*WRITES[:5], *WRITES[50:60]])
    assert reading.lost


def test_nothing_is_lost_behind_a_checkpoint(files: Files) -> None:
    """It has the inputs that the journal does not have."""
    drop(files, lambda _: None)
    checkpoint(files, 2)
    kept, reading = files.read()

    assert all_of(each.entry for each in kept) == all_of(WRITES[8:12])
    assert not reading.lost


def test_reading_changes_nothing(files: Files) -> None:
    """Not even a tail that is torn."""
    files.write(WRITES)
    flip(files, offsets_of(WRITES)[3])
    before = {each.name: each.read_bytes() for each in files.path.iterdir()}
    with pytest.raises(JournalError):
        files.read()

    assert before == {each.name: each.read_bytes() for each in files.path.iterdir()}
