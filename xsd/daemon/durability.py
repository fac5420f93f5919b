"""The store outlives the process: recovery, the journal, and checkpoints.

What is in the journal's directory is told in `xsd/persistence/journal.py`. A checkpoint
is written by a child of the process: a fork is a picture of the whole state at one
moment, made in a few milliseconds whatever the state is, while a walk in slices would
have to hold still what it walks along.

A daemon that ends soon after each recovery may do so for what it recovers. The third
time within a minute it begins with the checkpoint, and sets the journal aside.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Final, final

import structlog

from xsd.daemon.attempts import Attempts
from xsd.daemon.child import Child
from xsd.engine import Engine, Notice
from xsd.engine.image import image, load
from xsd.engine.inputs import Input, Tape
from xsd.engine.owed import Owed
from xsd.engine.replay import DivergenceError, drop_output, replay
from xsd.persistence.directory import (
    CHECKPOINT,
    SEGMENT,
    Directory,
    checkpoint_name,
    segment_name,
    write_checkpoint,
)
from xsd.persistence.journal import NEVER, Journal
from xsd.persistence.ledger import MappedLedger
from xsd.persistence.reading import Kept, Reading, read_journal
from xsd.persistence.segment import JournalError
from xsd.protocol.records import Record
from xsd.protocol.stream import StreamError, StreamWriter, read_stream
from xsd.store.load import ImageError
from xsd.transport.loop import Loop, Timer

log = structlog.get_logger(__name__)

TEND_S: Final = 1.0
"""How often it is looked what is due."""

RETRY_S: Final = 10.0
RETRY_MAX_S: Final = 60.0
"""Until another checkpoint is tried after one that failed, and after many."""

PAUSES: Final = 20
"""A checkpoint stops the daemon for at most one part in so many of the time."""

LIMIT: Final = 4
LIMIT_MIN: Final = 64 << 20
"""If there cannot be a checkpoint, as many times as many bytes may be kept as until
there is one, and at the least so many: it takes a while to write one."""

_NICE: Final = 10

_SETTINGS: Final = "settings"
_BOOT: Final = "boot"
_ASIDE: Final = "aside."
_LEFT: Final = "left"


@final
class NoJournal(Tape):
    """In the place of a journal that cannot be had.

    Args:
        reason: Why.
    """

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def take(self, entry: Input) -> None:
        """See `Tape.take`."""

    def end_turn(self) -> None:
        """See `Tape.end_turn`."""

    @property
    def condition(self) -> str:
        """See `Tape.condition`."""
        return f"none: {self._reason}"


class RecoveryError(Exception):
    """What was kept cannot be recovered; the text says where it is wrong."""


@final
class Durability:
    """Keeps the state of an engine in files.

    Attributes:
        recovered: Inputs that were carried out once more.
        is_new: Whether nothing was kept.
        limits: Those of the settings that the state was made with.
        is_complete: Whether nothing is missing that somebody was told of.
        directory: Where the files are.
        ledger: Where it is noted what is under way on rings; None without room for it.
        untold: Connections of guests that may have lost an event.
    """

    def __init__(
        self,
        path: Path,
        engine: Engine,
        loop: Loop,
        say: Callable[[Notice], None],
        *,
        sync: int = NEVER,
        checkpoint_bytes: int,
        boot: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Open the directory, and be the only one who does.

        Args:
            path: The directory; it is made if it is not there.
            engine: Whose state; a new one.
            loop: The loop that runs.
            say: Is told what the log should say.
            sync: See `Journal`.
            checkpoint_bytes: How much the journal may grow until there is a checkpoint.
            boot: Which start of the machine this is: what was kept in another one is
                left out. "" has all of them go on.
            clock: Seconds since 1970.

        Raises:
            OSError: If it cannot be had.
        """
        self.recovered = 0
        self.is_new = True
        self.limits: dict[str, int] = {}
        self.is_complete = True
        self.ledger: MappedLedger | None = None
        self.untold: list[int] = []
        self._engine = engine
        self._say = say
        self._sync = sync
        self._checkpoint_bytes = checkpoint_bytes
        self._boot = boot
        self.directory = Directory(path, make=True)
        self._attempts = Attempts(self.directory, clock)
        try:
            self.directory.lock()
        except BaseException:
            self.directory.close()
            raise
        self._journal: Journal | None = None
        self._records: list[Record] = []
        self._loop = loop
        self._timer: Timer | None = None
        # The process that writes a checkpoint.
        self._child: Child | None = None
        self._writing = 0
        self._not_before = 0.0
        self._retry_s = RETRY_S
        # How long the daemon stopped for the last checkpoint, and when it was begun.
        self._paused_s = 0.0
        self._begun = 0.0
        self._syncing: Thread | None = None

    # Recovery.

    def recover(self, *, taken: bool = False) -> None:
        """Bring the engine to the state that was kept, if there is one, and go on.

        Args:
            taken: The engine has a state already, of another process: what was kept is
                an earlier one.

        Raises:
            RecoveryError: If it cannot be recovered. Nothing has been changed.
            OSError: If it cannot be read, or not be gone on with.
        """
        try:
            self._leave_out_other_boot()
            self._open_ledger(taken=taken)
            if not taken and self._attempts.are_vain:
                self._set_aside()
            reading = read_journal(self.directory, self._is_whole)
            last = self._pass_over(reading) if taken else self._carry_out(reading)
            if not taken and not self.is_new:
                self._attempts.note()
        except JournalError as error:
            raise RecoveryError(str(error)) from error
        if reading.torn is not None:
            log.warning("journal.torn", what=str(reading.torn))
        if reading.lost:
            self.is_complete = False
            log.error("journal.lost", after=last)
        for name in reading.passed_over:
            log.error("journal.checkpoint_damaged", file=name)
        self.limits = self._settings()
        self._journal = Journal(
            self.directory,
            reading,
            self._say,
            sync=self._sync,
            limit=max(LIMIT * self._checkpoint_bytes, LIMIT_MIN),
            control=self._engine.store.privileged.domid,
            apart=taken,
        )

    def _is_whole(self, data: bytes) -> bool:
        with suppress(StreamError):
            self._records = read_stream(data)
            return True
        return False

    def _carry_out(self, reading: Reading) -> str:
        """Load the checkpoint, and carry out what came after it."""
        engine = self._engine
        slips = [] if self.ledger is None else self.ledger.slips()
        owed = {slip.connection: Owed(slip) for slip in slips}
        last: list[Kept] = []

        def inputs() -> Iterator[Input]:
            for kept in reading:
                last[:] = [kept]
                yield kept.entry

        begun = time.monotonic()
        try:
            if reading.checkpoint is not None:
                load(engine, self._records)
                drop_output(engine, owed)
            self._records = []
            self.recovered = replay(engine, inputs(), owed)
        except ImageError as error:
            raise RecoveryError(f"{reading.checkpoint_name}: {error}") from error
        except DivergenceError as error:
            where = f"{last[0].name}, offset {last[0].offset}" if last else ""
            raise RecoveryError(f"{where}: {error}") from error
        for number, each in owed.items():
            each.finish(engine, refused=not self.is_complete)
            if each.is_untold:
                self.untold.append(number)
        if self.ledger is not None:
            self.ledger.retain(engine.core.connections)
        self.is_new = reading.checkpoint is None and not self.recovered
        if not self.is_new:
            log.warning(
                "store.recovered",
                inputs=self.recovered,
                nodes=sum(self._engine.store.usage.nodes.used.values()),
                ms=int((time.monotonic() - begun) * 1000),
            )
        return f"{last[0].name}, offset {last[0].offset}" if last else ""

    def _pass_over(self, reading: Reading) -> str:
        for _kept in reading:
            pass
        if self.ledger is not None:
            self.ledger.retain(self._engine.core.connections)
        return ""

    def _open_ledger(self, *, taken: bool) -> None:
        try:
            self.ledger = MappedLedger(self.directory, taken=taken)
        except OSError as error:
            # Without it guests may lose what is under way, and nothing else.
            log.error("journal.no_ledger", reason=str(error))  # noqa: TRY400

    def _set_aside(self) -> None:
        """Leave the inputs out, and keep them under other names."""
        self.is_complete = False
        self._rename(segment_name, SEGMENT)
        log.critical("journal.set_aside", path=str(self.directory.path))

    def _rename(self, name_of: Callable[[int], str], kind: str) -> None:
        for number in self.directory.numbers(kind):
            name = name_of(number)
            self.directory.rename(name, _ASIDE + name)

    def _leave_out_other_boot(self) -> None:
        """Begin anew if what was kept is of another start of the machine.

        All that it is about went with that: domains, their rings, and who waited. Or if
        another daemon has gone on with it, which keeps nothing here.
        """
        directory = self.directory
        try:
            before = directory.read(_BOOT).decode("ascii", "replace")
        except FileNotFoundError:
            before = ""
        is_left = directory.has(_LEFT)
        if is_left or (self._boot and before not in ("", self._boot)):
            directory.remove_all(_ASIDE)
            # First: behind a checkpoint that is gone, segments would be damage.
            self._rename(segment_name, SEGMENT)
            self._rename(checkpoint_name, CHECKPOINT)
            self._attempts.forget()
            directory.remove(_LEFT)
            if is_left:
                log.error("journal.handed_over", path=str(directory.path))
            else:
                log.error("journal.other_boot", path=str(directory.path))
        # If that cannot be written: rather none than a wrong one.
        directory.remove(_BOOT)
        if self._boot:
            with suppress(OSError):
                directory.write(_BOOT, [self._boot.encode()], durable=False)

    def _settings(self) -> dict[str, int]:
        with suppress(OSError, ValueError):
            found: dict[str, int] = json.loads(self.directory.read(_SETTINGS))
            return found
        return {}

    # While it serves.

    def begin(self, limits: Mapping[str, int]) -> None:
        """Have what changes the state kept from now on.

        Args:
            limits: Those of the settings, with which it is compared next time.
        """
        journal = self._journal
        assert journal is not None  # noqa: S101  it has been recovered
        text = json.dumps(dict(limits)).encode()
        with suppress(OSError):
            self.directory.write(_SETTINGS, [text], durable=self._sync != NEVER)
        self._engine.tape = journal
        self._timer = self._loop.call_later(TEND_S, self._tend)

    @property
    def is_writing(self) -> bool:
        """Whether a checkpoint is written beside us."""
        return self._child is not None

    @property
    def state(self) -> str:
        """How the journal is: "ok", or another of its states, with the reason."""
        journal = self._journal
        return "closed" if journal is None else journal.condition

    def _tend(self) -> None:
        self._timer = self._loop.call_later(TEND_S, self._tend)
        journal = self._journal
        if journal is None:
            return
        now = time.monotonic()
        try:
            journal.tend(int(now * 1000))
            if self._sync != NEVER and not self._is_syncing():
                self._syncing = Thread(target=journal.sync, daemon=True)
                self._syncing.start()
            wanted = journal.wants_checkpoint or journal.size > self._checkpoint_bytes
            if wanted and self._child is None and now >= self._not_before:
                self._begin_checkpoint(journal)
        except Exception as error:  # noqa: BLE001  there is another second
            self._say(Notice("error", "journal.failed", {}, error))

    def _is_syncing(self) -> bool:
        return self._syncing is not None and self._syncing.is_alive()

    def _begin_checkpoint(self, journal: Journal) -> None:
        """Have a child write a checkpoint of the state as it is now."""
        self._begun = time.monotonic()
        try:
            self._writing = journal.rotate()
            work = partial(self._be_writer, self._writing)
            keep = self.directory.fileno()
            self._child = Child(self._loop, work, keep, self._end_checkpoint)
        except OSError as error:
            self._failed(str(error))
            return
        self._paused_s = time.monotonic() - self._begun

    def _be_writer(self, sequence: int) -> None:
        """Write a checkpoint, in a process of its own that does nothing else."""
        os.nice(_NICE)
        self._write(sequence)

    def _write(self, sequence: int) -> None:
        durable = self._sync != NEVER
        chunks = _chunks(self._engine)
        write_checkpoint(self.directory, sequence, chunks, durable=durable)

    def _end_checkpoint(self, status: int) -> None:
        self._child = None
        journal = self._journal
        if status != 0:
            self.directory.give_up(checkpoint_name(self._writing))
            code = os.waitstatus_to_exitcode(status)
            self._failed(f"its process ended with status {code}")
        elif journal is not None:
            journal.drop_before(self._writing)
            self._retry_s = RETRY_S
            now = time.monotonic()
            taken_s = now - self._begun
            self._not_before = now + max(taken_s, PAUSES * self._paused_s)
            log.info("store.checkpointed", sequence=self._writing)

    def _failed(self, reason: str) -> None:
        self._not_before = time.monotonic() + self._retry_s
        self._retry_s = min(2 * self._retry_s, RETRY_MAX_S)
        fields: dict[str, object] = {"reason": reason, "state": self.state}
        self._say(Notice("error", "journal.no_checkpoint", fields))

    def end_child(self) -> None:
        """End who writes a checkpoint: nobody will be there who hears of its end."""
        if self._child is not None:
            self._child.kill()
            self._child = None
            self.directory.give_up(checkpoint_name(self._writing))

    def keep_all(self) -> None:
        """Have the whole state written here and now, or say that it could not be."""
        try:
            self.checkpoint()
        except OSError as error:
            self._failed(str(error))

    def checkpoint(self) -> None:
        """Write a checkpoint here and now.

        Raises:
            OSError: If that is not possible.
        """
        journal = self._journal
        assert journal is not None  # noqa: S101  it has been recovered
        sequence = journal.rotate()
        self._write(sequence)
        journal.drop_before(sequence)

    def let_go(self, *, back: bool = False) -> None:
        """Another daemon goes on, and what is kept gets out of date; or not, after all.

        Raises:
            OSError: If that cannot be noted.
        """
        if back:
            self.directory.remove(_LEFT)
        else:
            self.directory.write(_LEFT, [], durable=self._sync != NEVER)

    def leave(self) -> None:
        """Keep nothing more: who is ended from now on is not gone for the next one.

        The whole state is written, so that that one has nothing to carry out once more.
        It need not be: nobody is waited for who writes one already.
        """
        journal = self._journal
        if self._engine.tape is None or journal is None:
            return
        self._engine.tape = None
        if self._child is None and (journal.size or journal.wants_checkpoint):
            self.keep_all()

    def close(self) -> None:
        """The daemon ends as it was told to: there is nothing wrong with the state."""
        if self._timer is not None:
            self._timer.cancel()
        if self._child is not None:
            self._child.leave()
            self._child = None
        self._engine.tape = None
        if self._syncing is not None:
            self._syncing.join()
        for kept in (self._journal, self.ledger):
            if kept is not None:
                kept.close()
        self._journal = self.ledger = None
        with suppress(OSError):
            self._attempts.forget()
        self.directory.close()


def _chunks(engine: Engine) -> Iterator[bytes]:
    writer = StreamWriter()
    yield writer.preamble()
    for record in image(engine):
        yield writer.record(record)
    yield writer.end()
