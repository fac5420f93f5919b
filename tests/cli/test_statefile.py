"""xsd.cli.statefile: what cannot be seen from `xsd state`, see test_state.py."""

from pathlib import Path

import pytest

from xsd.cli.statefile import Progress, write


def test_who_is_no_terminal_is_told_nothing_of_how_far_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """However long it takes."""
    with Progress("reading", 1) as progress:
        progress.at(5, 10)

    assert capsys.readouterr().err == ""


def test_a_file_that_cannot_be_finished_is_not_begun(tmp_path: Path) -> None:
    """What was there stays."""
    file = tmp_path / "state"
    file.write_bytes(b"before")

    def pieces() -> object:
        yield b"half"
        raise OSError("no more")

    with pytest.raises(OSError, match="no more"):
        write(pieces(), str(file))  # type: ignore[arg-type]

    assert file.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [file]
