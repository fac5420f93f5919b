"""Live update: another program goes on in this process, with everything that is open.

The new program proves itself first: it loads the state in a process of its own, and
its digest must be ours. Only then is everything stopped, for as long as it takes to
write the state, start the program and load the state there. Whatever fails before
leaves this daemon as it is; if the new one finds that it cannot go on, it starts this
one again with the same state.

A program that is none of ours is taken to be C xenstored, which cannot be tried, and
knows less: see `xsd.engine.handover`.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, final

import structlog

from xsd.daemon.options import CHECK
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
from xsd.engine.update import REASON_MAX

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


class Replaceable:
    """The daemon, as far as an update is concerned with it."""

    __slots__ = ()

    def answer(self, plan: Plan, reason: str) -> None:
        """Tell who has asked for an update that there is none."""
        raise NotImplementedError

    def digest(self) -> str:
        """See `succession.digest`."""
        raise NotImplementedError

    def state(self, version: int | None) -> tuple[bytes, list[int]]:
        """The whole state, and the descriptors that must stay open.

        Args:
            version: Of the stream for C xenstored; None for one of our own daemons.

        Raises:
            ValueError: If it cannot be handed on.
        """
        raise NotImplementedError

    def transactions(self) -> dict[int, int]:
        """How many are open, by domain."""
        raise NotImplementedError

    def let_go(self) -> None:
        """Give up what C xenstored takes for itself; see `Hypervisor.let_go`."""
        raise NotImplementedError

    def take_back(self) -> None:
        """Undo `let_go`.

        Raises:
            OSError: If that is not possible.
        """
        raise NotImplementedError

    @property
    def directory(self) -> Path:
        """Where files may be left for another process."""
        raise NotImplementedError


@final
class Update(Updater):
    """Carries updates out."""

    def __init__(
        self,
        daemon: Replaceable,
        started: Invocation,
        *,
        foreground: bool = False,
        execute: Callable[[str, list[str]], None] = os.execv,
    ) -> None:
        """Make one.

        Args:
            daemon: What is replaced.
            started: How it was started.
            foreground: Whether it is in the foreground, whatever its options say.
            execute: Replaces the process; returns only by raising OSError.
        """
        self._daemon = daemon
        self._started = started
        self._foreground = foreground
        self._execute = execute
        self._task: asyncio.Task[None] | None = None

    def fault(self, file: bytes) -> str:
        """See `Updater.fault`; the words are those of C xenstored."""
        if not os.access(file, os.F_OK):
            return "File not accessible."
        if not os.access(file, os.X_OK) or not Path(os.fsdecode(file)).is_file():
            return "File not executable."
        return ""

    def begin(self, plan: Plan) -> None:
        """See `Updater.begin`."""
        run = self._run(plan, self._task)
        self._task = asyncio.get_running_loop().create_task(run)

    def cancel(self) -> None:
        """See `Updater.cancel`."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self, plan: Plan, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            # It was called off; what it leaves has the names that we need.
            await asyncio.wait([before])
        try:
            reason = await self._attempt(plan)
        except asyncio.CancelledError:
            log.info("update.called_off", file=plan.file)
            raise
        except Exception as error:
            log.error("update.failed", exc_info=True)  # noqa: G201  as the others
            reason = f"The daemon has failed: {error}"
        else:
            log.error("update.refused", file=plan.file, reason=reason)
        self._daemon.answer(plan, reason)

    async def _attempt(self, plan: Plan) -> str:
        """Update; return why it was not possible."""
        file = file_of(plan)
        words = arguments_of(plan, self._started.words)
        if self._foreground and not STAYS.intersection(words):
            # Or it would send its log elsewhere.
            words.append(_STAY)
        log.info("update.begun", file=plan.file, arguments=words)
        if is_ours(file):
            reason = await self._prove(file, words)
            return reason or self._replace(file, words, None)
        reason = await self._wait(plan)
        return reason or self._replace(file, words, plan.version)

    async def _prove(self, file: str, words: list[str]) -> str:
        """Have the new program load the state, beside us; what speaks against it.

        It is given the options as well, which it may not know.
        """
        path = self._daemon.directory / "state_proof"
        try:
            data, _descriptors = self._daemon.state(None)
            write_state(path, data)
            wanted = self._daemon.digest()
            check = words_of(file, [CHECK, str(path), *words])
            status, said = await self._tried(check)
        except TimeoutError:
            return f"The new binary has not loaded the state within {PROOF_S} s."
        except (OSError, ValueError) as error:
            return f"The new binary could not be tried: {error}"
        finally:
            with suppress(OSError):
                path.unlink()
        if status == 0 and said == wanted:
            return ""
        return f"The new binary does not load the state: {said or status}"

    async def _tried(self, words: list[str]) -> tuple[int, str]:
        """Run a program to its end; its status, and what it said.

        Raises:
            OSError: If there is no such program.
            TimeoutError: If it does not end.
        """
        # No pipe: the loop would keep its end of one where the program cannot start.
        with os.fdopen(os.memfd_create("proof"), "w+b") as said:
            trial = await asyncio.create_subprocess_exec(
                *words,
                cwd=self._started.directory or None,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
            try:
                status = await asyncio.wait_for(trial.wait(), PROOF_S)
            finally:
                with suppress(ProcessLookupError):
                    trial.kill()
                await trial.wait()
            said.seek(0)
            return status, said.read(REASON_MAX).decode(errors="replace").strip()

    async def _wait(self, plan: Plan) -> str:
        """Wait for open transactions, which C would not know; who has not ended."""
        left_s = float(plan.timeout_s)
        while self._daemon.transactions():
            if left_s <= 0:
                break
            await asyncio.sleep(_LOOK_S)
            left_s -= _LOOK_S
        open_ones = self._daemon.transactions()
        if not open_ones or plan.force:
            return ""
        lines = ["Domains with long running transactions:"]
        lines += [f"Domain {domid}: {count}" for domid, count in open_ones.items()]
        return "\n".join(lines)

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
