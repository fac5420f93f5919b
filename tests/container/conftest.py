"""Fixtures for what checks the image; `run` in this directory says how."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.containers import CONFINED, Container, Engine, wait_until_served


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine(os.environ["CONTAINER"], os.environ["XSD_IMAGE"]) as engine:
        yield engine


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory of the host for sockets, with a short path."""
    path = Path(tempfile.mkdtemp(prefix="xsd"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


Serve = Callable[..., Container]


@pytest.fixture
def serve(engine: Engine, directory: Path) -> Serve:
    def start(*options: str, command: tuple[str, ...] = ()) -> Container:
        mount = f"--volume={directory}:/run/xenstored"
        container = engine.start(mount, *CONFINED, *options, command=command)
        wait_until_served(directory / "socket")
        return container

    return start
