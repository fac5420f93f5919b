"""xsd.engine.notice: what the log should say."""

from xsd.engine.notice import Notice, Reason
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.perms import READ, WRITE, Caller, owner_only
from xsd.store.reasons import DeniedError


def test_a_notice_is_no_defect_and_was_not_asked_for_unless_it_says_so() -> None:
    """An exception in the log means a defect of ours."""
    notice = Notice("info", "request.refused", {})

    assert (notice.error, notice.wanted) == (None, False)


def test_a_reason_is_put_into_words_by_who_reads_it() -> None:
    """The log leaves most refusals out, and words take as long as the refusal."""
    caller = Caller(5, privileged=False)
    error = DeniedError(caller, (b"", b"a"), 2, owner_only(0), READ)
    reason = Reason(error)
    error.right = WRITE

    assert str(reason) == "needs write; n0 gives dom5 nothing"
    assert str(Reason(XenStoreError(Errno.EINVAL, "not a path"))) == "not a path"
