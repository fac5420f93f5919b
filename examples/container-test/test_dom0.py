"""dom0, with Xen's own tools and with Python, on the same store."""

import os
import subprocess

from conftest import PATIENCE_S, Tool, XenStore

from xsd.client import Client, Event


def test_tools_and_python_see_one_store(tool: Tool, dom0: Client) -> None:
    """Whoever writes, the other reads it."""
    tool("xenstore-write", "/local/domain/7/name", "demo")

    assert dom0.read("/local/domain/7/name") == b"demo"

    dom0.write("/local/domain/7/memory/target", b"524288")
    assert tool("xenstore-ls", "/local/domain/7") == (
        'name = "demo"\nmemory = ""\n target = "524288"\n'
    )
    tool("xenstore-rm", "/local/domain/7")
    assert not dom0.exists("/local/domain/7/name")


def test_tools_set_permissions(tool: Tool, dom0: Client) -> None:
    """The owner first, then who else may do what."""
    tool("xenstore-write", "/shared", "1")
    tool("xenstore-chmod", "/shared", "n0", "r1", "b2")

    assert dom0.get_permissions("/shared") == [b"n0", b"r1", b"b2"]


def test_watch_of_a_tool_sees_what_python_writes(
    xenstore: XenStore, tool: Tool, dom0: Client
) -> None:
    """A line for the watch, and one for the change."""
    tool("xenstore-write", "/watched", "")
    with subprocess.Popen(
        # The first event comes with the watch.
        ["xenstore-watch", "-n", "2", "/watched"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "XENSTORED_PATH": str(xenstore.socket)},
    ) as watcher:
        assert watcher.stdout is not None
        first = watcher.stdout.readline()
        dom0.write("/watched/state", b"4")
        rest, _ = watcher.communicate(timeout=PATIENCE_S)

    assert (first, rest) == ("/watched\n", "/watched/state\n")


def test_watch_of_python_sees_what_a_tool_writes(tool: Tool, dom0: Client) -> None:
    """With the token by which it was set."""
    dom0.watch("/watched", "token")
    assert dom0.next_event(PATIENCE_S) == Event(b"/watched", b"token")

    tool("xenstore-write", "/watched/state", "4")

    assert dom0.next_event(PATIENCE_S) == Event(b"/watched/state", b"token")


def test_transaction_is_seen_when_it_is_committed(tool: Tool, dom0: Client) -> None:
    """All of it at once, and nothing before."""
    with dom0.transaction() as transaction:
        transaction.write("/a", b"1")
        transaction.write("/b", b"2")
        assert tool("xenstore-list", "/") == "tool\n"

    assert tool("xenstore-read", "/a", "/b") == "1\n2\n"
