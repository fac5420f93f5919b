"""xsd.engine.copies: where nobody makes copies of the state, there are none."""

import pytest

from xsd.engine.copies import NoCopies
from xsd.protocol.errors import Errno, XenStoreError


def test_an_engine_by_itself_makes_no_copies() -> None:
    """Who asks is told so."""
    copies = NoCopies()

    with pytest.raises(XenStoreError) as begun:
        copies.begin(1)
    with pytest.raises(XenStoreError) as read:
        copies.read(1, 0, 10)
    copies.drop(1)

    assert begun.value.errno == Errno.ENOSYS
    assert read.value.errno == Errno.ENOENT
