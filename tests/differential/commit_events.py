"""The events of a commit, where ours are meant to differ from C's.

C marks every node that a transaction changes or removes and tells of the marked
ones in the order in which the transaction first looked at any of them. Ours tell
what is different afterwards, in the order of the changes. So

* the same events may come in another order ("commit-order");
* where something was removed, less is told of what came back or was only written
  before it went with its parent, and more of what was lost below what came back
  ("net-commit-events").

Nothing else may differ; in particular nothing outside of removed trees.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, final

from tests.differential.explained import OURS, Explained
from tests.differential.model import Request
from tests.differential.session import Message, Outcome
from xsd.protocol.ops import Op

_HOME: Final = b"/local/domain/0/"
_MAKING: Final = frozenset({Op.WRITE, Op.MKDIR})
_CHANGING: Final = frozenset({Op.WRITE, Op.MKDIR, Op.SET_PERMS, Op.RM})


def _never(_: object) -> bool:
    return False


COMMIT_ORDER: Final = Explained(
    "commit-order",
    OURS,
    "events of a commit come in the order of changes, not of first looks",
    _never,
)
NET_COMMIT_EVENTS: Final = Explained(
    "net-commit-events",
    OURS,
    "where a transaction removed something, its commit tells the net changes",
    _never,
)

COMMIT_ROWS: Final = (COMMIT_ORDER, NET_COMMIT_EVENTS)


@final
@dataclass(slots=True)
class _Log:
    """What a transaction changed, by place: the operation and the path.

    Attributes:
        changes: Operations that had success.
        looked_at: Paths of all operations but removals.
    """

    changes: list[tuple[int, bytes]] = field(default_factory=list)
    looked_at: list[bytes] = field(default_factory=list)

    def removals(self, path: bytes) -> list[int]:
        """Places of removals of the path or of something above it."""
        return [
            place
            for place, (op, named) in enumerate(self.changes)
            if op == Op.RM and within(path, named)
        ]

    def resurrects(self, path: bytes) -> bool:
        """Whether something was made in a removed tree that held the path."""
        return any(
            op in _MAKING and within(made, self.changes[removal][1])
            for removal in self.removals(path)
            for op, made in self.changes[removal + 1 :]
        )

    def named(self, path: bytes) -> bool:
        """Whether a change was about the path itself."""
        return any(named == path for _, named in self.changes)

    def removed_by_name(self, path: bytes) -> bool:
        """Whether an RM was about the path itself."""
        return (Op.RM, path) in self.changes

    def lasts(self, path: bytes) -> bool:
        """Whether the path was written and then not removed any more."""
        places = [
            place
            for place, (op, named) in enumerate(self.changes)
            if named == path and op == Op.WRITE
        ]
        return bool(places) and not any(r > places[-1] for r in self.removals(path))

    def just_removed(self, path: bytes) -> bool:
        """Whether exactly this tree was removed, once and for all."""
        return (
            self.named(path)
            and [self.changes[place][1] for place in self.removals(path)] == [path]
            and not self.resurrects(path)
        )

    def span(self, path: bytes) -> tuple[int, int]:
        """First and last place at which the path may have changed first."""
        places = []
        certain = []
        for place, (op, named) in enumerate(self.changes):
            if named == path and op in {Op.WRITE, Op.SET_PERMS}:
                certain.append(place)  # others may have changed nothing
            elif op == Op.RM and within(path, named):
                certain.clear()  # it is told with the tree's other losses
            if named == path or (op in _MAKING and within(named, path)):
                places.append(place)
            elif op == Op.RM and within(path, named):
                # Losses are told together with what happened to the tree's top.
                places += [self._first(named), place]
        return min(places, default=0), min(certain, default=max(places, default=0))

    def only_removed(self, path: bytes) -> bool:
        """Whether nothing but removals can have looked at the path."""
        return not any(within(looked, path) for looked in self.looked_at)

    def _first(self, path: bytes) -> int:
        return min(p for p, (_, named) in enumerate(self.changes) if named == path)


def within(path: bytes, top: bytes) -> bool:
    """Whether a path is at or below another one."""
    return path == top or path.startswith(top.rstrip(b"/") + b"/")


def explain_commit(
    asked: list[Request], done: list[Request], reference: Outcome, subject: Outcome
) -> Explained | None:
    """The row of a difference between the events of two successful commits.

    Args:
        asked: What was asked for in the transaction.
        done: What of that it did with success.
        reference: Outcome of TRANSACTION_END for C.
        subject: Outcome of TRANSACTION_END for us.
    """
    log = _Log(
        [
            (request.op, _absolute(request.payload.split(b"\0")[0]))
            for request in done
            if request.op in _CHANGING
        ],
        [
            _absolute(request.payload.split(b"\0")[0])
            for request in asked
            if request.op != Op.RM
        ],
    )
    row: Explained | None = None
    for number in {*reference, *subject}:
        theirs, ours = reference.get(number, []), subject.get(number, [])
        if not (_same_replies(theirs, ours) and _in_order(log, theirs, ours)):
            return None
        extra = Counter(ours) - Counter(theirs)
        missing = Counter(theirs) - Counter(ours)
        if extra or missing:
            if not all(_may_be_missing(log, path_of(m)) for m in missing):
                return None
            if not all(_may_be_extra(log, path_of(m)) for m in extra):
                return None
            row = NET_COMMIT_EVENTS
        elif theirs != ours:
            row = row or COMMIT_ORDER
    return row


def _may_be_missing(log: _Log, path: bytes) -> bool:
    if log.lasts(path) or log.just_removed(path) or not log.removals(path):
        return False
    # What an RM named and took away for good is told, whatever becomes of its parent.
    return log.resurrects(path) or (log.named(path) and not log.removed_by_name(path))


def _may_be_extra(log: _Log, path: bytes) -> bool:
    return not (log.lasts(path) or log.just_removed(path)) and log.resurrects(path)


def _same_replies(theirs: list[Message], ours: list[Message]) -> bool:
    """The same replies, and all events before them."""
    return [m for m in theirs if m.op != Op.WATCH_EVENT] == [
        m for m in ours if m.op != Op.WATCH_EVENT
    ] and all(m.op == Op.WATCH_EVENT for m in ours[:-1])


def _in_order(log: _Log, theirs: list[Message], ours: list[Message]) -> bool:
    """Whether each path comes where it may have changed first.

    What one removal takes with it comes in C's order, unless C had looked at it
    before for another reason.
    """
    paths = _paths(ours)
    places = {path: place for place, path in enumerate(_paths(theirs))}
    for index, path in enumerate(paths):
        span = log.span(path)
        for later in paths[index + 1 :]:
            span_of_later = log.span(later)
            if span_of_later[1] < span[0]:
                return False
            if (
                span == span_of_later
                and {path, later} <= places.keys()
                and places[later] < places[path]
                and log.only_removed(path)
                and log.only_removed(later)
            ):
                return False
    return True


def _paths(messages: list[Message]) -> list[bytes]:
    return list(dict.fromkeys(path_of(m) for m in messages if m.op == Op.WATCH_EVENT))


def path_of(event: Message) -> bytes:
    """Absolute path of an event."""
    return _absolute(event.payload.split(b"\0")[0])


def _absolute(path: bytes) -> bytes:
    return path if path[:1] in {b"/", b"@"} else _HOME + path
