"""How long a transaction takes to commit while somebody writes into all it reads.

    python -m benchmarks.starvation [--seconds S] [--guest] SOCKET...

A client of dom0 reads 20 nodes and writes one of them in a transaction, tries again at
once on EAGAIN, and begins anew when it has committed. A second one writes those nodes,
many requests at a time and without pause; with --guest it is a guest on the ring of a
pretended domain, which only our daemon has. Printed is what each commit has cost.
"""

import argparse
import contextlib
import select
import socket
import subprocess
import sys
import threading
import time
from statistics import median
from typing import Final

from xsd.client import Client
from xsd.protocol.errors import Errno, XenStoreError
from xsd.protocol.frame import FrameDecoder, encode_frame
from xsd.protocol.ops import Op
from xsd.testing import PretendedHost

NODES: Final = tuple(b"/starvation/%d" % number for number in range(20))
DOMID: Final = 99
BATCH: Final = b"".join(
    encode_frame(Op.WRITE, 1, 0, path + b"\0value") for path in NODES * 10
)
PIPELINE: Final = 20 * BATCH
"""More than a socket holds, so that the daemon finds more whenever it looks."""

TIMEOUT_S: Final = 60.0


def write_on_socket(path: str, stop: threading.Event) -> int:
    """Write without pause; return how many writes were answered."""
    replies = FrameDecoder()
    answered = 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connected:
        connected.connect(path)
        connected.setblocking(False)
        left = memoryview(PIPELINE)
        while not stop.is_set():
            readable, writable, _ = select.select([connected], [connected], [], 1)
            with contextlib.suppress(BlockingIOError):
                if readable:
                    answered += len(replies.feed(connected.recv(65536)))
                if writable:
                    left = left or memoryview(PIPELINE)
                    left = left[connected.send(left) :]
    return answered


def write_on_ring(path: str, stop: threading.Event) -> int:
    """Do the same as a guest."""
    replies = FrameDecoder()
    answered = 0
    with (
        PretendedHost(f"{path}.hypervisor") as host,
        Client(path, timeout=TIMEOUT_S) as dom0,
        host.create(DOMID, timeout=TIMEOUT_S) as guest,
    ):
        for node in NODES:
            dom0.set_permissions(node, [b"n0", b"b%d" % DOMID])
        dom0.introduce(DOMID, 1, guest.port)
        while not stop.is_set():
            guest.send_bytes(BATCH)
            answered += len(replies.feed(guest.receive_bytes()))
        host.kill(DOMID)
    return answered


def write(path: str, *, guest: bool) -> None:
    """Write until the standard input ends, and print writes in a second."""
    stop = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        stop.set()

    threading.Thread(target=wait, daemon=True).start()
    begin = time.monotonic()
    answered = (write_on_ring if guest else write_on_socket)(path, stop)
    print(round(answered / (time.monotonic() - begin)))


def commits(client: Client) -> bool:
    """Make the transaction once; tell whether it has committed."""
    try:
        with client.transaction() as transaction:
            for node in NODES:
                transaction.read(node)
            transaction.write(NODES[0], b"mine")
    except XenStoreError as error:
        if error.errno != Errno.EAGAIN:
            raise
        return False
    return True


def measure(path: str, seconds: float, *, guest: bool) -> str:
    """Commit for so long against a writer; return what to say of it."""
    conflicts: list[int] = []
    times: list[float] = []
    with Client(path, timeout=TIMEOUT_S) as client:
        for node in NODES:
            client.write(node, b"")
        words = ["--write", path, *(["--guest"] if guest else [])]
        with subprocess.Popen(  # noqa: S603  this very module
            [sys.executable, "-m", "benchmarks.starvation", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as writer:
            client.watch(NODES[0], "token")
            client.next_event()
            client.next_event(TIMEOUT_S)  # the writer has begun
            client.reset_watches()
            failed, begin = 0, time.monotonic()
            end = begin + seconds
            while (now := time.monotonic()) < end:
                if commits(client):
                    conflicts.append(failed)
                    times.append((time.monotonic() - begin) * 1000)
                    failed, begin = 0, time.monotonic()
                else:
                    failed += 1
            rate = writer.communicate()[0].strip()
        client.rm("/starvation")
    text = f"{len(times)} commits in {seconds:.0f} s against {rate} writes a second"
    if times:
        text += (
            f", {sum(count > 0 for count in conflicts)} of them not at once;"
            f" EAGAIN median {median(conflicts):.0f}, max {max(conflicts)};"
            f" until commit median {median(times):.1f} ms, max {max(times):.1f} ms"
        )
    if failed:
        text += f"; not committed yet after {failed} EAGAIN, {now - begin:.1f} s"
    return text


def main() -> None:
    """Measure daemons one after the other."""
    parser = argparse.ArgumentParser(description="Transactions against a writer.")
    parser.add_argument("sockets", nargs="+", metavar="SOCKET")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--guest", action="store_true", help="the writer is a guest")
    parser.add_argument("--write", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    for path in arguments.sockets:
        if arguments.write:
            write(path, guest=arguments.guest)
        else:
            said = measure(path, arguments.seconds, guest=arguments.guest)
            print(f"{path}: {said}", flush=True)


if __name__ == "__main__":
    main()
