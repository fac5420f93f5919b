"""What a domain leaves behind: nodes, and rights on others' nodes."""

from typing import Final

import pytest

from tests.store.script import Play
from tests.store.support import at
from xsd.protocol.path import Path
from xsd.store import Store
from xsd.store.estate import Estate, path_of, settle, survey
from xsd.store.node import Node

LEFT: Final = """
    introduce 5; introduce 6
    write /b/own; set /b/own r5 w6; write /b/own/below; set /b/own/below n5
    write /a/other/own; set /a/other/own n5; write /a/named; set /a/named n0 r5 r6 w5
    write /a/unnamed; set /a/unnamed n0 r6; set @introduceDomain r5
"""


@pytest.fixture
def left(store: Store) -> Store:
    """A store in which domain 5 owns and may do this and that."""
    Play(store).run(LEFT)
    return store


def owned(store: Store, *domids: int) -> list[list[Path]]:
    estate = survey(store.live.tree.top, list(domids))
    return [[path_of(place) for place in estate.owned[domid]] for domid in domids]


def test_the_topmost_nodes_of_a_domain_are_found(left: Store) -> None:
    """In the order of DIRECTORY; not the root and special ones, which have to stay."""
    expected = [at(b"/b/own"), at(b"/a/other/own")]

    assert owned(left, 5) == [expected]
    assert owned(left, 6) == [[]]
    Play(left).run("set / n5")
    assert owned(left, 5) == [expected]


def test_those_of_several_are_found_below_each_other(left: Store) -> None:
    """In one walk."""
    Play(left).run("set /b/own/below n6; write /b/own/below/deeper")

    assert owned(left, 5, 6) == [
        [at(b"/b/own"), at(b"/a/other/own")],
        [at(b"/b/own/below")],
    ]


def test_entries_that_name_it_are_dropped_wherever_they_are(left: Store) -> None:
    """Also inherited ones; a node that does not name it is not changed at all."""
    game = Play(left)
    game.run("""
        write /a/named/1/below; write /a/named/2; write /a/named/3
        write /a/unnamed/1; write /a/unnamed/2; set /a/named/2 n0 r6
    """)
    dom0 = game.client("0")
    unnamed = dom0.directory_part(b"/a/unnamed", 0)
    settle(left.live, [5], 0, keep_orphans=True)
    for path in ("named", "named/1", "named/1/below", "named/2", "named/3"):
        game.run(f"get /a/{path} -> n0 r6")

    game.run("get /a/unnamed/2 -> n0 r6")
    assert left.live.take_changes() == []
    assert dom0.directory_part(b"/a/unnamed", 0) == unnamed


@pytest.mark.pure_only
def test_the_store_is_walked_only_for_who_has_left_something(
    left: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once for all of them; not for who was named and owned nodes before."""
    walks: list[list[int]] = []

    def counted(top: Node, domids: list[int], *, keep_orphans: bool = False) -> Estate:
        walks.append(domids)
        return survey(top, domids, keep_orphans=keep_orphans)

    monkeypatch.setattr("xsd.store.estate.survey", counted)
    Play(left).run(
        "introduce 7; introduce 8; introduce 9; start t1; t1 write /c/7; "
        "t1 set /c/7 n7 r8; t1 commit; rm /c; write /d; set /d n0 r9"
    )
    left.end([7, 8])
    assert walks == []

    left.end([5, 6, 9])
    assert walks == [[5, 6, 9]]
    assert left.usage.mentions.used == {}
