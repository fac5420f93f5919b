"""Which differences between the events of two commits are meant."""

from typing import Final

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


def outcome(paths: str) -> Outcome:
    """A good commit after events of these paths at one connection."""
    told = [
        Message(Op.WATCH_EVENT, (0, True), f"{path}\0t\0".encode())
        for path in paths.split()
    ]
    return {0: [*told, Message(Op.TRANSACTION_END, (0, True), b"OK\0")]}


def explain(steps: str, theirs: Outcome, ours: Outcome) -> Explained | None:
    """The row for a transaction of these steps."""
    done = [request for step in script(steps) for request in step.requests]
    return explain_commit(done, done, theirs, ours)


WRITES: Final = "read /y; write /x; write /y"
REMOVAL: Final = "rm /a; write /b"
AFTER_A_LOOK: Final = "read /b; rm /a; write /b"
PARENT_TOO: Final = "rm /a/b; rm /a"
LOST: Final = "write /a/c; rm /a; write /a"
AGAIN: Final = "rm /a; write /a/b/c"


@pytest.mark.parametrize(
    ("steps", "theirs", "ours", "row"),
    [
        # C tells first what was looked at first, ours what was changed first.
        (WRITES, "/y /x", "/x /y", COMMIT_ORDER),
        # What is changed later is told later.
        ("write /x; write /y", "/x /y", "/y /x", None),
        # A removal's losses come in the order of making, also if told elsewhere.
        (AFTER_A_LOOK, "/b /a /a/z /a/b", "/a /a/z /a/b /b", COMMIT_ORDER),
        (AFTER_A_LOOK, "/b /a /a/z /a/b", "/a /a/b /a/z /b", None),
        # What was written and then lost comes with the other losses.
        (LOST, "/a/c /a", "/a/b /a/c /a", NET_COMMIT_EVENTS),
        # Less is told of what came back or went with its parent, more of what was lost.
        (AGAIN, "/a /a/b/c", "/a/b/c", NET_COMMIT_EVENTS),
        (AGAIN, "/a /a/b/c", "/a/b/x /a/b/c", NET_COMMIT_EVENTS),
        (AGAIN, "/a /a/b/c", "/a /a/b /a/b/c", NET_COMMIT_EVENTS),
        ("write /a/b; rm /a", "/a/b /a", "/a", NET_COMMIT_EVENTS),
        # What was written and stays, and what was removed and is gone, is told.
        (WRITES, "/y /x", "/x", None),
        (WRITES, "/y /x", "/x /y /z", None),
        (REMOVAL, "/a /b", "/b", None),
        (REMOVAL, "/a /b", "/a", None),
        (REMOVAL, "/a /b", "/a /a/k /b", None),
        (PARENT_TOO, "/a/b /a", "/a/b", None),
        (PARENT_TOO, "/a/b /a", "/a", None),
        (AGAIN, "/a /a/b/c", "/a /a/b", None),
        (AGAIN, "/a /a/b/c", "/a /a/b/c /other", None),
        (AGAIN, "/a /a/b/c /other", "/a /a/b/c", None),
        # A relative watch is told relative paths, of what is below the home.
        ("rm x; write /local/domain/0/x/y", "x x/y", "x/y", NET_COMMIT_EVENTS),
    ],
)
def test_events_may_differ_only_as_is_meant(
    steps: str, theirs: str, ours: str, row: Explained | None
) -> None:
    """In order, or in what is told where something was removed."""
    assert explain(steps, outcome(theirs), outcome(ours)) is row


def test_the_reply_must_come_last() -> None:
    """Events of a commit come before its reply."""
    events = outcome("/y /x")[0]
    wrong = {0: [events[1], events[2], events[0]]}

    assert explain(WRITES, outcome("/y /x"), wrong) is None
