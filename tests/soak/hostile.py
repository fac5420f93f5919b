"""A hostile guest: what a guest can do with its page, at random and again and again.

    python -m tests.soak.hostile SOCKET DOMID SEED STEPS SECONDS

Ends after so many steps or seconds, whichever is not 0, and prints how often it did
what. It is a process of its own, so the daemon reads the page while it changes.
"""

import json
import os
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Final, Self, final

from tests.bounds.attacks import KINDS, PLACES, requests_of
from tests.fuzz.generate import Fuzzer
from tests.soak.attacks import ATTACKS, interleaved
from tests.support.homes import welcome
from xsd.client import Client, DisconnectedError
from xsd.protocol import ring
from xsd.protocol.errors import XenStoreError
from xsd.protocol.frame import encode_frame
from xsd.protocol.limits import PAYLOAD_MAX, RING_SIZE
from xsd.protocol.ops import Op
from xsd.protocol.ring import CONNECTION, RECONNECT, RingError
from xsd.testing import Guest, PretendedHost

TIMEOUT_S: Final = 0.5
"""Seconds that the guest waits for room or a reply; then it dies and comes back."""

REST_S: Final = 6.0
"""The same while it attacks, if there is time: it may have to rest meanwhile."""

ATTACK_S: Final = 15.0
"""Seconds after which it does something else."""

PATIENCE_S: Final = 60.0
"""Seconds in which everybody else must have every answer, whatever others do."""

PIECE: Final = 16 * RING_SIZE
"""Bytes that it sends before it looks at what was answered."""

PUBLIC: Final = (b"/a", b"/d", b"/w", b"/shared")
"""Nodes that every guest may read and write."""

_MASK: Final = 0xFFFFFFFF
_INDEXES: Final = (ring.REQ_CONS, ring.REQ_PROD, ring.RSP_CONS, ring.RSP_PROD)
_IDS: Final = range(1, 12)


def frames(op: Op, payloads: list[bytes]) -> bytes:
    return b"".join(encode_frame(op, 1, 0, payload) for payload in payloads)


@final
class Hostile:
    """The guest, and the toolstack that has to make it again when it has died."""

    def __init__(self, socket: str, domid: int, seed: int, seconds: float) -> None:
        self.done: Counter[str] = Counter()
        self.end = time.monotonic() + seconds
        self._in_time = seconds > 0
        self._domid = domid
        self._random = Random(seed)  # noqa: S311  nothing secret
        self._fuzzer = Fuzzer(seed)
        self._dom0 = Client(socket, timeout=PATIENCE_S)
        self._host = PretendedHost(f"{socket}.hypervisor", timeout=PATIENCE_S)
        self._guest = self._born()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._die()
        self._host.close()
        self._dom0.close()

    def step(self) -> None:
        name = self._random.choices(list(ACTS), list(ACTS.values()))[0]
        act: Callable[[], None] = getattr(self, name)
        self.done[name] += 1
        try:
            act()
        except (DisconnectedError, RingError, TimeoutError) as error:
            self.done[type(error).__name__] += 1
            self.reborn()

    # Life and death

    def _born(self, timeout: float = TIMEOUT_S) -> Guest:
        guest = self._host.create(
            self._domid, lazy=self._fuzzer.chance(50), timeout=timeout
        )
        welcome(self._dom0, self._domid, guest.port)
        return guest

    def _die(self) -> None:
        self._host.kill(self._domid)
        self._guest.close()

    def reborn(self, timeout: float = TIMEOUT_S) -> None:
        """Be another domain of the same number, with a clean ring."""
        self._die()
        self._guest = self._born(timeout)

    def introduced_again(self) -> None:
        self._dom0.introduce(self._domid, 1, self._guest.port)

    # What breaks the protocol

    def index_jumps(self) -> None:
        """Move an index to where the guest should not."""
        fields = self._guest.fields
        field = self._random.choice(_INDEXES)
        steps = (RING_SIZE, RING_SIZE + 1, -1, 1, self._random.getrandbits(32))
        fields[field] = (fields[field] + self._random.choice(steps)) & _MASK
        self._guest.notify()

    def index_race(self) -> None:
        """Have a thread change an index to and fro while the daemon is at work."""
        fields = self._guest.fields
        field = self._random.choice(_INDEXES)
        flips = self._random.choice((RING_SIZE, RING_SIZE + 1, self._fuzzer.below(99)))

        def flip() -> None:
            for _ in range(3000):
                fields[field] = (fields[field] + flips) & _MASK
                fields[field] = (fields[field] - flips) & _MASK

        thread = threading.Thread(target=flip)
        thread.start()
        try:
            for _ in range(20):
                self._guest.send_bytes(self._fuzzer.frames(10, _IDS))
        finally:
            thread.join()

    def torn_frame(self) -> None:
        """Begin a frame and go on with something else, or with nothing."""
        frame = self._fuzzer.frames(1, _IDS)
        self._put(frame[: self._fuzzer.below(len(frame))])
        if self._fuzzer.chance(50):
            self._put(self._fuzzer.noise(self._fuzzer.below(200)))
        if self._fuzzer.chance(50):
            self.reconnect()

    def oversized_frame(self) -> None:
        size = self._random.choice((PAYLOAD_MAX + 1, 1 << 31, _MASK))
        self._put(struct.pack("=IIII", Op.WRITE, 1, 0, size) + b"x" * 64)

    def noise(self) -> None:
        self._guest.send_bytes(self._fuzzer.noise(3 * RING_SIZE))

    def reconnect(self) -> None:
        self._guest.fields[CONNECTION] = RECONNECT
        self._guest.notify()

    def notifications(self) -> None:
        for _ in range(500):
            self._guest.notify()

    # What asks for too much

    def flood(self) -> None:
        self._guest.send_bytes(self._fuzzer.frames(300, _IDS))
        self._guest.receive_bytes()

    def deaf(self) -> None:
        """Ask and read nothing, while others and oneself cause events."""
        self._put(frames(Op.WATCH, [path + b"\0t\0" for path in PUBLIC]))
        for _ in range(30):
            self._put(self._fuzzer.frames(10, _IDS))
        if self._fuzzer.chance(50):
            self.reconnect()

    def writes(self) -> None:
        node = b"/shared/%d\0" % self._fuzzer.below(4)
        self._guest.send_bytes(frames(Op.WRITE, [node + b"%d" % n for n in range(300)]))

    def many_nodes(self) -> None:
        if self._fuzzer.chance(50):
            paths = [b"n/%d\0" % number for number in range(1100)]
        else:
            paths = [
                b"/".join([b"d"] * depth) + b"\0"
                for depth in (self._random.randrange(900, 1025), 1000, 200)
            ]
        self._guest.send_bytes(frames(self._random.choice((Op.WRITE, Op.MKDIR)), paths))
        self._guest.send_bytes(frames(Op.RM, [b"n\0", b"d\0"]))

    def many_watches(self) -> None:
        """Set more watches than the quota allows, some on paths of 1,000 levels."""
        deep = b"/w" * 1000
        watches = [deep + b"/%d\0t\0" % number for number in range(20)]
        watches += [b"n\0%d\0" % number for number in range(130)]
        self._guest.send_bytes(frames(Op.WATCH, watches))

    def large_values(self) -> None:
        sizes = (2000, 2047, 2048, 2049, PAYLOAD_MAX - 2)
        self._guest.send_bytes(
            frames(Op.WRITE, [b"v\0" + b"x" * size for size in sizes])
        )
        entries = [b"v\0n%d\0" % self._domid + b"r9\0" * more for more in (3, 4, 5, 99)]
        self._guest.send_bytes(frames(Op.SET_PERMS, entries))

    def many_transactions(self) -> None:
        """Open more than the quota allows and rewrite everything in between."""
        writes = frames(Op.WRITE, [b"t/%d\0%d" % (n, n) for n in range(40)])
        for _ in range(12):
            self._guest.send_bytes(frames(Op.TRANSACTION_START, [b"\0"]) + writes)

    def repeats(self) -> None:
        """Ask for one thing at one kind of place, in a transaction if it is there."""
        kind = self._random.choice(list(KINDS))
        place = self._random.choice(list(PLACES))
        tx = self._random.choice((0, self._fuzzer.below(20)))
        self._guest.send_bytes(frames(Op.TRANSACTION_START, [b"\0"]))
        for number in range(self._fuzzer.below(8)):
            for op, payload in requests_of(kind, place, number):
                self._guest.send_bytes(encode_frame(op, 1, tx, payload))

    def large_transaction(self) -> None:
        """Depend on more nodes than a transaction may, and commit what there is."""
        self.reborn()
        with suppress(XenStoreError), self._guest.transaction() as transaction:
            for number in range(self._random.choice((100, 1100))):
                with suppress(XenStoreError):
                    transaction.write(b"big/%d" % number, b"x" * 100)

    def attack(self) -> None:
        self._attack(1)

    def attacks(self) -> None:
        self._attack(self._random.choice((2, 3)))

    def _attack(self, count: int) -> None:
        """Be a new domain that does one thing that is much work, or several at once."""
        self.reborn(REST_S if self._in_time else TIMEOUT_S)
        chosen = self._random.sample(ATTACKS, count)
        self.done.update(each.__name__ for each in chosen)
        made = [each(self._random) for each in chosen]
        data = interleaved(self._random, made)
        deadline = time.monotonic() + ATTACK_S
        if self._in_time:
            deadline = min(deadline, self.end)
        for at in range(0, len(data), PIECE):
            if time.monotonic() > deadline:
                break
            self._guest.send_bytes(data[at : at + PIECE])
            self._guest.receive_bytes()

    def _put(self, data: bytes) -> None:
        """Write what there is room for; read nothing and wait for nothing."""
        for _ in range(4):
            data = data[self._guest.ring.write_requests(data) :]
            self._guest.notify()


ACTS: Final = {
    **dict.fromkeys(("flood", "writes"), 20),
    "deaf": 10,
    **dict.fromkeys(("index_jumps", "index_race", "torn_frame", "reconnect"), 6),
    "reborn": 6,
    **dict.fromkeys(("many_nodes", "many_watches", "many_transactions"), 4),
    "large_values": 4,
    **dict.fromkeys(("introduced_again", "notifications"), 3),
    "repeats": 4,
    **dict.fromkeys(("large_transaction", "oversized_frame", "noise"), 2),
    **dict.fromkeys(("attack", "attacks"), 8),
}
"""What it does, and how often in a hundred times or so."""


def main(socket: str, domid: str, seed: str, steps: str, seconds: str) -> None:
    # A guest has processors of its own; it must not take those of anybody here.
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    left = int(steps)
    with Hostile(socket, int(domid), int(seed), float(seconds)) as hostile:
        while left or time.monotonic() < hostile.end:
            hostile.step()
            left -= bool(left)
        print(json.dumps(hostile.done))


if __name__ == "__main__":
    main(*sys.argv[1:])
