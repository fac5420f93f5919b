"""Fixtures for the tests of the pretended hypervisor."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pretended import Host


@pytest.fixture
def control_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A path that is short enough for a socket."""
    return tmp_path_factory.mktemp("xs") / "control"


@pytest.fixture
def host(control_path: Path) -> Iterator[Host]:
    """A hypervisor without domains."""
    host = Host(control_path)
    with host.control:
        yield host
    host.hypervisor.close()
