"""The load generator: it compiles, and does its work on a daemon of ours."""

import os
from pathlib import Path

import pytest

from benchmarks import sides
from benchmarks.cases import CASES, Case
from benchmarks.sides import FailedError, load_generator, on_core, run_load
from tests.conftest import NeedProgram
from tests.support.daemons import Daemon, start_xenstored

SMALL = {
    "watch-scale": "-W 10 -c 2",
    "watch-fanout": "-W 3",
    "dir-scale": "-n 600",
    "tree-scale": "-n 80",
    "idle-conns": "-c 3",
    "read-conc": "-c 3",
    "tx-contend": "-c 2 --same",
    "domain-boot": "-c 2",
    "pipe": "-d 4 -w",
}


@pytest.mark.slow
def test_each_mode_gives_what_its_cases_show(
    directory: Path, need_program: NeedProgram
) -> None:
    """In a hundredth of a second each; `test-xenstore` is not ours."""
    need_program("gcc", "gcc")
    modes: dict[str, set[str]] = {}
    for case in CASES.values():
        mode = case.words.partition(" ")[0]
        modes.setdefault(mode, set()).update(case.metrics)
    del modes[""], modes["test-xenstore"]
    with start_xenstored(directory, "--hypervisor", "emulated", "--journal") as daemon:
        for mode, metrics in modes.items():
            words = [mode, *SMALL.get(mode, "").split()]
            found = run_load(daemon.socket, words, 0.01)

            # Where none is carried out in that time, none has taken how long it takes.
            late = {each for each in metrics if each.endswith(("p50_us", "p99_us"))}
            assert metrics - late - {"max_us"} <= set(found), mode


@pytest.mark.slow
def test_a_load_that_is_not_carried_out_says_why(
    directory: Path, need_program: NeedProgram
) -> None:
    """It is an error, and not a slow daemon, or a fast one."""
    need_program("gcc", "gcc")
    with start_xenstored(directory, "--hypervisor", "emulated") as daemon:
        with pytest.raises(FailedError, match="options"):
            run_load(daemon.socket, ["no-such-mode"], 0.01)
        with pytest.raises(FailedError, match=r"size 0\.\.2048"):
            run_load(daemon.socket, ["write-sync", "--size", "4096"], 0.01)
    with pytest.raises(FailedError, match="connect"):
        run_load(daemon.socket, ["read-sync"], 0.01)


def test_the_generator_is_compiled_once(need_program: NeedProgram) -> None:
    """Until its sources change."""
    need_program("gcc", "gcc")
    before = load_generator().stat().st_mtime_ns

    assert load_generator().stat().st_mtime_ns == before


def test_a_daemon_that_does_not_start_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The table says why."""

    def start(directory: Path) -> Daemon:
        pytest.skip(f"{directory.name} is missing")

    monkeypatch.setitem(sides.STARTS, "no daemon", start)
    with pytest.raises(FailedError, match="is missing"):
        sides.measure("no daemon", Case("none", "", ()), (0, 0), 0.01)

    assert sides.missing("no daemon").endswith("is missing")


def test_what_is_pinned_is_free_again_afterwards() -> None:
    """Also the thread that has asked for it."""
    before = os.sched_getaffinity(0)
    with on_core(min(before)):
        assert os.sched_getaffinity(0) == {min(before)}

    assert os.sched_getaffinity(0) == before
