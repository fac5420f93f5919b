"""What the log should say."""

from typing import final

from xsd.store.reasons import DeniedError


@final
class Reason:
    """Why somebody may not do something, put into words when somebody reads it.

    Most refusals are repetitions that the log leaves out.
    """

    __slots__ = ("_error",)

    def __init__(self, error: DeniedError) -> None:
        # Or it would keep the request and all that was made of it.
        error.__traceback__ = None
        self._error = error

    def __str__(self) -> str:
        return self._error.reason


@final
class Notice:
    """Something that the operator should be able to read in the log.

    Attributes:
        level: ``debug``, ``info``, ``warning`` or ``error``.
        event: Name of what happened, such as ``request.refused``.
        fields: The particulars. Bytes may hold anything and are for the log to
            make printable; of what is neither text nor a number it writes `str`.
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
