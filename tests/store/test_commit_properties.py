"""What holds for every commit, whatever the transaction did."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.store.script import play
from tests.store.support import Client, Shape, Told, dom0_of, shape, walk, watched
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.path import Path
from xsd.store import Store
from xsd.store.changes import CHANGED, IMPLIED, REMOVED, REMOVED_WITHIN, Change
from xsd.store.check import verify
from xsd.store.net import changes_between
from xsd.store.node import Node
from xsd.store.steps import by_order, steps_of

pytestmark = pytest.mark.slow

Steps = list[tuple[str, str]]
"""Requests that change something: what, and a path."""

PATHS = ["/a", "/a/b", "/a/b/c", "/a/d", "/a/d/e", "/f"]
REQUESTS = {
    "write": "write {} {}",
    "mkdir": "mkdir {}",
    "rm": "rm {}",
    "perms": "set {} n0 r{}",
}
STEPS = st.lists(
    st.tuples(st.sampled_from(list(REQUESTS)), st.sampled_from(PATHS)), max_size=12
)


def do(client: Client, steps: Steps) -> None:
    """Make requests, each with a value of its own; what is missing is left alone."""
    for number, (what, path) in enumerate(steps):
        try:
            play(client, REQUESTS[what].format(path, number))
        except XenStoreError as error:
            if error.errno is not Errno.ENOENT:
                raise


def stage(before: Steps) -> tuple[Store, Client]:
    """A store with every path watched, twice: from above and by itself."""
    store = Store()
    dom0 = dom0_of(store)
    do(dom0, before)
    watched(dom0, b"/", *[path.encode() for path in PATHS])
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
@example([("write", "/a/b/c")], [("write", "/a"), ("rm", "/a/b"), ("rm", "/a")])
@example([("write", "/a/b/c")], [("write", "/a/b"), ("rm", "/a/b"), ("rm", "/a")])
@example(
    [],  # the order of siblings
    [
        *[("write", "/a/x"), ("write", "/a/y/1"), ("write", "/a/z")],
        *[("rm", "/a/x"), ("write", "/a/x"), ("write", "/a/y")],
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
@example([("write", "/a/b/c")], [("write", "/a/b"), ("rm", "/a"), ("write", "/a/b")])
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
    return {path: (it.value, it.perms.text) for path, it in walk(top) if path}
