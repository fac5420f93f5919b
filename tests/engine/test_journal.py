"""xsd.engine.journal: an engine of which nobody keeps the log."""

import pytest

from protocol.errors import Errno, XenStoreError
from xsd.engine.journal import NoJournal


def test_nobody_writes_files_for_an_engine_on_its_own() -> None:
    """It says so, and does not pretend that it was done."""
    journal = NoJournal()

    assert not journal.is_file
    assert journal.process_bytes() == {}
    with pytest.raises(XenStoreError) as redirected:
        journal.redirect(b"/log")
    with pytest.raises(XenStoreError) as appended:
        journal.append(b"/report", "text")
    assert redirected.value.errno is appended.value.errno is Errno.EINVAL
