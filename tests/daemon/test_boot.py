"""xsd.daemon.boot: which start of the machine this is."""

from pathlib import Path

from xsd.daemon.boot import boot_id


def test_it_is_the_same_as_long_as_the_machine_runs() -> None:
    """And a word."""
    assert boot_id() == boot_id()
    assert len(boot_id().split()) == 1


def test_where_it_cannot_be_read_it_is_not_known(tmp_path: Path) -> None:
    """Nothing is concluded from that."""
    assert boot_id(tmp_path / "no") == ""
    odd = tmp_path / "odd"
    odd.write_bytes(b"\xff\n")
    assert boot_id(odd) == ""
