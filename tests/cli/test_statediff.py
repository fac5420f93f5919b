"""In what two states differ, in lines for people."""

import pytest

from xsd.cli.statediff import Seen, differences
from xsd.protocol.perms import Entry
from xsd.protocol.records import (
    ConnectionData,
    DomainData,
    NodeData,
    QuotaData,
    Record,
    WatchData,
)

MINE = (Entry(0, 0),)


def _node(path: bytes, value: bytes = b"", *others: Entry) -> NodeData:
    return NodeData(path, value, (*MINE, *others))


def _link(number: int, domid: int = -1, target: int = -1) -> ConnectionData:
    record = ConnectionData(number)
    record.domid, record.target = domid, target
    return record


def _lines(one: list[Record], other: list[Record]) -> list[str]:
    return list(differences(Seen(one), Seen(other)))


ROWS: dict[str, tuple[list[Record], list[Record], list[str]]] = {
    "nodes": (
        [_node(b"/"), _node(b"/a", b"x"), _node(b"/b")],
        [_node(b"/"), _node(b"/a", b"y\xff"), _node(b"/c", b"v")],
        ['! /a = "x" -> "y\\xff"', '- /b = "" (n0)', '+ /c = "v" (n0)'],
    ),
    "permissions, stale ones too": (
        [_node(b"/a", b"", Entry(1, 5))],
        [_node(b"/a", b"", Entry(1, 5, stale=True))],
        ["! /a (n0,r5) -> (n0,r5?)"],
    ),
    "the order of children": (
        [_node(b"/"), _node(b"/a"), _node(b"/b"), _node(b"/b/x")],
        [_node(b"/"), _node(b"/b"), _node(b"/a"), _node(b"/b/x")],
        ["! / has its children in another order"],
    ),
    "the order of children is that of those both have": (
        [_node(b"/"), _node(b"/d"), _node(b"/d/x"), _node(b"/d/y"), _node(b"/d/z")],
        [_node(b"/"), _node(b"/d"), _node(b"/d/z"), _node(b"/d/x")],
        ['- /d/y = "" (n0)', "! /d has its children in another order"],
    ),
    "special nodes have no order": (
        [_node(b"@a"), _node(b"/"), _node(b"/a"), _node(b"@b")],
        [_node(b"/"), _node(b"/a"), _node(b"@b"), _node(b"@a")],
        [],
    ),
    "watches, and how many": (
        [_link(1), _link(2, 5), WatchData(1, b"/a", b"t"), WatchData(2, b"r", b"\0")],
        [_link(7, 5), _link(9), _link(8), WatchData(9, b"/a", b"t"),
         WatchData(8, b"/a", b"t"), WatchData(7, b"r", b"\0", 2)],
        ['+ watch of a socket /a "t"',
         '- watch of domain 5 r "\\000"',
         '+ watch of domain 5 r "\\000" depth 2'],
    ),
    "domains": (
        [_link(1, 5, 6), _link(2, 7), DomainData(8, 1, {"nodes": 3})],
        [_link(1, 5), _link(2, 9), DomainData(8, 2, {"watches": 4})],
        ["! domain 5 target 6 -> none", "- domain 7", "! domain 8 features 1 -> 2",
         "! domain 8 quota nodes 3 -> none", "! domain 8 quota watches none -> 4",
         "+ domain 9"],
    ),
    "quotas": (
        [QuotaData({"nodes": 1, "memory": 2}, {})],
        [QuotaData({"nodes": 3, "memory": 2}, {})],
        ["! quota nodes 1 -> 3"],
    ),
    "not who has which number, nor what is not committed": (
        [_link(1), WatchData(1, b"/a", b"t"), NodeData(b"/x", b"", MINE, 1, 1, 2)],
        [_link(2), WatchData(2, b"/a", b"t")],
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", ROWS)
def test_differences_are_told(what: str) -> None:
    """One line for each, and none where there is none."""
    one, other, lines = ROWS[what]

    assert _lines(one, other) == lines
    assert _lines(one, one) == []
    assert _lines(other, other) == []
