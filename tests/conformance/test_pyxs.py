"""pyxs, the old client for Python: its last release, unchanged."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENOENT

import pytest

from tests.conformance.programs import at_once
from tests.support.daemons import PATIENCE_S

with warnings.catch_warnings():
    # On a Xen host it reads a file of /proc and leaves it to the collector to close.
    warnings.simplefilter("ignore", ResourceWarning)
    import pyxs


@pytest.fixture
def client(socket: str) -> Iterator[pyxs.Client]:
    """A connected client."""
    with pyxs.Client(unix_socket_path=socket) as connected:
        yield connected


second = client
"""Another one."""


def next_event(monitor: pyxs.Monitor) -> tuple[bytes, bytes]:
    """Wait for a monitor's next event; its own `wait` knows no deadline."""
    found: list[tuple[bytes, bytes]] = []
    waiter = threading.Thread(
        target=lambda: found.append(next(monitor.wait())), daemon=True
    )
    waiter.start()
    waiter.join(PATIENCE_S)
    assert found
    path, token = found[0]
    return path, token


@contextmanager
def refused(number: int) -> Iterator[None]:
    """Expect that the daemon's answer is this errno."""
    with pytest.raises(pyxs.PyXSError) as caught:
        yield
    assert caught.value.args[0] == number


def test_nodes_are_made_read_listed_and_removed(client: pyxs.Client) -> None:
    """All operations on one node."""
    client.write(b"/t/a", b"1")
    client[b"/t/b"] = b"a value"
    client.mkdir(b"/t/c/d")

    assert client.read(b"/t/a") == b"1"
    assert client[b"/t/b"] == b"a value"
    assert client.read(b"/t/c/d") == b""
    assert client.list(b"/t") == [b"a", b"b", b"c"]
    assert client.list(b"/t/a") == []
    assert (client.exists(b"/t/c"), client.exists(b"/t/none")) == (True, False)

    client.delete(b"/t/c")
    del client[b"/t/a"]

    assert client.list(b"/t") == [b"b"]


def test_a_missing_node_is_enoent_or_the_default(client: pyxs.Client) -> None:
    """The errno is that of the daemon's answer."""
    with refused(ENOENT):
        client.read(b"/none")
    with refused(ENOENT):
        client.delete(b"/none/none")
    assert client.read(b"/none", b"default") == b"default"


def test_a_tree_is_walked_from_the_top(client: pyxs.Client) -> None:
    """Path, value and children of each node."""
    client.write(b"/t/a/b", b"1")
    client.write(b"/t/c", b"2")

    assert list(client.walk(b"/t")) == [
        (b"/t", b"", [b"a", b"c"]),
        (b"/t/a", b"", [b"b"]),
        (b"/t/a/b", b"1", []),
        (b"/t/c", b"2", []),
    ]


def test_permissions_are_set_and_read(client: pyxs.Client) -> None:
    """As the words of the protocol."""
    client.mkdir(b"/t")
    assert client.get_perms(b"/t") == [b"n0"]

    client.set_perms(b"/t", [b"b0", b"r5", b"w6", b"n7"])

    assert client.get_perms(b"/t") == [b"b0", b"r5", b"w6", b"n7"]
    with refused(ENOENT):
        client.set_perms(b"/t", [b"n77"])


def test_domains_are_asked_for(client: pyxs.Client) -> None:
    """Domain 0 is there, others are not."""
    assert client.get_domain_path(0) == b"/local/domain/0"
    assert client.get_domain_path(7) == b"/local/domain/7"
    assert client.is_domain_introduced(0) is True
    assert client.is_domain_introduced(7) is False


def test_a_transaction_is_committed_or_rolled_back(
    client: pyxs.Client, second: pyxs.Client
) -> None:
    """Nobody sees it before; a second one in it is for pyxs to refuse."""
    client.transaction()
    client.write(b"/t/a", b"1")
    assert client.read(b"/t/a") == b"1"
    assert second.exists(b"/t/a") is False
    assert client.commit() is True
    assert second.read(b"/t/a") == b"1"

    client.transaction()
    client.delete(b"/t/a")
    client.rollback()

    assert client.read(b"/t/a") == b"1"


def test_a_conflict_makes_commit_false(
    client: pyxs.Client, second: pyxs.Client
) -> None:
    """EAGAIN: somebody has written what was read."""
    client.write(b"/t", b"1")
    client.transaction()
    client.write(b"/t", client.read(b"/t") + b"2")
    second.write(b"/t", b"3")

    assert client.commit() is False
    assert client.read(b"/t") == b"3"


def test_a_monitor_is_told_of_changes(client: pyxs.Client, second: pyxs.Client) -> None:
    """Of the present state first, then of each change, until it unwatches."""
    with client.monitor() as monitor:
        monitor.watch(b"/t", b"token")
        assert next_event(monitor) == (b"/t", b"token")

        second.write(b"/t/a", b"1")
        assert next_event(monitor) == (b"/t/a", b"token")
        client.delete(b"/t")
        assert next_event(monitor) == (b"/t", b"token")

        monitor.watch(b"@releaseDomain", b"other")
        assert next_event(monitor) == (b"@releaseDomain", b"other")
        assert monitor.watched == {b"/t", b"@releaseDomain"}
        monitor.unwatch(b"/t", b"token")
        with refused(ENOENT):
            monitor.unwatch(b"/t", b"token")


def test_threads_share_a_connection_with_a_transaction_each(
    client: pyxs.Client,
) -> None:
    """Requests of several transactions are mixed on one socket, ids tell them apart."""
    client.write(b"/t", b"0")

    def work() -> None:
        mine = pyxs.Client(router=client.router)
        for _ in range(50):
            while True:
                mine.transaction()
                mine.write(b"/t", b"%d" % (int(mine.read(b"/t")) + 1))
                if mine.commit():
                    break

    at_once(*[work] * 4)

    assert client.read(b"/t") == b"200"


def test_the_old_interface_works(socket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of xen.lowlevel.xs, which pyxs offers to scripts; it finds the socket."""
    monkeypatch.setenv("XENSTORED_PATH", socket)
    handle = pyxs.xs()
    try:
        tx = handle.transaction_start()
        handle.write(tx, b"/t/a", b"1")
        assert handle.ls(0, b"/t") is None
        assert handle.transaction_end(tx) is True

        assert handle.ls(0, b"/t") == [b"a"]
        assert handle.read(0, b"/t/a") == b"1"
        handle.rm(0, b"/t")
    finally:
        handle.close()
