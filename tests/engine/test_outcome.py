"""xsd.engine.notice: what handling a request comes to."""

from xsd.engine.notice import DONE, Notice, Outcome


def test_outcome_is_ok_and_tells_nobody_unless_it_says_so() -> None:
    """Most requests that change something come to that."""
    outcome = Outcome()

    assert (outcome.payload, outcome.events) == (b"OK\0", [])
    assert not outcome.reply_first
    assert (DONE.payload, DONE.events) == (b"OK\0", [])


def test_outcome_has_what_it_is_given() -> None:
    """Payload, events and their order."""
    outcome = Outcome(b"T\0", [], reply_first=True)

    assert outcome.payload == b"T\0"
    assert outcome.events == []
    assert outcome.reply_first


def test_notice_has_no_error_unless_something_is_broken() -> None:
    """An exception in the log means a defect of ours."""
    fields: dict[str, object] = {"connection": 1}
    error = ValueError()
    notice = Notice("info", "request.refused", fields)

    assert (notice.level, notice.event) == ("info", "request.refused")
    assert notice.fields is fields
    assert notice.error is None
    assert Notice("error", "request.failed", fields, error).error is error
