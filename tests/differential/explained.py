"""Differences from Xen's C daemon 4.17 that are meant, each with its reason.

The reference program is the 4.17 of a Linux distribution; what is to be equalled
is Xen's newest C daemon. So there are two kinds of rows: where 4.17 is not the
newest, and where we differ on purpose. Every row is in docs/compatibility.md
under its id. The conflict rows at the end are applied by compare.py, which
proves each case; the others by `explain`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from tests.differential.model import Request, Step
from tests.differential.session import CLOSED, Message, Outcome
from xsd.protocol.limits import DOMID_FIRST_RESERVED
from xsd.protocol.ops import Op

NEWEST: Final = "newest"
"""The newest C daemon does as we do."""

OURS: Final = "ours"
"""We differ from every C daemon, on purpose."""


@final
@dataclass(frozen=True, slots=True)
class Case:
    """One step whose outcome is not the same.

    Attributes:
        step: What was done.
        reference: What the C daemon made of it.
        subject: What ours made of it.
        introduced: Domains that are introduced, beside domain 0.
        released: Domains that have ever been released.
    """

    step: Step
    reference: Outcome
    subject: Outcome
    introduced: frozenset[int] = frozenset()
    released: frozenset[int] = frozenset()

    @property
    def request(self) -> Request:
        """The only request of the step; one that matches nothing, if several."""
        if len(self.step.requests) == 1 and not self.step.raw:
            return self.step.requests[0]
        return Request(-1, b"")

    @property
    def answers(self) -> tuple[bytes, bytes]:
        """Reply of each side as text, an error being ``ERROR EINVAL``."""
        return (
            _answer(self.reference.get(self.step.connection, [])),
            _answer(self.subject.get(self.step.connection, [])),
        )

    @property
    def strings(self) -> list[bytes]:
        """Strings of the request's payload, what follows the last NUL left out."""
        return self.request.payload.split(b"\0")[:-1]

    def succeeded(self) -> bool:
        """Whether one side at least did what was asked."""
        return not all(answer.startswith(b"ERROR ") for answer in self.answers)


Predicate = Callable[[Case], bool]


def _never(_: Case) -> bool:
    return False


@final
@dataclass(frozen=True, slots=True)
class Explained:
    """One row.

    Attributes:
        row: Id of the row in docs/compatibility.md.
        source: NEWEST or OURS.
        why: The difference in one sentence.
        accepts: Whether a case is this difference; as narrow as possible.
        ends: Whether the stores are not the same any more, so that the rest of
            the sequence cannot be compared.
    """

    row: str
    source: str
    why: str
    accepts: Predicate
    ends: Predicate = _never


EEXIST: Final = b"ERROR EEXIST\0"
EINVAL: Final = b"ERROR EINVAL\0"
ENOENT: Final = b"ERROR ENOENT\0"
ENOSPC: Final = b"ERROR ENOSPC\0"
ENOSYS: Final = b"ERROR ENOSYS\0"
OK: Final = b"OK\0"

_ONE_PATH: Final = frozenset({Op.READ, Op.DIRECTORY, Op.GET_PERMS, Op.MKDIR, Op.RM})
_DOMID_ARGUMENTS: Final[dict[int, int]] = {
    Op.INTRODUCE: 1,
    Op.RELEASE: 1,
    Op.GET_DOMAIN_PATH: 1,
    Op.IS_DOMAIN_INTRODUCED: 1,
    Op.RESUME: 1,
    Op.SET_TARGET: 2,
}
_SWITCH: Final = re.compile(rb"log [+-](obj|io|wrl|acc|tdb)")
_EVERY_DOMAIN: Final = b"32757"
_PATH_LIMIT: Final = 2048
_PATH: Final = re.compile(rb"/|(/?[A-Za-z0-9_@-]+)(/[A-Za-z0-9_@-]+)*")
_ENTRY_SIZE: Final = 11


def _answer(messages: list[Message]) -> bytes:
    replies = [m for m in messages if m.op != Op.WATCH_EVENT]
    if len(replies) != 1:
        return b""
    reply = replies[0]
    return (b"ERROR " if reply.op == Op.ERROR else b"") + reply.payload


def _changes_something(case: Case) -> bool:
    return case.succeeded() and case.request.op not in {
        *(Op.READ, Op.DIRECTORY, Op.DIRECTORY_PART, Op.GET_PERMS, Op.CONTROL),
        *(Op.GET_DOMAIN_PATH, Op.IS_DOMAIN_INTRODUCED, Op.RESUME),
    }


EXPLAINED: Final[list[Explained]] = []
"""The rows that `explain` applies, the first that accepts."""


def _row(
    row: str, source: str, ends: Predicate = _never
) -> Callable[[Predicate], Predicate]:
    """Make a row of a predicate, whose docstring says why."""

    def add(accepts: Predicate) -> Predicate:
        why = (accepts.__doc__ or "").removesuffix(".")
        EXPLAINED.append(Explained(row, source, why, accepts, ends))
        return accepts

    return add


@_row("malformed-path-payload", NEWEST)
def _malformed_path_payload(case: Case) -> bool:
    """4.17 answers a malformed one-path payload with an errno left over."""
    theirs, ours = case.answers
    payload = case.request.payload
    return (
        case.request.op in _ONE_PATH
        and not (payload.endswith(b"\0") and payload.count(b"\0") == 1)
        and theirs.startswith(b"ERROR ")
        and ours == EINVAL
    )


@_row("unwatch-invalid-path", NEWEST)
def _unwatch_of_no_path(case: Case) -> bool:
    """4.17 answers UNWATCH of what is no path with ENOENT."""
    return (
        case.request.op == Op.UNWATCH
        and case.answers == (ENOENT, EINVAL)
        and not case.strings[0].startswith(b"@")
        and not _PATH.fullmatch(case.strings[0])
    )


@_row("special-names", NEWEST)
def _special_name_that_is_no_path(case: Case) -> bool:
    """4.17 takes any bytes after an @ for a special name."""
    # What is watched so is never told again: nothing else comes of it.
    theirs, ours = case.answers
    return (
        case.request.op in {Op.WATCH, Op.UNWATCH}
        and case.strings[0].startswith(b"@")
        and not _PATH.fullmatch(case.strings[0])
        and theirs in {OK, ENOENT, EEXIST}
        and ours == EINVAL
    )


def _no_domid(text: bytes) -> bool:
    return not text.isdigit() or int(text) > 0xFFFF


@_row("domid-syntax", NEWEST, _changes_something)
def _domid_syntax(case: Case) -> bool:
    """4.17 reads a domain id in arguments as atoi does."""
    count = _DOMID_ARGUMENTS.get(case.request.op, 0)
    return case.answers[1] == EINVAL and any(
        _no_domid(text) for text in case.strings[:count]
    )


@_row("path-length", NEWEST, _changes_something)
def _long_path(case: Case) -> bool:
    """4.17 holds socket clients to 2,048 bytes of path too."""
    theirs, ours = case.answers
    if case.request.op == Op.UNWATCH:
        return False
    path = case.request.payload.split(b"\0")[0]
    return len(path) > _PATH_LIMIT and theirs == EINVAL and ours != EINVAL


@_row("special-permissions", NEWEST)
def _permissions_of_special_names(case: Case) -> bool:
    """4.17 has no GET_PERMS of special names, and EINVAL for unknown ones."""
    theirs, ours = case.answers
    name = case.strings[0] if case.strings else b""
    if not name.startswith(b"@") or theirs != EINVAL:
        return False
    if name in {b"@introduceDomain", b"@releaseDomain"}:
        return case.request.op == Op.GET_PERMS and ours.startswith(b"n0\0")
    return case.request.op in {Op.GET_PERMS, Op.SET_PERMS} and ours == ENOENT


@_row("watch-depth", NEWEST, _changes_something)
def _watch_depth(case: Case) -> bool:
    """4.17 has no depth of watches."""
    return (
        case.request.op == Op.WATCH
        and len(case.strings) == 3
        and case.answers[0] == EINVAL
        and case.answers[1] in {b"OK\0", b"ERROR EEXIST\0"}
    )


@_row("features-and-quotas", NEWEST)
def _features_and_quotas(case: Case) -> bool:
    """4.17 has no GET_FEATURE, SET_FEATURE, GET_QUOTA, SET_QUOTA."""
    return (
        case.request.op in {Op.GET_FEATURE, Op.SET_FEATURE, Op.GET_QUOTA, Op.SET_QUOTA}
        and case.answers[0] == ENOSYS
    )


@_row("control-help", OURS)
def _control_help(case: Case) -> bool:
    """CONTROL help lists the commands that there are."""
    return (
        case.request.op == Op.CONTROL
        and case.strings == [b"help"]
        and not any(answer.startswith(b"ERROR ") for answer in case.answers)
    )


@_row("control-quota", OURS)
def _control_text(case: Case) -> bool:
    """CONTROL quota shows other quotas in other words."""
    return (
        case.request.op == Op.CONTROL
        and case.strings[0] in {b"quota", b"quota-soft"}
        and case.strings[1:2] != [b"set"]
        and not any(answer.startswith(b"ERROR ") for answer in case.answers)
    )


@_row("control-log", NEWEST)
def _control_log(case: Case) -> bool:
    """4.17 cannot show and set single trace switches."""
    # 4.17 knows on and off only.
    theirs, ours = case.answers
    words = b" ".join(case.strings)
    if case.request.op != Op.CONTROL or theirs != EINVAL:
        return False
    if words == b"log":
        return not ours.startswith(b"ERROR ")
    return ours == OK and _SWITCH.fullmatch(words) is not None


@_row("control-files", OURS)
def _control_file(case: Case) -> bool:
    """A file that logfile or memreport cannot write is an error."""
    # A file that cannot be had, of which C says nothing.
    theirs, ours = case.answers
    if case.request.op != Op.CONTROL or theirs != OK or len(case.strings) != 2:
        return False
    refused = case.strings[0] == b"logfile" and ours.startswith(b"ERROR ")
    return refused or (case.strings[0] == b"memreport" and ours == ENOSPC)


@_row("control-report", OURS)
def _control_report(case: Case) -> bool:
    """Without a log in a file, memreport answers with the report."""
    theirs, ours = case.answers
    if case.request.op != Op.CONTROL or case.strings != [b"memreport"]:
        return False
    return theirs == EINVAL and ours.startswith(b"resident_bytes ")


@_row("permission-for-all", OURS, _changes_something)
def _permission_for_all(case: Case) -> bool:
    """A socket client can give rights to all domains."""
    return (
        case.request.op == Op.SET_PERMS
        and any(entry[1:] == _EVERY_DOMAIN for entry in case.strings[1:])
        and case.answers == (ENOENT, b"OK\0")
    )


@_row("domain-after-release", OURS, _changes_something)
def _owner_not_introduced(case: Case) -> bool:
    """A domain that is not introduced is unknown as an owner."""
    owner = case.strings[1][1:] if case.strings[1:] else b""
    return (
        case.request.op == Op.SET_PERMS
        and owner.isdigit()
        and int(owner) < DOMID_FIRST_RESERVED
        and int(owner) not in case.introduced
        and case.answers == (b"OK\0", ENOENT)
    )


@_row("released-rights", NEWEST)
def _rights_of_the_released(case: Case) -> bool:
    """4.17 leaves released domains in permission lists."""
    theirs, ours = (answer.split(b"\0") for answer in case.answers)
    return (
        case.request.op == Op.GET_PERMS
        and len(ours) < len(theirs)
        and ours
        == [
            entry
            for index, entry in enumerate(theirs)
            if index == 0
            or not (entry[1:].isdigit() and int(entry[1:]) in case.released)
        ]
    )


@_row("event-of-release", OURS)
def _event_of_a_release(case: Case) -> bool:
    """C answers RELEASE before its events if it had the two connections in a row."""
    # The same messages, but C's reply is before the requester's own events.
    number = case.step.connection
    theirs = case.reference.get(number, [])
    ours = case.subject.get(number, [])
    return (
        case.request.op == Op.RELEASE
        and {**case.reference, number: []} == {**case.subject, number: []}
        and [*theirs[1:], *theirs[:1]] == ours
        and all(m.op == Op.WATCH_EVENT for m in theirs[1:])
    )


@_row("reply-before-bad-frame", OURS)
def _reply_before_bad_frame(case: Case) -> bool:
    """C loses the reply to a request that a bad frame follows at once."""
    # Ours answers everything before the bad header, theirs less; both close.
    if not case.step.raw or set(case.subject) != set(case.reference):
        return False
    theirs = case.reference[case.step.connection]
    ours = case.subject[case.step.connection]
    return (
        theirs[-1].op == ours[-1].op == CLOSED
        and len(ours) > len(theirs)
        and ours[: len(theirs) - 1] == theirs[:-1]
    )


def _once(messages: list[Message]) -> tuple[list[Message], list[Message]]:
    replies = [m for m in messages if m.op != Op.WATCH_EVENT]
    events = [m for m in messages if m.op == Op.WATCH_EVENT]
    return replies, list(dict.fromkeys(events))


@_row("equal-events-waiting", OURS)
def _equal_events_waiting(case: Case) -> bool:
    """Of requests sent in one piece, which events still wait to be merged differs."""
    # The same messages, but for events that repeat one before them.
    if len(case.step.requests) < 2 or set(case.subject) != set(case.reference):
        return False
    return all(
        _once(case.reference[number]) == _once(case.subject[number])
        for number in case.reference
    )


def _same_entry(theirs: bytes, ours: bytes) -> bool:
    """Theirs is ours, cut to the 11 characters that C has room for."""
    return len(theirs) == _ENTRY_SIZE and ours.startswith(theirs)


@_row("large-domid", OURS)
def _large_domid(case: Case) -> bool:
    """C cuts an entry of GET_PERMS to 11 characters."""
    if case.request.op != Op.GET_PERMS:
        return False
    theirs, ours = (answer.split(b"\0") for answer in case.answers)
    return len(theirs) == len(ours) and all(
        a == b or _same_entry(a, b) for a, b in zip(theirs, ours, strict=True)
    )


CONFLICT_BY_FACET: Final = Explained(
    "conflict-by-facet",
    OURS,
    "C refuses a commit although nothing that the transaction relied on changed",
    _never,
)
CONFLICT_SINCE_START: Final = Explained(
    "conflict-since-start",
    OURS,
    "a change before the first look at a node counts as one after it",
    _never,
)
SNAPSHOT_AT_START: Final = Explained(
    "snapshot-at-start",
    OURS,
    "a transaction sees the store as it was at its start, not at the first look",
    _never,
)

CONFLICT_ROWS: Final = (CONFLICT_BY_FACET, CONFLICT_SINCE_START, SNAPSHOT_AT_START)


def explain(case: Case) -> Explained | None:
    """The row that a case belongs to."""
    for row in EXPLAINED:
        if row.accepts(case):
            return row
    return None
