"""Which differences between the events of two commits are meant."""

import pytest

from tests.differential.commit_events import (
    COMMIT_ORDER,
    NET_COMMIT_EVENTS,
    explain_commit,
)
from tests.differential.explained import Explained
from tests.differential.model import script
from tests.differential.session import Message, Outcome
from xsd.protocol.ops import Op


def outcome(*paths: str) -> Outcome:
    """A good commit after events of these paths at one connection."""
    told = [Message(Op.WATCH_EVENT, (0, True), f"{p}\0t\0".encode()) for p in paths]
    return {0: [*told, Message(Op.TRANSACTION_END, (0, True), b"OK\0")]}


def explain(steps: str, theirs: Outcome, ours: Outcome) -> Explained | None:
    """The row for a transaction of these steps."""
    done = [request for step in script(steps) for request in step.requests]
    return explain_commit(done, done, theirs, ours)


WRITES = "read /y; write /x; write /y"
REMOVAL = "rm /a; write /b"
PARENT_TOO = "rm /a/b; rm /a"
AGAIN = "rm /a; write /a/b/c"


def test_events_may_come_in_the_order_of_the_changes() -> None:
    """C tells first what was looked at first."""
    assert explain(WRITES, outcome("/y", "/x"), outcome("/x", "/y")) is COMMIT_ORDER


def test_what_was_written_and_then_lost_comes_with_the_other_losses() -> None:
    """Its own write does not count any more."""
    steps = "write /a/c; rm /a; write /a"
    row = explain(steps, outcome("/a/c", "/a"), outcome("/a/b", "/a/c", "/a"))

    assert row is NET_COMMIT_EVENTS


def test_what_a_removal_takes_with_it_keeps_its_order() -> None:
    """Children in the order of making, also if the whole is told elsewhere."""
    steps = "read /b; rm /a; write /b"
    theirs = outcome("/b", "/a", "/a/z", "/a/b")

    assert explain(steps, theirs, outcome("/a", "/a/z", "/a/b", "/b")) is COMMIT_ORDER
    assert explain(steps, theirs, outcome("/a", "/a/b", "/a/z", "/b")) is None


def test_events_may_not_come_in_any_other_order() -> None:
    """What is changed later is told later."""
    steps = "write /x; write /y"

    assert explain(steps, outcome("/x", "/y"), outcome("/y", "/x")) is None


@pytest.mark.parametrize(
    ("steps", "theirs", "ours"),
    [
        (AGAIN, ("/a", "/a/b/c"), ("/a/b/c",)),
        (AGAIN, ("/a", "/a/b/c"), ("/a/b/x", "/a/b/c")),
        (AGAIN, ("/a", "/a/b/c"), ("/a", "/a/b", "/a/b/c")),
        ("write /a/b; rm /a", ("/a/b", "/a"), ("/a",)),
    ],
)
def test_what_a_removal_leaves_is_told_by_its_net_changes(
    steps: str, theirs: tuple[str, ...], ours: tuple[str, ...]
) -> None:
    """Less of what came back or went with its parent, more of what was lost."""
    assert explain(steps, outcome(*theirs), outcome(*ours)) is NET_COMMIT_EVENTS


@pytest.mark.parametrize(
    ("steps", "theirs", "ours"),
    [
        (WRITES, ("/y", "/x"), ("/x",)),
        (WRITES, ("/y", "/x"), ("/x", "/y", "/z")),
        (REMOVAL, ("/a", "/b"), ("/b",)),
        (REMOVAL, ("/a", "/b"), ("/a",)),
        (REMOVAL, ("/a", "/b"), ("/a", "/a/k", "/b")),
        (PARENT_TOO, ("/a/b", "/a"), ("/a/b",)),
        (PARENT_TOO, ("/a/b", "/a"), ("/a",)),
        (AGAIN, ("/a", "/a/b/c"), ("/a", "/a/b")),
        (AGAIN, ("/a", "/a/b/c"), ("/a", "/a/b/c", "/other")),
        (AGAIN, ("/a", "/a/b/c", "/other"), ("/a", "/a/b/c")),
    ],
)
def test_no_other_event_may_be_missing_or_too_many(
    steps: str, theirs: tuple[str, ...], ours: tuple[str, ...]
) -> None:
    """What was written and stays, and what was removed and is gone, is told."""
    assert explain(steps, outcome(*theirs), outcome(*ours)) is None


def test_the_reply_must_come_last() -> None:
    """Events of a commit come before its reply."""
    events = outcome("/y", "/x")[0]
    wrong = {0: [events[1], events[2], events[0]]}

    assert explain(WRITES, outcome("/y", "/x"), wrong) is None


def test_relative_paths_are_those_below_the_home() -> None:
    """A relative watch is told relative paths."""
    steps = "rm x; write /local/domain/0/x/y"

    row = explain(steps, outcome("x", "x/y"), outcome("x/y"))

    assert row is NET_COMMIT_EVENTS
