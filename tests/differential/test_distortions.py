"""A daemon that errs is found: C against a C whose answers are falsified."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.differential.model import sequence
from tests.differential.peers import Pair
from tests.differential.session import CLOSED, SILENT, Lens, Message
from xsd.protocol.ops import Op

Falsify = Callable[[list[Message]], list[Message]]

LIVELY = sequence(
    "something of everything",
    """
        watch / own; 1 watch /a/b other; 1 watch / 'one more'; write /a/b/c 1
        write /a/b/d 2; read /a/b/c; read /missing; ls /a/b; part /a/b 0; get_perms /a/b
        2 start t; 2 t: write /a/b/c 3; write /a/b/d 4; 2 commit t; rm /a/b
    """,
)
CONFLICT = sequence(
    "a conflict", "write /a 0; start t; t: read /a; 1 write /a 1; commit t"
)


def _events(messages: list[Message]) -> list[int]:
    return [n for n, message in enumerate(messages) if message.op == Op.WATCH_EVENT]


def lose_an_event(messages: list[Message]) -> list[Message]:
    """The last one."""
    found = _events(messages)
    return [m for n, m in enumerate(messages) if not found or n != found[-1]]


def repeat_an_event(messages: list[Message]) -> list[Message]:
    """The first one."""
    found = _events(messages)
    if not found:
        return messages
    return [*messages[: found[0]], messages[found[0]], *messages[found[0] :]]


def swap_events(messages: list[Message]) -> list[Message]:
    """All in the opposite order."""
    found = _events(messages)
    swapped = dict(zip(found, reversed(found), strict=True))
    return [messages[swapped.get(n, n)] for n in range(len(messages))]


def delay_events(messages: list[Message]) -> list[Message]:
    """They come after the reply."""
    return sorted(messages, key=lambda message: message.op == Op.WATCH_EVENT)


def tell_the_parent(messages: list[Message]) -> list[Message]:
    """An event has another path."""
    return [
        replace(m, payload=m.payload.replace(b"/c\0", b"\0"))
        if m.op == Op.WATCH_EVENT
        else m
        for m in messages
    ]


def _changed(old: bytes, new: bytes) -> Falsify:
    def falsify(messages: list[Message]) -> list[Message]:
        return [replace(m, payload=m.payload.replace(old, new)) for m in messages]

    return falsify


def forget_the_transaction(messages: list[Message]) -> list[Message]:
    """The header does not say which transaction it was."""
    return [replace(m, echo=(m.echo[0], False)) for m in messages]


def close_the_connection(messages: list[Message]) -> list[Message]:
    """After the reply."""
    return [*messages, Message(CLOSED, (0, True), b"")]


def say_nothing(messages: list[Message]) -> list[Message]:
    """No reply at all."""
    events = [m for m in messages if m.op == Op.WATCH_EVENT]
    return [*events, Message(SILENT, (0, True), b"")]


FALSIFICATIONS: dict[str, Falsify] = {
    "an event is lost": lose_an_event,
    "an event comes twice": repeat_an_event,
    "events in the opposite order": swap_events,
    "events after the reply": delay_events,
    "an event of another path": tell_the_parent,
    "another error": _changed(b"ENOENT", b"EINVAL"),
    "another value": _changed(b"1", b"2"),
    "names in another order": _changed(b"c\0d\0", b"d\0c\0"),
    "a generation that stays": _changed(b"<generation 0>", b"<generation 9>"),
    "other permissions": _changed(b"n0\0", b"r0\0"),
    "an acknowledgement too short": _changed(b"OK\0", b"OK"),
    "a commit that is not refused": _changed(b"EAGAIN", b"EINVAL"),
    "another id in the header": forget_the_transaction,
    "a closed connection": close_the_connection,
    "silence": say_nothing,
}


def lens(falsify: Falsify) -> Lens:
    """Falsify what every connection receives."""
    return lambda _, messages: falsify(messages)


@pytest.mark.parametrize("name", FALSIFICATIONS)
def test_a_false_answer_is_found(twins: Pair, name: str) -> None:
    """Whatever it is that is wrong."""
    false = lens(FALSIFICATIONS[name])
    reports = [twins.compare(each, false) for each in (LIVELY, CONFLICT)]

    assert any("differs" in report.text for report in reports)


def test_true_answers_are_no_difference(twins: Pair) -> None:
    """The same sequences, nothing falsified."""
    reports = [twins.compare(each) for each in (LIVELY, CONFLICT)]

    assert [report.text for report in reports] == ["", ""]
