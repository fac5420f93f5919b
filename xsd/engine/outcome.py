"""What handling a request comes to."""

from typing import Final, final

from xsd.protocol.reply import OK
from xsd.store import Event


@final
class Outcome:
    """The reply to a request and the events it caused.

    Attributes:
        payload: Of the reply.
        events: Watch events, in order.
        reply_first: Whether the reply goes out before the events. As in the C
            daemon it does for WATCH only: a client that watches what it writes gets
            the event and then the reply.
    """

    __slots__ = ("events", "payload", "reply_first")

    def __init__(
        self,
        payload: bytes = OK,
        events: list[Event] | None = None,
        *,
        reply_first: bool = False,
    ) -> None:
        self.payload = payload
        self.events = _NO_EVENTS if events is None else events
        self.reply_first = reply_first


_NO_EVENTS: Final[list[Event]] = []

DONE: Final = Outcome()
"""OK, and nobody is told anything."""


@final
class Notice:
    """Something that the operator should be able to read in the log.

    Attributes:
        level: ``debug``, ``info``, ``warning`` or ``error``.
        event: Name of what happened, such as ``request.refused``.
        fields: The particulars. Bytes may hold anything and are for the log to
            make printable.
        error: The exception, for a defect of ours.
        wanted: Whether an operator has asked for just this, so that it is written
            whatever the level of the log.
    """

    __slots__ = ("error", "event", "fields", "level", "wanted")

    def __init__(
        self,
        level: str,
        event: str,
        fields: dict[str, object],
        error: BaseException | None = None,
        *,
        wanted: bool = False,
    ) -> None:
        self.level = level
        self.event = event
        self.fields = fields
        self.error = error
        self.wanted = wanted
