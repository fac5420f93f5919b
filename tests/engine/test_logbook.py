"""xsd.engine.logbook: an engine of which nobody keeps the log."""

import pytest

from xsd.engine.logbook import NoLogbook
from xsd.protocol.errors import Errno, XenStoreError


def test_nobody_writes_files_for_an_engine_on_its_own() -> None:
    """It says so, and does not pretend that it was done."""
    logbook = NoLogbook()

    assert not logbook.is_file
    assert logbook.process_bytes() == {}
    with pytest.raises(XenStoreError) as redirected:
        logbook.redirect(b"/log")
    with pytest.raises(XenStoreError) as appended:
        logbook.append(b"/report", "text")
    assert redirected.value.errno is appended.value.errno is Errno.EINVAL
