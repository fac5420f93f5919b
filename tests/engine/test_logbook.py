"""xsd.engine.logbook: an engine of which nobody keeps the log."""

import pytest

from tests.engine.script import play
from xsd.engine import Engine
from xsd.engine.logbook import NoLogbook


@pytest.mark.parametrize("command", ["logfile /l", "memreport /r"])
def test_nobody_writes_files_for_an_engine_on_its_own(
    engine: Engine, command: str
) -> None:
    """It says so, and does not pretend that it was done."""
    play(engine, f"control {command} -> EINVAL")
    assert NoLogbook().process_bytes() == {}
