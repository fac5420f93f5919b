"""How much of what anybody can repeat gets into the log.

Lines are of one kind if they have the same event and level and concern the same
domain, whichever of its connections they come from. Of each kind so many are written
at once, and then one a minute, which says how many were left out before it. If none
follows, a line of its own says so: nobody is silent for good, and no kind keeps
another from being written.
"""

from typing import Final, final

from xsd.engine.notice import Notice

AT_ONCE: Final = 20
"""Lines of one kind that are written without a pause."""

EVERY_MS: Final = 60_000
"""How often another one is, in milliseconds."""

KINDS_MAX: Final = 1024
"""Kinds that are told apart. What else there is shares one for each event."""

_LEAD_MS: Final = (AT_ONCE - 1) * EVERY_MS

NOBODY: Final = -1
"""In the place of a domain, for a line that concerns none."""

_ALL: Final = -2


@final
class _Kind:
    """Lines of one kind.

    Attributes:
        event: Their name.
        level: Theirs.
        domid: The domain that they concern, or `NOBODY`, or any.
        full_ms: When as many may be written at once as at first.
        left_out: Lines that were not written and not told of.
    """

    __slots__ = ("domid", "event", "full_ms", "left_out", "level")

    def __init__(self, event: str, level: str, domid: int) -> None:
        self.event = event
        self.level = level
        self.domid = domid
        self.full_ms = 0
        self.left_out = 0

    def take(self, now_ms: int) -> bool:
        """Tell whether a line may be written, which it is then."""
        if self.full_ms > now_ms + _LEAD_MS:
            return False
        self.full_ms = max(self.full_ms, now_ms) + EVERY_MS
        return True


@final
class LogLimit:
    """Decides what is written.

    Attributes:
        look_ms: When `look` has something to tell; 0 for never.
    """

    __slots__ = ("_kinds", "_sweep_ms", "look_ms")

    def __init__(self) -> None:
        self.look_ms = 0
        self._kinds: dict[tuple[str, str, int], _Kind] = {}
        self._sweep_ms = 0

    def admits(self, notice: Notice, now_ms: int) -> bool:
        """Tell whether a notice is to be written, and add what was left out to it.

        Args:
            notice: What is to be written.
            now_ms: Time of a monotonic clock in milliseconds.
        """
        if notice.level == "debug":
            # As all that is traced: an operator has asked for it, or it is not written.
            return True
        domid = notice.fields.get("domid", NOBODY)
        kind = self._kind(
            notice.event,
            notice.level,
            domid if isinstance(domid, int) else NOBODY,
            now_ms,
        )
        if not kind.take(now_ms):
            kind.left_out += 1
            if not self.look_ms:
                self.look_ms = now_ms + EVERY_MS
            return False
        if kind.left_out:
            notice.fields["left_out"] = kind.left_out
            kind.left_out = 0
        return True

    def look(self, now_ms: int) -> list[Notice]:
        """What the log is to be told of lines that no line followed.

        To be called at `look_ms`.
        """
        told: list[Notice] = []
        self.look_ms = 0
        for kind in self._kinds.values():
            if kind.left_out and kind.take(now_ms):
                told.append(_told(kind))
            if kind.left_out:
                self.look_ms = now_ms + EVERY_MS
        self._sweep(now_ms)
        return told

    def end(self) -> list[Notice]:
        """The same, for there will be no other time."""
        self.look_ms = 0
        return [_told(kind) for kind in self._kinds.values() if kind.left_out]

    def _kind(self, event: str, level: str, domid: int, now_ms: int) -> _Kind:
        kind = self._kinds.get((event, level, domid))
        if kind is not None:
            return kind
        if len(self._kinds) >= KINDS_MAX and now_ms >= self._sweep_ms:
            self._sweep(now_ms)
            # Not for each line: as long as many kinds are loud, it is of no use.
            self._sweep_ms = now_ms + EVERY_MS
        if len(self._kinds) >= KINDS_MAX:
            domid = _ALL
            kind = self._kinds.get((event, level, domid))
        if kind is None:
            kind = _Kind(event, level, domid)
            self._kinds[event, level, domid] = kind
        return kind

    def _sweep(self, now_ms: int) -> None:
        """Forget kinds of which as many may be written as of those not known."""
        self._kinds = {
            key: kind
            for key, kind in self._kinds.items()
            if kind.left_out or kind.full_ms > now_ms
        }


def _told(kind: _Kind) -> Notice:
    """Tell of the lines of a kind that were left out."""
    fields: dict[str, object] = {"what": kind.event, "left_out": kind.left_out}
    if kind.domid >= 0:
        fields["domid"] = kind.domid
    kind.left_out = 0
    return Notice(kind.level, "log.left_out", fields)
