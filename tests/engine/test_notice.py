"""xsd.engine.notice: what the log should say."""

import gc
from types import FrameType, TracebackType

from tests.engine.support import Client, guest_of
from xsd.engine.notice import Notice, Reason
from xsd.protocol.ops import Op
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


def test_a_reason_keeps_nothing_of_its_request(dom0: Client) -> None:
    """A notice waits until the log is asked for, and there may be many."""
    guest = guest_of(dom0.engine)
    guest.errno(Op.WRITE, b"/tool\0" + b"v" * 3000)
    (notice,) = dom0.engine.take_notices()
    reason = notice.fields["reason"]
    found: list[object] = [reason]
    for each in found:
        if isinstance(each, Reason | DeniedError):
            found += gc.get_referents(each)

    assert str(reason).startswith("needs write; n0 gives")
    assert any(isinstance(each, DeniedError) for each in found)
    assert not any(isinstance(each, FrameType | TracebackType) for each in found)
