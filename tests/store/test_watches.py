"""The watch index: who sees a change of a path."""

import gc
import tracemalloc
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store.support import at
from xsd.protocol.path import Path
from xsd.protocol.perms import Caller, owner_only
from xsd.protocol.request import UNLIMITED
from xsd.store.changes import Change
from xsd.store.trail import Trail
from xsd.store.watches import Sights, Watch, WatchIndex

DOM0 = Caller(0, privileged=True)


def watch_on(
    index: WatchIndex, path: bytes, token: bytes = b"", depth: int = UNLIMITED
) -> Watch:
    watch = Watch(1, DOM0, at(path), path, token or path, depth)
    index.add(watch)
    return watch


def hits(index: WatchIndex, path: bytes) -> list[Watch]:
    """The watches that see a change of a path, in the order to tell them."""
    return hits_of(index, at(path))


def hits_of(index: WatchIndex, path: Path) -> list[Watch]:
    """The same for a path that is parsed."""
    sight = Sights(index).at(path)
    found = [each for group in sight.groups.values() for each in sight.seeing(group)]
    return sorted(found, key=lambda watch: watch.order)


def tokens(watches: list[Watch]) -> list[bytes]:
    return [watch.token for watch in watches]


def test_a_watch_sees_its_path_and_all_below() -> None:
    """Not what is above or beside it, even if the name begins the same."""
    index = WatchIndex()
    watch = watch_on(index, b"/a/b")

    for path in (b"/a/b", b"/a/b/c", b"/a/b/c/d"):
        assert hits(index, path) == [watch]
    for path in (b"/", b"/a", b"/a/bc", b"/a/c", b"@releaseDomain"):
        assert hits(index, path) == []


def test_a_watch_on_the_root_sees_every_ordinary_node() -> None:
    """But no special one."""
    index = WatchIndex()
    watch = watch_on(index, b"/")

    assert hits(index, b"/") == [watch]
    assert hits(index, b"/a/b") == [watch]
    assert hits(index, b"/@releaseDomain") == [watch]
    assert hits(index, b"@releaseDomain") == []


def test_watches_are_told_in_the_order_of_registration() -> None:
    """Wherever they are."""
    index = WatchIndex()
    for number, path in enumerate((b"/a/b", b"/", b"/a", b"/a/b", b"/")):
        watch_on(index, path, b"%d" % number)

    assert tokens(hits(index, b"/a/b/c")) == [b"0", b"1", b"2", b"3", b"4"]
    assert tokens(index.all()) == [b"0", b"1", b"2", b"3", b"4"]


def test_a_depth_limits_the_levels_below() -> None:
    """0 is the node only."""
    index = WatchIndex()
    for depth in (0, 1, 2, UNLIMITED):
        watch_on(index, b"/a", b"%d" % depth, depth)

    assert tokens(hits(index, b"/a")) == [b"0", b"1", b"2", b"-1"]
    assert tokens(hits(index, b"/a/b")) == [b"1", b"2", b"-1"]
    assert tokens(hits(index, b"/a/b/c")) == [b"2", b"-1"]
    assert tokens(hits(index, b"/a/b/c/d")) == [b"-1"]


def test_a_depth_below_the_root_counts_from_the_root() -> None:
    """/a is one level below it."""
    index = WatchIndex()
    watch_on(index, b"/", b"0", 0)
    watch_on(index, b"/", b"1", 1)

    assert tokens(hits(index, b"/")) == [b"0", b"1"]
    assert tokens(hits(index, b"/a")) == [b"1"]
    assert tokens(hits(index, b"/a/b")) == []


def test_removing_one_of_several_watches_leaves_the_others() -> None:
    """On the same path, in their order."""
    index = WatchIndex()
    first, second, third = [watch_on(index, b"/a", b"%d" % n) for n in range(3)]
    index.remove(second)

    assert hits(index, b"/a") == [first, third]
    assert index.count == 2


def test_removing_a_watch_removes_the_places_that_only_it_needed() -> None:
    """A client that watches and unwatches does not fill the memory (XSA-330)."""
    index = WatchIndex()
    shallow = watch_on(index, b"/a")
    deep = watch_on(index, b"/a/b/c/d")
    places = index.spots()
    index.remove(deep)

    assert places - index.spots() == 3
    assert index.spot(at(b"/a/b")) is None
    assert hits(index, b"/a/b/c/d") == [shallow]
    index.remove(shallow)
    assert index.spots() == 1
    assert index.all() == []


def test_a_place_with_watches_below_it_stays() -> None:
    """When the watch on itself goes."""
    index = WatchIndex()
    above = watch_on(index, b"/a")
    below = watch_on(index, b"/a/b")
    index.remove(above)

    assert hits(index, b"/a/b") == [below]


def test_a_relative_watch_is_told_relative_paths() -> None:
    """What the client did not say is cut off."""
    path = at(b"/local/domain/1/device/vif")
    relative = Watch(1, DOM0, path, b"device/vif", b"t", UNLIMITED)
    absolute = Watch(1, DOM0, path, b"/local/domain/1/device/vif", b"t", UNLIMITED)
    special = Watch(1, DOM0, at(b"@x"), b"@x", b"t", UNLIMITED)

    assert relative.cut == len(b"/local/domain/1/")
    assert absolute.cut == special.cut == 0
    assert repr(relative) == "Watch(#1, b'device/vif', b't')"


def special_hits(
    index: WatchIndex, *, plain: bool, deep: bool
) -> list[tuple[bytes, bytes]]:
    return [
        (watch.token, path)
        for watch, path in index.special_hits(
            b"@releaseDomain", 5, plain=plain, deep=deep
        )
    ]


def test_special_watches_are_told_by_their_depth() -> None:
    """Without one the name; with one the domain too, but nothing at depth 0."""
    index = WatchIndex()
    watch_on(index, b"@releaseDomain", b"plain")
    watch_on(index, b"@releaseDomain", b"0", 0)
    watch_on(index, b"@releaseDomain/5", b"own")
    watch_on(index, b"@releaseDomain/6", b"other")
    watch_on(index, b"@releaseDomain", b"1", 1)
    watch_on(index, b"@introduceDomain", b"introduce")
    watch_on(index, b"/", b"root")
    named, full = b"@releaseDomain", b"@releaseDomain/5"

    assert special_hits(index, plain=True, deep=True) == [
        (b"plain", named),
        (b"own", full),
        (b"1", full),
    ]
    assert special_hits(index, plain=True, deep=False) == [(b"plain", named)]
    assert special_hits(index, plain=False, deep=True) == [(b"own", full), (b"1", full)]


def test_a_special_name_that_nobody_watches_tells_nobody() -> None:
    """Nor does one of which only another domain is watched."""
    index = WatchIndex()

    assert special_hits(index, plain=True, deep=True) == []
    watch_on(index, b"@releaseDomain/6")
    assert special_hits(index, plain=True, deep=True) == []


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
def test_the_index_finds_what_looking_at_every_watch_would(
    watched: list[tuple[list[bytes], int]], removed: list[int], changed: list[bytes]
) -> None:
    """The definition: a prefix of the path, no further away than the depth."""
    index = WatchIndex()
    watches: list[Watch] = []
    for names, depth in watched:
        path: Path = (b"", *names)
        watches.append(Watch(1, DOM0, path, b"/" + b"/".join(names), b"t", depth))
        index.add(watches[-1])
    gone = [watches[number] for number in removed if number < len(watches)]
    for watch in gone:
        index.remove(watch)
    left = [watch for watch in watches if watch not in gone]
    target: Path = (b"", *changed)

    assert index.all() == left
    assert hits_of(index, target) == [
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
