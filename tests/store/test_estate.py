"""What a domain leaves behind: nodes, and rights on others' nodes."""

from tests.store.script import Play
from tests.store.support import at
from xsd.store import Store
from xsd.store.estate import path_of, settle, survey


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
