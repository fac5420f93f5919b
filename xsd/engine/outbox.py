"""What is still to be sent on one connection."""

from typing import final


@final
class Outbox:
    """Replies and events in the order in which they are sent.

    All that was not handed to the kernel or ring yet is here, the rest of a half
    sent message included, so that a connection can be carried over to another
    process between two requests.

    Attributes:
        size: Bytes that are still to be sent.
    """

    __slots__ = ("_chunk", "_events", "_frames", "_sent", "size")

    def __init__(self) -> None:
        self.size = 0
        self._frames: list[bytes] = []
        self._events: set[bytes] = set()
        # What `peek` showed last, and how much of it is sent.
        self._chunk = b""
        self._sent = 0

    def append(self, frame: bytes) -> None:
        """Add a message."""
        self._frames.append(frame)
        self.size += len(frame)

    def append_event(self, frame: bytes) -> bool:
        """Add a watch event, unless an equal one still waits.

        A client that reads slowly is so told once of what happened a thousand
        times. Returns whether it was added.
        """
        if frame in self._events:
            return False
        self._events.add(frame)
        self.append(frame)
        return True

    def peek(self) -> bytes | memoryview:
        """The bytes to send next, all there are; empty if there are none."""
        if self._sent:
            return memoryview(self._chunk)[self._sent :]
        if not self._chunk and self._frames:
            frames = self._frames
            self._chunk = frames[0] if len(frames) == 1 else b"".join(frames)
            self._frames = []
            self._events.clear()
        return self._chunk

    def sent(self, count: int) -> None:
        """Forget the first bytes of what `peek` showed: they are sent."""
        self.size -= count
        self._sent += count
        if self._sent == len(self._chunk):
            self._chunk = b""
            self._sent = 0
