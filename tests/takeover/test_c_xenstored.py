"""A running host moves from Xen's C daemon to ours, and back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.programs import PLACE
from tests.support.daemons import Daemon, start_c_peer
from tests.support.processes import wait_until
from tests.takeover import moving
from tests.takeover.stopover import WRITTEN
from xsd.protocol.limits import RING_SIZE
from xsd.protocol.ops import Op
from xsd.testing import Session

C = str(PLACE / "xenstored")

pytestmark = pytest.mark.slow


@pytest.fixture
def daemon(directory: Path) -> Iterator[Daemon]:
    """C's, on a pretended Xen."""
    with start_c_peer(directory) as found:
        yield found


@pytest.fixture
def dom0(daemon: Daemon) -> Iterator[Session]:
    session = moving.client(daemon.socket)
    yield session
    session.close()


@pytest.fixture
def guest(dom0: Session, directory: Path) -> Iterator[Session]:
    session = moving.guest(dom0, directory / "shim", 5)
    yield session
    session.close()


def test_all_that_c_has_is_taken_over_and_handed_back(
    daemon: Daemon, dom0: Session, guest: Session, directory: Path
) -> None:
    """Tree, watches, domains and targets; there and back nobody notices more than a
    node that was written in between."""
    other = moving.guest(dom0, directory / "shim", 6)
    dom0.ok(Op.SET_TARGET, b"5\x006\0")
    dom0.make(b"/shared", b"n5", b"r6", b"b0")
    dom0.make(b"/stale", b"n0", b"r77")
    for path in (b"/shared/z", b"/shared/a", b"/shared/m/n/o"):
        guest.ok(Op.WRITE, path + b"\0" + path)
    dom0.watch(b"/", b"all")
    dom0.watch(b"@releaseDomain", b"gone")
    guest.watch(b"mine", b"relative")
    guest.watch(WRITTEN, b"not for guests")
    before = moving.listed(daemon.socket)

    moving.update(dom0, moving.stopover(directory, C))

    told = moving.notes(directory)
    assert told["faults"] == []
    assert [tuple(row) for row in told["tree"]] == before
    assert ["/shared/z", "/shared/z", "n5,r6,b0"] in told["tree"]
    assert told["watches"] == [
        [0, "/", "all"],
        [0, "@releaseDomain", "gone"],
        [5, "mine", "relative"],
        [5, "/stopover", "not for guests"],
    ]
    assert told["introduced"] == [0, 5, 6]
    assert told["targets"] == [[5, 6]]
    after = moving.listed(daemon.socket)
    assert after == [*before, ("/stopover", "here", "n0")]
    # What was to be sent before the reply of the update, and what happens later.
    assert dom0.next_event() == (WRITTEN, b"all")
    guest.get(Op.WRITE, b"mine\0v")
    assert guest.next_event() == (b"mine", b"relative")
    assert dom0.next_event() == (b"/local/domain/5/mine", b"all")
    dom0.get(Op.RELEASE, b"6\0")
    assert (b"@releaseDomain", b"gone") in dom0.events()
    other.close()


def test_half_a_request_goes_on_in_the_next_daemon(
    daemon: Daemon, dom0: Session, guest: Session, directory: Path
) -> None:
    """Of a socket and of a ring; cut in the header, and behind it."""
    one, two = moving.client(daemon.socket), moving.client(daemon.socket)
    halves = [one, two, guest]
    frames = [each.frame(Op.WRITE, b"/local/domain/5/%d\0v" % number)
              for number, each in enumerate(halves)]  # fmt: skip
    for cut, each, frame in zip((7, 20, 17), halves, frames, strict=True):
        each.send(frame[:cut])
    # When this is answered, all of it has been read.
    dom0.get(Op.READ, b"/tool\0")

    moving.update(dom0, moving.stopover(directory, C))

    for cut, each, frame in zip((7, 20, 17), halves, frames, strict=True):
        each.send(frame[cut:])
        assert each.replies() == [(Op.WRITE, b"OK\0")]
    one.close()
    two.close()
    names = [row[0] for row in moving.listed(daemon.socket)]
    assert {f"/local/domain/5/{number}" for number in range(3)} <= {*names}


def test_there_and_back_again_and_again_nothing_is_lost(
    dom0: Session, guest: Session, directory: Path
) -> None:
    """Nor is anything told twice."""
    program = moving.stopover(directory, C)
    dom0.watch(WRITTEN, b"w")
    guest.watch(b"mine", b"g")

    for number in range(4):
        moving.update(dom0, program)
        assert dom0.next_event() == (WRITTEN, b"w")
        guest.get(Op.WRITE, b"mine\0%d" % number)
        assert guest.next_event() == (b"mine", b"g")

    assert (dom0.take(), guest.take()) == ([], [])
    assert moving.notes(directory)["introduced"] == [0, 5]


def test_a_guest_that_has_not_read_gets_every_reply_once(
    dom0: Session, guest: Session, directory: Path
) -> None:
    """One is partly on its ring when the daemon changes, others wait."""
    value = bytes(range(32, 127)) * 5
    guest.get(Op.WRITE, b"long\0" + value)
    for _ in range(6):
        guest.post(Op.READ, b"long\0")
    ring = guest.transport
    assert isinstance(ring, moving.RingTransport)
    wait_until(lambda: ring.unread == RING_SIZE, "the ring does not fill")

    moving.update(dom0, moving.stopover(directory, C))

    begun = moving.notes(directory)["begun"]
    assert 0 < begun["5"] < len(value)
    assert guest.replies(6) == [(Op.READ, value)] * 6
    assert guest.get(Op.READ, b"long\0") == value
