"""xsd.engine.notice: what the log should say."""

from xsd.engine.notice import Notice


def test_a_notice_is_no_defect_and_was_not_asked_for_unless_it_says_so() -> None:
    """An exception in the log means a defect of ours."""
    fields: dict[str, object] = {"connection": 1}
    error = ValueError()
    notice = Notice("info", "request.refused", fields)

    assert (notice.level, notice.event) == ("info", "request.refused")
    assert notice.fields is fields
    assert (notice.error, notice.wanted) == (None, False)
    assert Notice("error", "request.failed", fields, error).error is error
    assert Notice("debug", "io.request", fields, wanted=True).wanted
