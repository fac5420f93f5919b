"""What a domain leaves behind: nodes, and rights on others' nodes."""

import pytest

from tests.store.script import Play
from tests.store.support import at
from xsd.store import Store
from xsd.store.estate import Estate, path_of, settle, survey
from xsd.store.node import Node


def test_only_the_topmost_nodes_of_a_domain_are_found(store: Store) -> None:
    """What is below them goes along."""
    Play(store).run("introduce 5; introduce 6; mkdir /a; set /a n5; write /a/b/c")
    found = survey(store.live.tree.top, [5, 6]).owned[5]

    assert [path_of(place) for place in found] == [at(b"/a")]


def test_entries_that_name_it_are_dropped_wherever_they_are(store: Store) -> None:
    """Also inherited ones; a node that does not name it is not changed at all."""
    game = Play(store)
    game.run("""
        introduce 5; introduce 6; write /a/named; set /a/named n0 r5 r6 w5
        write /a/unnamed; set /a/unnamed n0 r6
        write /a/named/1/below; write /a/named/2; write /a/named/3
        write /a/unnamed/1; write /a/unnamed/2; set /a/named/2 n0 r6
    """)
    dom0 = game.client("0")
    unnamed = dom0.directory_part(b"/a/unnamed", 0)
    settle(store.live, [5], 0, keep_orphans=True)
    for path in ("named", "named/1", "named/1/below", "named/2", "named/3"):
        game.run(f"get /a/{path} -> n0 r6")

    game.run("get /a/unnamed/2 -> n0 r6")
    assert store.live.take_changes() == []
    assert dom0.directory_part(b"/a/unnamed", 0) == unnamed


@pytest.mark.pure_only
def test_the_store_is_walked_only_for_who_has_left_something(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once for all of them; not for who was named and owned nodes before."""
    walks: list[list[int]] = []

    def counted(top: Node, domids: list[int], *, keep_orphans: bool = False) -> Estate:
        walks.append(domids)
        return survey(top, domids, keep_orphans=keep_orphans)

    monkeypatch.setattr("xsd.store.estate.survey", counted)
    Play(store).run("""
        introduce 5; introduce 6; introduce 7; introduce 8; introduce 9
        start t1; t1 write /c/7; t1 set /c/7 n7 r8; t1 commit; rm /c
        write /d; set /d n0 r9; write /e; set /e n5
    """)
    store.end([7, 8])
    assert walks == []

    store.end([5, 6, 9])
    assert walks == [[5, 9]]
    assert store.usage.mentions.used == {}
