"""Rows explain what they are for, and nothing else; and they are documented."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from tests.differential.compare import ROWS
from tests.differential.explained import NEWEST, OURS, Case, explain
from tests.differential.model import Step, said, together
from tests.differential.session import CLOSED, Message, announced
from xsd.protocol.ops import Op

DOCUMENT = Path(__file__).parents[2] / "docs" / "compatibility.md"
LONG = "/" + "x" * 2048

EINVAL = "ERROR EINVAL\0"
ENOENT = "ERROR ENOENT\0"
ENOSYS = "ERROR ENOSYS\0"
OK = "OK\0"


def case(script: str, theirs: str, ours: str) -> Case:
    """One step with a reply of each side."""
    step = said(script)
    return Case(step, {0: [_message(step, theirs)]}, {0: [_message(step, ours)]})


def _message(step: Step, text: str) -> Message:
    op = step.requests[0].op
    if text.startswith("ERROR "):
        op, text = Op.ERROR, text.removeprefix("ERROR ")
    return Message(op, (0, True), text.encode())


MEANT = [
    ("malformed-path-payload", "READ /a", ENOENT, EINVAL),
    ("malformed-path-payload", "RM", "ERROR ENOMEM\0", EINVAL),
    ("unwatch-invalid-path", "unwatch /a/ t", ENOENT, EINVAL),
    ("special-names", "watch @a/ t", OK, EINVAL),
    ("special-names", "watch @releaseDomain//5 t", "ERROR EEXIST\0", EINVAL),
    ("special-names", "unwatch @a.b t", OK, EINVAL),
    ("special-names", "unwatch @a.b t", ENOENT, EINVAL),
    ("domid-syntax", "domain_path abc", "/local/domain/0\0", EINVAL),
    ("domid-syntax", "set_target 5 -1", ENOENT, EINVAL),
    ("path-length", f"read {LONG}", EINVAL, ENOENT),
    ("special-permissions", "get_perms @releaseDomain", EINVAL, "n0\0r32757\0"),
    ("special-permissions", "set_perms @x n0", EINVAL, ENOENT),
    ("watch-depth", "watch /a t 1", EINVAL, OK),
    ("features-and-quotas", "GET_FEATURE", ENOSYS, "15\0"),
    ("control-help", "control help", "a\0", "b\0"),
    ("control-log", "control log", EINVAL, "io      : on\n\0"),
    ("control-log", "control log +io", EINVAL, OK),
    ("control-files", "control logfile /no/such", OK, ENOENT),
    ("control-files", "control memreport /dev/full", OK, "ERROR ENOSPC\0"),
    ("control-report", "control memreport", EINVAL, "resident_bytes : 1\n\0"),
    ("permission-for-all", "set_perms /a n0 r32757", ENOENT, OK),
    ("control-quota", "control quota 0", "a\0", "b\0"),
    ("control-quota", "control quota-soft", "a\0", "b\0"),
    ("large-domid", "get_perms /a", "n0\0r-214748364\0", "n0\0r-2147483648\0"),
]

NOT_MEANT = [
    ("read /a", ENOENT, EINVAL),
    ("READ /a", ENOENT, "v"),
    ("READ /a", "v", EINVAL),
    ("unwatch /a t", ENOENT, EINVAL),
    ("unwatch /a/ t", ENOENT, OK),
    ("watch @a t", OK, EINVAL),
    ("watch @a/ t", EINVAL, OK),
    ("watch /a/ t", OK, EINVAL),
    ("domain_path 5", "/local/domain/5\0", EINVAL),
    ("domain_path abc", "/local/domain/0\0", "/local/domain/1\0"),
    ("set_target 5 6", OK, EINVAL),
    (f"read {LONG[:-1]}", EINVAL, ENOENT),
    (f"unwatch {LONG} t", EINVAL, ENOENT),
    ("get_perms @releaseDomain", EINVAL, ENOENT),
    ("get_perms @x", EINVAL, "n0\0"),
    ("get_perms /x", EINVAL, ENOENT),
    ("watch /a t", EINVAL, OK),
    ("watch /a t 1 2", EINVAL, OK),
    ("type 99", ENOSYS, OK),
    ("control help", "a\0", EINVAL),
    ("control check", OK, "no\0"),
    ("control check", OK, EINVAL),
    ("control quota 0", "a\0", EINVAL),
    ("control quota set nodes 1", OK, "no\0"),
    ("control log on", OK, EINVAL),
    ("control log on", EINVAL, OK),
    ("control log +x", EINVAL, OK),
    ("control log +io +io", EINVAL, OK),
    ("control log", EINVAL, "ERROR EIO\0"),
    ("control logfile /log", EINVAL, OK),
    ("control logfile /log x", OK, ENOENT),
    ("control memreport", OK, EINVAL),
    ("control memreport", EINVAL, OK),
    ("control memreport /report", EINVAL, "resident_bytes : 1\n\0"),
    ("control memreport /report", OK, EINVAL),
    ("set_perms /a n0 r5", ENOENT, OK),
    ("set_perms /a n32757", OK, ENOENT),
    ("get_perms /a", "n0\0r5\0", "n0\0"),
    ("get_perms /a", "n0\0r5\0", "n0\0r6\0"),
    ("get_perms /a", "n0\0r-214748364\0", "n0\0r-2147483648\0r5\0"),
    ("get_perms /a", "n0\0", "n0\0r5\0"),
]


@pytest.mark.parametrize(("row", "script", "theirs", "ours"), MEANT)
def test_a_difference_that_is_meant_has_its_row(
    row: str, script: str, theirs: str, ours: str
) -> None:
    """One example at least for each row that looks at replies."""
    found = explain(case(script, theirs, ours))

    assert found is not None
    assert found.row == row


@pytest.mark.parametrize(("script", "theirs", "ours"), NOT_MEANT)
def test_what_only_looks_like_it_has_no_row(
    script: str, theirs: str, ours: str
) -> None:
    """Predicates are narrow."""
    assert explain(case(script, theirs, ours)) is None


def reply(op: int, payload: bytes = b"OK\0", place: int = 0) -> Message:
    """A reply, or an event, with the right ids."""
    return Message(op, (place, True), payload)


def owner(*introduced: int) -> Case:
    """Ours does not know domain 5 as an owner."""
    each = case("set_perms /a n5 r6", OK, ENOENT)
    return replace(each, introduced=frozenset(introduced))


def shorter(*released: int) -> Case:
    """Ours has a list without domain 5."""
    each = case("get_perms /a", "n0\0r5\0w6\0", "n0\0w6\0")
    return replace(each, released=frozenset(released))


def received(step: Step, theirs: list[Message], ours: list[Message]) -> Case:
    """What the connection of the step received."""
    return Case(step, {0: theirs}, {0: ours})


def told(step: Step, theirs: int, ours: int) -> Case:
    """Two good writes, of which another connection is told so many times."""
    wrote = [reply(Op.WRITE), reply(Op.WRITE, place=1)]
    return Case(step, {0: wrote, 1: [TOLD] * theirs}, {0: wrote, 1: [TOLD] * ours})


END: Final = reply(CLOSED, b"")
ONE: Final = reply(Op.READ, b"1")
BAD_FRAME: Final = together(said("read /a"), raw=announced(4097))
TOLD: Final = reply(Op.WATCH_EVENT, b"@releaseDomain\0t\0")
DONE: Final = reply(Op.RELEASE)
WRITES: Final = said("write /a + write /a")
RELEASE: Final = said("release 5")

CASES: Final[dict[str, tuple[Case, str]]] = {
    "an owner that is not introduced": (owner(), "domain-after-release"),
    "while others are": (owner(6), "domain-after-release"),
    "an owner that is introduced": (owner(5), ""),
    "a released domain is missing in a list": (shorter(5), "released-rights"),
    "one is missing, another was released": (shorter(6), ""),
    "one of the released is missing, another not": (shorter(5, 6), ""),
    "our reply before a bad frame": (
        *(received(BAD_FRAME, [END], [ONE, END]), "reply-before-bad-frame"),
    ),
    "C's reply before a bad frame": (received(BAD_FRAME, [ONE, END], [END]), ""),
    "ours does not close": (received(BAD_FRAME, [END], [ONE]), ""),
    "C does not close": (received(BAD_FRAME, [ONE], [ONE, END]), ""),
    "equal events of requests in one piece": (
        *(told(WRITES, 1, 2), "equal-events-waiting"),
    ),
    "no event of them": (told(WRITES, 1, 0), ""),
    "equal events of one request": (told(said("write /a"), 1, 2), ""),
    "C's event of a release after its reply": (
        *(received(RELEASE, [DONE, TOLD], [TOLD, DONE]), "event-of-release"),
    ),
    "our event of a release after its reply": (
        *(received(RELEASE, [TOLD, DONE], [DONE, TOLD]), ""),
    ),
    "C's event of a removal after its reply": (
        *(received(said("rm /a"), [DONE, TOLD], [TOLD, DONE]), ""),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_difference_in_what_came_before_or_in_order_has_its_row(name: str) -> None:
    """Or none, if it is not exactly the one that is meant."""
    each, row = CASES[name]
    found = explain(each)

    assert (found.row if found else "") == row


def test_every_row_is_in_the_document() -> None:
    """A difference that is meant is one that users can read about."""
    text = DOCUMENT.read_text(encoding="utf-8")
    missing = {row.row for row in ROWS if f"`{row.row}`" not in text}

    assert missing == set()


def test_rows_have_a_source_and_a_reason() -> None:
    """Either 4.17 is not the newest, or we differ on purpose."""
    assert {row.source for row in ROWS} == {NEWEST, OURS}
    assert all(row.why for row in ROWS)
