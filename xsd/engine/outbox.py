"""What is still to be sent on one connection.

All that was not handed to the kernel or ring yet is here, the rest of a half sent
message included, so that a connection can be carried over to another process between
two requests.

A client without limits only has bytes that wait. What waits for a guest is charged to
it, and its events may expire, so that each of its messages is kept by itself.
"""

from collections import deque
from typing import Final, final

from mypy_extensions import mypyc_attr

from xsd.store.usage import MESSAGE_BYTES, Usage

CHUNK: Final = 256 * 1024
"""Bytes that are handed to the kernel at once, at least if there are as many."""


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


class Outbox:
    """Replies and events in the order in which they are sent.

    Attributes:
        size: Bytes that are still to be sent.
    """

    __slots__ = ("_chunk", "_events", "_frames", "_owing", "_queued", "_sent", "size")

    def __init__(self) -> None:
        self.size = 0
        self._frames: list[bytes] = []
        # Watch events among them, to find equal ones.
        self._events: set[bytes] = set()
        # What `peek` showed last, and how much of it is sent.
        self._chunk = b""
        self._sent = 0
        # Bytes ever queued, and whom messages are counted for: each with the number
        # of bytes that are queued up to its end.
        self._queued = 0
        self._owing: deque[tuple[int, Tally]] = deque()

    def append(
        self, frame: bytes, tally: Tally | None = None, queued_ms: int = -1
    ) -> None:
        """Add a message.

        Args:
            frame: Its bytes.
            tally: Whose request it comes of, if that is counted.
            queued_ms: The time, of a guest's event that may expire; else -1.
        """
        size = len(frame)
        self._frames.append(frame)
        self.size += size
        self._queued += size
        if tally is not None:
            tally.count += 1
            self._owing.append((self._queued, tally))

    def holds(self, frame: bytes) -> bool:
        """Tell whether an equal watch event still waits.

        A client that reads slowly is so told once of what happened a thousand times.
        """
        return frame in self._events

    def append_event(
        self, frame: bytes, tally: Tally | None = None, queued_ms: int = -1
    ) -> None:
        """Add a watch event, for `holds` to find."""
        self._events.add(frame)
        self.append(frame, tally, queued_ms)

    def peek(self, limit: int = CHUNK) -> bytes | memoryview:
        """The bytes to send next; empty if there are none.

        Args:
            limit: As soon as there are so many, no further message is begun.
        """
        if self._sent:
            return memoryview(self._chunk)[self._sent :]
        frames = self._frames
        if not self._chunk and frames:
            if len(frames) == 1:
                self._chunk = frames[0]
                frames.clear()
                self._events.clear()
            elif self.size <= limit:
                self._chunk = b"".join(frames)
                frames.clear()
                self._events.clear()
            else:
                self._begin_some(limit)
        return self._chunk

    def _begin_some(self, limit: int) -> None:
        """Take as many messages as make up the limit."""
        frames = self._frames
        size = 0
        count = 0
        while count < len(frames) and size < limit:
            size += len(frames[count])
            count += 1
        begun = frames[:count]
        del frames[:count]
        self._events.difference_update(begun)
        self._chunk = b"".join(begun)

    def sent(self, count: int) -> None:
        """Forget the first bytes of what `peek` showed: they are sent."""
        self.size -= count
        self._sent += count
        if self._sent == len(self._chunk):
            self._chunk = b""
            self._sent = 0
        if self._owing:
            self._settle()

    def expire(self, before_ms: int) -> int:
        """Drop the events that have waited too long and are not begun yet.

        Args:
            before_ms: Those queued until then are dropped.

        Returns:
            How many were.
        """
        return 0

    def oldest_ms(self) -> int:
        """When the oldest event was queued that may expire; -1 if there is none."""
        return -1

    def clear(self) -> None:
        """Drop everything: nobody is there to read it."""
        self._frames.clear()
        self._events.clear()
        self._chunk = b""
        self._sent = 0
        self.size = 0
        self._settle()

    def count_charge(self) -> int:
        """Bytes that the client is charged with, counted anew, for checks."""
        return 0

    def _settle(self) -> None:
        """What is completely sent is not under way any more."""
        owing = self._owing
        until = self._queued - self.size
        while owing and owing[0][0] <= until:
            owing.popleft()[1].fall()


@final
@mypyc_attr(acyclic=True, free_list_len=1)
class Message:
    """One frame that waits for a guest.

    Attributes:
        frame: The bytes.
        tally: Whose request it comes of, if that is counted.
        queued_ms: When an event was queued that may not wait for ever, else -1.
    """

    __slots__ = ("frame", "queued_ms", "tally")

    def __init__(self, frame: bytes, tally: Tally | None, queued_ms: int) -> None:
        self.frame = frame
        self.tally = tally
        self.queued_ms = queued_ms


@final
class GuestOutbox(Outbox):
    """The same for a guest, which is charged for what waits."""

    __slots__ = ("_charged", "_domid", "_messages", "_tallies", "_usage")

    def __init__(self, usage: Usage, domid: int) -> None:
        """Make an empty one.

        Args:
            usage: Where what waits is counted.
            domid: The guest.
        """
        super().__init__()
        self._usage = usage
        self._domid = domid
        self._charged = 0
        self._messages: deque[Message] = deque()
        # Whom the messages in the chunk are counted for.
        self._tallies: list[Tally] = []

    def append(
        self, frame: bytes, tally: Tally | None = None, queued_ms: int = -1
    ) -> None:
        """See `Outbox.append`."""
        if tally is not None:
            tally.count += 1
        self._messages.append(Message(frame, tally, queued_ms))
        self.size += len(frame)
        self._charge()

    def peek(self, limit: int = CHUNK) -> bytes | memoryview:
        """See `Outbox.peek`."""
        if self._sent:
            return memoryview(self._chunk)[self._sent :]
        messages = self._messages
        if not self._chunk and messages:
            frames: list[bytes] = []
            size = 0
            while messages and size < limit:
                message = messages.popleft()
                frames.append(message.frame)
                size += len(message.frame)
                self._events.discard(message.frame)
                if message.tally is not None:
                    self._tallies.append(message.tally)
            self._chunk = b"".join(frames)
            self._charge()
        return self._chunk

    def sent(self, count: int) -> None:
        """See `Outbox.sent`."""
        self.size -= count
        self._sent += count
        if self._sent == len(self._chunk):
            self._chunk = b""
            self._sent = 0
            self._settle()
        self._charge()

    def expire(self, before_ms: int) -> int:
        """See `Outbox.expire`."""
        dropped = 0
        left: deque[Message] = deque()
        for message in self._messages:
            if 0 <= message.queued_ms <= before_ms:
                dropped += 1
                self.size -= len(message.frame)
                self._events.discard(message.frame)
                if message.tally is not None:
                    message.tally.fall()
            else:
                left.append(message)
        if dropped:
            self._messages = left
            self._charge()
        return dropped

    def oldest_ms(self) -> int:
        """See `Outbox.oldest_ms`."""
        for message in self._messages:
            if message.queued_ms >= 0:
                return message.queued_ms
        return -1

    def clear(self) -> None:
        """See `Outbox.clear`."""
        for message in self._messages:
            if message.tally is not None:
                message.tally.fall()
        self._messages.clear()
        self._events.clear()
        self._settle()
        self._chunk = b""
        self._sent = 0
        self.size = 0
        self._charge()

    def count_charge(self) -> int:
        """See `Outbox.count_charge`."""
        size = len(self._chunk) - self._sent
        for message in self._messages:
            size += len(message.frame) + MESSAGE_BYTES
        return size

    def _charge(self) -> None:
        """Bring what the guest is charged with up to date."""
        charged = self.size + MESSAGE_BYTES * len(self._messages)
        self._usage.unsent.add(self._domid, charged - self._charged)
        self._charged = charged

    def _settle(self) -> None:
        """What the chunk held is not under way any more."""
        for tally in self._tallies:
            tally.fall()
        self._tallies.clear()
