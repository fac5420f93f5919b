"""Fixtures for the tests of hypervisors."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import NeedProgram
from tests.hypervisor.fake import FakeLibrary, fake_library
from tests.hypervisor.shim import on_xen
from tests.support.pretended import Host

__all__ = ["on_xen"]


@pytest.fixture
def fake(need_program: NeedProgram, tmp_path: Path) -> FakeLibrary:
    """Compile a library."""
    return fake_library(need_program, tmp_path)


@pytest.fixture
def control_path(directory: Path) -> Path:
    """A path that is short enough for a socket."""
    return directory / "control"


@pytest.fixture
def host(control_path: Path) -> Iterator[Host]:
    """A hypervisor without domains."""
    host = Host(control_path)
    with host.control:
        yield host
    host.hypervisor.close()
