"""xsd.engine.notice: what the log should say."""

from xsd.engine.notice import Notice


def test_a_notice_is_no_defect_and_was_not_asked_for_unless_it_says_so() -> None:
    """An exception in the log means a defect of ours."""
    notice = Notice("info", "request.refused", {})

    assert (notice.error, notice.wanted) == (None, False)
