"""What a guest is owed after the process has ended that it was talking to.

Its slot in the ledger has what it has sent and what of it was not answered yet; the
tape has what of that was carried out. Requests that have changed something, or might
have, are on the tape: a replay makes their replies again. The others have only asked.
They are asked once more, in their places among the guest's own; as nobody has seen
their replies, what is true now is as good as what was true then.

Events are not made again: some of them have left, and it is not known which. If one may
not have, each of the guest's watches is told once.
"""

from typing import final

from xsd.engine.connection import Connection
from xsd.engine.core import Core
from xsd.engine.dispatch import answer
from xsd.engine.engine import Engine
from xsd.engine.image import restore_buffers
from xsd.protocol.errors import Errno
from xsd.protocol.frame import FrameDecoder
from xsd.protocol.limits import HEADER_SIZE
from xsd.protocol.records import ConnectionData
from xsd.protocol.reply import encode_error, is_event


@final
class Slip:
    """What a slot of the ledger says.

    Attributes:
        connection: Number of the guest's.
        restarts: How often that had begun anew.
        first: Ordinal of the first request of which the reply was not begun.
        base: Ordinal of the first request in `requests`.
        requests: Bytes of the requests from that one on; the last may be incomplete.
        rest: What is missing on the ring of a message that was begun.
        told: Pulse of the store up to which all events were at least begun.
    """

    __slots__ = ("base", "connection", "first", "requests", "rest", "restarts", "told")

    def __init__(
        self,
        connection: int,
        restarts: int,
        first: int,
        base: int,
        requests: bytes,
        rest: bytes,
        told: int,
    ) -> None:
        self.connection = connection
        self.restarts = restarts
        self.first = first
        self.base = base
        self.requests = requests
        self.rest = rest
        self.told = told


@final
class Owed:
    """Follows a guest's connection through a replay.

    Attributes:
        is_untold: Whether an event may have been lost.
    """

    __slots__ = ("_frames", "_replies", "_slip", "is_untold")

    def __init__(self, slip: Slip) -> None:
        self._slip = slip
        self._frames = FrameDecoder().feed(slip.requests)
        self._replies: list[bytes] = []
        self.is_untold = False

    def take(self, core: Core, connection: Connection) -> None:
        """Take what was put out for the guest: by one input, or before the first."""
        frames = connection.outbox.frames()
        connection.outbox.clear()
        replies = [frame for frame in frames if not is_event(frame)]
        if len(replies) < len(frames) and core.store.clock.pulse > self._slip.told:
            self.is_untold = True
        # The last one is the reply to the request that was carried out last.
        owed = min(max(connection.served + 1 - self._slip.first, 0), len(replies))
        self._replies += replies[len(replies) - owed :]

    def catch_up(self, core: Core, connection: Connection, ordinal: int) -> None:
        """Answer the requests before one that is on the tape, which are not."""
        base = self._slip.base
        end = min(ordinal, base + len(self._frames))
        for place in range(max(connection.served + 1, base), end):
            # They ask nothing of the world.
            core.outside.replay(())
            connection.served = place - 1
            answer(core, connection, self._frames[place - base])
            self.take(core, connection)

    def finish(self, engine: Engine, *, refused: bool = False) -> None:
        """Have the guest sent what it is owed, and the rest of its requests wait.

        Args:
            engine: It, after the replay.
            refused: Answer those requests with EIO: one of them may be what ends the
                process.
        """
        slip = self._slip
        connection = engine.core.connections.get(slip.connection)
        if connection is None or connection.restarts > slip.restarts:
            return
        done = max(connection.served + 1 - slip.base, 0)
        if refused:
            left = self._frames[done:]
            self._replies += [encode_error(frame, Errno.EIO) for frame in left]
            done += len(left)
        connection.served = max(connection.served, slip.base + done - 1)
        sizes = [HEADER_SIZE + len(frame.payload) for frame in self._frames[:done]]
        record = ConnectionData(slip.connection)
        record.unsent = slip.rest + b"".join(self._replies)
        record.begun = len(slip.rest)
        record.pending = slip.requests[sum(sizes) :]
        restore_buffers(engine, connection, record)
