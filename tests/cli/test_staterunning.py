"""xsd.cli.staterunning: the state of a running daemon, and its nodes replaced."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemons import Daemon, start_xsd
from xsd.cli.common import CommandError
from xsd.cli.staterunning import UNDER_WAY, Tree, fetch, records_of, replace, steps
from xsd.client import Client, Event
from xsd.engine.control_state import PIECE
from xsd.protocol.errors import XenStoreError
from xsd.protocol.ops import Op
from xsd.protocol.perms import Entry
from xsd.protocol.records import NodeData, WatchData
from xsd.testing import InProcess

MINE = (Entry(0, 0),)
READABLE = (Entry(0, 0), Entry(1, 5))


def tree(*nodes: tuple[bytes, bytes] | tuple[bytes, bytes, tuple[Entry, ...]]) -> Tree:
    return Tree(
        [NodeData(*(node if len(node) == 3 else (*node, MINE))) for node in nodes]
    )


@pytest.fixture
def daemon(directory: Path) -> Iterator[Daemon]:
    with start_xsd(directory) as found:
        yield found


@pytest.fixture
def client(daemon: Daemon) -> Iterator[Client]:
    with Client(str(daemon.socket), timeout=20) as found:
        yield found


def test_all_that_a_daemon_has_is_fetched_in_pieces(client: Client) -> None:
    """More of them than are asked for at a time; how far it is, is told."""
    value = b"\0v" * 1000
    for number in range(2 * UNDER_WAY * PIECE // len(value)):
        client.write(b"/big/%d" % number, value)
    client.watch("/big", "t")
    told: list[tuple[int, int]] = []

    data = fetch(client, lambda *pair: told.append(pair))

    found = records_of(data)
    nodes = [each for each in found if isinstance(each, NodeData)]
    assert sum(each.value == value for each in nodes) == number + 1
    assert [each.token for each in found if isinstance(each, WatchData)] == [b"t"]
    assert told[-1] == (len(data), len(data))
    assert len(told) > 2 * UNDER_WAY


def test_a_daemon_that_tells_no_state_is_named() -> None:
    """One without a process, as in tests, or another one."""
    with InProcess() as xenstore, pytest.raises(CommandError) as refused:
        fetch(Client(transport=xenstore.client().transport))

    assert str(refused.value).startswith("the daemon does not tell its state: ")


def test_what_is_damaged_on_the_way_is_refused() -> None:
    """Nothing is made of it."""
    with pytest.raises(CommandError, match="cannot be read"):
        records_of(b"nonsense")


def test_steps_change_what_differs_and_nothing_else() -> None:
    """A node is removed with what is below; a new one gets its permissions."""
    before = tree(
        *((b"/", b""), (b"/same", b"1"), (b"/value", b"1"), (b"/perms", b"1")),
        *((b"/old", b"1"), (b"/old/below", b"1"), (b"@releaseDomain", b"")),
    )
    after = tree(
        *((b"/", b""), (b"/same", b"1"), (b"/value", b"2")),
        *((b"/perms", b"1", READABLE), (b"/new", b"1"), (b"/new/below", b"")),
        (b"@releaseDomain", b"", READABLE),
    )

    assert steps(before, after) == [
        (Op.RM, b"/old\0"),
        (Op.WRITE, b"/value\x002"),
        (Op.SET_PERMS, b"/perms\0n0\0r5\0"),
        (Op.WRITE, b"/new\x001"),
        (Op.SET_PERMS, b"/new\0n0\0"),
        (Op.WRITE, b"/new/below\0"),
        (Op.SET_PERMS, b"/new/below\0n0\0"),
        (Op.SET_PERMS, b"@releaseDomain\0n0\0r5\0"),
    ]
    assert steps(after, after) == []


def test_a_part_of_the_tree_is_what_is_below_a_node() -> None:
    """And not below one whose name begins alike."""
    whole = tree((b"/", b""), (b"/a", b"1"), (b"/a/b", b"2"), (b"/ab", b"3"))

    assert list(whole.below(b"/a").nodes) == [b"/a", b"/a/b"]


def test_a_tree_becomes_what_it_was_and_those_who_watch_are_told(
    client: Client,
) -> None:
    """One event for each node that changes."""
    client.write("/a/b", b"1")
    before = Tree(records_of(fetch(client)))
    client.rm("/a")
    client.write("/c", b"2")
    for path in ("/a", "/c"):
        client.watch(path, "t")
        assert client.next_event(20) is not None

    count = replace(client, before, b"/")

    assert count == 5
    assert Tree(records_of(fetch(client))).nodes == before.nodes
    events = [client.next_event(20) for _ in range(3)]
    assert {event.path for event in events if event} >= {b"/a", b"/a/b", b"/c"}
    assert replace(client, before, b"/") == 0
    assert isinstance(events[0], Event)


def test_nothing_is_changed_if_one_step_is_refused(client: Client) -> None:
    """The text names it."""
    client.write("/a", b"1")
    before = Tree(records_of(fetch(client)))
    wanted = tree((b"/", b""), (b"/b", b"1"), (b"/c", b"x" * 5000))

    with pytest.raises((CommandError, XenStoreError), match="/c"):
        replace(client, wanted, b"/")

    assert Tree(records_of(fetch(client))).nodes == before.nodes


def test_what_another_changes_meanwhile_is_kept_or_the_load_begins_anew(
    daemon: Daemon, client: Client
) -> None:
    """Here the same node, once; in the end it is as it was to be."""
    client.write("/a", b"1")
    wanted = Tree(records_of(fetch(client)))
    client.write("/a", b"2")
    tried: list[int] = []

    def meddle(done: int, _whole: int) -> None:
        if not tried:
            with Client(str(daemon.socket), timeout=20) as other:
                other.write("/a", b"3")
        tried.append(done)

    replace(client, wanted, b"/", meddle)

    assert tried == [1, 1]
    assert client.read("/a") == b"1"
