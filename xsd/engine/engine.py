"""The engine: bytes of a connection in, bytes for any connections out.

It has no socket, no clock and no thread. Everything in it happens between two
requests or inside one of them.
"""

from typing import Final, final

from protocol.perms import Caller
from xsd.engine.connection import Connection
from xsd.engine.dispatch import REFUSALS_LOGGED, answer
from xsd.engine.handlers import Core
from xsd.engine.outcome import Notice
from xsd.store import Store

TURN: Final = 256
"""Requests of one connection that are answered before others have their turn."""

HIGH_WATER: Final = 256 * 1024
"""Unsent bytes from which on a client's requests are left until it has read some."""


@final
class Engine:
    """Serves connections from one store.

    Attributes:
        store: What is served.
    """

    __slots__ = ("_core", "_last", "store")

    def __init__(self, store: Store) -> None:
        self.store = store
        self._core = Core(store)
        self._last = 0

    @property
    def connections(self) -> list[Connection]:
        """Every connection, the oldest first."""
        return list(self._core.connections.values())

    def connect(self, caller: Caller) -> Connection:
        """A new client."""
        self._last += 1
        connection = Connection(self._last, caller)
        self._core.connections[connection.id] = connection
        return connection

    def disconnect(self, connection: Connection) -> None:
        """A client is gone: its watches and open transactions go with it."""
        if self._core.connections.pop(connection.id, None) is None:
            return
        self._core.forget(connection)
        self._core.dirty.pop(connection.id, None)
        connection.backlog.clear()
        connection.closing = connection.lost = True
        suppressed = connection.refusals - REFUSALS_LOGGED
        if suppressed > 0:
            self._note("info", "request.refusals_not_logged", connection, suppressed)

    def receive(self, connection: Connection, data: bytes, now_ms: int) -> None:
        """Take bytes from a client and answer the requests they complete.

        Args:
            connection: Whom they came from.
            data: Any number of bytes, cut anywhere.
            now_ms: Time of a monotonic clock in milliseconds.
        """
        if connection.closing or connection.lost:
            return
        frames = connection.decoder.feed(data)
        if connection.backlog:
            connection.backlog.extend(frames)
        else:
            connection.backlog = frames
        self.resume(connection, now_ms)

    def resume(self, connection: Connection, now_ms: int) -> None:
        """Answer requests that wait in a connection's backlog, up to a turn's worth.

        To be called again while there is a backlog and the outbox is below
        HIGH_WATER: see `is_ready`.
        """
        frames = connection.backlog
        outbox = connection.outbox
        done = 0
        for frame in frames:
            if done == TURN or outbox.size > HIGH_WATER or connection.lost:
                break
            answer(self._core, connection, frame)
            done += 1
        connection.backlog = frames[done:] if done < len(frames) else []
        if connection.decoder.error is not None and not connection.backlog:
            self._end(connection)

    def is_ready(self, connection: Connection) -> bool:
        """Tell whether `resume` has something to do."""
        return bool(connection.backlog) and connection.outbox.size <= HIGH_WATER

    def take_dirty(self) -> list[Connection]:
        """Connections with something to send, or that are to be ended."""
        dirty = list(self._core.dirty.values())
        self._core.dirty.clear()
        return dirty

    def take_notices(self) -> list[Notice]:
        """What the log should say since the last call."""
        notices = self._core.notices
        if notices:
            self._core.notices = []
        return notices

    def _end(self, connection: Connection) -> None:
        """Read nothing more: the stream of requests makes no sense any longer."""
        if not connection.closing:
            connection.closing = True
            self._core.dirty[connection.id] = connection
            self._note(
                "warning",
                "connection.broken",
                connection,
                str(connection.decoder.error),
            )

    def _note(
        self, level: str, event: str, connection: Connection, what: object
    ) -> None:
        fields: dict[str, object] = {
            "connection": connection.id,
            "domid": connection.caller.domid,
            "what": what,
        }
        self._core.notices.append(Notice(level, event, fields))
