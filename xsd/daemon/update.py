"""Live update: another program goes on in this process, with everything that is open.

The new program proves itself first: it loads the state in a process of its own, and
its digest must be ours. Only then is everything stopped, for as long as it takes to
write the state, start the program and load the state there. Whatever fails before
leaves this daemon as it is; if the new one finds that it cannot go on, it starts this
one again with the same state.

A program that is none of ours is taken to be C xenstored, which cannot be tried, and
knows less: see `xsd.engine.handover`.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final, final

import structlog

from xsd.daemon.proof import Proof, Replaceable
from xsd.daemon.signals import held_back
from xsd.daemon.succession import c_state_file, write_state
from xsd.daemon.wayback import (
    BACK_VARIABLE,
    STATE_VARIABLE,
    Invocation,
    following,
    here,
    move_to,
    words_of,
)
from xsd.engine.plan import Plan, Updater
from xsd.transport.loop import Loop, Timer

log = structlog.get_logger(__name__)

PROOF_S: Final = 60
"""Seconds that a new program may take to load the state."""

LINE_MAX: Final = 4096
"""Bytes of a script's line that are looked at."""

_STAY: Final = "-N"
STAYS: Final = frozenset({_STAY, "--no-fork"})
"""Options of a daemon that is in the foreground."""

_LOOK_S: Final = 0.1
"""How often it is looked whether transactions have ended."""


@final
class Update(Updater):
    """Carries updates out."""

    def __init__(
        self,
        daemon: Replaceable,
        loop: Loop,
        started: Invocation,
        *,
        foreground: bool = False,
        execute: Callable[[str, list[str]], None] = os.execv,
    ) -> None:
        """Make one.

        Args:
            daemon: What is replaced.
            loop: The loop that runs.
            started: How it was started.
            foreground: Whether it is in the foreground, whatever its options say.
            execute: Replaces the process; returns only by raising OSError.
        """
        self._daemon = daemon
        self._loop = loop
        self._started = started
        self._foreground = foreground
        self._execute = execute
        # What is under way, and what it waits for.
        self._plan: Plan | None = None
        self._proof: Proof | None = None
        self._timer: Timer | None = None

    def fault(self, file: bytes) -> str:
        """See `Updater.fault`; the words are those of C xenstored."""
        if not os.access(file, os.F_OK):
            return "File not accessible."
        if not os.access(file, os.X_OK) or not Path(os.fsdecode(file)).is_file():
            return "File not executable."
        return ""

    def begin(self, plan: Plan) -> None:
        """See `Updater.begin`."""
        self._plan = plan
        self._loop.call_soon(partial(self._attempt, plan))

    def cancel(self) -> None:
        """See `Updater.cancel`."""
        plan, self._plan = self._plan, None
        if plan is not None:
            self._end_waiting()
            log.info("update.called_off", file=plan.file)

    def _end_waiting(self) -> None:
        """Wait for nothing any more, neither for a time nor for a proof."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._proof is not None:
            self._proof.close()
            self._proof = None

    def _attempt(self, plan: Plan) -> None:
        """Update, at once or as soon as something has happened."""
        if plan is not self._plan:
            # It was called off, in the turn in which it was begun.
            return
        with self._answering(plan):
            file = file_of(plan)
            words = arguments_of(plan, self._started.words)
            if self._foreground and not STAYS.intersection(words):
                # Or it would send its log elsewhere.
                words.append(_STAY)
            log.info("update.begun", file=plan.file, arguments=words)
            if is_ours(file):
                self._prove(plan, file, words)
            else:
                self._wait(plan, file, words, float(plan.timeout_s))

    @contextmanager
    def _answering(self, plan: Plan) -> Iterator[None]:
        """Have a defect of ours answered."""
        try:
            yield
        except Exception as error:
            log.error("update.failed", exc_info=True)  # noqa: G201  as the others
            self._refuse(plan, f"The daemon has failed: {error}")

    def _refuse(self, plan: Plan, reason: str) -> None:
        self._end_waiting()
        self._plan = None
        log.error("update.refused", file=plan.file, reason=reason)
        self._daemon.answer(plan, reason)

    def _prove(self, plan: Plan, file: str, words: list[str]) -> None:
        """Have the new program load the state, beside us.

        It is given the options as well, which it may not know.
        """
        try:
            self._proof = Proof(
                self._loop,
                self._daemon,
                self._started.directory,
                [file, *words],
                partial(self._proven, plan, file, words),
            )
        except OSError as error:
            self._refuse(plan, f"The new binary could not be tried: {error}")
            return
        self._timer = self._loop.call_later(PROOF_S, partial(self._gave_up, plan))

    def _gave_up(self, plan: Plan) -> None:
        self._refuse(
            plan, f"The new binary has not loaded the state within {PROOF_S} s."
        )

    def _proven(self, plan: Plan, file: str, words: list[str], reason: str) -> None:
        self._end_waiting()
        with self._answering(plan):
            self._refuse(plan, reason or self._replace(file, words, None))

    def _wait(self, plan: Plan, file: str, words: list[str], left_s: float) -> None:
        """Wait for open transactions, which C would not know."""
        if plan is not self._plan:
            return
        with self._answering(plan):
            open_ones = self._daemon.transactions()
            if open_ones and left_s > 0:
                # Or there would be new ones all the time.
                plan.drains = True
                again = partial(self._wait, plan, file, words, left_s - _LOOK_S)
                self._timer = self._loop.call_later(_LOOK_S, again)
                return
            if open_ones and not plan.force:
                lines = ["Domains with long running transactions:"]
                lines += [
                    f"Domain {domid}: {count}" for domid, count in open_ones.items()
                ]
                self._refuse(plan, "\n".join(lines))
                return
            self._refuse(plan, self._replace(file, words, plan.version))

    def _replace(self, file: str, words: list[str], version: int | None) -> str:
        """Replace the process; return why that failed, with all as it was."""
        if version is None:
            path = self._daemon.directory / "state_dump"
        else:
            path = c_state_file(os.environ)
        descriptors: list[int] = []
        directory = here()
        with held_back(only=version is None):
            try:
                self._daemon.end_children()
                data, descriptors = self._daemon.state(version)
                write_state(path, data)
                for descriptor in descriptors:
                    os.set_inheritable(descriptor, True)
                if version is None:
                    os.environ[STATE_VARIABLE] = str(path)
                    os.environ[BACK_VARIABLE] = self._started.way_back()
                    move_to(self._started.directory)
                else:
                    self._daemon.let_go()
                self._execute(file, words_of(file, words))
            except (OSError, ValueError) as error:
                reason = f"Error activating new binary: {error}"
            else:
                reason = "Error activating new binary."
        move_to(directory)
        for name in (STATE_VARIABLE, BACK_VARIABLE):
            os.environ.pop(name, None)
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
        with suppress(OSError):
            path.unlink()
        if version is not None:
            with suppress(OSError):
                self._daemon.take_back()
        return reason


def is_ours(file: str) -> bool:
    """Tell whether a program is a script for Python, as ours are.

    Nothing else may be tried with options of ours: C xenstored, given one that it
    does not know, begins to serve.
    """
    try:
        with Path(file).open("rb") as program:
            line = program.readline(LINE_MAX)
            # Where the way to Python is too long for a first line.
            second = program.readline(LINE_MAX)
    except OSError:
        return False
    if line == b"#!/bin/sh\n" and second.startswith(b"'''exec' "):
        line += second
    return line.startswith(b"#!") and b"python" in line


def file_of(plan: Plan) -> str:
    """The program that takes over, wherever it is started."""
    return str(Path(os.fsdecode(plan.file)).absolute())


def arguments_of(plan: Plan, words: Sequence[str]) -> list[str]:
    """The options of the program that takes over."""
    if plan.arguments is not None:
        words = os.fsdecode(plan.arguments).split()
    return following(words)
