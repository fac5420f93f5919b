"""Guests on rings that know what they have been told, while the daemon is killed.

A guest has many requests under way at once, cut anywhere, and expects each reply once,
whole and in order. Each shows one of what is guaranteed: a fault begins with its name.
"""

import random
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Final, final

from tests.peers.domu import ClosedError, DomU
from tests.support.daemons import PATIENCE_S
from tests.takeover.moving import client
from xsd.client import Client
from xsd.protocol.frame import Frame, FrameDecoder, encode_frame
from xsd.protocol.limits import RING_SIZE
from xsd.protocol.ops import Op
from xsd.protocol.ring import Ring

GUESTS: Final = 5
FIRST: Final = 11
"""The first one's domid."""

DURABLE: Final = "Durable"
"""What was acknowledged is there."""

ISOLATED: Final = "Isolated"
"""Nothing of a transaction is there that was not committed."""

NO_HANG: Final = "NoHang"
"""Each request is answered."""

NO_DOUBLE_APPLY: Final = "NoDoubleApply"
"""No request is carried out twice, or answered twice."""

WATCHES_KEPT: Final = "WatchesKept"
"""A watch that was set is told of what happens."""

TRANSACTIONS_KEPT: Final = "TransactionsKept"
"""A transaction that was begun goes on."""

LONG: Final = 1500
"""Bytes of a value that no ring holds."""

_WATCH_EVERY: Final = 4
_PAUSE_S: Final = 0.01


class Fault(Exception):  # noqa: N818  it is one of the daemon's
    """What is guaranteed does not hold."""


@final
class RingGuest:
    """A guest that counts in its home.

    Attributes:
        count: Rounds that were acknowledged.
        faults: What was not as it has to be.
    """

    def __init__(self, socket: Path, shim: Path, domid: int) -> None:
        """Make the domain, have it introduced, and begin."""
        self._socket = str(socket)
        self._domain = DomU(shim, domid)
        self._ring = Ring(memoryview(self._domain.map))
        self._home = b"/local/domain/%d" % domid
        dom0 = client(socket)
        dom0.ok(Op.INTRODUCE, b"%d\0%d\0%d\0" % (domid, 1, self._domain.port))
        dom0.make(self._home, b"n%d" % domid)
        dom0.close()
        self._draw = random.Random(domid)  # noqa: S311  no secret
        self._decoder = FrameDecoder()
        self._expected: deque[tuple[Frame, str]] = deque()
        self._events = 0
        self._last = 0
        self._transaction = 0
        self.count = 0
        self.faults: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Count no further."""
        self._stop.set()
        self._thread.join(4 * PATIENCE_S)
        if self._thread.is_alive():
            self.faults.append(f"{NO_HANG}: it does not end")

    def close(self) -> None:
        """End the domain; nothing follows it any more."""
        self._ring.release()
        self._domain.close()

    def _run(self) -> None:
        try:
            self._begin()
            while not self._stop.is_set():
                self._round()
                if self.count % _WATCH_EVERY == 0:
                    self._be_told()
        except Exception as error:  # noqa: BLE001  whatever it is
            self.faults.append(f"{self._home.decode()}: {error}")

    def _begin(self) -> None:
        """Make what the first round goes on with."""
        self._exchange(
            [
                self._ask(Op.WRITE, b"count\0000", b"OK\0", DURABLE),
                self._ask(Op.WRITE, b"kept\0000", b"OK\0", DURABLE),
                self._ask(Op.WATCH, b"told\0token\0", b"OK\0", WATCHES_KEPT),
                *self._keep(1),
            ]
        )

    def _keep(self, number: int) -> list[bytes]:
        """Begin a transaction that is committed in the next round."""
        self._transaction += 1
        tx = self._transaction
        return [
            self._ask(Op.TRANSACTION_START, b"\0", b"%d\0" % tx, NO_DOUBLE_APPLY),
            self._ask(Op.WRITE, b"kept\0%d" % number, b"OK\0", TRANSACTIONS_KEPT, tx),
        ]

    def _round(self) -> None:
        """Count, with all requests under way at once."""
        before, after = b"%d" % self.count, b"%d" % (self.count + 1)
        long = after * (LONG // len(after))
        kept = self._transaction
        self._transaction += 1
        tx = self._transaction
        ask = self._ask
        asked = [
            ask(Op.READ, b"count\0", before, DURABLE),
            ask(Op.TRANSACTION_START, b"\0", b"%d\0" % tx, NO_DOUBLE_APPLY),
            ask(Op.READ, b"count\0", before, ISOLATED, tx),
            ask(Op.WRITE, b"count\0" + after, b"OK\0", TRANSACTIONS_KEPT, tx),
            ask(Op.READ, b"count\0", before, ISOLATED),
            ask(Op.WRITE, b"long\0" + long, b"OK\0", DURABLE),
            ask(Op.READ, b"long\0", long, DURABLE),
            ask(Op.READ, b"kept\0", before, ISOLATED),
            ask(Op.TRANSACTION_END, b"T\0", b"OK\0", TRANSACTIONS_KEPT, kept),
            ask(Op.READ, b"kept\0", after, DURABLE),
            ask(Op.TRANSACTION_END, b"T\0", b"OK\0", NO_DOUBLE_APPLY, tx),
            ask(Op.READ, b"count\0", after, DURABLE),
            *self._keep(self.count + 2),
        ]
        self._exchange(asked)
        self.count += 1
        # Else the test would be about how fast a long journal is read.
        time.sleep(_PAUSE_S)

    def _be_told(self) -> None:
        """Have dom0 write where it watches, and wait for the event."""
        seen = self._events
        deadline = time.monotonic() + PATIENCE_S
        path = self._home + b"/told"
        while True:
            try:
                with Client(self._socket, timeout=PATIENCE_S) as dom0:
                    dom0.write(path, b"%d" % self.count)
                break
            except OSError:
                # There is none just now, or it went in the middle of this.
                time.sleep(_PAUSE_S)
        while self._events == seen:
            self._read()
            if time.monotonic() > deadline:
                raise Fault(f"{WATCHES_KEPT}: no event")

    def _ask(
        self, op: int, payload: bytes, answer: bytes, shows: str, tx: int = 0
    ) -> bytes:
        """A request, with the reply that is expected and what that shows."""
        self._last += 1
        number = self._last
        (reply,) = FrameDecoder().feed(encode_frame(op, number, tx, answer))
        self._expected.append((reply, shows))
        return encode_frame(op, number, tx, payload)

    def _exchange(self, asked: list[bytes]) -> None:
        """Send requests, and read until all are answered; sometimes late."""
        data = b"".join(asked)
        deadline = time.monotonic() + PATIENCE_S
        while data or self._expected:
            size = self._draw.randint(1, RING_SIZE)
            data = data[self._ring.write_requests(data[:size]) :]
            self._notify()
            if not data or self._draw.random() < 0.5:
                self._read()
            if time.monotonic() > deadline:
                _reply, shows = self._expected[0]
                raise Fault(f"{NO_HANG}: no reply that shows {shows}")

    def _read(self) -> None:
        """Take some of what has come."""
        data = self._ring.read_responses(self._draw.randint(1, RING_SIZE))
        if not data:
            time.sleep(0.001)
            return
        self._notify()
        for frame in self._decoder.feed(data):
            if frame.op == Op.WATCH_EVENT:
                self._events += 1
                continue
            if not self._expected:
                raise Fault(f"{NO_DOUBLE_APPLY}: {frame} was not asked for")
            expected, shows = self._expected.popleft()
            if frame != expected:
                raise Fault(f"{shows}: {frame} in the place of {expected}")

    def _notify(self) -> None:
        # Whoever begins to serve the ring looks at it.
        with suppress(ClosedError, BrokenPipeError):
            self._domain.notify()


def begin(socket: Path, shim: Path) -> list[RingGuest]:
    """Five guests that count."""
    return [RingGuest(socket, shim, FIRST + number) for number in range(GUESTS)]
