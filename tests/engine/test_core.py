"""xsd.engine.core: paths that are kept."""

import pytest

from tests.engine.support import Client
from xsd.protocol.errors import XenStoreError


@pytest.mark.pure_only
def test_paths_that_dom0_names_again_are_kept_up_to_a_number(dom0: Client) -> None:
    """Absolute and short ones; what is no path or not the same for all is not."""
    engine = dom0.engine
    engine.tape = None
    core, connection = engine.core, dom0.connection
    assert core.path(connection, b"/a") is core.path(connection, b"/a")
    other = Client(engine, 5)
    assert core.path(connection, b"a") == (b"", b"local", b"domain", b"0", b"a")
    assert core.path(other.connection, b"a")[3:] == (b"5", b"a")
    with pytest.raises(XenStoreError):
        core.path(connection, b"@releaseDomain")
    assert core.path(connection, b"@releaseDomain", special=True) == (
        b"@releaseDomain",
    )
    with pytest.raises(XenStoreError):
        core.path(connection, b"@releaseDomain")
    for number in range(5000):
        core.path(connection, b"/%d" % number)
    core.path(connection, b"/" + b"x" * 500)

    assert 0 < len(core._paths) <= 4096
    assert max(map(len, core._paths)) < 200
