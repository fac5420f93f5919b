"""Runs a sequence on two daemons in step and finds where they differ.

Transactions
============

Requests inside a transaction are compared when it ends, because two daemons may
both be right and differ: one sees the store as at the transaction's start, the
other each node as at the first look; one refuses a commit that the other need
not refuse. What must hold is that a transaction which commits did what it would
have done alone, at that moment. So:

  both commit             every reply inside was the same, and all events are
  neither does            replies may differ if the store changed meanwhile
  one does, one EAGAIN    the other runs the same requests again at once, as a
                          client would: all replies and events are the same
"""

from dataclasses import dataclass, field
from typing import Final, Protocol, final

from tests.differential.commit_events import COMMIT_ROWS, explain_commit
from tests.differential.explained import (
    CONFLICT_BY_FACET,
    CONFLICT_ROWS,
    CONFLICT_SINCE_START,
    EXPLAINED,
    SNAPSHOT_AT_START,
    Case,
    Explained,
    explain,
)
from tests.differential.model import Request, Sequence, Step
from tests.differential.session import Message, Outcome, without_numbers
from xsd.protocol.ops import Op

ROWS: Final = (*EXPLAINED, *CONFLICT_ROWS, *COMMIT_ROWS)
"""Every difference that is meant."""

_AGAIN: Final = "again"
_OK: Final = b"OK\0"
_EAGAIN: Final = b"ERROR EAGAIN\0"

_IN_TRANSACTION: Final = frozenset(
    {
        *(Op.READ, Op.DIRECTORY, Op.DIRECTORY_PART, Op.GET_PERMS),
        *(Op.WRITE, Op.MKDIR, Op.RM, Op.SET_PERMS),
    }
)
_CHANGING: Final = frozenset({Op.WRITE, Op.MKDIR, Op.RM, Op.SET_PERMS, Op.RELEASE})


@final
@dataclass(slots=True)
class Report:
    """What came of one sequence.

    Attributes:
        text: The difference with everything before it, or empty.
        used: Rows of differences that are meant, one entry for each case.
        compared: Steps that were compared.
        events: Watch events among what was compared.
        refused: Commits that the reference refused.
    """

    text: str = ""
    used: list[Explained] = field(default_factory=list)
    compared: int = 0
    events: int = 0
    refused: int = 0


class Runner(Protocol):
    """A session, or what stands for one in tests of the comparison."""

    extra_starts: dict[int, int]

    def perform(self, step: Step) -> Outcome:
        """Do one step and tell what every connection received."""


class _Different(Exception):  # noqa: N818 - it is an answer, not an error
    """A difference that no row explains."""


class _Enough(Exception):  # noqa: N818 - it is an answer, not an error
    """An explained difference after which the stores are not the same."""


@final
@dataclass(slots=True)
class _Transaction:
    """An open transaction: what was asked in it, and by when the store had changed."""

    changes_at_start: int
    cases: list[Case] = field(default_factory=list)
    doubtful: Case | None = None


@final
class Comparison:
    """One sequence on two daemons."""

    def __init__(self, reference: Runner, subject: Runner) -> None:
        self._reference = reference
        self._subject = subject
        self._open: dict[tuple[int, str], _Transaction] = {}
        self._changes = 0
        self._introduced: set[int] = set()
        self._released: set[int] = set()
        self._report = Report()

    def run(self, sequence: Sequence) -> Report:
        """Do all steps, until a difference that is not meant."""
        done: list[str] = []
        for index, step in enumerate(sequence.steps):
            done.append(f"  {index:2} {step}")
            case = Case(
                step,
                self._reference.perform(step),
                self._subject.perform(step),
                frozenset(self._introduced),
                frozenset(self._released),
            )
            try:
                self._judge(case)
            except _Different as different:
                self._report.text = "\n".join(
                    [sequence.title, *done, *different.args, ""]
                )
                return self._report
            except _Enough:
                return self._report
            self._count(case)
            done += [f"       {line}" for line in show(case.reference, step)]
        return self._report

    def _judge(self, case: Case) -> None:
        """Compare one step, or put it off to the end of its transaction."""
        request = case.request
        key = (case.step.connection, str(request.tx))
        transaction = self._open.get(key) if isinstance(request.tx, str) else None
        if transaction and request.op in _IN_TRANSACTION:
            self._inside(transaction, case)
        elif transaction and request.op == Op.TRANSACTION_END:
            if self._ended(case):
                del self._open[key]
                self._end(transaction, case)
            else:
                self._compare(case)
        else:
            self._compare(case)
            self._note(case)

    def _inside(self, transaction: _Transaction, case: Case) -> None:
        transaction.cases.append(case)
        if case.reference == case.subject or explain(case):
            return
        if transaction.changes_at_start == self._changes:
            raise _Different(*contrast(case))
        transaction.doubtful = transaction.doubtful or case

    def _ended(self, case: Case) -> bool:
        return any(answer in {_OK, _EAGAIN} for answer in case.answers)

    def _end(self, transaction: _Transaction, case: Case) -> None:
        theirs, ours = case.answers
        committed = case.request.payload == b"T\0"
        if committed and {theirs, ours} == {_OK, _EAGAIN}:
            if transaction.changes_at_start == self._changes:
                raise _Different(*contrast(case))
            self._changes += 1
            self._again(transaction, case)
            return
        if transaction.doubtful:
            if committed and theirs == ours == _OK:
                raise _Different(
                    "and both commits succeed although this differed:",
                    *contrast(transaction.doubtful),
                )
            self._use(SNAPSHOT_AT_START)
        if committed and theirs == ours == _OK:
            self._changes += 1
            self._compare_commits(transaction, case)
        else:
            self._compare(case)

    def _compare_commits(self, transaction: _Transaction, case: Case) -> None:
        """Compare the events of two successful commits."""
        if plain(case.reference) == plain(case.subject):
            return
        asked = [inside.request for inside in transaction.cases]
        done = [inside.request for inside in transaction.cases if inside.succeeded()]
        row = explain_commit(asked, done, case.reference, case.subject)
        if row is None:
            raise _Different(*contrast(case))
        self._use(row)

    def _again(self, transaction: _Transaction, end: Case) -> None:
        """Run the transaction again where it failed; compare with where not."""
        refused_by_reference = end.answers[0] == _EAGAIN
        loser = self._reference if refused_by_reference else self._subject
        number = end.step.connection
        start = Request(Op.TRANSACTION_START, b"\0", starts=_AGAIN)
        loser.perform(Step(number, (start,)))
        loser.extra_starts[number] = loser.extra_starts.get(number, 0) + 1
        for case in [*transaction.cases, end]:
            request = case.request
            again = Request(request.op, request.payload, tx=_AGAIN)
            outcome = loser.perform(Step(number, (again,)))
            if refused_by_reference:
                repeated = Case(case.step, outcome, case.subject)
            else:
                repeated = Case(case.step, case.reference, outcome)
            if case is end and repeated.answers == (_OK, _OK):
                self._compare_commits(transaction, repeated)
            elif plain(repeated.reference) != plain(repeated.subject):
                if case is not end and explain(repeated):
                    continue
                who = "reference" if refused_by_reference else "subject"
                raise _Different(
                    f"and EAGAIN from the {who}, which then does the same again;"
                    " but doing it again gives something else:",
                    *contrast(repeated),
                )
        self._use(CONFLICT_BY_FACET if refused_by_reference else CONFLICT_SINCE_START)

    def _compare(self, case: Case) -> None:
        if case.reference == case.subject:
            return
        row = explain(case)
        if row is None:
            raise _Different(*contrast(case))
        self._use(row)
        if row.ends(case):
            raise _Enough

    def _use(self, row: Explained) -> None:
        self._report.used.append(row)

    def _count(self, case: Case) -> None:
        self._report.compared += 1
        self._report.refused += case.answers[0] == _EAGAIN
        self._report.events += sum(
            message.op == Op.WATCH_EVENT
            for messages in case.reference.values()
            for message in messages
        )

    def _note(self, case: Case) -> None:
        """Keep track of transactions and of changes outside them."""
        number = case.step.connection
        reset = {request.op for request in case.step.requests} & {Op.RESET_WATCHES}
        if reset or case.step.closes:
            for key in [key for key in self._open if key[0] == number]:
                if self._open.pop(key).doubtful:
                    self._use(SNAPSHOT_AT_START)
        for request in case.step.requests:
            if request.starts and case.answers[0].rstrip(b"\0").isdigit():
                self._open[number, request.starts] = _Transaction(self._changes)
            if request.op in _CHANGING and not request.tx:
                self._changes += 1
        if case.request.op in {Op.INTRODUCE, Op.RELEASE} and case.answers[0] == _OK:
            domid = int(case.strings[0])
            if case.request.op == Op.INTRODUCE:
                self._introduced.add(domid)
            else:
                self._introduced.discard(domid)
                self._released.add(domid)


def plain(outcome: Outcome) -> dict[int, list[Message]]:
    """An outcome without what differs if a transaction is done again."""
    return {number: without_numbers(messages) for number, messages in outcome.items()}


def show(outcome: Outcome, step: Step) -> list[str]:
    """An outcome for people: the own connection first."""
    lines = [f"-> {message}" for message in outcome.get(step.connection, [])]
    for number in sorted(outcome):
        if number != step.connection:
            lines += [f"   c{number}: {message}" for message in outcome[number]]
    return lines


def contrast(case: Case) -> list[str]:
    """Both outcomes of a step for people."""
    return [
        f"    differs: {case.step}",
        "    reference:",
        *[f"      {line}" for line in show(case.reference, case.step)],
        "    subject:",
        *[f"      {line}" for line in show(case.subject, case.step)],
    ]
