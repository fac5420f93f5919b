"""Cutting a journal by hand: what it was interrupted at, it can be taken up at."""

import os

import pytest

from tests.persistence.journals import WRITES, Files, all_of, flip, offsets_of
from xsd.persistence.directory import SEGMENT, Directory, segment_name
from xsd.persistence.mending import cut_off
from xsd.persistence.segment import JournalError


@pytest.mark.parametrize("steps", range(6))
def test_a_cut_that_was_interrupted_can_be_made_again(
    files: Files, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """At each of its steps: nothing is lost, and the place is the same."""
    files.write(WRITES)
    place = offsets_of(WRITES)[7]
    flip(files, place + 60)
    directory = Directory(files.path)
    segments = directory.numbers(SEGMENT)
    whole = {segment_name(each): files.segment(each).read_bytes() for each in segments}
    rename, ftruncate = os.rename, os.ftruncate
    left = [steps]

    def step() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(5, "Input/output error")

    def counted_rename(
        name: str, other: str, *, src_dir_fd: int, dst_dir_fd: int
    ) -> None:
        step()
        rename(name, other, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    def counted_ftruncate(fd: int, size: int) -> None:
        step()
        ftruncate(fd, size)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", counted_rename)
        patch.setattr(os, "ftruncate", counted_ftruncate)
        if steps < 5:
            with pytest.raises(OSError, match="Input/output"):
                cut_off(directory, segment_name(1), place)
            if steps == 0:
                with pytest.raises(JournalError):
                    files.read()
        else:
            assert len(cut_off(directory, segment_name(1), place)) == 4
    if steps < 5:
        cut_off(directory, segment_name(1), place)
    directory.close()

    assert all_of(files.inputs()) == all_of(WRITES[:7])
    kept = {each.read_bytes() for each in files.path.glob("*.damaged*")}
    assert kept >= set(whole.values()) - {whole[segment_name(1)]}
    assert any(each[place:] == whole[segment_name(1)][place:] for each in kept)
