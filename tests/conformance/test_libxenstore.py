"""Programs that use Xen's own client library, as xl, QEMU and libvirt do."""

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from errno import EINVAL, ENOENT
from functools import partial

import pytest

from tests.conformance.libxenstore import Handle, Perm, load
from tests.conformance.programs import at_once
from tests.differential.peers import Peer


@pytest.fixture(scope="module")
def library() -> ctypes.CDLL:
    """The library."""
    return load()


@pytest.fixture
def xs(
    library: ctypes.CDLL, socket: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Handle]:
    """A connection."""
    monkeypatch.setenv("XENSTORED_PATH", socket)
    with Handle(library) as handle:
        yield handle


@pytest.fixture
def other(library: ctypes.CDLL, xs: Handle) -> Iterator[Handle]:  # noqa: ARG001
    """A second connection to the same daemon."""
    with Handle(library) as handle:
        yield handle


@pytest.fixture
def guests(peer: Peer) -> Iterator[None]:
    """Domains 5 and 6 exist for the hypervisor, if there is one."""
    peer.add_domain(5)
    peer.add_domain(6)
    yield
    assert peer.empty((5, 6))


@pytest.mark.parametrize(
    "value",
    [b"", b"\0", b"\0\0\0", b"a\0b", bytes(range(256)), b"\xff" * 4093],
    ids=["empty", "NUL", "NULs", "NUL inside", "every byte", "as long as may be"],
)
def test_a_value_comes_back_as_it_was_written(xs: Handle, value: bytes) -> None:
    """Values are bytes."""
    xs.write(b"/t", value)

    assert xs.read(b"/t") == value


@pytest.mark.parametrize(
    ("path", "number"),
    [(b"/none", ENOENT), (b"/t/", EINVAL), (b"/a b", EINVAL), (b"", EINVAL)],
)
def test_a_refused_read_sets_errno(xs: Handle, path: bytes, number: int) -> None:
    """To the daemon's answer."""
    with pytest.raises(OSError, match=os.strerror(number)):
        xs.read(path)


def test_mkdir_keeps_a_value_and_rm_removes_all_below(xs: Handle) -> None:
    """As mkdir -p and rm -r do."""
    xs.write(b"/t/a", b"1")
    xs.mkdir(b"/t/a")
    xs.mkdir(b"/t/b/c")
    assert (xs.read(b"/t/a"), xs.read(b"/t/b/c")) == (b"1", b"")

    xs.rm(b"/t")
    xs.rm(b"/t")

    with pytest.raises(FileNotFoundError):
        xs.rm(b"/t/a")


@pytest.mark.slow
@pytest.mark.parametrize("count", [0, 1, 511, 512, 513, 4000])
def test_a_directory_of_any_length_is_listed(xs: Handle, count: int) -> None:
    """Over 4,096 bytes of names (512 of 8 bytes) in parts, with DIRECTORY_PART."""
    names = [b"n%06d" % number for number in range(count)]
    xs.mkdir(b"/t")
    tx = xs.start()
    for name in names:
        xs.mkdir(b"/t/" + name, tx)
    assert xs.directory(b"/t", tx) == names
    xs.end(tx)

    assert xs.directory(b"/t") == names


def test_a_long_directory_that_changes_is_listed_as_it_was_at_one_time(
    xs: Handle, other: Handle
) -> None:
    """The generation in each part tells the library to begin again."""
    names = [b"n%06d" % number for number in range(1200)]
    for name in names:
        xs.mkdir(b"/t/" + name)

    def change() -> None:
        for _ in range(300):
            other.mkdir(b"/t/last")
            other.rm(b"/t/last")

    thread = threading.Thread(target=change)
    thread.start()
    lists = [xs.directory(b"/t")]
    while thread.is_alive():
        lists.append(xs.directory(b"/t"))

    assert all(each in (names, [*names, b"last"]) for each in lists)
    assert xs.directory(b"/t") == names


def test_permissions_are_a_list_of_domains_and_rights(xs: Handle) -> None:
    """The owner first, whose rights are those of all others."""
    xs.write(b"/t", b"")
    assert xs.permissions(b"/t") == [Perm(0, 0)]

    perms = [Perm(0, 3), Perm(1, 0), Perm(2, 1), Perm(3, 2), Perm(4, 3)]
    xs.set_permissions(b"/t", perms)

    assert xs.permissions(b"/t") == perms


def test_watches_report_changes_by_others(xs: Handle, other: Handle) -> None:
    """The first event comes at once; the descriptor can be polled."""
    xs.watch(b"/t", b"a token")
    assert xs.read_watch() == (b"/t", b"a token")
    assert xs.check_watch() is None

    other.write(b"/t/a/b", b"1")
    other.set_permissions(b"/t/a", [Perm(0, 1)])
    other.rm(b"/t/a")

    assert [xs.read_watch() for _ in range(3)] == [
        (b"/t/a/b", b"a token"),
        (b"/t/a", b"a token"),
        (b"/t/a", b"a token"),
    ]
    xs.unwatch(b"/t", b"a token")
    other.write(b"/t/a", b"")
    assert xs.directory(b"/t") == [b"a"]
    assert xs.check_watch() is None


def test_a_transaction_is_seen_by_others_when_it_is_committed(
    xs: Handle, other: Handle
) -> None:
    """Or never."""
    first, second = xs.start(), xs.start()
    xs.write(b"/t/a", b"1", first)
    xs.write(b"/t/b", b"2", second)
    assert xs.read(b"/t/a", first) == b"1"
    with pytest.raises(FileNotFoundError):
        other.read(b"/t/a")

    xs.end(first)
    xs.end(second, commit=False)

    assert other.directory(b"/t") == [b"a"]
    with pytest.raises(FileNotFoundError):
        xs.end(first)


def increase(
    handle: Handle, times: int, disturb: Callable[[int], None] = lambda _: None
) -> int:
    """Add to a counter, in a transaction each, repeated on conflicts; count these."""
    attempts = done = 0
    while done < times:
        attempts += 1
        tx = handle.start()
        value = int(handle.read(b"/t", tx))
        disturb(attempts)
        handle.write(b"/t", b"%d" % (value + 1), tx)
        with suppress(BlockingIOError):
            handle.end(tx)
            done += 1
    return attempts


def test_a_conflict_is_eagain_and_the_second_attempt_succeeds(
    xs: Handle, other: Handle
) -> None:
    """Between the read and the commit of the first attempt another one writes."""
    xs.write(b"/t", b"1")

    def disturb(attempt: int) -> None:
        if attempt == 1:
            other.write(b"/t", b"10")

    assert increase(xs, 1, disturb) == 2
    assert xs.read(b"/t") == b"11"


def test_two_threads_that_count_together_lose_nothing(
    xs: Handle, other: Handle
) -> None:
    """Each with a connection of its own; every commit is on top of the one before."""
    xs.write(b"/t", b"0")

    at_once(*[partial(increase, handle, 200) for handle in (xs, other)])

    assert xs.read(b"/t") == b"400"


def test_two_threads_share_one_connection(xs: Handle) -> None:
    """The library lets one request through at a time, beside its reading thread."""
    xs.watch(b"/t", b"token")
    failures: list[bytes] = []

    def work(path: bytes) -> None:
        for number in range(200):
            xs.write(path, b"%d" % number)
            value = xs.read(path)
            if value != b"%d" % number:
                failures.append(value)

    at_once(partial(work, b"/t/a"), partial(work, b"/t/b"))

    assert failures == []
    assert xs.read_watch() == (b"/t", b"token")
    assert sorted({xs.read_watch()[0] for _ in range(300)}) == [b"/t/a", b"/t/b"]


@pytest.mark.usefixtures("guests")
def test_a_domain_is_introduced_and_released(xs: Handle, other: Handle) -> None:
    """Watchers are told of both, and a released domain's nodes are gone."""
    xs.watch(b"@introduceDomain", b"in")
    xs.watch(b"@releaseDomain", b"out")
    assert {xs.read_watch(), xs.read_watch()} == {
        (b"@introduceDomain", b"in"),
        (b"@releaseDomain", b"out"),
    }
    assert not xs.is_introduced(5)

    other.introduce(5, 4101, 105)
    assert xs.read_watch() == (b"@introduceDomain", b"in")
    assert xs.is_introduced(5)
    xs.write(b"/t", b"")
    xs.set_permissions(b"/t", [Perm(5, 0)])
    xs.resume(5)

    other.release(5)
    assert xs.read_watch() == (b"@releaseDomain", b"out")
    assert not xs.is_introduced(5)
    with pytest.raises(FileNotFoundError):
        xs.read(b"/t")
    with pytest.raises(FileNotFoundError):
        xs.release(5)


@pytest.mark.usefixtures("guests")
def test_a_domain_gets_a_target(xs: Handle) -> None:
    """Both must be introduced."""
    xs.introduce(5, 4101, 105)
    with pytest.raises(FileNotFoundError):
        xs.set_target(5, 6)
    xs.introduce(6, 4102, 106)

    xs.set_target(5, 6)

    assert (xs.is_introduced(5), xs.is_introduced(6)) == (True, True)


def test_any_domain_has_a_path(xs: Handle) -> None:
    """Whether it is there or not; domain 0 is introduced from the start."""
    assert xs.domain_path(0) == b"/local/domain/0"
    assert xs.domain_path(32751) == b"/local/domain/32751"
    assert xs.is_introduced(0)
    assert not xs.is_introduced(32751)


def test_control_commands_reach_the_daemon(xs: Handle) -> None:
    """As those of xenstore-control, arguments with their NULs."""
    assert xs.control(b"check") == b"OK"
    assert xs.control(b"print", b"text\0") == b"OK"
    with pytest.raises(OSError, match=os.strerror(EINVAL)):
        xs.control(b"unknown")


def test_a_hundred_connections_are_served_at_once(
    xs: Handle, library: ctypes.CDLL
) -> None:
    """Each with a watch of its own, which all tell of one change."""
    with ExitStack() as held:
        handles = [held.enter_context(Handle(library)) for _ in range(100)]
        for number, handle in enumerate(handles):
            handle.watch(b"/t", b"%d" % number)
            assert handle.read_watch() == (b"/t", b"%d" % number)

        xs.write(b"/t", b"")

        for number, handle in enumerate(handles):
            assert handle.read_watch() == (b"/t", b"%d" % number)
