"""xsd.testing.ring: the guest's manners on a ring, with the daemon's part by hand."""

import os
from collections.abc import Iterator
from typing import final

import pytest

from xsd.client import DisconnectedError
from xsd.protocol.ring import (
    ERROR_RING_INDEX,
    REQ_CONS,
    REQ_PROD,
    RSP_CONS,
    RSP_PROD,
    Ring,
)
from xsd.testing.ring import RingTransport


@final
class Daemon:
    """The other side of a ring, which does only what the test tells it to."""

    def __init__(self) -> None:
        self.page = memoryview(bytearray(4096))
        self.ring = Ring(self.page)
        self.to_daemon = os.eventfd(0, os.EFD_NONBLOCK)
        self.to_guest = os.eventfd(0, os.EFD_NONBLOCK)

    def guest(self, *, lazy: bool = False) -> RingTransport:
        return RingTransport(self.page, self.to_daemon, self.to_guest, lazy=lazy)

    def was_notified(self) -> int:
        """Return how often, since the last time."""
        try:
            return os.eventfd_read(self.to_daemon)
        except BlockingIOError:
            return 0

    def say(self, data: bytes) -> None:
        """Put bytes into the ring, and notify."""
        assert self.ring.write_responses(data) == len(data)
        os.eventfd_write(self.to_guest, 1)


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    daemon = Daemon()
    yield daemon
    os.close(daemon.to_daemon)
    os.close(daemon.to_guest)


def start_at(daemon: Daemon, index: int) -> None:
    fields = daemon.page[2048:2064].cast("I")
    for place in (REQ_CONS, REQ_PROD, RSP_CONS, RSP_PROD):
        fields[place] = index


def test_bytes_go_both_ways(daemon: Daemon) -> None:
    """What is sent is the request ring's, what is received the response ring's."""
    guest = daemon.guest()

    guest.send(b"question", 0)
    assert daemon.ring.read_requests(100) == b"question"
    daemon.say(b"answer")
    assert guest.receive(0) == b"answer"


def test_guest_notifies_after_each_move(daemon: Daemon) -> None:
    """Unless it is lazy."""
    guest = daemon.guest()

    guest.send(b"one", 0)
    guest.send(b"two", 0)
    assert daemon.was_notified() == 2
    daemon.say(b"three")
    guest.receive(0)
    assert daemon.was_notified() == 1


@pytest.mark.parametrize("index", [0, 0xFFFFFFF8], ids=["at 0", "over 2**32"])
def test_lazy_guest_notifies_only_a_daemon_that_had_caught_up(
    daemon: Daemon, index: int
) -> None:
    """A daemon that has not taken all is expected to go on until it has."""
    start_at(daemon, index)
    guest = daemon.guest(lazy=True)

    guest.send(b"12345", 0)
    assert daemon.was_notified() == 1
    guest.send(b"67890", 0)
    assert daemon.was_notified() == 0
    assert daemon.ring.read_requests(6) == b"123456"
    guest.send(b"abc", 0)
    assert daemon.was_notified() == 0
    assert daemon.ring.read_requests(100) == b"7890abc"
    guest.send(b"def", 0)
    assert daemon.was_notified() == 1


@pytest.mark.parametrize("index", [0, 0xFFFFFE00], ids=["at 0", "over 2**32"])
def test_lazy_guest_notifies_only_of_room_in_a_full_ring(
    daemon: Daemon, index: int
) -> None:
    """A daemon that found room has no need to be told of more."""
    start_at(daemon, index)
    guest = daemon.guest(lazy=True)

    daemon.say(b"x" * 1023)
    assert guest.receive(0) == b"x" * 1023
    assert daemon.was_notified() == 0
    daemon.say(b"y" * 1024)
    assert guest.receive(0) == b"y" * 1024
    assert daemon.was_notified() == 1


def test_daemon_that_looks_once_loses_a_lazy_guest(daemon: Daemon) -> None:
    """What lazy guests are for: bytes wait, and no notification is to come."""
    guest = daemon.guest(lazy=True)
    guest.send(b"first", 0)
    assert daemon.was_notified() == 1
    daemon.ring.read_requests(4)

    guest.send(b"second", 0)
    daemon.ring.read_requests(1)

    assert daemon.was_notified() == 0
    with pytest.raises(TimeoutError):
        guest.receive(0)
    assert daemon.ring.read_requests(100) == b"second"


def test_more_than_there_is_room_for_is_a_timeout(daemon: Daemon) -> None:
    """What had room is there; how much it was the guest cannot say."""
    guest = daemon.guest()

    with pytest.raises(TimeoutError):
        guest.send(b"x" * 1025, 0)

    assert daemon.ring.read_requests(2000) == b"x" * 1024


def test_what_comes_while_the_guest_sends_is_kept(daemon: Daemon) -> None:
    """The daemon may make no room before its own bytes are taken."""
    guest = daemon.guest()
    daemon.say(b"1")
    with pytest.raises(TimeoutError):
        guest.send(b"x" * 1025, 0)
    assert daemon.was_notified() == 2

    daemon.say(b"2")

    assert guest.receive(0) == b"1"
    assert guest.receive(0) == b"2"


def test_empty_send_does_nothing(daemon: Daemon) -> None:
    """There is nothing to tell of."""
    daemon.guest().send(b"", 0)

    assert daemon.was_notified() == 0


def test_notification_without_bytes_is_not_an_answer(daemon: Daemon) -> None:
    """It may be of bytes that were taken before it was seen."""
    guest = daemon.guest()
    daemon.say(b"1")
    assert guest.receive(0) == b"1"

    with pytest.raises(TimeoutError):
        guest.receive(0.001)


def test_error_ends_the_connection(daemon: Daemon) -> None:
    """After what the daemon had said before."""
    guest = daemon.guest()
    daemon.say(b"last words")
    daemon.ring.error = ERROR_RING_INDEX

    with pytest.raises(DisconnectedError, match="given up the ring: error 2"):
        guest.send(b"x", 0)
    assert guest.receive(0) == b"last words"
    with pytest.raises(DisconnectedError, match="given up the ring: error 2"):
        guest.receive(0)
    assert daemon.ring.read_requests(100) == b""


def test_impossible_indexes_end_the_connection(daemon: Daemon) -> None:
    """Whoever has spoilt them; the daemon's own word comes first."""
    guest = daemon.guest()
    guest.fields[RSP_PROD] = 1025
    guest.fields[REQ_PROD] = 1025

    with pytest.raises(DisconnectedError, match="impossible response indexes"):
        guest.receive(0)
    with pytest.raises(DisconnectedError, match="impossible request indexes"):
        guest.send(b"x", 0)
    daemon.ring.error = ERROR_RING_INDEX
    with pytest.raises(DisconnectedError, match="error 2"):
        guest.receive(0)


def test_too_many_notifications_are_no_error(daemon: Daemon) -> None:
    """The daemon knows already that there is something."""
    guest = daemon.guest()
    os.eventfd_write(daemon.to_daemon, 2**64 - 2)

    guest.notify()

    assert daemon.was_notified() == 2**64 - 2


def test_end_of_a_connection_is_not_that_of_the_ring(daemon: Daemon) -> None:
    """The guest is still there, and its page too, until it is released."""
    guest = daemon.guest()
    guest.close()

    guest.send(b"x", 0)
    assert daemon.ring.read_requests(100) == b"x"
    guest.release()
    with pytest.raises(ValueError, match="released"):
        guest.send(b"x", 0)
