"""What plays a guest moves bytes as a guest does."""

from pathlib import Path

import pytest

from tests.peers.domu import ClosedError, DomU, interrupt
from xsd.protocol.ring import Ring


@pytest.fixture
def guest(tmp_path: Path) -> DomU:
    """A domain with a daemon that has its FIFO open, and never reads it."""
    return DomU(tmp_path, 5, timeout=0.0)


def test_what_does_not_fit_waits_until_its_time_is_over(
    guest: DomU, tmp_path: Path
) -> None:
    """What fits is there by then, in the order of the bytes."""
    (tmp_path / "port").touch()
    ring = Ring(memoryview(guest.map))
    with pytest.raises(TimeoutError):
        guest.send(bytes(range(256)) * 5)

    assert ring.read_requests(2000) == bytes(range(256)) * 4
    assert guest.words[2048 // 4 + 1] == 1024
    ring.release()
    guest.close()


def test_responses_are_taken_across_the_end_of_the_ring(
    guest: DomU, tmp_path: Path
) -> None:
    """In two pieces; a look at an empty ring returns nothing."""
    (tmp_path / "port").touch()
    for index in (2, 3):
        guest.words[512 + index] = 1020
    ring = Ring(memoryview(guest.map))
    assert ring.write_responses(b"response") == 8

    assert guest.receive_some(0.0) + guest.receive_some(0.0) == b"response"
    assert guest.receive_some(0.0) == b""
    ring.release()
    guest.close()


def test_a_daemon_that_is_gone_is_noticed(guest: DomU, tmp_path: Path) -> None:
    """By an event that nobody takes, by the ring's error, by impossible indexes."""
    with pytest.raises(ClosedError):
        guest.notify()
    with pytest.raises(ClosedError):
        interrupt(tmp_path)
    guest.words[518] = 1
    with pytest.raises(ClosedError):
        guest.receive_some(0.0)
    guest.words[518], guest.words[515] = 0, 5000
    with pytest.raises(ClosedError):
        guest.receive_some(0.0)
    guest.close()


def test_a_closed_domain_leaves_no_files(guest: DomU, tmp_path: Path) -> None:
    """Whatever state it was in; closing again does nothing."""
    for state in ("dying", "shutdown"):
        guest.mark(state)
    guest.mark("shutdown", on=False)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("ring-5", "kick-5", "evtchn-5", "dying-5")
    }
    guest.close()
    guest.close()

    assert list(tmp_path.iterdir()) == []
