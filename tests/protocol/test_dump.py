"""oxenstored's dump, as Debian's writes it."""

import pytest

from xsd.protocol.dump import Dump, DumpError
from xsd.protocol.perms import NONE, READ, Entry
from xsd.protocol.records import ConnectionData, GlobalData, NodeData, WatchData

WRITTEN = b"""$xenstored-dump-format
global,3
evtchn-dev,5,1
dom,0,0,1,2
dom,5,4660,9,4
socket,7
socket,8
watch,-8,2f61,746f6b
watch,5,72656c,
watch,0,4072656c65617365446f6d61696e,6b
store,2f,6e30,
store,2f61,6e30007235,68656c6c6f
store,2f4072656c65617365446f6d61696e,6e30,
store,2f40696e74726f64756365446f6d61696e,6e30,
"""


def test_all_of_it_is_read() -> None:
    """In its order; special nodes are below the root there, and not here."""
    dump = Dump(WRITTEN)
    shared, kernel, ring, one, two, *watches = dump.records[:8]
    nodes = dump.records[8:]

    assert isinstance(shared, GlobalData)
    assert (shared.socket_fd, shared.evtchn_fd, dump.virq_port) == (3, 5, 1)
    links = [kernel, ring, one, two]
    assert [
        (each.number, each.domid, each.port, each.fd)
        for each in links if isinstance(each, ConnectionData)
    ] == [(1, 0, 2, -1), (2, 5, 4, -1), (3, -1, 0, 7), (4, -1, 0, 8)]  # fmt: skip
    assert [
        (each.connection, each.path, each.token)
        for each in watches if isinstance(each, WatchData)
    ] == [
        (4, b"/a", b"tok"),
        (2, b"rel", b""),
        (1, b"@releaseDomain", b"k"),
    ]  # fmt: skip
    mine = (Entry(NONE, 0),)
    assert [
        (each.path, each.value, each.entries)
        for each in nodes if isinstance(each, NodeData)
    ] == [
        (b"/", b"", mine),
        (b"/a", b"hello", (Entry(NONE, 0), Entry(READ, 5))),
        (b"@introduceDomain", b"", mine),
        (b"@releaseDomain", b"", mine),
    ]  # fmt: skip
    assert dump.skipped == []


def test_siblings_are_in_the_order_in_which_oxenstored_lists_them() -> None:
    """That is by name; the dump has them in another one."""
    lines = b"".join(
        [b"store,%s,6e30,\n" % path.hex().encode()
         for path in (b"/", b"/z", b"/z/y", b"/z/x", b"/a", b"/a-b", b"/a/b")]
    )  # fmt: skip

    nodes = Dump(b"$xenstored-dump-format\n" + lines).records[1:]

    assert [each.path for each in nodes if isinstance(each, NodeData)] == [
        b"/", b"/a", b"/a/b", b"/a-b", b"/z", b"/z/x", b"/z/y",
    ]  # fmt: skip


def test_lines_that_nobody_knows_are_skipped() -> None:
    """It is told which."""
    assert Dump(WRITTEN + b"mystery,1,2\n\n").skipped == [15, 16]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"global,x\n", "invalid literal"),
        (b"global,3,4\n", "2 words and not 1"),
        (b"dom,5,0,1,2\n", "there twice"),
        (b"socket,8\n", "there twice"),
        (b"socket,-1\n", "cannot be"),
        (b"watch,6,2f,74\n", "not there"),
        (b"watch,-9,2f,74\n", "not there"),
        (b"store,2f62,6e30\n", "2 words and not 3"),
        (b"store,2f62,6e3,\n", "non-hexadecimal|hexadecimal"),
        (b"store,2f62,,\n", "permission"),
        (b"store,2f62,7a30,\n", "permission"),
        (b"store,\xff,6e30,\n", "ascii"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(line: bytes, reason: str) -> None:
    """As a whole."""
    with pytest.raises(DumpError, match=reason) as caught:
        Dump(WRITTEN + line)

    assert caught.value.line == 15
    assert str(caught.value).endswith("(line 15)")


@pytest.mark.parametrize("size", [len(WRITTEN) - 1, 300, 30])
def test_one_that_is_cut_off_is_refused(size: int) -> None:
    """As far as that shows: in the middle of a line."""
    with pytest.raises(DumpError, match="cut off"):
        Dump(WRITTEN[:size])


@pytest.mark.parametrize("data", [b"", b"xenstore\0\0\0\2", b"$xenstored\n"])
def test_anything_else_is_no_dump(data: bytes) -> None:
    """It is told by its first line."""
    with pytest.raises(DumpError, match="no dump"):
        Dump(data)
