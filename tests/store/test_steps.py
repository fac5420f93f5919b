"""Walking along a footprint."""

from functools import partial

import pytest

from tests.store.script import calls_of, play
from tests.store.support import Client
from xsd.store import Store
from xsd.store.steps import Step, by_order, steps_of

LEVELS = 1000


def path_of(step: Step) -> bytes:
    return b"/".join(step.trail().path())


def test_steps_lead_to_what_was_changed(store: Store, dom0: Client) -> None:
    """With the node before, in the transaction, and after; those above come first."""
    play(dom0, "write /a/b 1; write /c 2; write /d 3")
    t1 = dom0.start()
    play(t1, "write /a/b/new 4; read /d; rm /c; write /a 5")
    before = store.live.tree.top
    transaction = t1.opened
    steps = steps_of(transaction, before, transaction.tree.top)

    assert [path_of(each) for each in by_order(steps)] == [b"/a/b/new", b"/c", b"/a"]
    assert [path_of(each) for each in steps].index(b"/a") < (
        [path_of(each) for each in steps].index(b"/a/b/new")
    )
    made, removed, written = by_order(steps)
    assert (made.before, removed.mine, removed.node) == (None, None, None)
    assert (made.is_written(), removed.is_written()) == (True, False)
    assert written.before is not None
    assert written.node is written.mine
    assert written.node is not None
    assert (written.before.value, written.node.value) == (b"", b"5")


@pytest.mark.pure_only
@pytest.mark.slow
@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("others", [False, True])
@pytest.mark.parametrize("what", ["make", "remove", "make and name"])
def test_a_commit_costs_the_same_at_any_depth(
    what: str, *, others: bool, watched: bool
) -> None:
    """Of so many new or removed nodes, each below the last or all side by side."""
    counts: list[int] = []
    for deep in (False, True):
        store = Store()
        dom0 = Client(store, store.privileged.caller)
        dom0.mkdir(b"/top")
        if watched:
            dom0.watch(b"/")
        names = [b"x%d" % number for number in range(LEVELS)]
        paths = [
            b"/top/" + (b"/".join(names[: index + 1]) if deep else names[index])
            for index in range(LEVELS)
        ]
        if what == "remove":
            for path in paths:
                dom0.mkdir(path)
        t1 = dom0.start()
        if what == "remove":
            for path in reversed(paths):
                t1.rm(path)
        elif what == "make and name" or not deep:
            for path in paths:
                t1.mkdir(path)
        else:
            t1.mkdir(paths[-1])
        if others:
            dom0.mkdir(b"/elsewhere")
        counts.append(calls_of(partial(store.commit, t1.opened)))

    assert counts[1] < 1.5 * counts[0]
