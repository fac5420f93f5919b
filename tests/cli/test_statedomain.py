"""xsd.cli.statedomain: the part of a state that is of one domain."""

import pytest

from tests.engine.lives import World
from xsd.cli.common import CommandError
from xsd.cli.statedomain import domain_of, moved, part_of
from xsd.engine.image import image
from xsd.engine.unread import rings_record
from xsd.protocol.records import (
    ConnectionData,
    DomainData,
    NodeData,
    Record,
    UnknownData,
    WatchData,
)

LIFE = """
    introduce 5 1 7; introduce 6 1 7; node /local/domain/5 n5 r6
    node /local/domain/6 n6; node /local/domain/55 n6; 5 write data/x v
    write /other v; set_target 5 6
    5 watch data t -> OK data:t; 5 watch /local/domain/5/x u -> OK /local/domain/5/x:u
    5 watch /local/domain/55 w -> OK /local/domain/55:w; 6 watch a t -> OK a:t
    set_quota 5 nodes 77
"""


def records(more: str = "") -> list[Record]:
    return list(image(World(LIFE + more).engine, {}))


def paths(found: list[Record]) -> list[bytes]:
    return [each.path for each in found if isinstance(each, NodeData)]


def test_a_domain_has_its_home_its_watches_its_limits_and_its_ring() -> None:
    """And nothing of any other is told, nor what is of this host alone."""
    found = part_of(records(), 5)

    assert paths(found) == [
        *(b"/", b"/local", b"/local/domain", b"/local/domain/5"),
        *(b"/local/domain/5/data", b"/local/domain/5/data/x"),
    ]
    link = _link(found)
    assert (link.domid, link.target, link.port, link.unique_id) == (5, 6, 0, None)
    watches = [each for each in found if isinstance(each, WatchData)]
    assert [each.token for each in watches] == [b"t", b"u", b"w"]
    (domain,) = [each for each in found if isinstance(each, DomainData)]
    assert (domain.domid, domain.quotas) == (5, {"nodes": 77})
    assert not [each for each in found if isinstance(each, UnknownData)]
    assert domain_of(found) == 5
    assert domain_of(records()) is None


def test_what_is_on_a_ring_is_as_though_it_had_been_taken_and_not_sent() -> None:
    """For where it goes, the ring begins empty."""
    whole = records()
    link = _link(whole)
    link.pending, link.unsent, link.begun = b"first", b"end", 3
    whole.append(rings_record({5: (b"then", b"begin"), 6: (b"x", b"y")}))

    link = _link(part_of(whole, 5))

    assert link.pending == b"firstthen"
    assert (link.unsent, link.begun) == (b"beginend", 8)


def _link(found: list[Record]) -> ConnectionData:
    (link,) = [
        each for each in found if isinstance(each, ConnectionData) and each.domid == 5
    ]
    return link


@pytest.mark.parametrize(
    ("domid", "more", "reason"),
    [
        (9, "", "there is no domain 9"),
        (5, "5 start -> 1,", "domain 5 is in the middle of a transaction"),
    ],
)
def test_what_cannot_be_handed_on_is_told(domid: int, more: str, reason: str) -> None:
    """A domain that is not there, and one whose transaction would be lost."""
    with pytest.raises(CommandError, match=reason):
        part_of(records(more), domid)


def test_a_domain_that_gets_another_id_keeps_what_is_its_own() -> None:
    """Home, permissions and watches are of the new one; others' stay."""
    found = moved(part_of(records(), 5), 8)

    assert paths(found)[3:] == [
        *(b"/local/domain/8", b"/local/domain/8/data", b"/local/domain/8/data/x"),
    ]
    nodes = [each for each in found if isinstance(each, NodeData)]
    assert [entry.text for entry in nodes[3].entries] == [b"n8", b"r6"]
    watches = [each for each in found if isinstance(each, WatchData)]
    assert [each.path for each in watches] == [
        *(b"data", b"/local/domain/8/x", b"/local/domain/55"),
    ]
    assert domain_of(found) == 8


def test_only_what_is_of_one_domain_gets_another_id() -> None:
    """A whole state does not."""
    with pytest.raises(CommandError, match="not of one domain"):
        moved(records(), 8)
