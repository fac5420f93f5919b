"""Fixtures for the tests of transports."""

from pathlib import Path

import pytest

from tests.hypervisor.shim import on_xen

__all__ = ["on_xen"]


@pytest.fixture
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory whose path is short enough for a socket."""
    return tmp_path_factory.mktemp("xs")
