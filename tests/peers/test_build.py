"""The library that stands in for Xen is made of what the repository has."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.peers import build
from tests.support.daemons import CHECKOUT, environment

COMPILE = """
import sys
from pathlib import Path
from tests.peers import build
build.PLACE = Path(sys.argv[1])
print(build.library())
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place without a library, where one can be made."""
    build.library()
    monkeypatch.setattr(build, "PLACE", tmp_path / "build")
    build._compiled.cache_clear()
    yield tmp_path / "build"
    build._compiled.cache_clear()


@pytest.mark.slow
def test_runs_at_once_make_one_library(place: Path) -> None:
    """Nobody loads what another has only half written, and nothing else stays."""
    words = [sys.executable, "-c", COMPILE, str(place)]
    runs = [
        subprocess.Popen(
            words, cwd=CHECKOUT, env=environment(), stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    said = {run.communicate()[0].strip() for run in runs}

    assert [run.returncode for run in runs] == [0, 0, 0]
    assert said == {str(path) for path in place.iterdir()}
    assert len(said) == 1
    ctypes.CDLL(said.pop())


SLOW_COMPILER = """#!/bin/sh
while [ "$1" != -o ]; do shift; done
printf half >"$2"
read -r line <"$(dirname "$0")/goes-on"
printf whole >>"$2"
"""


def test_a_library_that_is_being_written_is_nobodys(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has its name when it is whole."""
    compiler = tmp_path / "gcc"
    compiler.write_text(SLOW_COMPILER)
    compiler.chmod(0o755)
    os.mkfifo(tmp_path / "goes-on")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with ThreadPoolExecutor() as pool:
        compiled = pool.submit(build.library)
        with (tmp_path / "goes-on").open("w"):  # the compiler has it open, too
            assert list(place.glob("*.so")) == []
        assert compiled.result().read_text() == "halfwhole"

    assert list(place.iterdir()) == [compiled.result()]


@pytest.mark.slow
def test_a_changed_source_is_compiled(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And an unchanged one is not; what does not compile is told by the compiler."""
    for path in build.SOURCES.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(build, "SOURCES", tmp_path)
    first = build.library()
    first.write_bytes(b"not compiled again")
    build._compiled.cache_clear()
    assert build.library() == first
    assert first.read_bytes() == b"not compiled again"

    with (tmp_path / "files.c").open("a") as source:
        source.write("int shim_was_changed = 1;\n")
    build._compiled.cache_clear()
    changed = build.library()
    assert ctypes.c_int.in_dll(ctypes.CDLL(str(changed)), "shim_was_changed").value == 1

    (tmp_path / "files.c").write_text("int broken(\n")
    build._compiled.cache_clear()
    with pytest.raises(pytest.fail.Exception, match=r"files\.c"):
        build.library()
    assert {path.suffix for path in place.iterdir()} == {".so"}


def test_what_the_library_needs_is_named(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a reason to skip, with the package; nothing is installed or written."""
    monkeypatch.delenv("XSD_CI", raising=False)
    monkeypatch.setattr(build, "HEADERS", {str(tmp_path / "xenctrl.h"): "libxen-dev"})
    with pytest.raises(pytest.skip.Exception, match="apt-get install libxen-dev"):
        build.library()

    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match="apt-get install gcc"):
        build.library()
    assert not place.exists()
