"""The watch index: who sees a change of a path."""

import gc
import tracemalloc
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.store.support import at
from xsd.protocol.path import Path
from xsd.protocol.perms import Caller, owner_only
from xsd.protocol.request import UNLIMITED
from xsd.store.changes import Change
from xsd.store.trail import Trail
from xsd.store.watches import Sights, Watch, WatchIndex

DOM0 = Caller(0, privileged=True)
PRIVATE = owner_only(0)


@pytest.fixture
def index() -> WatchIndex:
    return WatchIndex()


def watch_on(
    index: WatchIndex, path: bytes, token: bytes = b"", depth: int = UNLIMITED
) -> Watch:
    watch = Watch(1, DOM0, at(path), path, token or path, depth)
    index.add(watch)
    return watch


def hits(index: WatchIndex, path: Path) -> list[Watch]:
    """The watches that see a change of a path, in the order to tell them."""
    sight = Sights(index).at(path)
    found = [each for group in sight.groups.values() for each in sight.seeing(group)]
    return sorted(found, key=lambda watch: watch.order)


def test_removing_a_watch_removes_the_places_that_only_it_needed(
    index: WatchIndex,
) -> None:
    """A client that watches and unwatches does not fill the memory (XSA-330)."""
    shallow = watch_on(index, b"/a")
    deep = watch_on(index, b"/a/b/c/d")
    places = index.spots()
    index.remove(deep)

    assert places - index.spots() == 3
    assert index.spot(at(b"/a/b")) is None
    assert hits(index, at(b"/a/b/c/d")) == [shallow]
    index.remove(shallow)
    assert index.spots() == 1
    assert index.all() == []


SIZES: Final[dict[str, list[bytes]]] = {
    "typical": [b"/local/domain/5/device/vif/%d/state" % n for n in range(128)],
    "one place": [b"/local/domain/5/device"] * 128,
    "the root": [b"/"] * 128,
    "places of their own": [b"/%d/%d/%d/%d" % (n, n, n, n) for n in range(100, 228)],
    "deep": [
        b"/%d" % n + b"".join(b"/%d-%d" % (n, each) for each in range(200))
        for n in range(128)
    ],
}


@pytest.mark.pure_only
@pytest.mark.parametrize("how", SIZES)
def test_a_watch_is_charged_with_what_it_takes(how: str) -> None:
    """Never less than Python has for it; twice as much only for levels it shares."""
    caller = Caller(1, privileged=False)
    gc.collect()
    tracemalloc.start()
    try:
        index = WatchIndex()
        of_client: dict[tuple[Path, bytes], Watch] = {}
        begin = tracemalloc.get_traced_memory()[0]
        for number, text in enumerate(SIZES[how]):
            shown = bytes(bytearray(text))
            watch = Watch(1, caller, at(shown), shown, b"%d" % number, UNLIMITED)
            index.add(watch)
            of_client[watch.path, watch.token] = watch
        real = tracemalloc.get_traced_memory()[0] - begin
    finally:
        tracemalloc.stop()
    charged = sum(watch.size for watch in of_client.values())

    assert real <= charged <= 2 * real


NAMES = st.lists(st.sampled_from([b"a", b"b"]), max_size=3)


@given(
    st.lists(st.tuples(NAMES, st.integers(-1, 3)), max_size=20),
    st.lists(st.integers(0, 19), unique=True, max_size=10),
    NAMES,
)
@example([([b"a"], -1)] * 3 + [([b"a", b"b"], -1)], [0, 2, 1], [b"a", b"b"])
def test_the_index_finds_what_looking_at_every_watch_would(
    watched: list[tuple[list[bytes], int]], removed: list[int], changed: list[bytes]
) -> None:
    """The definition: a prefix of the path, no further away than the depth."""
    index = WatchIndex()
    watches: list[Watch] = []
    guest = Caller(1, privileged=False)
    for number, (names, depth) in enumerate(watched):
        path: Path = (b"", *names)
        caller = guest if number % 2 else DOM0
        watches.append(Watch(1, caller, path, b"/" + b"/".join(names), b"t", depth))
        index.add(watches[-1])
    gone = [watches[number] for number in removed if number < len(watches)]
    for watch in gone:
        index.remove(watch)
    left = [watch for watch in watches if watch not in gone]
    target: Path = (b"", *changed)

    assert index.all() == left
    assert index.count == len(left)
    assert hits(index, target) == [
        watch
        for watch in left
        if target[: len(watch.path)] == watch.path
        and (watch.depth < 0 or len(target) - len(watch.path) <= watch.depth)
    ]
    trail = Trail(None, b"")
    sights = Sights(index)
    for length, name in enumerate(target, 1):
        trail = Trail(trail, name)
        change = Change(0, (), b"", owner_only(0), None, None)
        change.trail = trail
        sight, expected = sights.of(change), Sights(index).at(target[:length])
        assert (sight.groups, sight.spot) == (expected.groups, expected.spot)
