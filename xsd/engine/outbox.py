"""What is still to be sent on one connection.

All that was not handed to the kernel or ring yet is here, the rest of a half sent
message included, so that a connection can be carried over to another process between
two requests.

Messages wait as their bytes. An event with a long token, or of which the path is a
trail that it shares with many others, waits as the store made it, and its bytes are
made when it is sent. What waits for a guest is charged to it, and its events may
expire.
"""

from typing import Final, cast, final

from mypy_extensions import mypyc_attr

from xsd.protocol.frame import message_size
from xsd.protocol.limits import HEADER_SIZE
from xsd.protocol.reply import encode_event, is_event
from xsd.store import Event
from xsd.store.usage import MESSAGE_BYTES, Usage

CHUNK: Final = 256 * 1024
"""Bytes that are handed to the kernel at once, at least if there are as many."""

_LOOKED_AT: Final = 8
"""Messages among which an equal event is looked for one by one."""


@final
class Tally:
    """How much a guest has under way: requests, and events that they caused.

    Attributes:
        connection: Number of the guest's connection.
        count: Replies and events that are not completely sent yet.
        waiting: Whether the guest waits for the count to fall.
    """

    __slots__ = ("_fallen", "connection", "count", "waiting")

    def __init__(self, connection: int, fallen: "list[Tally]") -> None:
        """Make one.

        Args:
            connection: Number of the guest's connection.
            fallen: Is given the tally when it falls and the guest waits for that.
        """
        self.connection = connection
        self.count = 0
        self.waiting = False
        self._fallen = fallen

    def fall(self) -> None:
        """One thing less is under way."""
        self.count -= 1
        if self.waiting:
            self.waiting = False
            self._fallen.append(self)


@final
@mypyc_attr(acyclic=True, free_list_len=1)
class Counted:
    """A message that waits, of which more must be known.

    Attributes:
        message: Its bytes; or an event as the store made it.
        tally: Whose request it comes of, if that is counted.
        queued_ms: When a guest's event was queued, which may not wait for ever, else
            -1.
    """

    __slots__ = ("message", "queued_ms", "tally")

    def __init__(
        self, message: bytes | Event, tally: Tally | None, queued_ms: int
    ) -> None:
        self.message = message
        self.tally = tally
        self.queued_ms = queued_ms


@final
class Outbox:
    """Replies and events in the order in which they are sent.

    Attributes:
        size: Bytes that are still to be sent.
        waiting: Events of which nothing is sent yet.
    """

    __slots__ = (
        "_charged",
        "_chunk",
        "_domid",
        "_first",
        "_is_tail",
        "_known",
        "_mixed",
        "_rest",
        "_sent",
        "_tallies",
        "_usage",
        "_ways",
        "size",
        "waiting",
    )

    def __init__(self, usage: Usage | None = None, domid: int = 0) -> None:
        """Make an empty one.

        Args:
            usage: Where what waits is counted; None if the client has no limits.
            domid: Whose it is.
        """
        self.size = 0
        self.waiting = 0
        self._usage = usage
        self._domid = domid
        self._charged = 0
        # Bytes, Counted, and events as the store made them. The first ones are in
        # reverse, if more waits than is sent at a time.
        self._rest: list[object] = []
        self._first: list[object] = []
        # Whether there is anything else than bytes.
        self._mixed = False
        # The events that wait as bytes, once an equal one is looked for among many.
        self._known: set[bytes] | None = None
        # Those that wait as the store made them, by their keys.
        self._ways: dict[int, Event] | None = None
        # What `peek` showed last, how much of it is sent, and whom it is counted for.
        self._chunk = b""
        self._sent = 0
        # Whether the chunk is the end of a message that another process has begun.
        self._is_tail = False
        self._tallies: list[Tally] = []

    def append(self, frame: bytes, tally: Tally | None = None) -> None:
        """Add a reply.

        Args:
            frame: Its bytes.
            tally: Whose request it is, if that is counted.
        """
        self.size += len(frame)
        if tally is None:
            self._rest.append(frame)
        else:
            tally.count += 1
            self._mixed = True
            self._rest.append(Counted(frame, tally, -1))
        if self._usage is not None:
            self._charge()

    def holds(self, event: Event, frame: bytes | None) -> bool:
        """Tell whether an equal event still waits.

        A client that reads slowly is so told once of what happened a thousand times.

        Args:
            event: The event.
            frame: Its bytes, unless it waits as it is.
        """
        ways = self._ways
        if ways is not None:
            found = ways.get(event.key())
            if found is not None and found.equals(event):
                return True
            if self.waiting == len(ways):
                return False
        if frame is None:
            frame = _bytes_of(event)
        known = self._known
        if known is None:
            rest = self._rest
            if len(rest) <= _LOOKED_AT and not self._first:
                for each in rest:
                    if isinstance(each, Counted):
                        each = each.message  # noqa: PLW2901  what it is about
                    if isinstance(each, bytes) and each == frame:
                        return True
                return False
            known = self._known = _frames_of_events(self._waiting())
        return frame in known

    def tell(
        self,
        event: Event,
        frame: bytes | None,
        tally: Tally | None = None,
        queued_ms: int = -1,
    ) -> None:
        """Add an event that is not too long to be sent.

        Args:
            event: The event.
            frame: Its bytes, unless it waits as it is.
            tally: Whose request it comes of, if that is counted.
            queued_ms: The time, of a guest's event, which may expire; else -1.
        """
        self.waiting += 1
        message: bytes | Event
        if frame is not None:
            message = frame
            self.size += len(frame)
            if self._known is not None:
                self._known.add(frame)
        else:
            message = event
            self.size += HEADER_SIZE + event.size
            self._mixed = True
            if self._ways is None:
                self._ways = {}
            self._ways[event.key()] = event
        if tally is None and queued_ms < 0:
            self._rest.append(message)
        else:
            if tally is not None:
                tally.count += 1
            self._mixed = True
            self._rest.append(Counted(message, tally, queued_ms))
        if self._usage is not None:
            self._charge()

    def peek(self, limit: int = CHUNK) -> bytes | memoryview:
        """The bytes to send next; empty if there are none.

        Args:
            limit: As soon as there are so many, no further message is begun.
        """
        if self._sent:
            return memoryview(self._chunk)[self._sent :]
        if not self._chunk and self.size:
            rest = self._rest
            if self._first or self.size > limit or self._usage is not None:
                self._begin(limit)
            elif self._mixed:
                self._begin_all(rest)
            else:
                frames = cast("list[bytes]", rest)
                self._chunk = frames[0] if len(frames) == 1 else b"".join(frames)
                rest.clear()
                if self.waiting:
                    self.waiting = 0
                    self._known = None
        return self._chunk

    def sent(self, count: int) -> None:
        """Forget the first bytes of what `peek` showed: they are sent."""
        self.size -= count
        self._sent += count
        if self._sent == len(self._chunk):
            self._chunk = b""
            self._sent = 0
            self._is_tail = False
            if self._tallies:
                self._settle()
        if self._usage is not None:
            self._charge()

    def events(self) -> list[bytes]:
        """The events that wait, in order."""
        return [frame for frame in self.frames() if is_event(frame)]

    def forgive(self) -> None:
        """Count what waits for nobody any more."""
        self._settle()
        for each in self._waiting():
            if isinstance(each, Counted) and each.tally is not None:
                each.tally.fall()
                each.tally = None

    def expire(self, before_ms: int) -> int:
        """Drop the events that have waited too long and are not begun yet.

        Args:
            before_ms: Those of guests' that were queued until then are dropped.

        Returns:
            How many were.
        """
        dropped = 0
        left: list[object] = []
        for each in self._waiting():
            if isinstance(each, Counted) and 0 <= each.queued_ms <= before_ms:
                dropped += 1
                self.size -= _size_of(each.message)
                self._leave(each.message)
                if each.tally is not None:
                    each.tally.fall()
            else:
                left.append(each)
        if dropped:
            self._first = []
            self._rest = left
            self._charge()
        return dropped

    def oldest_ms(self) -> int:
        """When the oldest event was queued that may expire; -1 if there is none."""
        for each in self._waiting():
            if isinstance(each, Counted) and each.queued_ms >= 0:
                return each.queued_ms
        return -1

    def unsent(self) -> tuple[bytes, int]:
        """All that is still to be sent, for another process to send it.

        Returns:
            The bytes, and how many of them end a message whose beginning is sent.
        """
        parts: list[bytes] = [self._chunk[self._sent :]]
        parts.extend(self.frames())
        return b"".join(parts), self.begun

    def frames(self) -> list[bytes]:
        """What waits and is not begun, a message each."""
        return [_bytes_of(each) for each in self._waiting()]

    def restore(self, unsent: bytes, begun: int, tally: Tally | None) -> None:
        """Send what another process was still to send; nothing waits yet.

        Args:
            unsent: The bytes.
            begun: How many of them end a message.
            tally: Of a guest; all of it counts as under way for itself.
        """
        self._chunk = unsent[:begun]
        self._is_tail = begun > 0
        self.size = begun
        at = begun
        while at < len(unsent):
            stop = at + message_size(unsent, at)
            frame = unsent[at:stop]
            self.append(frame, tally)
            if is_event(frame):
                self.waiting += 1
            at = stop
        self._charge()

    @property
    def begun(self) -> int:
        """Bytes of the message that is partly sent which are not sent yet."""
        if self._is_tail:
            return len(self._chunk) - self._sent
        end = 0
        while end < self._sent:
            end += message_size(self._chunk, end)
        return end - self._sent

    def clear(self) -> None:
        """Drop everything: nobody is there to read it."""
        for each in self._waiting():
            if isinstance(each, Counted) and each.tally is not None:
                each.tally.fall()
        self._settle()
        self._first = []
        self._rest = []
        self._mixed = False
        self._known = None
        self._ways = None
        self._chunk = b""
        self._sent = 0
        self._is_tail = False
        self.size = 0
        self.waiting = 0
        self._charge()

    def count_charge(self) -> int:
        """Bytes that the client is charged with, counted anew, for checks."""
        if self._usage is None:
            return 0
        size = len(self._chunk) - self._sent
        for each in self._waiting():
            size += _size_of(each) + MESSAGE_BYTES
        return size

    def _waiting(self) -> list[object]:
        """What waits and is not begun, in order."""
        return [*reversed(self._first), *self._rest]

    def _begin_all(self, rest: list[object]) -> None:
        """Make the bytes of what waits, as far as a client reads that has no limits."""
        self._chunk = b"".join([self._begun(each) for each in rest])
        rest.clear()
        self._mixed = False
        self._known = None
        self._ways = None

    def _begin(self, limit: int) -> None:
        """Make the bytes of as many messages as make up the limit."""
        frames: list[bytes] = []
        size = 0
        first = self._first
        while size < limit:
            if not first:
                if not self._rest:
                    break
                first, self._rest = self._rest, first
                if len(first) > 1:
                    first.reverse()
                self._first = first
            frame = self._begun(first.pop())
            frames.append(frame)
            size += len(frame)
        self._chunk = frames[0] if len(frames) == 1 else b"".join(frames)
        if self._usage is not None:
            self._charge()

    def _begun(self, message: object) -> bytes:
        """The bytes of a message that is going to be sent."""
        if isinstance(message, Counted):
            if message.tally is not None:
                self._tallies.append(message.tally)
            message = message.message
        if self.waiting:
            self._leave(message)
        return _bytes_of(message)

    def _leave(self, message: object) -> None:
        """If a message is an event, it waits no longer: none is found to equal it."""
        if isinstance(message, Event):
            self.waiting -= 1
            ways = self._ways
            if ways is not None:
                key = message.key()
                if ways.get(key) is message:
                    del ways[key]
                    if not ways:
                        # It would keep the room for all that it has held.
                        self._ways = None
        elif isinstance(message, bytes) and is_event(message):
            self.waiting -= 1
            known = self._known
            if known is not None:
                known.discard(message)
                if not known:
                    self._known = None

    def _charge(self) -> None:
        """Bring what the guest is charged with up to date."""
        usage = self._usage
        if usage is not None:
            count = len(self._rest) + len(self._first)
            charged = self.size + MESSAGE_BYTES * count
            usage.unsent.add(self._domid, charged - self._charged)
            self._charged = charged

    def _settle(self) -> None:
        """What the chunk held is not under way any more."""
        for tally in self._tallies:
            tally.fall()
        self._tallies.clear()


def _bytes_of(message: object) -> bytes:
    """The bytes of a message that waits."""
    if isinstance(message, Counted):
        message = message.message
    if isinstance(message, bytes):
        return message
    assert isinstance(message, Event)  # noqa: S101  there is nothing else
    frame = encode_event(message.shown, message.watch.token)
    assert frame is not None  # noqa: S101  it is not too long
    return frame


def _size_of(message: object) -> int:
    """Bytes of a message that waits."""
    if isinstance(message, Counted):
        message = message.message
    if isinstance(message, bytes):
        return len(message)
    assert isinstance(message, Event)  # noqa: S101  there is nothing else
    return HEADER_SIZE + message.size


def _frames_of_events(messages: list[object]) -> set[bytes]:
    """Of messages that wait, the events whose bytes are made."""
    found: set[bytes] = set()
    for each in messages:
        message = each.message if isinstance(each, Counted) else each
        if isinstance(message, bytes) and is_event(message):
            found.add(message)
    return found
