"""What is still to be sent on one connection."""

from collections import deque
from typing import Final, final

from xsd.store.usage import MESSAGE_BYTES, Usage

CHUNK: Final = 256 * 1024
"""Bytes that are handed to the kernel at once, at least if there are as many."""


@final
class Tally:
    """How much a guest has under way: requests, and events that they caused.

    Attributes:
        count: Replies and events that are not completely sent yet.
    """

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


@final
class Message:
    """One frame that waits.

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
class Outbox:
    """Replies and events in the order in which they are sent.

    All that was not handed to the kernel or ring yet is here, the rest of a half
    sent message included, so that a connection can be carried over to another
    process between two requests.

    Attributes:
        size: Bytes that are still to be sent.
    """

    __slots__ = (
        "_charged",
        "_chunk",
        "_domid",
        "_events",
        "_messages",
        "_sent",
        "_tallies",
        "_usage",
        "size",
    )

    def __init__(self, usage: Usage | None = None, domid: int = 0) -> None:
        """Make an empty one.

        Args:
            usage: Where what waits is counted as the client's memory; None for
                clients without limits.
            domid: Who that is.
        """
        self.size = 0
        self._usage = usage
        self._domid = domid
        self._charged = 0
        self._messages: deque[Message] = deque()
        self._events: set[bytes] = set()
        # What `peek` showed last, how much of it is sent, and whom it concerns.
        self._chunk = b""
        self._sent = 0
        self._tallies: list[Tally] = []

    def append(
        self, frame: bytes, tally: Tally | None = None, queued_ms: int = -1
    ) -> None:
        """Add a message."""
        if tally is not None:
            tally.count += 1
        self._messages.append(Message(frame, tally, queued_ms))
        self.size += len(frame)
        self._charge()

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
        messages = self._messages
        if not self._chunk and messages:
            if len(messages) == 1:
                self._begin(messages.popleft())
                self._charge()
                return self._chunk
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

    def _begin(self, message: Message) -> None:
        """Send a single message."""
        self._chunk = message.frame
        self._events.clear()
        if message.tally is not None:
            self._tallies.append(message.tally)

    def sent(self, count: int) -> None:
        """Forget the first bytes of what `peek` showed: they are sent."""
        self.size -= count
        self._sent += count
        if self._sent == len(self._chunk):
            self._chunk = b""
            self._sent = 0
            self._settle()
        self._charge()

    def expire(self, before_ms: int) -> int:
        """Drop the events that have waited too long and are not begun yet.

        Args:
            before_ms: Those queued until then are dropped.

        Returns:
            How many were.
        """
        dropped = 0
        left: deque[Message] = deque()
        for message in self._messages:
            if 0 <= message.queued_ms <= before_ms:
                dropped += 1
                self.size -= len(message.frame)
                self._events.discard(message.frame)
                if message.tally is not None:
                    message.tally.count -= 1
            else:
                left.append(message)
        if dropped:
            self._messages = left
            self._charge()
        return dropped

    def clear(self) -> None:
        """Drop everything: nobody is there to read it."""
        for message in self._messages:
            if message.tally is not None:
                message.tally.count -= 1
        self._messages.clear()
        self._events.clear()
        self._settle()
        self._chunk = b""
        self._sent = 0
        self.size = 0
        self._charge()

    def count_charge(self) -> int:
        """Bytes that the client is charged with, counted anew, for checks."""
        size = len(self._chunk) - self._sent
        for message in self._messages:
            size += len(message.frame) + MESSAGE_BYTES
        return size

    def _charge(self) -> None:
        """Bring what the client is charged with up to date."""
        usage = self._usage
        if usage is not None:
            charged = self.size + MESSAGE_BYTES * len(self._messages)
            more = charged - self._charged
            self._charged = charged
            usage.unsent.add(self._domid, more)

    def _settle(self) -> None:
        """What the chunk held is not under way any more."""
        for tally in self._tallies:
            tally.count -= 1
        self._tallies.clear()
