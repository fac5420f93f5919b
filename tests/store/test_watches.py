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


SEEN: Final[dict[str, tuple[str, str]]] = {
    "a watch sees its path and all below, not what is above or beside": (
        "/a/b=x",
        "/a/b=x /a/b/c=x /a/b/c/d=x /= /a= /a/bc= /a/c= @releaseDomain=",
    ),
    "a watch on the root sees every ordinary node, but no special one": (
        "/=x",
        "/=x /a/b=x /@releaseDomain=x @releaseDomain=",
    ),
    "a depth limits the levels below; 0 is the node only": (
        "/a=0=0 /a=1=1 /a=2=2 /a=x",
        "/a=012x /a/b=12x /a/b/c=2x /a/b/c/d=x",
    ),
}
"""Watches as path=token=depth, and who sees which path."""


@pytest.mark.parametrize("rule", SEEN)
def test_watches_see(index: WatchIndex, rule: str) -> None:
    """Paths, each with the tokens of the watches that are told of it."""
    watches, paths = [each.encode().split() for each in SEEN[rule]]
    for each in watches:
        path, token, *depth = each.split(b"=")
        watch_on(index, path, token, int(depth[0]) if depth else UNLIMITED)
    for each in paths:
        path, _equals, tokens = each.partition(b"=")

        assert b"".join([watch.token for watch in hits(index, at(path))]) == tokens


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


def test_a_relative_watch_is_told_relative_paths() -> None:
    """What the client did not say is cut off."""
    path = at(b"/local/domain/1/device/vif")
    relative = Watch(1, DOM0, path, b"device/vif", b"t", UNLIMITED)
    absolute = Watch(1, DOM0, path, b"/local/domain/1/device/vif", b"t", UNLIMITED)
    special = Watch(1, DOM0, at(b"@x"), b"@x", b"t", UNLIMITED)

    assert relative.cut == len(b"/local/domain/1/")
    assert absolute.cut == special.cut == 0
    assert repr(relative) == "Watch(#1, b'device/vif', b't')"


@pytest.mark.parametrize(
    ("plain", "deep", "told"),
    [
        (True, True, "plain own/5 1/5"),
        (True, False, "plain"),
        (False, True, "own/5 1/5"),
    ],
)
def test_special_watches_are_told_by_their_depth(
    index: WatchIndex, told: str, *, plain: bool, deep: bool
) -> None:
    """Without one the name; with one the domain too, but nothing at depth 0.

    Those who may not read the name are told nothing.
    """
    named, domid = b"@releaseDomain", 5

    guest = Caller(1, privileged=False)
    index.add(Watch(1, guest, (named,), named, b"may not", UNLIMITED))
    assert index.special_hits(named, PRIVATE, domid, plain=True, deep=True) == []
    watch_on(index, b"@releaseDomain/6", b"other")
    assert index.special_hits(named, PRIVATE, domid, plain=True, deep=True) == []
    watch_on(index, named, b"plain")
    watch_on(index, named, b"0", 0)
    watch_on(index, b"@releaseDomain/5", b"own")
    watch_on(index, named, b"1", 1)
    watch_on(index, b"@introduceDomain", b"introduce")
    watch_on(index, b"/", b"root")
    hits = index.special_hits(named, PRIVATE, domid, plain=plain, deep=deep)
    assert [
        watch.token + path.removeprefix(named) for watch, path in hits
    ] == told.encode().split()


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
