"""The comparison itself: what is different is found, what is meant is not.

Sessions are scripted here, so no daemon is needed.
"""

from typing import Final, final

import pytest

from tests.differential.compare import Comparison, Report
from tests.differential.model import Step, sequence
from tests.differential.session import CLOSED, SILENT, Message, Outcome
from xsd.protocol.ops import Op

OK = b"OK\0"


def reply(op: int, payload: bytes = OK) -> Message:
    """A reply with the ids that were sent."""
    return Message(op, (0, True), payload)


def error(name: str) -> Message:
    """An ERROR."""
    return reply(Op.ERROR, name.encode() + b"\0")


def event(path: str) -> Message:
    """An event of a watch with token t."""
    return Message(Op.WATCH_EVENT, (0, True), path.encode() + b"\0t\0")


@final
class Scripted:
    """Stands for a session: says what it was told to, and keeps what was asked."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.extra_starts: dict[int, int] = {}
        self.asked: list[str] = []
        self._outcomes = list(outcomes)

    def perform(self, step: Step) -> Outcome:
        """Give the next outcome."""
        self.asked.append(str(step))
        return self._outcomes.pop(0)


def compare(script: str, theirs: Scripted, ours: Scripted) -> Report:
    """Compare the two for some steps."""
    return Comparison(theirs, ours).run(sequence("steps", script))


def of(*messages: Message) -> Outcome:
    """An outcome in which only connection 0 received something."""
    return {0: list(messages)}


STARTED = of(reply(Op.TRANSACTION_START, b"1\0"))
WRITTEN = of(reply(Op.WRITE))
COMMITTED = of(reply(Op.TRANSACTION_END))
REFUSED = of(error("EAGAIN"))
CHANGED = {1: [reply(Op.WRITE)]}


def value(text: bytes) -> Outcome:
    """What a READ gives."""
    return of(reply(Op.READ, text))


ONE, TWO = value(b"1"), value(b"2")
BEFORE = of(event("/a"), reply(Op.WRITE))
CLOSES = of(reply(Op.WRITE), Message(CLOSED, (0, True), b""))
IN_VAIN = (STARTED, ONE, CHANGED, REFUSED)

Row = tuple[str, tuple[Outcome, ...], tuple[Outcome, ...], str]
"""A script, what C says and what ours, and what the report says of it."""

DIFFERENCES: Final[dict[str, Row]] = {
    "an event after the reply": (
        *("write /a", (BEFORE,), (of(reply(Op.WRITE), event("/a")),)),
        "differs",
    ),
    "an event that is lost": ("write /a", (BEFORE,), (WRITTEN,), "differs"),
    "an event that comes twice": (
        *("write /a", (BEFORE,), (of(event("/a"), *BEFORE[0]),)),
        "differs",
    ),
    "events in another order": (
        "write /a; rm /",
        (WRITTEN, of(event("/a/b"), event("/a"), reply(Op.RM))),
        (WRITTEN, of(event("/a"), event("/a/b"), reply(Op.RM))),
        "differs",
    ),
    "another error": ("read /a", (REFUSED,), (of(error("ENOENT")),), "differs"),
    "a generation that stays": (
        "part /a 0",
        (of(reply(Op.DIRECTORY_PART, b"<generation 1>\0b\0")),),
        (of(reply(Op.DIRECTORY_PART, b"<generation 0>\0b\0")),),
        "differs",
    ),
    "no answer": (
        *("write /a", (WRITTEN,), (of(Message(SILENT, (0, True), b"")),)),
        "(no answer)",
    ),
    "an event to another connection than the one that C tells": (
        "write /a",
        ({**WRITTEN, 1: [event("/a")]},),
        ({**WRITTEN, 2: [event("/a")]},),
        "differs",
    ),
    "a closed connection, also when the reply came before": (
        *("write /a", (WRITTEN,), (CLOSES,)),
        "(connection closed)",
    ),
    "a transaction id that is not echoed": (
        *("write /a", (WRITTEN,), (of(Message(Op.WRITE, (0, False), OK)),)),
        "with other ids",
    ),
    "a commit that only C refuses, and done again reads something else": (
        "start t; t: read /a; 1 write /a; commit t",
        (*IN_VAIN, STARTED, TWO, COMMITTED),
        (STARTED, ONE, CHANGED, COMMITTED),
        "does the same again",
    ),
    "a commit that only C refuses, and done again has other events": (
        "start t; t: write /a; 1 write /b; commit t",
        (
            *(STARTED, WRITTEN, CHANGED, REFUSED),
            *(STARTED, WRITTEN, {**COMMITTED, 2: [event("/a")]}),
        ),
        (STARTED, WRITTEN, CHANGED, COMMITTED),
        "differs",
    ),
    "a refused commit without any change outside": (
        "start t; t: read /a; commit t",
        *((STARTED, ONE, REFUSED), (STARTED, ONE, COMMITTED)),
        "differs",
    ),
    "two good commits that read different things": (
        "start t; 1 write /a; t: read /a; commit t",
        *((STARTED, CHANGED, TWO, COMMITTED), (STARTED, CHANGED, ONE, COMMITTED)),
        "both commits succeed",
    ),
    "different reads although nothing has changed outside": (
        "start t; t: read /a; abort t",
        *((STARTED, TWO, COMMITTED), (STARTED, ONE, COMMITTED)),
        "differs",
    ),
}


@pytest.mark.parametrize("name", DIFFERENCES)
def test_what_differs_is_reported(name: str) -> None:
    """Order, every connection and the header count; nobody is refused for nothing."""
    script, theirs, ours, text = DIFFERENCES[name]

    assert text in compare(script, Scripted(*theirs), Scripted(*ours)).text


def test_equal_outcomes_are_no_difference() -> None:
    """Counted all the same, to see that something was compared."""
    report = compare("write /a", Scripted(BEFORE), Scripted(BEFORE))

    assert (report.text, report.compared, report.events) == ("", 1, 1)


def test_another_payload_is_a_difference() -> None:
    """The text has the whole history and both outcomes."""
    report = compare(
        "write /a 1; read /a", Scripted(WRITTEN, ONE), Scripted(WRITTEN, TWO)
    )

    assert report.text.splitlines() == [
        "steps",
        "   0 c0 WRITE '/a\\x001'",
        "       -> WRITE 'OK\\x00'",
        "   1 c0 READ '/a\\x00'",
        "    differs: c0 READ '/a\\x00'",
        "    reference:",
        "      -> READ '1'",
        "    subject:",
        "      -> READ '2'",
    ]


def test_after_an_explained_difference_that_changes_state_nothing_is_compared() -> None:
    """The rest would differ for the same reason."""
    theirs, ours = of(error("EINVAL")), of(reply(Op.WATCH), event("/a"))
    report = compare("watch /a t 1; write /a", Scripted(theirs), Scripted(ours))

    assert (report.text, report.compared) == ("", 0)
    assert [row.row for row in report.used] == ["watch-depth"]


def test_a_commit_that_only_c_refuses_is_done_again_by_c() -> None:
    """It must be good then: same replies, same events."""
    theirs = Scripted(*IN_VAIN, STARTED, ONE, COMMITTED)
    ours = Scripted(STARTED, ONE, CHANGED, COMMITTED)

    report = compare("start t; t: read /a; 1 write /b; commit t", theirs, ours)

    assert report.text == ""
    assert [row.row for row in report.used] == ["conflict-by-facet"]
    assert theirs.asked[4:] == [
        "c0 TRANSACTION_START '\\x00' -> [again]",
        "c0 [again] READ '/a\\x00'",
        "c0 [again] TRANSACTION_END 'T\\x00'",
    ]
    assert theirs.extra_starts == {0: 1}


def test_a_commit_that_only_ours_refuses_is_done_again_by_ours() -> None:
    """The same rule the other way round."""
    theirs = Scripted(STARTED, CHANGED, TWO, COMMITTED)
    ours = Scripted(STARTED, CHANGED, ONE, REFUSED, STARTED, TWO, COMMITTED)

    report = compare("start t; 1 write /a; t: read /a; commit t", theirs, ours)

    assert report.text == ""
    assert [row.row for row in report.used] == ["conflict-since-start"]


def test_reads_inside_may_differ_if_the_transaction_comes_to_nothing() -> None:
    """One saw the store as at its start, the other as at its first look."""
    theirs = Scripted(STARTED, CHANGED, TWO, COMMITTED)
    ours = Scripted(STARTED, CHANGED, ONE, COMMITTED)

    report = compare("start t; 1 write /a; t: read /a; abort t", theirs, ours)

    assert report.text == ""
    assert [row.row for row in report.used] == ["snapshot-at-start"]
