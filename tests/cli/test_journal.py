"""`xsd journal`: a journal is judged, shown and mended."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.persistence.journals import (
    WRITES,
    Files,
    all_of,
    checkpoint,
    flip,
    names,
    offsets_of,
)
from xsd.engine import Engine
from xsd.engine.image import image
from xsd.engine.inputs import Input
from xsd.persistence.directory import checkpoint_name, segment_name
from xsd.persistence.tape import TapeReader
from xsd.protocol.stream import StreamWriter, write_stream
from xsd.store import Store

PLACES = offsets_of(WRITES)
STATE = write_stream(list(image(Engine(Store()))), StreamWriter())


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    """A journal of three segments and one that is not in use."""
    found = Files(tmp_path / "journal")
    found.write(WRITES)
    yield found
    found.close()


def test_a_whole_journal_is_ok(xsd: Run, files: Files) -> None:
    """With the number of inputs, also if there are none."""
    result = xsd("journal", "verify", str(files.path))
    assert (result.status, result.err) == (0, b"")
    assert result.out == b"ok: 100 inputs\n"

    checkpoint(files, 3, STATE)
    result = xsd("journal", "verify", str(files.path))
    assert (result.status, result.err) == (0, b"")
    assert result.out == b"ok: 24 inputs behind checkpoint.0000000003\n"


def test_it_is_looked_for_in_the_directory_of_the_socket(
    xsd: Run, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If no other is named."""
    monkeypatch.setenv("XENSTORED_RUNDIR", str(files.path.parent))
    assert xsd("journal", "verify").out == b"ok: 100 inputs\n"

    monkeypatch.delenv("XENSTORED_RUNDIR")
    help_ = xsd("journal", "--help").out
    assert b"where it is (default: /run/xenstored/journal)" in help_


def test_what_a_daemon_would_start_without_is_told(xsd: Run, files: Files) -> None:
    """Status 1, as something is missing; nothing is changed."""
    at = PLACES[99] - PLACES[76] + 64
    flip(files, at + 60, 3)
    before = files.segment(3).read_bytes()
    result = xsd("journal", "verify", str(files.path))
    size = len(before.rstrip(b"\0")) - at
    torn = b"segment.0000000003, offset %d: torn, %d bytes" % (at, size)

    assert (result.status, result.err) == (1, b"")
    assert result.out == torn + b"; cut by the daemon at its start\n99 inputs\n"
    assert files.segment(3).read_bytes() == before


def test_lost_inputs_and_broken_checkpoints_are_told(xsd: Run, files: Files) -> None:
    """Status 1: it is not the newest state."""
    checkpoint(files, 2, STATE)
    checkpoint(files, 3, STATE[:-8])
    journal = files.open()
    journal.take(Input(0, 2**70))
    journal.close()
    result = xsd("journal", "verify", str(files.path))

    assert (result.status, result.err) == (1, b"")
    assert result.out == (
        b"checkpoint.0000000003: it is not whole, and not used\n"
        b"inputs were lost behind some, 100 is the last one\n"
        b"62 inputs behind checkpoint.0000000002\n"
    )


def test_what_a_daemon_would_refuse_is_told(xsd: Run, files: Files) -> None:
    """Status 2, also if there is no journal."""
    flip(files, PLACES[7] + 60)
    result = xsd("journal", "verify", str(files.path))
    assert (result.status, result.err) == (2, b"")
    assert result.out == (
        b"segment.0000000001, offset %d: its checksum is wrong;"
        b" segment.0000000001 goes on behind it\n" % PLACES[7]
    )

    result = xsd("journal", "verify", f"{files.path}.1")
    assert (result.status, result.err) == (2, b"")
    assert b"No such file" in result.out


def test_a_dump_is_a_tape(xsd: Run, files: Files, tmp_path: Path) -> None:
    """A line for each input, with its place, for every tool that reads tapes."""
    result = xsd("journal", "dump", str(files.path))
    reader = TapeReader(result.out.splitlines(keepends=True))
    recorded = list(reader)
    tape = tmp_path / "tape"
    tape.write_bytes(result.out)
    shown = xsd("tape", "show", str(tape)).out.decode().splitlines()

    assert (result.status, result.err, reader.control) == (0, b"", 0)
    assert all_of(each.entry for each in recorded) == all_of(WRITES)
    assert [each.keys["number"] for each in recorded] == [*range(1, 101)]
    places = [(each.keys["segment"], each.keys["offset"]) for each in recorded]
    assert places[1] == ("segment.0000000001", PLACES[1])
    assert places[38] == ("segment.0000000002", PLACES[0])
    assert shown[1].startswith("     0.000 request #1 dom0 WRITE tx 7 '/a\\0000000")


def test_a_dump_ends_at_damage(xsd: Run, files: Files) -> None:
    """After what is before it; a journal without inputs is a tape without any."""
    flip(files, PLACES[7] + 60)
    result = xsd("journal", "dump", str(files.path))
    assert (result.status, result.out.count(b"\n")) == (1, 8)
    assert result.err.startswith(
        b"xsd journal: %b: segment.0000000001, offset %d: its checksum is wrong"
        % (os.fsencode(files.path), PLACES[7])
    )

    for each in files.path.glob("segment.*"):
        each.unlink()
    result = xsd("journal", "dump", str(files.path))
    assert (result.status, result.out.count(b"\n")) == (0, 1)


def test_a_cut_has_to_be_wanted(xsd: Run, files: Files) -> None:
    """Until then it is said where it would be."""
    flip(files, PLACES[7] + 60)
    before = {each: each.read_bytes() for each in files.path.iterdir()}
    result = xsd("journal", "truncate", str(files.path))
    wanted = "with --yes, segment.0000000001 is cut at offset"

    assert result.status == 1
    assert result.out.startswith(b"segment.0000000001, offset ")
    assert result.err == f"xsd journal: {wanted} {PLACES[7]}\n".encode()
    assert before == {each: each.read_bytes() for each in files.path.iterdir()}


def test_a_cut_keeps_what_is_good_and_what_was_there(xsd: Run, files: Files) -> None:
    """The journal goes on from there, and can be cut again."""
    flip(files, PLACES[7] + 60)
    before = {each.name: each.read_bytes() for each in files.path.glob("segment.*")}
    result = xsd("journal", "truncate", "--yes", str(files.path))
    last = f"cut segment.0000000001 at offset {PLACES[7]}\n".encode()

    assert (result.status, result.err) == (0, b"")
    assert result.out.endswith(last)
    assert names(files) == [
        segment_name(1),
        *(f"{segment_name(each)}.damaged" for each in (1, 2, 3, 4)),
    ]
    for name, data in before.items():
        assert f"kept as {name}.damaged\n".encode() in result.out
        assert (files.path / f"{name}.damaged").read_bytes() == data
    assert xsd("journal", "verify", str(files.path)).out == b"ok: 7 inputs\n"
    result = xsd("journal", "truncate", "--yes", str(files.path))
    assert (result.status, result.out) == (0, b"there is nothing to cut\n")

    files.write(WRITES[50:60])
    assert all_of(files.inputs()) == all_of([*WRITES[:7], *WRITES[50:60]])
    flip(files, PLACES[3] + 60)
    assert xsd("journal", "truncate", "--yes", str(files.path)).status == 0
    assert (files.path / f"{segment_name(1)}.damaged.2").exists()


@pytest.mark.parametrize("damage", ["a head", "a hole", "nothing but a tail"])
def test_whatever_is_wrong_can_be_cut(xsd: Run, files: Files, damage: str) -> None:
    """A segment that is none, one that is missing, and what the daemon would cut."""
    if damage == "a head":
        flip(files, 9, 2)
    elif damage == "a hole":
        files.segment(2).unlink()
    else:
        flip(files, PLACES[99] - PLACES[76] + 64 + 60, 3)
    result = xsd("journal", "truncate", "--yes", str(files.path))

    assert (result.status, result.err) == (0, b"")
    count = 99 if damage == "nothing but a tail" else 38
    assert all_of(files.inputs()) == all_of(WRITES[:count])
    assert xsd("journal", "verify", str(files.path)).status == 0


def test_a_checkpoint_cannot_be_cut(xsd: Run, files: Files) -> None:
    """There is nothing before it."""
    checkpoint(files, 3, b"")
    for each in (1, 2):
        files.segment(each).unlink()
    result = xsd("journal", "truncate", "--yes", str(files.path))

    assert (result.status, result.out) == (
        *(1, b"checkpoint.0000000003, offset 0: it is not whole\n"),
    )
    assert (
        result.err
        == (
            f"xsd journal: there is nothing before {checkpoint_name(3)};"
            " move the journal away\n"
        ).encode()
    )


def test_a_journal_in_use_is_not_cut(
    xsd: Run, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its daemon would go on writing."""
    flip(files, PLACES[7] + 60)

    def held(*_: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("fcntl.lockf", held)
    result = xsd("journal", "truncate", "--yes", str(files.path))
    wanted = f"xsd journal: {files.path} is in use by another process\n"

    assert (result.status, result.out) == (1, b"")
    assert result.err == wanted.encode()
    assert files.segment(2).exists()
