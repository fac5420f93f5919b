"""The daemons that are compared, and the load generator, which this compiles."""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from benchmarks.cases import Case
from tests.conftest import find_program
from tests.support.daemons import (
    Daemon,
    start_c_peer,
    start_ocaml_peer,
    start_xenstored,
)
from tests.support.processes import memory

ROOT: Final = Path(__file__).resolve().parent.parent
LOAD: Final = ROOT / "benchmarks" / "load"
BUILT: Final = ROOT / "build" / "bench"

OURS: Final = "xsd"
BASE: Final = "C 4.17"
"""What the others are compared with."""

RUN_TIMEOUT_S: Final = 300.0
_GRACE_S: Final = 0.3
"""Seconds that a daemon has after its start for what it does then."""

MEASURED: Final = "-t"
Result = dict[str, float]


def start_ours(directory: Path) -> Daemon:
    """Start ours with what it has by default as `xenstored`: its journal, above all."""
    return start_xenstored(directory, "--hypervisor", "emulated", "--journal")


STARTS: Final[dict[str, Callable[[Path], Daemon]]] = {
    BASE: start_c_peer,
    "oxenstored": start_ocaml_peer,
    OURS: start_ours,
}


class FailedError(Exception):
    """A daemon, or the load on it, did not get to its end."""


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """What is started meanwhile stays on a core; None for all."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def running(name: str, core: int | None) -> Iterator[tuple[Daemon, Path, float]]:
    """A fresh daemon, its directory, and the seconds until it answered.

    Raises:
        FailedError: If it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="xsb") as made:
        directory = Path(made)
        begun = time.perf_counter()
        try:
            with on_core(core):
                daemon = STARTS[name](directory)
        except (pytest.fail.Exception, pytest.skip.Exception) as error:
            raise FailedError(str(error)) from None
        took = time.perf_counter() - begun
        try:
            yield daemon, directory, took
        finally:
            # An oxenstored that has had domains would wait for them.
            daemon.stop(*([9] if name == "oxenstored" else []))


def missing(name: str) -> str:
    """Return why a daemon cannot be run here; nothing if it can."""
    try:
        with running(name, None):
            return ""
    except FailedError as error:
        return str(error).strip().splitlines()[-1]


def load_generator() -> Path:
    """Return the compiled load generator.

    Raises:
        FailedError: If there is no compiler, or it does not compile.
    """
    target = BUILT / "xsload"
    sources = sorted(LOAD.glob("*.[ch]"))
    newest = max(path.stat().st_mtime for path in sources)
    if target.is_file() and target.stat().st_mtime > newest:
        return target
    try:
        compiler = find_program("gcc", "gcc")
    except (pytest.fail.Exception, pytest.skip.Exception) as error:
        raise FailedError(str(error)) from None
    target.parent.mkdir(parents=True, exist_ok=True)
    units = [path for path in sources if path.suffix == ".c"]
    words: list[str | Path] = [
        compiler,
        "-O2",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-o",
        target,
    ]
    done = subprocess.run([*words, *units], check=False, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        raise FailedError(done.stderr)
    return target


def measure(name: str, case: Case, cores: tuple[int, int], seconds: float) -> Result:
    """Return the figures of one round of a case against a fresh daemon.

    Raises:
        FailedError: If the daemon does not start, or the load is not carried out.
    """
    server, client = cores
    with running(name, server) as (daemon, _, took):
        if not case.words:
            empty = memory(daemon.pid) / 1e6
            return {"start_ms": took * 1e3, "empty_mb": empty}
        time.sleep(_GRACE_S)
        with on_core(client):
            return run_load(daemon.socket, case.words.split(), seconds)


def run_load(socket: Path, words: list[str], seconds: float) -> Result:
    """Put one mode of load on a daemon and return what is printed of it.

    Raises:
        FailedError: If it does not get to its end.
    """
    given = [*words, "-s", str(socket), MEASURED, str(seconds)]
    try:
        done = subprocess.run(  # noqa: S603  it is ours
            [load_generator(), *given],
            check=False,
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        raise FailedError(f"more than {RUN_TIMEOUT_S:.0f} s") from None
    if done.returncode:
        raise FailedError(done.stderr.strip() or f"exit {done.returncode}")
    printed = json.loads(done.stdout.splitlines()[-1])
    return {key: each for key, each in printed.items() if isinstance(each, int | float)}
