"""How clients get on that all change the same node without pause.

    python -m benchmarks.contention [--clients N] [--seconds S] SOCKET...

Each reads a number, writes the next one and commits, in a transaction, and tries again
at once on EAGAIN. Printed is how often they commit, and what the unluckiest has met.
"""

import argparse
import selectors
import socket
import time
from collections.abc import Generator
from typing import Final, final

from xsd.client import Client
from xsd.protocol.frame import FrameDecoder, encode_frame
from xsd.protocol.ops import Op
from xsd.protocol.reply import OK

KEY: Final = b"/contention"

Request = tuple[Op, bytes, int]


@final
class Contender:
    """One client.

    Attributes:
        connected: Its socket.
        attempts: What each commit has needed.
        waits: How many seconds each has taken.
        failed: Attempts since the last one.
    """

    def __init__(self, path: str) -> None:
        self.connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.connected.connect(path)
        self.attempts: list[int] = []
        self.waits: list[float] = []
        self.failed = 0
        self.begun = time.monotonic()
        self._decoder = FrameDecoder()
        self._requests = self._count()
        self._ask(next(self._requests))

    def go_on(self) -> None:
        """Take what has come, and ask for the next thing."""
        for frame in self._decoder.feed(self.connected.recv(4096)):
            self._ask(self._requests.send(frame.payload))

    def _ask(self, request: Request) -> None:
        op, payload, tx_id = request
        self.connected.sendall(encode_frame(op, 1, tx_id, payload))

    def _count(self) -> Generator[Request, bytes]:
        while True:
            tx_id = int((yield Op.TRANSACTION_START, b"\0", 0).rstrip(b"\0"))
            number = int((yield Op.READ, KEY + b"\0", tx_id))
            yield Op.WRITE, KEY + b"\0%d" % (number + 1), tx_id
            self.failed += 1
            if (yield Op.TRANSACTION_END, b"T\0", tx_id) == OK:
                now = time.monotonic()
                self.attempts.append(self.failed)
                self.waits.append(now - self.begun)
                self.failed, self.begun = 0, now


def measure(path: str, count: int, seconds: float) -> str:
    """Have so many contend for so long; return what to say of it."""
    with Client(path) as client, selectors.DefaultSelector() as selector:
        client.write(KEY, b"0")
        contenders = [Contender(path) for _ in range(count)]
        for each in contenders:
            selector.register(each.connected, selectors.EVENT_READ, each)
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            for key, _mask in selector.select(1):
                key.data.go_on()
        for each in contenders:
            each.connected.close()
        commits = sum(len(each.attempts) for each in contenders)
        failed = sum(sum(each.attempts) + each.failed for each in contenders) - commits
        worst = max(max([*each.attempts, each.failed]) for each in contenders)
        waited = max(max([*each.waits, now - each.begun]) for each in contenders)
        text = f"{count} clients: {commits / seconds:.0f} commits a second"
        text += f", {100 * failed / max(commits + failed, 1):.1f} % EAGAIN"
        text += f"; at most {worst} attempts, {1000 * waited:.0f} ms until a commit"
        client.rm(KEY)
    return text


def main() -> None:
    """Measure daemons one after the other."""
    parser = argparse.ArgumentParser(description="Transactions at one node.")
    parser.add_argument("sockets", nargs="+", metavar="SOCKET")
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    for path in arguments.sockets:
        said = measure(path, arguments.clients, arguments.seconds)
        print(f"{path}: {said}", flush=True)


if __name__ == "__main__":
    main()
