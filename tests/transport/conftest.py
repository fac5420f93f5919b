"""Fixtures for the tests of transports."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import NeedProgram
from tests.hypervisor.shim import ShimProcess, shim_process


@pytest.fixture
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory whose path is short enough for a socket."""
    return tmp_path_factory.mktemp("xs")


@pytest.fixture(scope="session")
def on_xen(
    need_program: NeedProgram, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ShimProcess]:
    """A process on the pretended Xen."""
    yield from shim_process(need_program, tmp_path_factory.mktemp("xen"))
