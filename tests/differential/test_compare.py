"""The comparison itself: what is different is found, what is meant is not.

Sessions are scripted here, so no daemon is needed.
"""

from typing import final

from tests.differential.compare import Comparison, Report
from tests.differential.model import Step, c0, c1, sequence
from tests.differential.session import CLOSED, Message, Outcome
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


def compare(theirs: Scripted, ours: Scripted, *steps: Step) -> Report:
    """Compare the two for some steps."""
    return Comparison(theirs, ours).run(sequence("steps", *steps))


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


def test_equal_outcomes_are_no_difference() -> None:
    """Counted all the same, to see that something was compared."""
    outcome = of(event("/a"), reply(Op.WRITE))

    report = compare(Scripted(outcome), Scripted(outcome), c0.write("/a"))

    assert (report.text, report.compared, report.events) == ("", 1, 1)


def test_another_payload_is_a_difference() -> None:
    """The text has the whole history and both outcomes."""
    report = compare(
        Scripted(WRITTEN, value(b"1")),
        Scripted(WRITTEN, value(b"2")),
        c0.write("/a", "1"),
        c0.read("/a"),
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


def test_an_event_after_the_reply_is_a_difference() -> None:
    """Order is behaviour."""
    first = of(event("/a"), reply(Op.WRITE))
    last = of(reply(Op.WRITE), event("/a"))

    report = compare(Scripted(first), Scripted(last), c0.write("/a"))

    assert "differs" in report.text


def test_an_event_to_another_connection_is_a_difference() -> None:
    """Every connection is compared, not only the one that asks."""
    theirs = {0: [reply(Op.WRITE)], 1: [event("/a")]}
    ours = {0: [reply(Op.WRITE)], 2: [event("/a")]}

    report = compare(Scripted(theirs), Scripted(ours), c0.write("/a"))

    assert "differs" in report.text


def test_a_closed_connection_is_a_difference() -> None:
    """Also when the reply came before."""
    theirs = of(reply(Op.WRITE))
    ours = of(reply(Op.WRITE), Message(CLOSED, (0, True), b""))

    report = compare(Scripted(theirs), Scripted(ours), c0.write("/a"))

    assert "(connection closed)" in report.text


def test_a_transaction_id_that_is_not_echoed_is_a_difference() -> None:
    """The header counts too."""
    ours = of(Message(Op.WRITE, (0, False), OK))

    report = compare(Scripted(WRITTEN), Scripted(ours), c0.write("/a"))

    assert "with other ids" in report.text


def test_after_an_explained_difference_that_changes_state_nothing_is_compared() -> None:
    """The rest would differ for the same reason."""
    report = compare(
        Scripted(of(error("EINVAL"))),
        Scripted(of(reply(Op.WATCH), event("/a"))),
        c0.watch("/a", "t", "1"),
        c0.write("/a"),
    )

    assert (report.text, report.compared) == ("", 0)
    assert [row.row for row in report.used] == ["watch-depth"]


def test_a_commit_that_only_c_refuses_is_done_again_by_c() -> None:
    """It must be good then: same replies, same events."""
    theirs = Scripted(
        *(STARTED, value(b"1"), CHANGED, REFUSED),
        *(STARTED, value(b"1"), COMMITTED),
    )
    ours = Scripted(STARTED, value(b"1"), CHANGED, COMMITTED)

    report = compare(
        *(theirs, ours),
        *(c0.start("t"), c0.read("/a", tx="t"), c1.write("/b"), c0.commit("t")),
    )

    assert report.text == ""
    assert [row.row for row in report.used] == ["conflict-by-facet"]
    assert theirs.asked[4:] == [
        "c0 TRANSACTION_START '\\x00' -> [again]",
        "c0 [again] READ '/a\\x00'",
        "c0 [again] TRANSACTION_END 'T\\x00'",
    ]
    assert theirs.extra_starts == {0: 1}


def test_a_commit_that_only_c_refuses_and_for_a_reason_is_a_difference() -> None:
    """Done again, the transaction reads something else: ours should have refused."""
    theirs = Scripted(
        *(STARTED, value(b"1"), CHANGED, REFUSED),
        *(STARTED, value(b"2"), COMMITTED),
    )
    ours = Scripted(STARTED, value(b"1"), CHANGED, COMMITTED)

    report = compare(
        *(theirs, ours),
        *(c0.start("t"), c0.read("/a", tx="t"), c1.write("/a"), c0.commit("t")),
    )

    assert "does the same again" in report.text


def test_a_commit_that_only_c_refuses_with_other_events_is_a_difference() -> None:
    """The events of the repeated commit are compared with ours."""
    theirs = Scripted(
        *(STARTED, WRITTEN, CHANGED, REFUSED),
        *(STARTED, WRITTEN, {**COMMITTED, 2: [event("/a")]}),
    )
    ours = Scripted(STARTED, WRITTEN, CHANGED, COMMITTED)

    report = compare(
        *(theirs, ours),
        *(c0.start("t"), c0.write("/a", tx="t"), c1.write("/b"), c0.commit("t")),
    )

    assert "differs" in report.text


def test_a_commit_that_only_ours_refuses_is_done_again_by_ours() -> None:
    """The same rule the other way round."""
    theirs = Scripted(STARTED, CHANGED, value(b"2"), COMMITTED)
    ours = Scripted(
        *(STARTED, CHANGED, value(b"1"), REFUSED), *(STARTED, value(b"2"), COMMITTED)
    )

    report = compare(
        *(theirs, ours),
        *(c0.start("t"), c1.write("/a"), c0.read("/a", tx="t"), c0.commit("t")),
    )

    assert report.text == ""
    assert [row.row for row in report.used] == ["conflict-since-start"]


def test_a_refused_commit_without_any_change_outside_is_a_difference() -> None:
    """Nobody may be refused for nothing."""
    report = compare(
        Scripted(STARTED, value(b"1"), REFUSED),
        Scripted(STARTED, value(b"1"), COMMITTED),
        *(c0.start("t"), c0.read("/a", tx="t"), c0.commit("t")),
    )

    assert "differs" in report.text


def test_two_good_commits_that_read_different_things_are_a_difference() -> None:
    """One of them has seen what was not so at its commit."""
    report = compare(
        Scripted(STARTED, CHANGED, value(b"2"), COMMITTED),
        Scripted(STARTED, CHANGED, value(b"1"), COMMITTED),
        *(c0.start("t"), c1.write("/a"), c0.read("/a", tx="t"), c0.commit("t")),
    )

    assert "both commits succeed" in report.text


def test_reads_inside_may_differ_if_the_transaction_comes_to_nothing() -> None:
    """One saw the store as at its start, the other as at its first look."""
    report = compare(
        Scripted(STARTED, CHANGED, value(b"2"), COMMITTED),
        Scripted(STARTED, CHANGED, value(b"1"), COMMITTED),
        *(c0.start("t"), c1.write("/a"), c0.read("/a", tx="t"), c0.abort("t")),
    )

    assert report.text == ""
    assert [row.row for row in report.used] == ["snapshot-at-start"]


def test_reads_inside_may_not_differ_if_nothing_has_changed_outside() -> None:
    """There is only one state to see."""
    report = compare(
        Scripted(STARTED, value(b"2"), COMMITTED),
        Scripted(STARTED, value(b"1"), COMMITTED),
        *(c0.start("t"), c0.read("/a", tx="t"), c0.abort("t")),
    )

    assert "differs" in report.text
