"""What is torn and what is damage: only what its writer can have left is cut."""

import random
import struct

import pytest

from tests.persistence.inputs import write_of
from tests.persistence.journals import (
    WRITES,
    Files,
    all_of,
    flip,
    mark,
    offsets_of,
    refusal_of,
    size_of,
    zero,
)
from xsd.persistence.journal import ALWAYS, EVERYSEC
from xsd.persistence.segment import START

SECTOR = 512


def test_damage_is_refused_with_its_place(files: Files) -> None:
    """Whole entries follow, so that nobody was about to write there."""
    files.write(WRITES[:20])
    place = offsets_of(WRITES)[7]
    flip(files, place + 60)

    assert refusal_of(files) == (
        f"segment.0000000001, offset {place}: its checksum is wrong;"
        " segment.0000000001 goes on behind it"
    )


def test_zeros_are_damage_if_no_disk_was_waited_for(files: Files) -> None:
    """Memory is not written in another order, and a length of zero is no end then."""
    files.write(WRITES[:20])
    places = offsets_of(WRITES)
    zero(files, places[7], places[9])

    assert refusal_of(files) == (
        f"segment.0000000001, offset {places[7]}: its length is not one;"
        " segment.0000000001 goes on behind it"
    )


def test_damage_before_another_segment_is_refused(files: Files) -> None:
    """Its last entry is not the last one of the journal."""
    files.write(WRITES)
    data = files.segment(1).read_bytes()
    end = len(data.rstrip(b"\0"))
    place = max(each for each in offsets_of(WRITES) if each < end - 1)
    flip(files, place + 60)

    assert refusal_of(files) == (
        f"segment.0000000001, offset {place}: its checksum is wrong;"
        " segment.0000000002 goes on behind it"
    )


def test_the_last_entry_may_be_torn(files: Files) -> None:
    """Any mixture of its bytes and zeros: it was being copied."""
    files.write(WRITES[:20])
    places = offsets_of(WRITES)
    whole = files.segment(1).read_bytes()
    chance = random.Random(5)  # noqa: S311  the same each time
    for _ in range(200):
        data = bytearray(whole)
        for at in range(places[19], places[20]):
            data[at] *= chance.randrange(2)
        files.segment(1).write_bytes(data)
        kept, reading = files.read()
        assert all_of(each.entry for each in kept) == all_of(WRITES[:19])
        assert reading.torn is not None
        assert reading.torn.offset == places[19]
        assert str(reading.torn) == (
            f"segment.0000000001, offset {places[19]}: torn, {reading.torn.size} bytes"
        )


def test_what_a_guest_writes_does_not_look_like_an_entry(files: Files) -> None:
    """Or it could have a torn tail refused, by writing entries as values."""
    inner = write_of(1, 30)
    forged = bytes(8) + size_of(inner).to_bytes(8, "little") * 40
    files.write([*WRITES[:3], write_of(1)])
    place = offsets_of(WRITES)[3]

    def tear(data: bytearray) -> None:
        copy = data[place - size_of(WRITES[0]) : place]
        # One that was copied from another file has the checksum of that.
        copy[4] ^= 1
        data[place + 48 : place + 48 + len(copy)] = copy
        data[place + 200 : place + 200 + len(forged)] = forged

    files.edit(1, tear)
    kept, reading = files.read()

    assert len(kept) == 3
    assert reading.torn is not None


@pytest.mark.parametrize("sync", [EVERYSEC, ALWAYS])
def test_sectors_that_a_disk_has_not_written_are_torn(files: Files, sync: int) -> None:
    """With all behind them, which was not promised; the journal goes on there."""
    files.write(WRITES[:30], sync)
    places = offsets_of(WRITES)
    first = next(n for n, at in enumerate(places) if at > 4 * SECTOR)
    begin = places[first - 1]
    mark(files, places[4])
    zero(files, 4 * SECTOR, 5 * SECTOR)
    kept, reading = files.read()

    assert all_of(each.entry for each in kept) == all_of(WRITES[: first - 1])
    assert reading.torn is not None
    assert reading.torn.offset == begin
    assert reading.torn.size == len(files.segment(1).read_bytes().rstrip(b"\0")) - begin
    files.write(WRITES[50:60], sync)
    assert all_of(files.inputs()) == all_of([*WRITES[: first - 1], *WRITES[50:60]])


def test_a_sector_may_be_as_it_was_before(files: Files) -> None:
    """With what had been appended until then, also if that is part of an entry."""
    files.write(WRITES[:30], EVERYSEC)
    places = offsets_of(WRITES)
    whole = files.segment(1).read_bytes()
    for begin in range(4 * SECTOR, 5 * SECTOR - 8, 5):
        files.segment(1).write_bytes(whole)
        if any(0 < end - begin < 8 for end in places):
            # It would be in the middle of being copied when it was written.
            continue
        zero(files, begin, 5 * SECTOR)
        mark(files, places[4])
        kept, reading = files.read()
        count = sum(end <= begin for end in places) - 1
        # Padding is zeros, too.
        assert len(kept) in (count, count + 1)
        assert reading.torn is not None


def test_a_segment_that_a_disk_has_not_written_is_torn(files: Files) -> None:
    """The next one may be there already, with its inputs."""
    files.write(WRITES, EVERYSEC)
    places = offsets_of(WRITES)
    for sequence in (1, 2, 3, 4):
        mark(files, START, sequence)
    zero(files, places[5], 4096)
    kept, reading = files.read()

    assert all_of(each.entry for each in kept) == all_of(WRITES[:5])
    assert reading.torn is not None
    assert reading.torn.size > 4096
    files.write(WRITES[50:60], EVERYSEC)
    assert all_of(files.inputs()) == all_of([*WRITES[:5], *WRITES[50:60]])


@pytest.mark.parametrize("sequence", [1, 2])
def test_what_was_on_the_disk_is_not_torn(files: Files, sequence: int) -> None:
    """Neither before the promise of its own segment, nor of a later one."""
    files.write(WRITES, EVERYSEC)
    for each in (1, 2, 3, 4):
        mark(files, START, each)
    mark(files, 4096 if sequence == 1 else 200, sequence)
    zero(files, offsets_of(WRITES)[5], 4096)

    assert refusal_of(files) == (
        f"segment.0000000001, offset {offsets_of(WRITES)[5]}:"
        " its length is not one; it was on the disk"
        if sequence == 1
        else f"segment.0000000001, offset {offsets_of(WRITES)[5]}:"
        " input 6 is missing; it was on the disk"
    )


def test_what_is_no_hole_is_damage_on_a_disk(files: Files) -> None:
    """A disk leaves sectors out, and turns no bits."""
    files.write(WRITES[:30], EVERYSEC)
    places = offsets_of(WRITES)
    mark(files, START)
    flip(files, places[7] + 60)
    assert "goes on behind it" in refusal_of(files)
    flip(files, places[7] + 60)

    # Nor does it write lengths that are none.
    files.edit(1, lambda data: struct.pack_into("=I", data, places[7], 9))
    assert "its length is not one; segment" in refusal_of(files)


def test_what_was_never_used_is_not_missing(files: Files) -> None:
    """The zeros behind the last entry of a segment are none of its."""
    files.write(WRITES, EVERYSEC)
    for sequence in (1, 2, 3, 4):
        mark(files, START, sequence)
    end = len(files.segment(1).read_bytes().rstrip(b"\0"))
    begin = max(each for each in offsets_of(WRITES) if each < end)
    assert 8 < 4096 - begin - size_of(WRITES[0]) < SECTOR
    flip(files, begin + 60)

    assert "segment.0000000002 goes on behind it" in refusal_of(files)
