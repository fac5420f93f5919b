"""Somebody who asks a daemon and an idle one in turn, and takes the time of each.

    python -m tests.soak.bystander SOCKET IDLE

does so until its standard input ends; a line there has it begin anew, after printing
what it has measured so far: one line of JSON with the seconds of each round trip, first
those of SOCKET, then those of IDLE. What the machine adds is in both.
"""

import json
import select
import socket
import subprocess
import sys
import time
from contextlib import suppress
from statistics import quantiles
from typing import Final, NamedTuple, Self, final

from tests.support.daemons import CHECKOUT, environment
from tests.support.processes import prefer
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op

PAUSE_S: Final = 0.002
"""Seconds between two turns: it asks for little, as bystanders do."""

PATIENCE_S: Final = 60.0

_READ: Final = encode_frame(Op.GET_DOMAIN_PATH, 1, 0, b"0\0")
_REPLY: Final = encode_frame(Op.GET_DOMAIN_PATH, 1, 0, b"/local/domain/0\0")


class Times(NamedTuple):
    """Round trips in seconds: half of them, 99 of 100 and all take no longer."""

    half: float
    p99: float
    worst: float

    def __str__(self) -> str:
        half, p99, worst = (1000 * each for each in self)
        return f"p50 {half:.2f}, p99 {p99:.2f}, worst {worst:.2f} ms"


class Seen(NamedTuple):
    """What a bystander has measured, and what it would have without any load."""

    busy: Times
    idle: Times


def times(taken: list[float]) -> Times:
    """Sum round trips up."""
    cuts = quantiles(taken, n=100)
    return Times(cuts[49], cuts[98], max(taken))


@final
class Bystander:
    """A process that measures meanwhile."""

    def __init__(self, busy: str, idle: str) -> None:
        """Have it begin."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.bystander", busy, idle],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=CHECKOUT,
            env=environment(),
        )
        self.take()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        with suppress(BrokenPipeError):
            self._process.communicate()

    def take(self) -> Seen:
        """Return what has been measured since the last time."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        busy, idle = json.loads(self._process.stdout.readline())
        return Seen(times(busy), times(idle))


def _ask(sock: socket.socket) -> float:
    begin = time.perf_counter()
    sock.sendall(_READ)
    reply = b""
    while len(reply) < len(_REPLY):
        more = sock.recv(len(_REPLY) - len(reply))
        if not more:
            raise ConnectionError("the daemon is gone")
        reply += more
    taken = time.perf_counter() - begin
    if reply != _REPLY:
        raise AssertionError(reply)
    return taken


def main(*paths: str) -> None:
    """Measure until the standard input ends."""
    prefer(0)
    socks = []
    for path in paths:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE_S)
        sock.connect(path)
        socks.append(sock)
    taken: list[list[float]] = [[] for _ in socks]
    for _ in range(4):
        for sock in socks:
            _ask(sock)
    while True:
        for index, sock in enumerate(socks):
            taken[index].append(_ask(sock))
        if select.select([sys.stdin], [], [], PAUSE_S)[0] and len(taken[0]) > 1:
            if not sys.stdin.readline():
                return
            print(json.dumps(taken), flush=True)
            taken = [[] for _ in socks]


if __name__ == "__main__":
    main(*sys.argv[1:])
