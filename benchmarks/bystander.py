"""How long a client of dom0 waits while other clients of dom0 ask for much.

    python -m benchmarks.bystander [--seconds S] [--runs N] [--only NAME]

Beside clients that keep their sockets full of requests, beside many that connect, ask
once and go, and beside many that send a byte at a time. It asks an idle daemon in turn,
which shows what the machine adds: best of several runs by the 99th percentile. Printed
is also how much the others got done in a second.
"""

import argparse
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.soak.bystander import Bystander, Seen
from tests.support.daemons import start_xsd
from tests.support.processes import prefer
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op

PATH: Final = b"/bystanders/node\0"
REQUEST: Final = encode_frame(Op.WRITE, 1, 0, PATH + b"v")
REPLY: Final = len(encode_frame(Op.WRITE, 1, 0, b"OK\0"))
DEEP: Final = 2000
"""Requests that a client has under way which keeps its socket full."""

CONNECTS: Final = 4000
SENDERS: Final = 500
BYTES: Final = 25_000
"""In a second; of all slow senders together."""

LOADS: Final = {
    "nobody": (),
    "1 that pipelines": ("pipeline 2000",),
    "3 that pipeline": ("pipeline 2000",) * 3,
    "10 that pipeline": ("pipeline 2000",) * 10,
    "3 that pipeline 64": ("pipeline 64",) * 3,
    "4,000 connects/s": ("connect",),
    "500 slow senders": ("slow",),
    "all of these": (*("pipeline 2000",) * 3, "connect", "slow"),
}


def pipeline(path: str, depth: int, end: float) -> int:
    """Keep so many requests under way."""
    answered, buffer = 0, b""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        sock.setblocking(False)
        room, left = depth, b""
        while time.monotonic() < end:
            if not left and room:
                left, room = REQUEST * room, 0
            readable, writable, _ = select.select([sock], [sock] if left else [], [], 1)
            if writable:
                left = left[sock.send(left) :]
            if readable:
                buffer += sock.recv(65536)
                done = len(buffer) // REPLY
                buffer = buffer[done * REPLY :]
                answered += done
                room += done
    return answered


def connect(path: str, end: float) -> int:
    """Connect, ask once and go, so many times a second."""
    count, begin = 0, time.monotonic()
    open_ones: deque[socket.socket] = deque()
    while (now := time.monotonic()) < end:
        if count > (now - begin) * CONNECTS:
            time.sleep(0.001)
            continue
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(path)
        sock.sendall(REQUEST)
        open_ones.append(sock)
        count += 1
        if len(open_ones) > 100:
            with open_ones.popleft() as oldest:
                oldest.recv(64)
    return count


def slow(path: str, end: float) -> int:
    """Send requests a byte at a time, on many connections in turn."""
    socks = []
    for _ in range(SENDERS):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(path)
        socks.append(sock)
    count, begin = 0, time.monotonic()
    while (now := time.monotonic()) < end:
        if count > (now - begin) * BYTES:
            time.sleep(0.001)
            continue
        at = count // SENDERS % len(REQUEST)
        for sock in socks:
            sock.send(REQUEST[at : at + 1])
            if at == len(REQUEST) - 1:
                sock.recv(64)
        count += SENDERS
    return count


def load(path: str, words: str, seconds: float) -> None:
    """Be one of the others, and print how much was done in a second."""
    os.nice(5)
    kind, *more = words.split()
    end = time.monotonic() + seconds
    if kind == "pipeline":
        count = pipeline(path, int(more[0]), end)
    else:
        count = (connect if kind == "connect" else slow)(path, end)
    print(round(count / seconds))


def measure(path: str, idle: str, loads: tuple[str, ...], seconds: float) -> list[str]:
    """Measure once; return what there is to say, the 99th percentile first."""
    command = [sys.executable, "-m", "benchmarks.bystander", "--socket", path]
    with Bystander(path, idle) as bystander, ExitStack() as held:
        others = [
            held.enter_context(
                subprocess.Popen(  # noqa: S603  this very module
                    [*command, "--load", words, "--seconds", str(seconds + 1)],
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for words in loads
        ]
        time.sleep(0.7)
        bystander.take()
        time.sleep(seconds)
        seen: Seen = bystander.take()
        rates = [other.communicate()[0].strip() for other in others]
    return [f"{seen.busy.p99:.6f}", f"{seen.busy}; idle: {seen.idle}", " ".join(rates)]


def main() -> None:
    """Measure one load after the other."""
    parser = argparse.ArgumentParser(description="A bystander of busy clients.")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--load", help=argparse.SUPPRESS)
    parser.add_argument("--socket", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.load:
        load(arguments.socket, arguments.load, arguments.seconds)
        return
    with ExitStack() as held:
        paths = []
        for _ in range(2):
            directory = held.enter_context(tempfile.TemporaryDirectory(prefix="xs"))
            daemon = held.enter_context(start_xsd(Path(directory)))
            prefer(daemon.pid)
            paths.append(str(daemon.socket))
        for name, loads in LOADS.items():
            if arguments.only in name:
                found = [
                    measure(paths[0], paths[1], loads, arguments.seconds)
                    for _ in range(arguments.runs)
                ]
                _, text, rates = min(found)
                print(f"{name:20} {text}; others: {rates or '-'} /s", flush=True)


if __name__ == "__main__":
    main()
