"""Rows explain what they are for, and nothing else; and they are documented."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.differential.compare import ROWS
from tests.differential.explained import NEWEST, OURS, Case, explain
from tests.differential.model import Step, c0
from tests.differential.session import CLOSED, Message, announced
from xsd.protocol.ops import Op

DOCUMENT = Path(__file__).parents[2] / "docs" / "compatibility.md"
LONG = "/" + "x" * 2048

EINVAL = "ERROR EINVAL\0"
ENOENT = "ERROR ENOENT\0"
ENOSYS = "ERROR ENOSYS\0"
OK = "OK\0"


def case(step: Step, theirs: str, ours: str) -> Case:
    """One step with a reply of each side."""
    return Case(step, {0: [_message(step, theirs)]}, {0: [_message(step, ours)]})


def _message(step: Step, text: str) -> Message:
    op = step.requests[0].op
    if text.startswith("ERROR "):
        op, text = Op.ERROR, text.removeprefix("ERROR ")
    return Message(op, (0, True), text.encode())


MEANT = [
    ("malformed-path-payload", c0.request(Op.READ, b"/a"), ENOENT, EINVAL),
    ("malformed-path-payload", c0.request(Op.RM, b""), "ERROR ENOMEM\0", EINVAL),
    ("unwatch-invalid-path", c0.unwatch("/a/", "t"), ENOENT, EINVAL),
    ("domid-syntax", c0.domain_path("abc"), "/local/domain/0\0", EINVAL),
    ("domid-syntax", c0.set_target("5", "-1"), ENOENT, EINVAL),
    ("path-length", c0.read(LONG), EINVAL, ENOENT),
    ("special-permissions", c0.get_perms("@releaseDomain"), EINVAL, "n0\0r32757\0"),
    ("special-permissions", c0.set_perms("@x", "n0"), EINVAL, ENOENT),
    ("watch-depth", c0.watch("/a", "t", "1"), EINVAL, OK),
    ("features-and-quotas", c0.request(Op.GET_FEATURE), ENOSYS, "15\0"),
    ("control-help", c0.control("help"), "a\0", "b\0"),
    ("control-log", c0.control("log"), EINVAL, "io      : on\n\0"),
    ("control-log", c0.control("log", "+io"), EINVAL, OK),
    ("control-files", c0.control("logfile", "/no/such"), OK, ENOENT),
    ("control-files", c0.control("memreport", "/dev/full"), OK, "ERROR ENOSPC\0"),
    ("control-commands", c0.control("live-update", "-a"), OK, EINVAL),
    ("permission-for-all", c0.set_perms("/a", "n0", "r32757"), ENOENT, OK),
    ("control-quota", c0.control("quota", "0"), "a\0", "b\0"),
    ("control-quota", c0.control("quota-soft"), "a\0", "b\0"),
    ("large-domid", c0.get_perms("/a"), "n0\0r-214748364\0", "n0\0r-2147483648\0"),
]

NOT_MEANT = [
    (c0.read("/a"), ENOENT, EINVAL),
    (c0.request(Op.READ, b"/a"), ENOENT, "v"),
    (c0.request(Op.READ, b"/a"), "v", EINVAL),
    (c0.unwatch("/a", "t"), ENOENT, EINVAL),
    (c0.unwatch("/a/", "t"), ENOENT, OK),
    (c0.domain_path("5"), "/local/domain/5\0", EINVAL),
    (c0.domain_path("abc"), "/local/domain/0\0", "/local/domain/1\0"),
    (c0.set_target("5", "6"), OK, EINVAL),
    (c0.read(LONG[:-1]), EINVAL, ENOENT),
    (c0.unwatch(LONG, "t"), EINVAL, ENOENT),
    (c0.get_perms("@releaseDomain"), EINVAL, ENOENT),
    (c0.get_perms("@x"), EINVAL, "n0\0"),
    (c0.get_perms("/x"), EINVAL, ENOENT),
    (c0.watch("/a", "t"), EINVAL, OK),
    (c0.watch("/a", "t", "1", "2"), EINVAL, OK),
    (c0.request(99), ENOSYS, OK),
    (c0.control("help"), "a\0", EINVAL),
    (c0.control("check"), OK, "no\0"),
    (c0.control("check"), OK, EINVAL),
    (c0.control("quota", "0"), "a\0", EINVAL),
    (c0.control("quota", "set", "nodes", "1"), OK, "no\0"),
    (c0.control("log", "on"), OK, EINVAL),
    (c0.control("log", "on"), EINVAL, OK),
    (c0.control("log", "+x"), EINVAL, OK),
    (c0.control("log", "+io", "+io"), EINVAL, OK),
    (c0.control("log"), EINVAL, "ERROR EIO\0"),
    (c0.control("logfile", "/log"), EINVAL, OK),
    (c0.control("logfile", "/log", "x"), OK, ENOENT),
    (c0.control("memreport"), OK, EINVAL),
    (c0.control("memreport", "/report"), OK, EINVAL),
    (c0.set_perms("/a", "n0", "r5"), ENOENT, OK),
    (c0.set_perms("/a", "n32757"), OK, ENOENT),
    (c0.get_perms("/a"), "n0\0r5\0", "n0\0"),
    (c0.get_perms("/a"), "n0\0r5\0", "n0\0r6\0"),
    (c0.get_perms("/a"), "n0\0r-214748364\0", "n0\0r-2147483648\0r5\0"),
    (c0.get_perms("/a"), "n0\0", "n0\0r5\0"),
]


@pytest.mark.parametrize(("row", "step", "theirs", "ours"), MEANT)
def test_a_difference_that_is_meant_has_its_row(
    row: str, step: Step, theirs: str, ours: str
) -> None:
    """One example at least for each row that looks at replies."""
    found = explain(case(step, theirs, ours))

    assert found is not None
    assert found.row == row


@pytest.mark.parametrize(("step", "theirs", "ours"), NOT_MEANT)
def test_what_only_looks_like_it_has_no_row(step: Step, theirs: str, ours: str) -> None:
    """Predicates are narrow."""
    assert explain(case(step, theirs, ours)) is None


def test_only_who_is_not_introduced_is_unknown_as_an_owner() -> None:
    """C knows whom the hypervisor has, and for a while whom it had."""
    refused = case(c0.set_perms("/a", "n5", "r6"), OK, ENOENT)
    meant = explain(refused)

    assert meant is not None
    assert meant.row == "domain-after-release"
    assert explain(replace(refused, introduced=frozenset({5}))) is None
    assert explain(replace(refused, introduced=frozenset({6}))) is not None


def test_only_who_was_released_may_be_missing_in_a_list() -> None:
    """And only behind the owner."""
    shorter = case(c0.get_perms("/a"), "n0\0r5\0w6\0", "n0\0w6\0")
    meant = explain(replace(shorter, released=frozenset({5})))

    assert meant is not None
    assert meant.row == "released-rights"
    assert explain(replace(shorter, released=frozenset({6}))) is None
    assert explain(replace(shorter, released=frozenset({5, 6}))) is None


def test_replies_before_a_bad_frame_may_be_more_than_cs() -> None:
    """But they must be the same as far as C goes, and both must close."""
    closed = Message(CLOSED, (0, True), b"")
    read = Message(Op.READ, (0, True), b"1")
    step = c0.raw(announced(4097), c0.read("/a"))
    meant = explain(Case(step, {0: [closed]}, {0: [read, closed]}))

    assert meant is not None
    assert meant.row == "reply-before-bad-frame"
    assert explain(Case(step, {0: [read, closed]}, {0: [closed]})) is None
    assert explain(Case(step, {0: [closed]}, {0: [read]})) is None
    assert explain(Case(step, {0: [read]}, {0: [read, closed]})) is None


def test_equal_events_may_be_merged_if_requests_came_together() -> None:
    """What waits when the next request is read is each daemon's business."""
    told = Message(Op.WATCH_EVENT, (0, True), b"/a\0t\0")
    done = [
        Message(Op.WRITE, (0, True), b"OK\0"),
        Message(Op.WRITE, (1, True), b"OK\0"),
    ]
    step = c0.together(c0.write("/a"), c0.write("/a"))
    once, twice = {0: done, 1: [told]}, {0: done, 1: [told, told]}
    meant = explain(Case(step, once, twice))

    assert meant is not None
    assert meant.row == "equal-events-waiting"
    assert explain(Case(step, once, {0: done, 1: []})) is None
    assert explain(Case(c0.write("/a"), once, twice)) is None


def test_the_event_of_a_release_may_follow_the_reply() -> None:
    """Only C does that, and only RELEASE."""
    told = Message(Op.WATCH_EVENT, (0, True), b"@releaseDomain\0t\0")
    done = Message(Op.RELEASE, (0, True), b"OK\0")
    meant = explain(Case(c0.release(5), {0: [done, told]}, {0: [told, done]}))

    assert meant is not None
    assert meant.row == "event-of-release"
    assert explain(Case(c0.release(5), {0: [told, done]}, {0: [done, told]})) is None
    assert explain(Case(c0.rm("/a"), {0: [done, told]}, {0: [told, done]})) is None


def test_every_row_is_in_the_document() -> None:
    """A difference that is meant is one that users can read about."""
    text = DOCUMENT.read_text(encoding="utf-8")
    missing = {row.row for row in ROWS if f"`{row.row}`" not in text}

    assert missing == set()


def test_rows_have_a_source_and_a_reason() -> None:
    """Either 4.17 is not the newest, or we differ on purpose."""
    assert {row.source for row in ROWS} == {NEWEST, OURS}
    assert all(row.why for row in ROWS)
