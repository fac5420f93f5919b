"""The journal: the tape of an engine, in files that outlive the process.

Requests are gathered and copied into the current segment at the end of the turn, which
is before anything of a reply leaves; other inputs at once. What is there outlives the
process, but not the machine. Without a system call: the segment is mapped, and the next
one is made when it is half full. How safe it is on a disk is chosen:

- NEVER waits for no disk. It is what a tmpfs needs.
- EVERYSEC: the daemon calls `sync` each second. If the machine goes down, it is what
  came since the last time that is lost.
- ALWAYS: what a turn has taken is on the disk before its replies leave.

A checkpoint makes what is before it superfluous::

    sequence = journal.rotate()            # what is taken from now on follows
    write_checkpoint(directory, sequence, the state now, durable=...)
    journal.drop_before(sequence)          # when it stands

The second step may take its time, in a child for instance, if the state is that of the
first one.

If a segment cannot be made or written, or too much is kept without a checkpoint, the
journal is broken, which is said. Serving goes on, and inputs are lost to it. So a state
that could be recovered would be an earlier one, until there is a checkpoint;
`wants_checkpoint` says when that is worth trying (see also losses.py). What the clock
says comes in through `tend`.
"""

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, final

from xsd.engine.inputs import Input, Tape
from xsd.engine.notice import Notice
from xsd.persistence.directory import Directory, segment_name
from xsd.persistence.entries import encode
from xsd.persistence.losses import NOTHING, Losses
from xsd.persistence.reading import Reading
from xsd.persistence.run import Run
from xsd.persistence.segment import (
    SIZE,
    SIZE_MIN,
    START,
    Segment,
    make_segment,
    note_loss,
)
from xsd.protocol.frame import Frame

NEVER: Final = 0
EVERYSEC: Final = 1
ALWAYS: Final = 2

SYNCS: Final = ("never", "everysec", "always")
"""Names of how safe a journal is, by their numbers."""

OK: Final = "ok"
"""A state: every input is in the journal."""

SHORT: Final = "short"
"""A state: so it is, but the next segment cannot be made."""

BROKEN: Final = "broken"
"""A state: inputs are lost to it."""

WAITING: Final = "waiting"
"""A state: inputs are taken, but some before them were not, and no checkpoint stands
yet."""

TAKEN_OVER: Final = "what was taken over is not kept yet"
"""The reason of a journal that goes on apart from what was read."""

RETRY_MS: Final = 1000
"""Milliseconds until it is tried again to make a segment."""


@final
class Journal(Tape):
    """Writes a journal.

    Everything but `sync` belongs to the thread of the engine.

    Attributes:
        state: OK, SHORT, BROKEN or WAITING.
        reason: Why it is not OK; "" if it is.
        sequence: Number of the segment that was made last.
        number: Of the input that was taken last, those that were lost included.
        dropped: Inputs that were lost since it was OK.
    """

    def __init__(
        self,
        directory: Directory,
        after: Reading,
        say: Callable[[Notice], None],
        *,
        sync: int = NEVER,
        size: int = SIZE,
        limit: int = 0,
        control: int = 0,
        own: int = 0,
        apart: bool = False,
    ) -> None:
        """Go on with a journal, in a segment of its own.

        It is broken from the start if that cannot be made.

        Args:
            directory: Where; locked by this process, and left open by `close`.
            after: What was read there, to its end: its torn tail is cut for good.
            say: Is told what the log should say.
            sync: NEVER, EVERYSEC or ALWAYS.
            size: Bytes of a segment, SIZE_MIN or more. An input that is larger, as none
                is that fits into SIZE, breaks the journal.
            limit: How many bytes may be kept without a checkpoint; see `Losses`.
            control: The control domain.
            own: The domain that the daemon runs in.
            apart: Whether what was read leads to another state. It is WAITING then.

        Raises:
            OSError: If the directory cannot be read or the tail cannot be cut.
            ValueError: If it was not read to its end.
        """
        if not after.is_read:
            raise ValueError(after)
        self._directory = directory
        self._say = say
        self._sync = sync
        self._durable = sync != NEVER
        self._size = max(size, SIZE_MIN)
        self._run = Run(self._size // 4)
        self._control = control
        self._own = own
        self._segment: Segment | None = None
        self._next: Segment | None = None
        self._retired: deque[Segment] = deque()
        self._retired_bytes = 0
        self._base = 0
        self._rotated: tuple[int, int] = (0, 0)
        self._losses = Losses(directory, limit, is_apart=apart)
        self._is_late = False
        self._retry_ms = 0
        self._error: OSError | None = None
        self.dropped = 0
        self.reason = ""
        self.number = after.number
        self.sequence = after.next - 1
        directory.tidy()
        after.cut()
        self._start(after)

    def _start(self, after: Reading) -> None:
        """Begin the first segment, or be broken."""
        if self._losses.is_apart:
            self._losses.note(self.sequence, 0)
            self.reason = TAKEN_OVER
        try:
            self._begin(self._make(), self.number + 1)
        except OSError as error:
            if after.last:
                note_loss(self._directory, after.last)
            elif after.checkpoint_name:
                # A later segment of this number would seem to follow that checkpoint.
                self.sequence += 1
            self._break(str(error))

    @property
    def state(self) -> str:
        """See the states."""
        if self._segment is None:
            return BROKEN
        if self._losses.at != NOTHING:
            return WAITING
        return SHORT if self._is_late else OK

    @property
    def is_scarce(self) -> bool:
        """See `Tape.is_scarce`: the more it has, the sooner there is a checkpoint."""
        return True

    @property
    def condition(self) -> str:
        """See `Tape.condition`: its state, with the reason."""
        state = self.state
        return OK if state == OK else f"{state}: {self.reason}"

    @property
    def wants_checkpoint(self) -> bool:
        """Whether only a checkpoint makes it whole again, and can be begun."""
        return self._losses.at != NOTHING and (
            self._segment is not None or self._next is not None
        )

    @property
    def size(self) -> int:
        """Bytes of the inputs since the last checkpoint that stands."""
        return self._count - self._base

    @property
    def _count(self) -> int:
        """Bytes of all inputs that were kept."""
        segment = self._segment
        return self._retired_bytes + (0 if segment is None else segment.used - START)

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._directory.path

    def take(self, entry: Input) -> None:
        """See `Tape.take`. It is in the file at once, with all before it."""
        self._end_run()
        self.number += 1
        segment = self._segment
        if segment is None:
            self._drop(1)
            return
        try:
            data = encode(entry, self.number, segment.seed)
            if segment.used + len(data) > segment.size:
                segment = self._go_on(len(data), self.number)
                data = encode(entry, self.number, segment.seed)
            segment.append(data)
        except Exception as error:  # noqa: BLE001  the input has happened
            self._drop(1, error)

    def take_request(
        self, connection: int, domid: int, ordinal: int, generation: int, frame: Frame
    ) -> None:
        """See `Tape.take_request`. It is in the file at the end of the turn."""
        run = self._run
        if not run.add(connection, domid, ordinal, generation, frame):
            self._end_run()
            run.add(connection, domid, ordinal, generation, frame)
        self.number += 1

    def _end_run(self) -> None:
        """Write the requests that were taken and are in no segment yet."""
        run = self._run
        count = run.count
        if not count:
            return
        number = self.number - count + 1
        segment = self._segment
        try:
            if segment is None:
                self._drop(count)
            else:
                size = run.size
                if segment.used + size > segment.size:
                    segment = self._go_on(size, number)
                segment.append_run(run, size, number)
        except Exception as error:  # noqa: BLE001  the inputs have happened
            self._drop(count, error)
        run.clear()

    def _go_on(self, needed: int, number: int) -> Segment:
        """Take the next segment into use, for inputs from a number on.

        Raises:
            OSError: If there is none, and none can be made.
            ValueError: If the entry does not fit into any.
        """
        if START + needed > self._size:
            raise ValueError(f"an input of {needed} bytes fits into no segment")
        self._losses.expect_room(self._count)
        # There is none after half a segment in one turn, or if it could not be made.
        following = self._next or self._make()
        self._next = None
        self._begin(following, number)
        return following

    def end_turn(self) -> None:
        """See `Tape.end_turn`."""
        self._end_run()
        if self._sync == ALWAYS:
            self.sync()
        if self._error is not None:
            self._end_sync()
        segment = self._segment
        is_half_full = segment is not None and 2 * segment.used > self._size
        if is_half_full and self._next is None and not self._is_late:
            self._prepare()

    def sync(self) -> None:
        """Have everything that was taken so far on the disk, unless it waits for none.

        May be called in a thread of its own, one call at a time, while inputs are
        taken; not while `close` is called. What goes wrong is said by the next
        `end_turn` or `tend`.
        """
        if not self._durable:
            return
        # First: those before it are among the retired then, and come before it.
        current = self._segment
        try:
            while self._retired:
                segment = self._retired[0]
                try:
                    segment.make_safe()
                finally:
                    self._retired.popleft()
                    segment.close()
            if current is not None:
                current.make_safe()
        except OSError as error:
            self._error = error

    def tend(self, now_ms: int) -> None:
        """Do what is due; to be called about every second.

        Args:
            now_ms: The time, of a clock that only goes on.
        """
        if self._error is not None:
            self._end_sync()
        wanted = self._is_late or self._segment is None
        if wanted and self._next is None and now_ms >= self._retry_ms:
            self._retry_ms = now_ms + RETRY_MS
            self._prepare()

    def rotate(self) -> int:
        """Have the inputs from now on in a new segment, for a checkpoint of the state.

        If no inputs came since the last time, it may be the same one; if some were
        lost, what came since then is left out. So checkpoints that fail leave little.

        Returns:
            The number of the segment, and of the checkpoint.

        Raises:
            OSError: If the segment cannot be made or, for a disk, written; inputs are
                taken as before then.
        """
        self._end_run()
        current = self._segment
        if current is not None and self._is_unused(current):
            self._rotated = (current.sequence, self._retired_bytes)
            return current.sequence
        self._leave_out()
        following = self._next or self._make()
        self._next = None
        number = self.number + 1
        if self._durable:
            # The head says which input the checkpoint goes on with. No thread knows
            # the segment yet.
            following.begin(number, apart=self._losses.is_apart)
            try:
                following.make_safe()
            except OSError:
                following.close()
                self._directory.give_up(segment_name(following.sequence))
                self.sequence = following.sequence - 1
                raise
        self._begin(following, number)
        self._rotated = (following.sequence, self._retired_bytes)
        self._losses.begin_checkpoint(self._retired_bytes)
        return following.sequence

    def _is_unused(self, segment: Segment) -> bool:
        """Tell whether a segment may do for a checkpoint, as nothing is in it."""
        losses = self._losses
        may_follow = segment.sequence > losses.at and not losses.is_apart
        return segment.used == START and may_follow and not self._durable

    def _leave_out(self) -> None:
        """Have no more kept than may be while there is no checkpoint."""
        if self._losses.at == NOTHING:
            try:
                self._losses.expect_room(self._count)
            except OSError as error:
                self._break(str(error))
            return
        # The disk has to have had them before: see `sync`.
        waiting = {each.sequence for each in self._retired.copy()}
        if self._segment is not None:
            waiting.add(self._segment.sequence)
        self._losses.leave_out(waiting)

    def drop_before(self, sequence: int) -> None:
        """Remove what a checkpoint has made superfluous.

        Args:
            sequence: Its number. It stands, whole and as safe as it has to be.
        """
        try:
            self._directory.remove_before(sequence)
        except OSError as error:
            # They are in nobody's way, and the next checkpoint removes them.
            self._note("warning", "journal.not_removed", str(error))
        if sequence == self._rotated[0]:
            self._base = self._rotated[1]
        if self._losses.end_checkpoint(sequence, self._base):
            self._resume()

    def close(self) -> None:
        """Have everything on the disk and let go of it; nothing is taken after this."""
        self._end_run()
        self.sync()
        if self._error is not None:
            self._end_sync()
        for segment in (self._segment, self._next, *self._retired):
            if segment is not None:
                segment.close()
        self._segment = self._next = None
        self._retired.clear()

    def _make(self) -> Segment:
        """Make a segment with the next number.

        Raises:
            OSError: If that is not possible.
        """
        made = make_segment(
            self._directory,
            self.sequence + 1,
            self._size,
            control=self._control,
            own=self._own,
            durable=self._durable,
        )
        self.sequence = made.sequence
        is_broken = self._segment is None
        if self._is_late and not is_broken and self._losses.at == NOTHING:
            self._resume()
        self._is_late = False
        return made

    def _prepare(self) -> None:
        """Make the next segment, or say that it cannot be made."""
        try:
            self._losses.expect_room(self._count)
            self._next = self._make()
        except OSError as error:
            if not self._is_late and self._segment is not None:
                self._note("warning", "journal.no_segment", str(error))
            if self._losses.at == NOTHING:
                self.reason = str(error)
            self._is_late = True

    def _begin(self, segment: Segment, number: int) -> None:
        """Take a segment into use, for the inputs from this number on."""
        if self._segment is not None:
            # Before it is no more the current one: see `sync`.
            self._retire(self._segment)
        segment.begin(number, apart=self._losses.is_apart)
        self._segment = segment
        self._losses.begin(segment.sequence)

    def _drop(self, count: int, error: Exception | None = None) -> None:
        """Lose inputs, the first for a reason: the next segment does not follow."""
        self.dropped += count
        self._losses.is_apart = True
        if error is not None:
            self._break(str(error), None if isinstance(error, OSError) else error)

    def _resume(self) -> None:
        """All is as it should be again."""
        if self.reason != TAKEN_OVER:
            self._note("info", "journal.resumed", self.reason)
        self.reason = ""
        self.dropped = 0

    def _retire(self, segment: Segment) -> None:
        """Append nothing to a segment any more."""
        self._retired_bytes += segment.used - START
        if self._durable:
            self._retired.append(segment)
        else:
            segment.close()

    def _end_sync(self) -> None:
        """What was taken may not be on the disk, and cannot be brought there now."""
        error, self._error = self._error, None
        if self._segment is not None:
            self._break(str(error))

    def _break(self, reason: str, error: BaseException | None = None) -> None:
        """Take nothing any more, as something is missing."""
        segment = self._segment
        if segment is not None:
            segment.note_loss()
            self._segment = None
            self._retire(segment)
            self._losses.note(segment.sequence, self._retired_bytes)
        else:
            self._losses.note(self.sequence, self._retired_bytes)
        self.reason = reason
        self._note("error", "journal.broken", reason, error)

    def _note(
        self, level: str, event: str, reason: str, error: BaseException | None = None
    ) -> None:
        fields: dict[str, object] = {"path": str(self.path), "reason": reason}
        if self.dropped:
            fields["dropped"] = self.dropped
        self._say(Notice(level, event, fields, error))
