"""xsd.testing.ring: the guest's manners on a ring, with the daemon's part by hand."""

import os
from collections.abc import Iterator
from typing import Final, final

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
        try:
            return os.eventfd_read(self.to_daemon)
        except BlockingIOError:
            return 0

    def say(self, data: bytes) -> None:
        assert self.ring.write_responses(data) == len(data)
        os.eventfd_write(self.to_guest, 1)


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    daemon = Daemon()
    yield daemon
    os.close(daemon.to_daemon)
    os.close(daemon.to_guest)


# What happens, with which bytes, and `!` if the guest notifies of it.
DIALOGUES: Final = {
    "bytes go both ways, and each move is notified of": (
        "send question !, read question, say answer, receive answer !"
    ),
    "a daemon that has not caught up is notified as well": (
        "send one !, send two !, read onetwo"
    ),
    "an empty send does nothing": "send",
    "of more than there is room for, what had room is sent": (
        "send-in-vain x*1025 !, read x*1024"
    ),
    # The daemon may make no room before its own bytes are taken.
    "what comes while the guest sends is kept": (
        "say 1, send-in-vain x*1025 !!, say 2, receive 1, receive 2 !"
    ),
    # It may be of bytes that were taken before it was seen.
    "a notification without bytes is not an answer": (
        "say 1, receive 1 !, receive-in-vain"
    ),
    "lazy: only a daemon that had caught up is notified of requests": (
        "send 12345 !, send 67890, read-some 123456, send abc, read 7890abc, send def !"
    ),
    "lazy: only room in a full ring is notified of": (
        "say x*1023, receive x*1023, say y*1024, receive y*1024 !"
    ),
    # What lazy guests are for: bytes wait, and no notification is to come.
    "lazy: a daemon that looks only once loses it": (
        "send first !, read-some firs, send second, read-some t, receive-in-vain,"
        " read second"
    ),
}


@pytest.mark.parametrize("index", [0, 0xFFFFFFF8], ids=["at 0", "over 2**32"])
@pytest.mark.parametrize("name", DIALOGUES)
def test_bytes_and_notifications(daemon: Daemon, name: str, index: int) -> None:
    """What a guest sends, receives and tells of, wherever the indexes begin."""
    fields = daemon.page[2048:2064].cast("I")
    for place in (REQ_CONS, REQ_PROD, RSP_CONS, RSP_PROD):
        fields[place] = index
    guest = daemon.guest(lazy=name.startswith("lazy"))
    for step in DIALOGUES[name].split(", "):
        what, _, data = step.rstrip("! ").partition(" ")
        letter, _, times = data.partition("*")
        play(daemon, guest, what, letter.encode() * int(times or 1))
        assert daemon.was_notified() == step.count("!"), step


def play(daemon: Daemon, guest: RingTransport, what: str, data: bytes) -> None:
    """Do one thing, on either side of the ring."""
    if what == "say":
        daemon.say(data)
    elif what == "read":
        assert daemon.ring.read_requests(5000) == data
    elif what == "read-some":
        assert daemon.ring.read_requests(len(data)) == data
    elif what == "send":
        guest.send(data, 0)
    elif what == "receive":
        assert guest.receive(0) == data
    else:
        with pytest.raises(TimeoutError):
            guest.send(data, 0) if what == "send-in-vain" else guest.receive(0.001)


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
