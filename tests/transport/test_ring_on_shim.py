"""xsd.transport.ring on a pretended Xen: the daemon as it is on a real one.

What `test_ring` and its neighbours say is checked here once more, in outline, with
the code that talks to Xen's libraries and with another program's guests.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, final

import pytest

from tests.support.pretended import PORT_WORD
from tests.support.shimmed import PATIENCE_S, Shim, start_xsd_on_shim
from xsd.protocol.frame import encode_frame
from xsd.protocol.limits import RING_SIZE
from xsd.protocol.ops import FEATURES, Op
from xsd.protocol.ring import (
    CONNECTED,
    ERROR_NONE,
    ERROR_PROTOCOL,
    ERROR_RING_INDEX,
    RECONNECT,
)

pytestmark = pytest.mark.slow

IN, OUT = b"@introduceDomain", b"@releaseDomain"
OK, EINVAL, ENOENT, EACCES = b"OK\0", b"EINVAL\0", b"ENOENT\0", b"EACCES\0"

TOO_LONG: Final = encode_frame(Op.READ, 99, 0, b"x" * 4096)[:12] + b"\x01\x10\0\0"


@final
class Xen:
    """A daemon on a pretended Xen, with a client of dom0.

    Attributes:
        shim: The pretended Xen.
    """

    def __init__(self, shim: Shim, socket: Path) -> None:
        self.shim = shim
        self._socket = socket
        self._held = contextlib.ExitStack()
        self._dom0 = self.client()
        self._guests: list[Any] = []

    def client(self) -> Any:
        """A client of dom0."""
        return self._held.enter_context(self.shim.client(self._socket))

    def create(self, domid: int) -> Any:
        """Make a domain."""
        guest = self.shim.guest(domid)
        self._guests.append(guest)
        return guest

    def guest(self, domid: int) -> Any:
        """Make a domain and introduce it."""
        guest = self.create(domid)
        assert self.introduce(guest) == OK
        return guest

    def introduce(self, guest: Any, port: int | None = None) -> bytes:
        """INTRODUCE."""
        payload: bytes = guest.introduce(self._dom0, port=port)[1]
        return payload

    def ask(self, op: int, *words: bytes) -> bytes:
        """Make a request of dom0 and return the reply's payload."""
        return payload(self._dom0, op, *words)

    def make(self, path: bytes, *perms: bytes) -> None:
        """Make a node with these permissions."""
        assert self.ask(Op.WRITE, path) == OK
        assert self.ask(Op.SET_PERMS, path, *perms) == OK

    def is_introduced(self, domid: int) -> bool:
        """IS_DOMAIN_INTRODUCED."""
        return self.ask(Op.IS_DOMAIN_INTRODUCED, b"%d" % domid) == b"T\0"

    def watcher(self, *paths: bytes) -> Any:
        """A client of dom0 that watches paths."""
        client = self.client()
        for path in paths:
            assert client.request(Op.WATCH, path + b"\0" + path + b"\0")[1] == OK
            client.wait_event()
        return client

    def until(self, happened: Callable[[], bool]) -> None:
        """Let the daemon work until something is true."""
        deadline = time.monotonic() + PATIENCE_S
        while not happened():
            assert time.monotonic() < deadline
            self._dom0.sync()

    def end(self, guest: Any) -> None:
        """Have a domain die; that has been noticed when this returns."""
        guest.mark("dying")
        guest.virq()
        self.until(lambda: not self.is_introduced(guest.domid))

    def close(self) -> None:
        """Have the daemon forget all domains."""
        for guest in self._guests:
            guest.close()
            self.ask(Op.RELEASE, b"%d" % guest.domid)
        for name in self.ask(Op.DIRECTORY, b"/").split(b"\0")[:-1]:
            self.ask(Op.RM, b"/" + name)
        self._held.close()


def payload(client: Any, op: int, *words: bytes) -> bytes:
    """Make a request and return the reply's payload."""
    reply: bytes = client.request(op, b"".join([word + b"\0" for word in words]))[1]
    return reply


def paths(client: Any) -> list[bytes]:
    """Take the events that have come, and return their paths."""
    return [event[0] for event in client.events()]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory of a daemon."""
    directory = tmp_path_factory.mktemp("xs")
    with start_xsd_on_shim(directory):
        yield directory


@pytest.fixture
def xen(daemon: Path) -> Iterator[Xen]:
    """A daemon without guests."""
    xen = Xen(Shim(daemon / "shim"), daemon / "socket")
    yield xen
    xen.close()


def test_guest_is_served(xen: Xen) -> None:
    """Whatever the sizes of its messages, and however it cuts them."""
    guest = xen.guest(5)
    xen.make(b"/a", b"b0")
    for byte in encode_frame(Op.GET_DOMAIN_PATH, 7, 0, b"5\0"):
        guest.send(bytes([byte]))
    assert guest.receive_frame() == (Op.GET_DOMAIN_PATH, 7, 0, b"/local/domain/5\0")
    for size in (*range(100, 1100, 97), 2000):
        value = b"%d" % (size % 10) * size
        assert guest.request(Op.WRITE, b"/a\0" + value)[1] == OK
        assert guest.request(Op.READ, b"/a\0")[1] == value
    guest.send(b"".join([encode_frame(Op.READ, n, 0, b"/a\0") for n in range(15)]))

    assert [guest.receive_frame()[1:] for _ in range(15)] == [
        (number, 0, value) for number in range(15)
    ]


def test_guests_and_sockets_meet_in_one_store(xen: Xen) -> None:
    """Whoever watches is told, on whatever transport."""
    one, two = xen.guest(5), xen.guest(6)
    xen.make(b"/a", b"b0")
    watcher = xen.watcher(b"/a")
    assert payload(one, Op.WATCH, b"/a", b"t") == OK
    one.wait_event()
    assert payload(two, Op.WRITE, b"/a/b") == OK

    assert one.wait_event() == (b"/a/b", b"t")
    assert watcher.wait_event() == (b"/a/b", b"/a")


def test_introduction_empties_the_ring(xen: Xen) -> None:
    """And tells a guest that waits for it."""
    guest = xen.create(5)
    for field in range(guest.REQ_CONS, guest.RSP_PROD + 1):
        guest.words[field] = 1000 * field
    guest.words[guest.CONNECTION] = RECONNECT
    guest.words[guest.ERROR_FIELD] = ERROR_PROTOCOL
    assert xen.introduce(guest) == OK

    indexes = guest.words[guest.REQ_CONS : guest.RSP_PROD + 1].tolist()
    assert indexes == [0, 0, 0, 0]
    assert guest.state() == (FEATURES, CONNECTED, ERROR_NONE, 0)
    assert payload(guest, Op.GET_DOMAIN_PATH, b"5") == b"/local/domain/5\0"


def test_domain_that_cannot_be_connected_is_not_introduced(xen: Xen) -> None:
    """Xen does not have it, or not this event channel of it."""
    watcher = xen.watcher(IN, OUT)
    guest = xen.create(5)

    assert xen.ask(Op.INTRODUCE, b"7", b"1", b"107") == EINVAL
    assert xen.introduce(guest, 999) == EINVAL
    assert not xen.is_introduced(5)
    assert xen.introduce(guest) == OK
    assert paths(watcher) == [IN]


# Guests that break the rules.


def spoil_requests(guest: Any) -> None:
    """Pretend to have written more than there is room for."""
    guest.words[guest.REQ_PROD] = guest.words[guest.REQ_CONS] + RING_SIZE + 1
    guest.notify()


def spoil_responses(guest: Any) -> None:
    """Pretend to have read what was not sent yet, and have something sent."""
    guest.words[guest.RSP_CONS] = guest.words[guest.RSP_PROD] + 1
    guest.send(encode_frame(Op.GET_DOMAIN_PATH, 1, 0, b"5\0"))


def announce_too_much(guest: Any) -> None:
    """Send a header whose payload may not come."""
    guest.send(TOO_LONG)


@pytest.mark.parametrize(
    ("violate", "code"),
    [
        (spoil_requests, ERROR_RING_INDEX),
        (spoil_responses, ERROR_RING_INDEX),
        (announce_too_much, ERROR_PROTOCOL),
    ],
)
def test_guest_that_breaks_the_protocol_is_ignored(
    xen: Xen, violate: Callable[[Any], None], code: int
) -> None:
    """Until RELEASE or its real end; INTRODUCE is not enough."""
    watcher = xen.watcher(OUT)
    guest, other = xen.guest(5), xen.guest(6)
    payload(guest, Op.WATCH, b"/a", b"t")
    guest.wait_event()
    violate(guest)
    xen.until(lambda: guest.state()[2] == code)
    assert xen.is_introduced(5)
    assert payload(other, Op.GET_DOMAIN_PATH, b"6") == b"/local/domain/6\0"

    assert xen.introduce(guest) == OK
    assert guest.state()[2] == code
    taken = guest.words[guest.REQ_CONS]
    guest.words[guest.REQ_PROD] = taken
    guest.send(encode_frame(Op.GET_DOMAIN_PATH, 1, 0, b"5\0"))
    payload(other, Op.GET_DOMAIN_PATH, b"6")
    assert guest.words[guest.REQ_CONS] == taken
    assert paths(watcher) == []

    assert xen.ask(Op.RELEASE, b"5") == OK
    assert xen.introduce(guest) == OK
    guest.buffer.clear()
    assert payload(guest, Op.GET_DOMAIN_PATH, b"5") == b"/local/domain/5\0"
    violate(guest)
    xen.until(lambda: guest.state()[2] == code)
    xen.end(guest)
    assert paths(watcher) == [OUT, OUT]


# Beginning anew.


@pytest.mark.parametrize("by", ["the guest", "introduction"])
def test_guest_may_begin_anew(xen: Xen, by: str) -> None:
    """Watches, transactions, replies and half requests are forgotten."""
    guest = xen.guest(5)
    xen.make(b"/a", b"r0")
    payload(guest, Op.WATCH, b"/a", b"t")
    guest.wait_event()
    assert payload(guest, Op.TRANSACTION_START, b"") == b"1\0"
    guest.send(encode_frame(Op.READ, 1, 0, b"/a\0")[:17])
    if by == "introduction":
        assert xen.introduce(guest) == OK
    else:
        guest.words[guest.CONNECTION] = RECONNECT
        guest.notify()
        xen.until(lambda: guest.state()[1] == CONNECTED)

    assert guest.words[guest.REQ_CONS : guest.RSP_PROD + 1].tolist() == [0, 0, 0, 0]
    xen.ask(Op.WRITE, b"/a")
    guest.buffer.clear()
    assert guest.request(Op.READ, b"/a\0", 1)[1] == ENOENT
    assert payload(guest, Op.READ, b"/a") == b""
    assert guest.events() == []


def test_event_channel_may_change(xen: Xen) -> None:
    """INTRODUCE tells the new one; one that cannot be had leaves the old."""
    guest = xen.guest(5)
    assert xen.introduce(guest, 999) == OK
    assert payload(guest, Op.GET_DOMAIN_PATH, b"5") == b"/local/domain/5\0"

    (xen.shim.directory / "evtchn-5").write_text("300")
    assert xen.introduce(guest, 300) == OK
    guest.port = 300
    guest.buffer.clear()
    assert payload(guest, Op.GET_DOMAIN_PATH, b"5") == b"/local/domain/5\0"


def test_port_in_the_page_wins(xen: Xen) -> None:
    """At each INTRODUCE; a wrong one costs the guest that wrote it, nobody else."""
    guest = xen.create(5)
    guest.words[PORT_WORD] = 999
    assert xen.introduce(guest) == EINVAL
    assert not xen.is_introduced(5)
    guest.words[PORT_WORD] = guest.port
    assert xen.introduce(guest, 999) == OK
    assert payload(guest, Op.GET_DOMAIN_PATH, b"5") == b"/local/domain/5\0"

    (xen.shim.directory / "evtchn-5").write_text("300")
    guest.words[PORT_WORD] = 300
    assert xen.introduce(guest) == OK
    guest.port = 300
    guest.buffer.clear()
    assert payload(guest, Op.GET_DOMAIN_PATH, b"5") == b"/local/domain/5\0"


# Death.


def test_end_of_a_domain_is_told_after_its_nodes(xen: Xen) -> None:
    """In the middle of a transaction, and while events wait for it."""
    guest = xen.guest(5)
    xen.make(b"/own", b"n5")
    xen.make(b"/other", b"n0", b"b5", b"r0")
    number = int(payload(guest, Op.TRANSACTION_START, b"")[:-1])
    assert guest.request(Op.WRITE, b"/other\0v", number)[1] == OK
    payload(guest, Op.WATCH, b"/own", b"t")
    for name in range(100):
        xen.ask(Op.WRITE, b"/own/%d" % name)
    watcher = xen.watcher(b"/own", OUT)
    xen.end(guest)

    assert paths(watcher) == [b"/own", OUT]
    assert xen.ask(Op.READ, b"/other") == b""
    assert xen.ask(Op.GET_PERMS, b"/other") == b"n0\0r0\0"
    guest.mark("dying", on=False)
    assert xen.introduce(guest) == OK
    guest.buffer.clear()
    assert payload(guest, Op.READ, b"/other") == EACCES


def test_two_that_end_at_once_are_told_one_by_one(xen: Xen) -> None:
    """One of them is dying, the other one is gone."""
    one, two = xen.guest(5), xen.guest(6)
    watcher = xen.watcher(OUT)
    one.mark("dying")
    two.vanish()
    xen.end(one)

    assert not xen.is_introduced(6)
    assert paths(watcher) == [OUT, OUT]


def test_stop_and_end_are_told(xen: Xen) -> None:
    """After RESUME another stop is told again."""
    guest = xen.guest(5)
    watcher = xen.watcher(OUT)
    for _ in range(2):
        guest.mark("shutdown")
        for _ in range(3):
            guest.virq()
        assert watcher.wait_event() == (OUT, OUT)
        guest.mark("shutdown", on=False)
        assert payload(guest, Op.GET_DOMAIN_PATH, b"5") == b"/local/domain/5\0"
        assert paths(watcher) == []
        assert xen.ask(Op.RESUME, b"5") == OK
    xen.end(guest)
    assert watcher.wait_event() == (OUT, OUT)


def test_rights_of_a_domain_that_was_never_introduced_vanish(xen: Xen) -> None:
    """With its nodes; its end is nobody's business."""
    guest = xen.create(5)
    xen.make(b"/own", b"n5")
    xen.make(b"/other", b"n0", b"b5")
    watcher = xen.watcher(b"/own", OUT)
    guest.mark("dying")
    guest.virq()

    assert watcher.wait_event() == (b"/own", b"/own")
    assert xen.ask(Op.GET_PERMS, b"/other") == b"n0\0"
    assert paths(watcher) == []


def test_own_kernel_is_served_without_an_introduction(xen: Xen) -> None:
    """With all rights."""
    kernel = xen.shim.kernel()
    try:
        kernel.notify()
        assert payload(kernel, Op.WRITE, b"/a") == OK
        assert payload(kernel, Op.SET_PERMS, b"/a", b"n0") == OK
        assert xen.ask(Op.READ, b"/a") == b""
    finally:
        # Its own `close` would take the daemon's ring away.
        os.close(kernel.kick)
        kernel.words.release()
        kernel.map.close()
