"""xsd.engine.core: paths that are kept."""

import pytest

from tests.engine.support import Client
from xsd.protocol.errors import XenStoreError
from xsd.protocol.ops import Op


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


@pytest.mark.pure_only
def test_a_payload_that_is_a_path_is_taken_apart_once(dom0: Client) -> None:
    """As long as it means the same for all of dom0's requests."""
    dom0.engine.tape = None
    core, connection = dom0.engine.core, dom0.connection
    path = core.only_path(connection, b"/a/b\0")
    assert path == (b"", b"a", b"b")
    assert core.only_path(connection, b"/a/b\0") is path
    assert core.path(connection, b"/a/b") == path
    guest = Client(dom0.engine, 5)
    assert core.only_path(connection, b"a\0")[3:] == (b"0", b"a")
    assert core.only_path(guest.connection, b"a\0")[3:] == (b"5", b"a")
    for payload in (b"/a/b", b"/a\0b\0", b"/a/b\0\0", b"@releaseDomain\0", b""):
        for _ in range(2):
            with pytest.raises(XenStoreError):
                core.only_path(connection, payload)
    for number in range(5000):
        core.only_path(connection, b"/%d\0" % number)
    core.only_path(connection, b"/" + b"x" * 500 + b"\0")

    assert 0 < len(core._paths) <= 4096
    assert max(map(len, core._paths)) < 200


@pytest.mark.pure_only
def test_kept_paths_have_the_names_of_the_nodes(dom0: Client) -> None:
    """A name is so found in its directory without a look at its bytes."""
    dom0.engine.tape = None
    core, connection = dom0.engine.core, dom0.connection
    dom0.ok(Op.WRITE, b"/some/where\0")

    path = core.only_path(connection, b"/some/where/else\0")

    node = core.store.live.tree.top
    for name in path[:3]:
        ((known, node),) = [each for each in node.children() if each[0] == name]
        assert known is name
