"""What holds for every commit, whatever the transaction did."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.store.support import Client, Shape, Steps, Told, do, dom0_of, shape, watched
from xsd.protocol.path import Path
from xsd.store import Store
from xsd.store.changes import CHANGED, IMPLIED, REMOVED, REMOVED_WITHIN, Change
from xsd.store.check import verify
from xsd.store.net import changes_between
from xsd.store.node import Node
from xsd.store.steps import by_order, steps_of

pytestmark = pytest.mark.slow

PATHS = [b"/a", b"/a/b", b"/a/b/c", b"/a/d", b"/a/d/e", b"/f"]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["write", "mkdir", "rm", "perms"]), st.sampled_from(PATHS)
    ),
    max_size=12,
)


def stage(before: Steps) -> tuple[Store, Client]:
    """A store with every path watched, twice: from above and by itself."""
    store = Store()
    dom0 = dom0_of(store)
    do(dom0, before)
    watched(dom0, b"/", *PATHS)
    return store, dom0


def run(before: Steps, steps: Steps, *, others: bool) -> tuple[Told, Shape]:
    """Commit steps; returns the events and the store afterwards."""
    store, dom0 = stage(before)
    transaction = dom0.start()
    do(transaction, steps)
    if others:
        dom0.mkdir(b"/tool/other")
        dom0.rm(b"/tool/other")
    events = transaction.commit()
    assert verify(store) == []
    return events, shape(store)


@given(STEPS, STEPS)
@example([("write", b"/a/b/c")], [("write", b"/a"), ("rm", b"/a/b"), ("rm", b"/a")])
@example([("write", b"/a/b/c")], [("write", b"/a/b"), ("rm", b"/a/b"), ("rm", b"/a")])
@example(
    [],  # the order of siblings
    [
        *[("write", b"/a/x"), ("write", b"/a/y/1"), ("write", b"/a/z")],
        *[("rm", b"/a/x"), ("write", b"/a/x"), ("write", b"/a/y")],
    ],
)
def test_a_commit_leaves_what_the_requests_alone_would_and_tells_each_path_once(
    before: Steps, steps: Steps
) -> None:
    """Whether it takes the store's place, or is made again as others worked."""
    store, dom0 = stage(before)
    do(dom0, steps)
    events, left = run(before, steps, others=False)

    assert (events, left) == run(before, steps, others=True)
    assert left == shape(store)
    assert len(events) == len(set(events))


@given(STEPS, STEPS)
@example(
    [("write", b"/a/b/c")], [("write", b"/a/b"), ("rm", b"/a"), ("write", b"/a/b")]
)
def test_the_changes_of_a_commit_lead_from_before_to_after(
    before: Steps, steps: Steps
) -> None:
    """Nothing that happened is left out."""
    store, dom0 = stage(before)
    transaction = dom0.start()
    do(transaction, steps)
    old = store.live.tree.freeze()
    transaction.commit()
    new = store.live.tree.top
    state = contents(old)
    touched = by_order(steps_of(transaction.opened, old, new))
    for change in changes_between(touched):
        apply(state, change)

    assert state == contents(new)


Contents = dict[Path, tuple[bytes, bytes]]


def apply(state: Contents, change: Change) -> None:
    """Do a change to a plain copy of the store."""
    if change.kind in (CHANGED, IMPLIED):
        state[change.path] = (change.value, change.perms.text)
        assert change.path[:-1] in state or len(change.path) == 1
        return
    if change.kind == REMOVED_WITHIN:
        # It went with its parent; this is for those who watch from above.
        assert change.path not in state
        return
    assert change.path in state
    assert change.kind != REMOVED or change.path[:-1] in state
    length = len(change.path)
    for path in list(state):
        if path[:length] == change.path:
            del state[path]


def contents(top: Node) -> Contents:
    found: Contents = {}
    rest: list[tuple[Path, Node]] = [((), top)]
    while rest:
        path, node = rest.pop()
        if path:
            found[path] = (node.value, node.perms.text)
        rest.extend([((*path, name), child) for name, child in node.children()])
    return found
