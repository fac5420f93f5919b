"""The daemon when memory, descriptors or the disk run out, and when nobody reads.

It neither spins nor fills the log, and SIGTERM ends it.
"""

import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import pytest

from tests.support.processes import Place, descriptors, memory, wait_until
from xsd.protocol.frame import encode_frame
from xsd.protocol.ops import Op

pytestmark = pytest.mark.slow

MIB: Final = 1024 * 1024
WATCHED_S: Final = 2.0
END_MAX_S: Final = 5.0
"""Longer than the second that is promised: the machine may be busy."""

LOG_MAX: Final = 64 * 1024

Process = subprocess.Popen[bytes]


def load(process: Process) -> float:
    """What part of a processor a process takes while nobody asks for anything."""

    def used_s() -> float:
        text = Path(f"/proc/{process.pid}/stat").read_text()
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before, begun = used_s(), time.monotonic()
    time.sleep(WATCHED_S)
    return (used_s() - before) / (time.monotonic() - begun)


def ends(process: Process) -> int:
    """End a daemon; its exit code."""
    process.send_signal(signal.SIGTERM)
    return process.wait(END_MAX_S)


@pytest.fixture
def clients(place: Place) -> Iterator[Callable[[], socket.socket]]:
    """Makes clients that are connected, if not accepted."""
    with ExitStack() as held:

        def connect() -> socket.socket:
            client = held.enter_context(socket.socket(socket.AF_UNIX))
            client.settimeout(5)
            client.connect(str(place.socket))
            return client

        yield connect


def test_without_memory(place: Place, clients: Callable[[], socket.socket]) -> None:
    """Requests fail, or those who make them are cut off, thousands of times.

    As soon as there is memory again, everybody is served.
    """
    process = place.start("--hypervisor", "emulated", PYTHONFAULTHANDLER="1")
    old = resource.prlimit(process.pid, resource.RLIMIT_AS)
    size = memory(process.pid, "VmSize") + 8 * MIB
    resource.prlimit(process.pid, resource.RLIMIT_AS, (size, old[1]))
    client, failed = clients(), 0
    for number in range(100_000):
        payload = b"/a/%d\0" % number + bytes(3900)
        reply = b""
        with suppress(OSError):
            client.sendall(encode_frame(Op.WRITE, 1, 0, payload))
            reply = client.recv(4096)
        if reply[:4] != Op.WRITE.to_bytes(4, "little"):
            failed += 1
            if failed == 2000:
                break
            client.close()
            client = clients()

    assert failed == 2000
    assert process.poll() is None
    assert load(process) < 0.5
    assert len(place.text()) < LOG_MAX

    # Not only to be served: the kernel ends a process whose stack has to grow and may
    # not, and no daemon can do anything about it.
    resource.prlimit(process.pid, resource.RLIMIT_AS, old)
    with place.client() as another:
        another.write("/b", b"value")
        assert another.read("/b") == b"value"
    assert ends(process) == 0, place.text()


def test_without_descriptors(
    place: Place, clients: Callable[[], socket.socket]
) -> None:
    """Those who wait are not accepted, on either socket; then they are."""
    process = place.start("--hypervisor", "emulated")
    old = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    now = descriptors(process.pid)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (now, old[1]))
    control = socket.socket(socket.AF_UNIX)
    with control:
        control.connect(f"{place.socket}.hypervisor")
        control.sendall(b'{"do": "list"}\n')
        waiting = [clients() for _ in range(50)]
        for client in waiting:
            client.sendall(encode_frame(Op.READ, 1, 0, b"/\0"))
        assert load(process) < 0.5
        assert 0 < len(place.text()) < LOG_MAX

        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, old)
        for client in waiting:
            assert client.recv(100)[:4] == Op.READ.to_bytes(4, "little")
        assert control.recv(1000) == b'{"domains": []}\n'
    assert ends(process) == 0


def test_without_room_on_the_disk(place: Place) -> None:
    """Neither log nor trace nor recording can be written; clients are served."""
    process = place.start("-T", "/dev/full", "--record", "/dev/full")
    with place.client() as client:
        for number in range(500):
            client.write(f"/a/{number}", b"value")
        client.control("logfile", "/dev/full")
        assert load(process) < 0.5
        client.write("/a", b"value")
    assert ends(process) == 0


def test_with_a_log_that_nobody_reads(place: Place) -> None:
    """A pipe is full, or has no reader: lines are lost, and nobody waits."""
    pipe = place.path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    process = place.start("-T", str(pipe))
    with place.client() as client:
        for number in range(1000):
            client.write(f"/a/{number}", b"v" * 200)
        os.close(reader)
        client.write("/a", b"value")
    assert ends(process) == 0
    # That it starts at all is what is asked.
    process = place.start("-T", str(pipe))
    assert place.lines("log.not_opened") != []
    assert ends(process) == 0


def test_an_end_amid_a_flood(
    place: Place, clients: Callable[[], socket.socket]
) -> None:
    """With many who ask without pause and never read."""
    process = place.start()
    frames = encode_frame(Op.DIRECTORY, 1, 0, b"/tool\0") * 100
    flooding = [clients() for _ in range(50)]
    for client in flooding:
        client.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                client.send(frames)
    assert ends(process) == 0


def test_an_end_while_the_service_manager_does_not_listen(place: Place) -> None:
    """Its socket is full, and it will never read."""
    path = place.path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        process = place.start(NOTIFY_SOCKET=str(path))
        wait_until(lambda: manager.recv(100) == b"READY=1", "it does not get ready")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.connect(str(path))
            other.setblocking(False)
            with suppress(BlockingIOError):
                while True:
                    other.send(b"x")
            assert ends(process) == 0
