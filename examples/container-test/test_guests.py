"""Two guests, on their rings and on plain sockets."""

import pytest
from conftest import PATIENCE_S, Boot, Tool, XenStore

from xsd.client import Client, Errno, Event, XenStoreError
from xsd.testing import PretendedHost


def test_guest_reads_its_home_by_relative_paths(boot: Boot) -> None:
    """They are below /local/domain and its id."""
    guest = boot(1)

    assert guest.read("name") == b"guest-1"
    assert guest.read("/local/domain/1/name") == b"guest-1"


def test_guest_may_write_where_it_is_allowed(boot: Boot, tool: Tool) -> None:
    """And nowhere else; what it makes is its own."""
    guest = boot(1)

    guest.write("data/version", b"3")
    with pytest.raises(XenStoreError) as refused:
        guest.write("name", b"other")

    assert refused.value.errno == Errno.EACCES
    assert tool("xenstore-ls", "-p", "/local/domain/1/data").endswith("(n1)\n")


def test_guests_see_of_each_other_what_they_allow(boot: Boot) -> None:
    """Node by node."""
    one, two = boot(1), boot(2)
    one.write("data/secret", b"x")
    one.write("data/offer", b"y")
    one.set_permissions("data/offer", ["n1", "r2"])

    assert two.read("/local/domain/1/data/offer") == b"y"
    with pytest.raises(XenStoreError) as refused:
        two.read("/local/domain/1/data/secret")
    assert refused.value.errno == Errno.EACCES


def test_watch_of_a_guest_fires_only_for_what_it_may_read(boot: Boot) -> None:
    """What it may not read makes no event."""
    one, two = boot(1), boot(2)
    two.watch("/local/domain/1/data", "peer")
    assert two.next_event(PATIENCE_S) == Event(b"/local/domain/1/data", b"peer")

    one.write("data/secret", b"x")
    one.write("data/offer", b"y")
    one.set_permissions("data/offer", ["n1", "r2"])

    # Events come in order: the first one is of what has just been allowed.
    path = b"/local/domain/1/data/offer"
    assert two.next_event(PATIENCE_S) == Event(path, b"peer")
    assert two.read(path) == b"y"


def test_dom0_talks_to_a_guest_with_the_tools(boot: Boot, tool: Tool) -> None:
    """As a toolstack asks a guest to shut down."""
    guest = boot(1)
    tool("xenstore-write", "/local/domain/1/control/shutdown", "")
    tool("xenstore-chmod", "/local/domain/1/control/shutdown", "b1")
    guest.watch("control/shutdown", "shutdown")
    assert guest.next_event(PATIENCE_S) == Event(b"control/shutdown", b"shutdown")

    tool("xenstore-write", "/local/domain/1/control/shutdown", "poweroff")

    assert guest.next_event(PATIENCE_S) == Event(b"control/shutdown", b"shutdown")
    assert guest.read("control/shutdown") == b"poweroff"


def test_guest_without_a_ring_has_a_socket(xenstore: XenStore, boot: Boot) -> None:
    """Whoever connects to it is that guest."""
    boot(2)

    with Client(f"{xenstore.socket}.dom2", timeout=PATIENCE_S) as guest:
        assert guest.read("name") == b"guest-2"
        guest.write("data/version", b"3")
        with pytest.raises(XenStoreError):
            guest.write("/tool/mine", b"")


def test_end_of_a_guest_is_told_and_its_nodes_go(
    boot: Boot, host: PretendedHost, dom0: Client
) -> None:
    """As when a domain has been destroyed."""
    guest = boot(1)
    guest.write("data/version", b"3")
    dom0.watch("@releaseDomain", "gone")
    dom0.next_event(PATIENCE_S)

    host.kill(1)

    assert dom0.next_event(PATIENCE_S) == Event(b"@releaseDomain", b"gone")
    assert not dom0.exists("/local/domain/1/data")
