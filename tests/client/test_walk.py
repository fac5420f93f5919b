"""xsd.client.walk: all below a node, many requests under way at once."""

import random
from collections.abc import Iterator

import pytest

from tests.support.acted import ActedDaemon
from xsd.client import Client
from xsd.client.walk import UNDER_WAY, walk
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.ops import Op


def in_order(daemon: ActedDaemon, path: bytes = b"/t") -> Iterator[bytes]:
    """Yield what a walk should come to, one after the other."""
    yield path
    for name in daemon.nodes[path]:
        yield from in_order(daemon, path + b"/" + name)


def trees() -> list[list[str]]:
    """Return paths of trees of several shapes."""
    chance = random.Random(7)  # noqa: S311
    return [
        [],
        ["a"],
        [f"{number}" for number in range(300)],
        ["/".join("x" * 100)],
        [
            f"{domain}/{device}/0/{key}"
            for domain in range(9)
            for device in "ab"
            for key in "cdef"
        ],
        ["/".join(chance.choices("abcde", k=chance.randint(1, 6))) for _ in range(400)],
    ]


@pytest.mark.parametrize("room", [0, 64, 4200])
@pytest.mark.parametrize("paths", trees(), ids=lambda paths: str(len(paths)))
def test_parents_come_first_and_children_in_order(paths: list[str], room: int) -> None:
    """However little room there is on the way: nobody waits for who waits himself."""
    daemon = ActedDaemon(room)
    daemon.add(paths)

    with daemon.client() as client:
        visits = [
            (visit.path, visit.depth, visit.value, visit.permissions, visit.names)
            for visit in walk(client, b"/t", permissions=True)
        ]

    assert visits == [
        (
            path,
            path.count(b"/") - 1,
            path.rpartition(b"/")[2],
            [b"n0", b"r5"],
            daemon.nodes[path],
        )
        for path in in_order(daemon)
    ]
    assert len(daemon.asked) == 3 * len(visits)


def test_many_requests_are_under_way_but_not_all() -> None:
    """The daemon works while the client does, and keeps little for it."""
    daemon = ActedDaemon()
    daemon.add(str(number) for number in range(1000))

    with daemon.client() as client:
        assert len(list(walk(client, b"/t"))) == 1001

    assert UNDER_WAY <= daemon.most <= 2 * UNDER_WAY


def test_what_comes_first_is_asked_about_first() -> None:
    """The first lines of a large store do not wait for its last ones."""
    daemon = ActedDaemon()
    daemon.add(f"{number}/{child}" for number in range(200) for child in range(9))

    with daemon.client() as client:
        steps = walk(client, b"/t")
        for _ in range(100):
            next(steps)

    assert len(daemon.asked) < 2 * (100 + 3 * UNDER_WAY)


def test_the_last_child_is_known_as_such() -> None:
    """For who draws lines."""
    daemon = ActedDaemon()
    daemon.add(["a/x", "b"])
    with daemon.client() as client:
        found = [(each.path, each.is_last) for each in walk(client, b"/t")]
    assert found == [
        (b"/t", True),
        (b"/t/a", False),
        (b"/t/a/x", True),
        (b"/t/b", True),
    ]


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_depth_is_limited(depth: int) -> None:
    """What is below is not asked about."""
    daemon = ActedDaemon()
    daemon.add(["a/x/y", "b"])
    with daemon.client() as client:
        found = [visit.path for visit in walk(client, b"/t", depth=depth)]
    expected = [path for path in in_order(daemon) if path.count(b"/") - 1 <= depth]
    assert found == expected
    assert {path for _, path in daemon.asked} == set(expected)


def test_a_node_that_vanishes_has_no_children() -> None:
    """And says so when it is asked for its value; the walk goes on."""
    daemon = ActedDaemon()
    daemon.add(["b"])
    daemon.nodes[b"/t"].insert(0, b"gone")

    with daemon.client() as client:
        first, gone, last = walk(client, b"/t")
        with pytest.raises(XenStoreError) as caught:
            _ = gone.value

    assert (first.path, gone.path, last.path) == (b"/t", b"/t/gone", b"/t/b")
    assert caught.value.errno == Errno.ENOENT


@pytest.mark.parametrize(
    ("path", "error"), [(b"/t/a", "EACCES"), (b"/t", "EACCES"), (b"/t", "ENOENT")]
)
def test_a_listing_that_is_refused_ends_the_walk(path: bytes, error: str) -> None:
    """Behind the node; at the top, also if it is not there."""
    daemon = ActedDaemon()
    daemon.add(["a", "b"])
    daemon.refused[Op.DIRECTORY, path] = error
    found: list[bytes] = []

    with daemon.client() as client, pytest.raises(XenStoreError) as caught:
        found.extend(visit.path for visit in walk(client, b"/t"))

    assert found[-1:] == [path]
    assert (caught.value.errno.name, caught.value.path) == (error, path)


def test_children_that_are_left_out_are_not_visited() -> None:
    """Nor those below them."""
    daemon = ActedDaemon()
    daemon.add(["a/x/y", "b"])
    found = []
    with daemon.client() as client:
        for visit in walk(client, b"/t"):
            found.append(visit.path)
            if visit.path == b"/t/a":
                visit.children = []
    assert found == [b"/t", b"/t/a", b"/t/b"]


def test_deep_trees_and_long_directories_are_walked(client: Client) -> None:
    """Depth is no matter of Python's stack; a directory may come in parts."""
    client.write("/t" + "/x" * 1000, b"")
    names = [b"%d-%s" % (number, b"n" * 90) for number in range(99)]
    for name in names:
        client.write(b"/t/x/" + name, b"v")

    visits = list(walk(client, b"/t"))

    assert [each.depth for each in visits] == [*range(1001), *([2] * 99)]
    assert [each.path for each in visits[1001:]] == [b"/t/x/" + name for name in names]
    assert {each.value for each in visits[1001:]} == {b"v"}
