"""xsd.daemon.update: the process becomes another, or it is told why not."""

import asyncio
import os
from pathlib import Path
from typing import final

import pytest

from tests.support.services import on_loop
from tests.update.running import program
from xsd.daemon import update as module
from xsd.daemon.proof import Replaceable
from xsd.daemon.succession import c_state_file
from xsd.daemon.update import Update, arguments_of, is_ours
from xsd.daemon.wayback import BACK_VARIABLE, STATE_VARIABLE, Invocation
from xsd.engine.plan import Plan


@final
class Daemon(Replaceable):
    """With a state of one word, and descriptors of the test's."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.answers: list[str] = []
        self.done = asyncio.Event()
        self.open: dict[int, int] = {}
        self.held = os.pipe()
        self.steps: list[str] = []

    def answer(self, plan: Plan, reason: str) -> None:
        self.answers.append(reason)
        self.done.set()

    def digest(self) -> str:
        return "digest"

    def state(self, version: int | None) -> tuple[bytes, list[int]]:
        self.steps.append(f"state {version}")
        return b"state", list(self.held)

    def transactions(self) -> dict[int, int]:
        return self.open

    def end_children(self) -> None:
        self.steps.append("end children")

    def let_go(self) -> None:
        self.steps.append("let go")

    def take_back(self) -> None:
        self.steps.append("take back")

    @property
    def directory(self) -> Path:
        return self._directory


Started = list[tuple[str, list[str], bytes, list[bool], set[str]]]


async def replaced(
    daemon: Daemon,
    plan: Plan,
    words: tuple[str, ...] = (),
    *,
    foreground: bool = False,
) -> Started:
    """Update; what was started, and what the daemon has left for it."""
    started: Started = []

    def execute(file: str, words: list[str]) -> None:
        state = os.environ.get(STATE_VARIABLE)
        path = Path(state) if state else c_state_file(os.environ)
        passed = [os.get_inheritable(each) for each in daemon.held]
        names = {STATE_VARIABLE, BACK_VARIABLE} & {*os.environ}
        started.append((file, words, path.read_bytes(), passed, names))
        assert path.stat().st_mode & 0o777 == 0o600
        raise OSError(8, "no such format")

    started_as = Invocation(words, "", ("/python",))
    update = Update(
        daemon,
        asyncio.get_running_loop(),
        started_as,
        foreground=foreground,
        execute=execute,
    )
    update.begin(plan)
    await daemon.done.wait()
    return started


def plan_of(file: Path, **values: object) -> Plan:
    plan = Plan(1, bytes(file))
    for name, value in values.items():
        setattr(plan, name, value)
    return plan


@on_loop
async def test_a_program_that_proves_itself_is_started(directory: Path) -> None:
    """With the state and all that is open; if it cannot be, nothing is left of that."""
    daemon = Daemon(directory)
    ours = program(directory / "ours", then="print('digest')")

    started = await replaced(daemon, plan_of(ours), ("-N",))

    names = {STATE_VARIABLE, BACK_VARIABLE}
    assert started == [
        (str(ours), [str(ours), "-N", "-U"], b"state", [True, True], names)
    ]
    assert daemon.answers == ["Error activating new binary: [Errno 8] no such format"]
    assert [os.get_inheritable(each) for each in daemon.held] == [False, False]
    assert not names & {*os.environ}
    assert os.listdir(directory) == ["ours"]  # noqa: PTH208


@on_loop
async def test_a_daemon_in_the_foreground_stays_there(directory: Path) -> None:
    """`xsd serve` is so by its name; the one that takes over may have another."""
    daemon = Daemon(directory)
    ours = program(directory / "ours", then="print('digest')")

    for words in ((), ("-N",), ("--no-fork",)):
        started = await replaced(daemon, plan_of(ours), words, foreground=True)
        daemon.done.clear()
        options = words or ("-N",)
        assert {*started[0][1]} == {str(ours), *options, "-U"}


@on_loop
async def test_a_program_that_does_not_end_is_not_waited_for(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is ended, and nothing is started."""
    monkeypatch.setattr(module, "PROOF_S", 0)
    daemon = Daemon(directory)
    hangs = program(directory / "hangs", then="time.sleep(1000)")

    assert await replaced(daemon, plan_of(hangs)) == []
    assert daemon.answers == ["The new binary has not loaded the state within 0 s."]


@on_loop
async def test_c_xenstored_is_not_tried(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would begin to serve. It is left what it takes for itself, in its place."""
    monkeypatch.setenv("XENSTORED_RUNDIR", str(directory))
    daemon = Daemon(directory)
    c = directory / "c"
    c.write_bytes(b"\x7fELF")

    started = await replaced(daemon, plan_of(c, version=1, arguments=b"-N  -v"))

    words = [str(c), "-N", "-v", "-U"]
    assert started == [(str(c), words, b"state", [True, True], set())]
    assert daemon.steps == ["end children", "state 1", "let go", "take back"]
    assert not (directory / "state_dump").exists()


@on_loop
async def test_c_xenstored_does_not_know_open_transactions(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are waited for as long as is wanted; -F goes on without them."""
    monkeypatch.setenv("XENSTORED_RUNDIR", str(directory))
    daemon = Daemon(directory)
    daemon.open = {5: 2}
    c = directory / "c"
    c.write_bytes(b"\x7fELF")

    plan = plan_of(c, timeout_s=1)
    assert await replaced(daemon, plan) == []
    assert plan.drains
    assert daemon.answers == ["Domains with long running transactions:\nDomain 5: 2"]
    daemon.done.clear()
    assert len(await replaced(daemon, plan_of(c, force=True))) == 1


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        (b"#!/usr/bin/python3 -I\n", True),
        (b"#!/usr/bin/env python3\n", True),
        (b"#!/bin/sh\n'''exec' /very/long/way/to/python3 \"$0\" \"$@\"\n", True),
        (b"#!/bin/sh\nexec python3\n", False),
        (b"\x7fELF python", False),
        (b"", False),
    ],
)
def test_scripts_for_python_are_taken_for_ours(
    tmp_path: Path, text: bytes, *, ours: bool
) -> None:
    """pip makes two lines of one where it would be too long."""
    file = tmp_path / "file"
    file.write_bytes(text)

    assert is_ours(str(file)) == ours
    assert not is_ours(str(tmp_path / "absent"))


def test_arguments_of_the_update_are_in_the_place_of_our_own() -> None:
    """With the one that says that another daemon is followed."""
    plan = Plan(1, b"/x")
    assert arguments_of(plan, ["-N"]) == ["-N", "-U"]
    plan.arguments = b"--quota  nodes=3"
    assert arguments_of(plan, ["-N"]) == ["--quota", "nodes=3", "-U"]
