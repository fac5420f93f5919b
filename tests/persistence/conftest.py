"""Fixtures for the tests of what outlives a process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.persistence.journals import Files


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    """A journal that is not there yet."""
    found = Files(tmp_path / "journal")
    yield found
    found.close()
